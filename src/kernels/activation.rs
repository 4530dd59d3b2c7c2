//! `activation`: y = act(x), element by element.

use super::{Launch, WORKGROUP, grid, launch as make, params, quads};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// Quads of the whole value, padding included.
        quads: u32,
    }
}

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// x / (1 + e^-x), also called swish.
    Silu,
    /// x/2 (1 + erf(x/√2)).
    Gelu,
    /// GELU with tanh in erf's place, `gelu_new` and `gelu_pytorch_tanh` in Hugging Face's configurations.
    GeluTanh,
    /// max(x, 0).
    Relu,
}

impl Act {
    /// Every activation function.
    pub const ALL: [Self; 4] = [Self::Silu, Self::Gelu, Self::GeluTanh, Self::Relu];

    /// The function that a configuration's `hidden_act` names.
    pub fn from_config(name: &str) -> Option<Self> {
        match name {
            "silu" | "swish" => Some(Self::Silu),
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Some(Self::GeluTanh),
            "relu" => Some(Self::Relu),
            _ => None,
        }
    }

    /// The file that fills the slot `act`.
    pub(super) fn slot(self) -> (&'static str, &'static str) {
        let file = match self {
            Self::Silu => "act/silu",
            Self::Gelu => "act/gelu",
            Self::GeluTanh => "act/gelu_tanh",
            Self::Relu => "act/relu",
        };
        ("act", file)
    }

    /// The definition for one element.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Silu => x / (1.0 + (-x).exp()),
            Self::Gelu => 0.5 * x * erfc(-x / std::f64::consts::SQRT_2),
            // 1 + tanh(z) written as 2 / (1 + e^(-2z)): the sum would cancel where tanh is near -1.
            Self::GeluTanh => {
                let z = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                x / (1.0 + (-2.0 * z).exp())
            }
            Self::Relu => x.max(0.0),
        }
    }
}

/// Applies `act` to a value of `rows` × `columns`. Binds `x`, `y`.
pub fn launch(rows: usize, columns: usize, act: Act) -> Launch {
    let quads = rows as u32 * quads(columns);
    let constants = vec![("WORKGROUP", WORKGROUP)];
    make("activation", "activation", vec![act.slot()], constants, Params { quads }, grid(quads as usize))
}

/// The definition.
pub fn reference(x: &[f64], act: Act) -> Vec<f64> {
    x.iter().map(|&x| act.apply(x)).collect()
}

/// The complementary error function: 2/√π ∫ e^(-t²) dt from x to infinity.
///
/// Near zero 1 less erf's Maclaurin series; further out Lentz's evaluation of the continued fraction.
/// Abramowitz and Stegun 1964, 7.1.5 and 7.1.14.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 2.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..100 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return 1.0 - 2.0 / std::f64::consts::PI.sqrt() * sum;
    }
    let mut fraction = x;
    for n in (1..=200).rev() {
        fraction = x + f64::from(n) / 2.0 / fraction;
    }
    (-x * x).exp() / (std::f64::consts::PI.sqrt() * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erfc_agrees_with_tables() {
        // Abramowitz and Stegun, table 7.1 and 7.3.
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 0.479500122186953),
            (1.0, 0.157299207050285),
            (2.0, 0.004677734981047266),
            (3.0, 2.209049699858544e-5),
            (-1.0, 1.842700792949715),
        ] {
            assert!((erfc(x) - expected).abs() < 1e-14, "erfc({x}) = {}", erfc(x));
        }
    }
}
