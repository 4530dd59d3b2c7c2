//! `rope`: rotary position embedding, Su et al. 2021: pair i of every head turns by an angle of its own per position.
//!
//! The angles come from a table that the host computes ([`Angles`]): a GPU's own sine is not accurate enough, and a
//! checkpoint was trained with one definite set of `f32` angles.

use super::{Launch, WORKGROUP, grid, launch as make, params};
use crate::tensor::pitch;

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// How many tokens.
        tokens: u32,
        /// Heads of a token.
        heads: u32,
        /// Elements of a head.
        head_dim: u32,
        /// Elements of a head that turn.
        rotary_dim: u32,
        /// Elements from one position's row of the table to the next.
        table_pitch: u32,
    }
}

/// Which two elements make a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pairing {
    /// i and i + rotary_dim/2: what Hugging Face's checkpoints are laid out for.
    Halves,
    /// 2i and 2i + 1, as in the paper.
    Interleaved,
}

/// The shapes of one dispatch; `head_dim` and `rotary_dim` are even.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Heads {
    /// Heads of a token.
    pub heads: usize,
    /// Elements of a head, a multiple of 8.
    pub head_dim: usize,
    /// Elements of a head that turn.
    pub rotary_dim: usize,
    /// Which two elements make a pair.
    pub pairing: Pairing,
}

/// Turns the heads of `tokens` tokens. Binds `x`, `positions`, `table`, `y`.
pub fn launch(tokens: usize, heads: Heads) -> Launch {
    let params = Params {
        tokens: tokens as u32,
        heads: heads.heads as u32,
        head_dim: heads.head_dim as u32,
        rotary_dim: heads.rotary_dim as u32,
        table_pitch: pitch(heads.rotary_dim) as u32,
    };
    let constants = vec![("WORKGROUP", WORKGROUP), ("INTERLEAVED", u32::from(heads.pairing == Pairing::Interleaved))];
    make("rope", "rope", vec![], constants, params, grid(tokens * heads.heads * heads.head_dim / 2))
}

/// The definition: `table` holds for each position the cosines of all pairs, then their sines.
pub fn reference(x: &[f64], positions: &[u32], table: &[f64], heads: Heads) -> Vec<f64> {
    let mut y = x.to_vec();
    let turning = heads.rotary_dim / 2;
    for (index, head) in y.chunks_mut(heads.head_dim.max(1)).enumerate() {
        let position = positions[index / heads.heads] as usize;
        let angles = &table[position * heads.rotary_dim..][..heads.rotary_dim];
        for pair in 0..turning {
            let (i, j) = match heads.pairing {
                Pairing::Halves => (pair, pair + turning),
                Pairing::Interleaved => (2 * pair, 2 * pair + 1),
            };
            let (cosine, sine) = (angles[pair], angles[turning + pair]);
            (head[i], head[j]) = (head[i] * cosine - head[j] * sine, head[j] * cosine + head[i] * sine);
        }
    }
    y
}

/// The angular speeds of a model's pairs, and a factor on all cosines and sines.
#[derive(Debug, Clone, PartialEq)]
pub struct Angles {
    /// Radians a position, for each pair.
    pub frequencies: Vec<f32>,
    /// YaRN's attention factor; 1 elsewhere.
    pub factor: f32,
}

impl Angles {
    /// `theta^(-2i/rotary_dim)` for each pair i.
    ///
    /// Computed in `f32` step by step as transformers does, whose checkpoints were trained with these roundings.
    pub fn plain(theta: f32, rotary_dim: usize) -> Self {
        let frequencies =
            (0..rotary_dim / 2).map(|pair| 1.0 / theta.powf((2 * pair) as f32 / rotary_dim as f32)).collect();
        Self { frequencies, factor: 1.0 }
    }

    /// Positions divided by `factor`, Chen et al. 2023 (arXiv 2306.15595).
    #[must_use]
    pub fn linear(mut self, factor: f32) -> Self {
        self.frequencies.iter_mut().for_each(|frequency| *frequency /= factor);
        self
    }

    /// Llama 3.1's scaling: slow pairs are divided by `factor`, fast ones stay, those between are blended.
    #[must_use]
    pub fn llama3(mut self, factor: f32, low: f32, high: f32, original_context: usize) -> Self {
        let context = original_context as f32;
        for frequency in &mut self.frequencies {
            let wavelength = 2.0 * std::f32::consts::PI / *frequency;
            if wavelength > context / low {
                *frequency /= factor;
            } else if wavelength >= context / high {
                let smooth = (context / wavelength - low) / (high - low);
                *frequency = (1.0 - smooth) * *frequency / factor + smooth * *frequency;
            }
        }
        self
    }

