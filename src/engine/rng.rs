//! Random numbers that are a function of a seed and a counter, and of nothing else.
//!
//! Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011): a few
//! integer multiplications, so every machine computes the same. There is no state to save, to share, or to advance in
//! the right order: the token at position 7 of a session gets the same number alone, in a batch, or after a restart.

/// Rounds; the authors' recommended number.
const ROUNDS: usize = 10;

/// What the first and the third counter word are multiplied by.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];

/// What the key grows by from round to round: the golden ratio, and √3 - 1.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// A source of random numbers without state.
///
/// ```
/// use quernel::engine::Rng;
/// let rng = Rng::new(42);
/// assert_eq!(rng.uniform(7), Rng::new(42).uniform(7));
/// assert_ne!(rng.uniform(7), rng.uniform(8));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rng {
    seed: u64,
}

impl Rng {
    /// The source that `seed` names.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The seed.
    pub fn seed(self) -> u64 {
        self.seed
    }

    /// The 64 bits that belong to `counter`.
    pub fn bits(self, counter: u64) -> u64 {
        let [a, b, ..] = philox([low(counter), high(counter), 0, 0], [low(self.seed), high(self.seed)]);
        u64::from(a) << 32 | u64::from(b)
    }

    /// The first of these bits as a number: a multiple of 2⁻⁵³, at least 0 and less than 1.
    pub fn uniform(self, counter: u64) -> f64 {
        (self.bits(counter) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn low(x: u64) -> u32 {
    x as u32
}

fn high(x: u64) -> u32 {
    (x >> 32) as u32
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let first = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let second = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [high(second) ^ counter[1] ^ key[0], low(second), high(first) ^ counter[3] ^ key[1], low(first)];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_known_answers() {
        // The authors' vectors for philox4x32-10: zeros, ones, and the digits of π.
        for (counter, key, expected) in [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ] {
            assert_eq!(philox(counter, key), expected);
        }
    }

    #[test]
    fn uniform_takes_the_top_53_bits_of_the_first_two_words() {
        let expected = (0x6627_e8d5_e169_c58d_u64 >> 11) as f64 * (-53f64).exp2();
        assert_eq!(Rng::new(0).uniform(0), expected);
        // Both halves of the seed and of the counter count.
        let all = [Rng::new(1).uniform(0), Rng::new(1 << 32).uniform(0), Rng::new(0).uniform(1 << 32)];
        assert!(all.iter().all(|&x| x != expected && (0.0..1.0).contains(&x)), "{all:?}");
    }

    #[test]
    fn numbers_spread_evenly_along_the_counter_and_along_the_seed() {
        const BINS: usize = 64;
        const DRAWS: u64 = 64_000;
        for along_seed in [false, true] {
            let mut bins = [0u32; BINS];
            let mut neighbours = 0.0;
            let draw = |i: u64| if along_seed { Rng::new(i).uniform(5) } else { Rng::new(5).uniform(i) };
            for i in 0..DRAWS {
                bins[(draw(i) * BINS as f64) as usize] += 1;
                neighbours += (draw(i) - 0.5) * (draw(i + 1) - 0.5) * 12.0;
            }
            let expected = DRAWS as f64 / BINS as f64;
            let chi: f64 = bins.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
            // 63 degrees of freedom: mean 63, standard deviation 11.2; five of them on either side.
            assert!((7.0..119.0).contains(&chi), "chi-square {chi}");
            // The sum of DRAWS products of variance 1.
            assert!(neighbours.abs() < 5.0 * (DRAWS as f64).sqrt(), "neighbours correlate: {neighbours}");
        }
    }
}
