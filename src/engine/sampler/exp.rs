//! eˣ in plain arithmetic.
//!
//! The standard library hands `exp` to the platform's mathematics, which differs in the last bit from one system to the
//! next, and a token hangs on it when a draw falls on the edge of two. Additions and multiplications do not differ.

/// ln 2 in two parts: the first has few enough bits that multiples of it are exact.
const LN_2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];

/// Terms of the series; at |x| ≤ ln 2 / 2 the next one is below half a unit in the last place.
const TERMS: u32 = 14;

/// eˣ for x ≤ 0: at most two units in the last place off, and 0 where the result would be below 2⁻¹⁰²².
pub(super) fn exp(x: f64) -> f64 {
    let halvings = (x * std::f64::consts::LOG2_E).round_ties_even();
    if halvings < -1022.0 || x.is_nan() {
        return 0.0;
    }
    let rest = (x - halvings * LN_2[0]) - halvings * LN_2[1];
    let mut sum = 1.0;
    for term in (1..=TERMS).rev() {
        sum = 1.0 + rest / f64::from(term) * sum;
    }
    // 2 to the power of `halvings`, written as the bits of its exponent.
    sum * f64::from_bits(((halvings as i64 + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn exp_is_within_two_units_of_the_platforms() {
        let mut worst = 0;
        for i in 0..200_000 {
            let x = -f64::from(i) * 0.0035;
            let (ours, theirs) = (exp(x), x.exp());
            worst = worst.max(ours.to_bits().abs_diff(theirs.to_bits()));
        }
        assert!(worst <= 2, "{worst} units in the last place");
    }

    #[test]
    fn exp_keeps_its_edges() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(f64::MIN), 0.0);
        assert_eq!(exp(-1e4), 0.0);
        // What every machine must get, to the bit.
        assert_eq!(exp(-1.0).to_bits(), 0x3fd7_8b56_362c_ef38);
        assert_eq!(exp(-10.0).to_bits(), 0x3f07_cd79_b564_7c9a);
    }
}