    /// YaRN, Peng et al. 2023 (arXiv 2309.00071): fast pairs stay, slow ones are divided by `factor`, between them a ramp.
    #[must_use]
    pub fn yarn(mut self, theta: f32, yarn: Yarn) -> Self {
        let dim = 2.0 * self.frequencies.len() as f64;
        let turns = |rotations: f64| {
            dim * (yarn.original_context as f64 / (rotations * 2.0 * std::f64::consts::PI)).ln()
                / (2.0 * f64::from(theta).ln())
        };
        let (mut low, mut high) = (turns(f64::from(yarn.beta_fast)), turns(f64::from(yarn.beta_slow)));
        if yarn.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, mut high) = (low.max(0.0), high.min(dim - 1.0));
        if low == high {
            high += 0.001;
        }
        for (pair, frequency) in self.frequencies.iter_mut().enumerate() {
            let keep = 1.0 - ((pair as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0);
            *frequency = *frequency / yarn.factor * (1.0 - keep) + *frequency * keep;
        }
        self.factor = yarn.attention_factor;
        self
    }

    /// The table's rows for `positions`: for each the cosines of all pairs, then their sines.
    pub fn table(&self, positions: std::ops::Range<usize>) -> Vec<f32> {
        let mut table = Vec::with_capacity(positions.len() * self.frequencies.len() * 2);
        for position in positions {
            let angle = |frequency: &f32| position as f32 * frequency;
            table.extend(self.frequencies.iter().map(|frequency| angle(frequency).cos() * self.factor));
            table.extend(self.frequencies.iter().map(|frequency| angle(frequency).sin() * self.factor));
        }
        table
    }
}

/// What YaRN's scaling is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Yarn {
    /// How much longer the context became.
    pub factor: f32,
    /// Pairs that turn more often than this over the original context stay as they are.
    pub beta_fast: f32,
    /// Pairs that turn less often than this are divided by `factor`.
    pub beta_slow: f32,
    /// Tokens of the original context.
    pub original_context: usize,
    /// The factor on all cosines and sines.
    pub attention_factor: f32,
    /// Whether the ramp begins and ends at whole pairs.
    pub truncate: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(angles: &Angles, factor: f32, frequencies: &[f32]) {
        assert_eq!(angles.frequencies.len(), frequencies.len());
        assert!((angles.factor - factor).abs() < 2e-7, "factor {}", angles.factor);
        for (pair, (found, expected)) in angles.frequencies.iter().zip(frequencies).enumerate() {
            // Two units in the last place: the power is the C library's, which differs between systems.
            assert!((found - expected).abs() <= 2.5e-7 * expected, "pair {pair}: {found:e}, not {expected:e}");
        }
    }

    // The figures below are what transformers 5.24 computes, in `modeling_rope_utils`.

    #[test]
    fn linear_and_llama3_scaling_agree_with_transformers() {
        let linear = Angles::plain(10_000.0, 8).linear(2.5);
        agree(&linear, 1.0, &[0.4, 0.04, 0.003_999_999_7, 0.000_400_000_02]);
        let llama3 = Angles::plain(500_000.0, 16).llama3(8.0, 1.0, 4.0, 8192);
        let frequencies = [
            1.0,
            0.193_922_76,
            0.037_606_03,
            0.007_292_665,
            5.248_46e-4,
            3.428_102_4e-5,
            6.647_869_7e-6,
            1.289_173_2e-6,
        ];
        agree(&llama3, 1.0, &frequencies);
    }

    #[test]
    fn yarn_scaling_agrees_with_transformers() {
        let yarn = Yarn {
            factor: 4.0,
            beta_fast: 32.0,
            beta_slow: 1.0,
            original_context: 32_768,
            attention_factor: 0.1 * 4.0_f32.ln() + 1.0,
            truncate: true,
        };
        let frequencies =
            [1.0, 0.177_827_94, 0.031_622_78, 0.004_217_56, 5e-4, 4.445_698_5e-5, 7.905_694e-6, 1.405_853_4e-6];
        agree(&Angles::plain(1_000_000.0, 16).yarn(1_000_000.0, yarn), 1.138_629_4, &frequencies);

        let yarn =
            Yarn { factor: 8.0, beta_fast: 16.0, beta_slow: 2.0, original_context: 256, truncate: false, ..yarn };
        let yarn = Yarn { attention_factor: 0.1 * 8.0_f32.ln() + 1.0, ..yarn };
        let frequencies = [
            1.0,
            0.562_341_33,
            0.287_408_6,
            0.118_547_55,
            0.042_441_797,
            0.010_245_522,
            0.003_952_847_3,
            0.002_222_849_3,
            0.001_25,
            7.029_266_6e-4,
            3.952_847_3e-4,
            2.222_849_3e-4,
            1.25e-4,
            7.029_266e-5,
            3.952_847_3e-5,
            2.222_849_3e-5,
        ];
        agree(&Angles::plain(10_000.0, 32).yarn(10_000.0, yarn), 1.207_944_2, &frequencies);
    }
}
