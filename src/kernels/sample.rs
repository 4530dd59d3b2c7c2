//! `sample`: for each row of logits one token, by chance, and how many logits are not finite.
//!
//! Of the tokens in the order of likelihood (larger logits first, of equals the lower column) top-k keeps so many, top-p
//! (Holtzman et al. 2020, arXiv 1904.09751) those whose probabilities among these add up to so much, and min-p (Nguyen et
//! al. 2024, arXiv 2407.01082) those so many times as likely as the likeliest. One of what all keep is drawn by its
//! probability at the temperature, in the order of columns.
//!
//! Probabilities are odds: by that of the likeliest, in integers, so that a sum has no order and no rounding. The same
//! logits give the same token on any device, and the host computes it too.

use super::{Launch, Policy, fold, launch as make, params, quads};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// How many rows.
        rows: u32,
        /// Elements of a row.
        columns: u32,
        /// Quads of a row, padding included.
        quads: u32,
    }
}

/// Bits of a token's place that a search goes by at a time; a workgroup has a thread for each bin that they tell.
const BITS: u32 = 8;

/// The same where a processor runs the threads.
const FEW_BITS: u32 = 6;

/// The odds of the likeliest token.
pub const ONE: u32 = 1 << 31;

/// Every token, where a share of the whole probability is meant.
const ALL: u32 = u32::MAX;

/// Temperatures below count as this one, at which logits that differ at all are worlds apart.
const COLDEST: f32 = f32::from_bits((127 - 64) << 23);

/// What logits are divided by before the exponential, as log₂ e / temperature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// The number's first 32 bits.
    mantissa: u32,
    /// How far they lie to the left, and 117 more: then it is the exponent of a difference that is taken from it.
    shift: u32,
}

impl Rate {
    /// That of a temperature above 0.
    pub fn new(temperature: f32) -> Self {
        let bits = (std::f64::consts::LOG2_E / f64::from(temperature.max(COLDEST))).to_bits();
        let exponent = (bits >> 52) as i32 - 1023;
        let mantissa = (bits >> 21) as u32 | ONE;
        Self { mantissa, shift: (117 + 31 - exponent) as u32 }
    }
}

/// How one token is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Draw {
    top_k: u32,
    top_p: u32,
    min_p: u32,
    rate: Rate,
    random: u64,
}

impl Draw {
    /// 4-byte words that a row's draw takes on the device.
    pub const WORDS: usize = 8;

    /// The likeliest token, without a draw.
    pub const LIKELIEST: Self =
        Self { top_k: 1, top_p: ALL, min_p: 0, rate: Rate { mantissa: ONE, shift: 148 }, random: 0 };

    /// A draw at a `temperature` above 0 among the `top_k` likeliest tokens (0 for all), those with the share `top_p` of
    /// their probability, and those at least `min_p` times as likely as the likeliest. The same `random` bits give the
    /// same token.
    pub fn new(temperature: f32, top_k: usize, top_p: f32, min_p: f32, random: u64) -> Self {
        let top_p = if top_p < 1.0 { (f64::from(top_p) * 32f64.exp2()) as u32 } else { ALL };
        let min_p = (f64::from(min_p) * f64::from(ONE)).round() as u32;
        let top_k = u32::try_from(top_k).unwrap_or(0);
        Self { top_k, top_p, min_p, rate: Rate::new(temperature), random }
    }

    /// The words of the shader's `Draw`.
    pub fn words(&self) -> [u32; Self::WORDS] {
        let Rate { mantissa, shift } = self.rate;
        [self.top_k, self.top_p, self.min_p, mantissa, shift, self.random as u32, (self.random >> 32) as u32, 0]
    }

    /// The draw that `words` are.
    fn of(words: &[u32]) -> Option<Self> {
        let &[top_k, top_p, min_p, mantissa, shift, low, high, _] = words else { return None };
        let random = u64::from(high) << 32 | u64::from(low);
        Some(Self { top_k, top_p, min_p, rate: Rate { mantissa, shift }, random })
    }

    /// Tokens that top-k keeps of `count`.
    pub fn top_k(&self, count: usize) -> usize {
        if self.top_k == 0 { count } else { count.min(self.top_k as usize) }
    }

    /// Whether top-p keeps tokens in part.
    pub fn has_top_p(&self) -> bool {
        self.top_p != ALL
    }

    /// The sum of odds up to which top-p keeps the likeliest tokens, of a `whole`: the token that reaches it is the last.
    pub fn nucleus(&self, whole: u64) -> u64 {
        (u128::from(whole) * u128::from(self.top_p)).div_ceil(1 << 32).max(1) as u64
    }

    /// Whether min-p keeps a token of these odds at temperature 1.
    pub fn min_p(&self, odds: u32) -> bool {
        odds >= self.min_p
    }

    /// Odds at the temperature.
    pub fn odds(&self, best: f32, x: f32) -> u32 {
        odds(best, x, self.rate)
    }

    /// The sum of odds that the drawn token reaches first, of a `whole`.
    pub fn target(&self, whole: u64) -> u64 {
        ((u128::from(whole) * u128::from(self.random)) >> 64) as u64 + 1
    }
}

/// Coefficients of the polynomial of least largest error for (1 - 2⁻ᶠ) / f, in units of 2⁻³², with alternating signs.
const POWER: [u32; 8] = [2_977_044_472, 1_031_764_990, 238_388_304, 41_309_330, 5_725_847, 659_687, 63_216, 4_185];

/// e^((`x` - `best`) / temperature) in units of 2⁻³¹, within two of them, for x ≤ best; exactly [`ONE`] where they are
/// equal. The same bits on the host and on any device.
///
/// ```
/// use quernel::kernels::sample::{ONE, Rate, odds};
/// assert_eq!(odds(3.0, 3.0, Rate::new(0.5)), ONE);
/// let half = 2f64.ln() as f32;
/// assert!(odds(half, 0.0, Rate::new(1.0)).abs_diff(ONE / 2) < 64);
/// assert_eq!(odds(1e30, -1e30, Rate::new(1.0)), 0);
/// ```
pub fn odds(best: f32, x: f32, rate: Rate) -> u32 {
    // Half the difference, which does not overflow. What is below the least normal number may be zero to a device.
    let bits = (0.5 * best - 0.5 * x).to_bits();
    let exponent = bits >> 23 & 0xff;
    let down = rate.shift as i32 - exponent as i32;
    if exponent == 0 || down >= 64 {
        return ONE;
    }
    if down <= 0 {
        return 0;
    }
    // How often the odds are halved, in units of 2⁻³².
    let halvings = (u64::from(bits & 0x7f_ffff | 0x80_0000) * u64::from(rate.mantissa)) >> down;
    let (whole, fraction) = (halvings >> 32, halvings as u32);
    if whole >= 32 {
        return 0;
    }
    let upper = |a: u32, b: u32| ((u64::from(a) * u64::from(b)) >> 32) as u32;
    let power = POWER.iter().rev().fold(0, |sum, &coefficient| coefficient - upper(fraction, sum));
    let power = ONE - ((upper(fraction, power) + 1) >> 1);
    (power + ((1 << whole) >> 1)) >> whole
}

/// Draws of `rows` rows of `columns` logits. Binds `x`, `draws`, `y`; `y` gets two numbers a row, as from `argmax`.
pub fn launch(rows: usize, columns: usize, policy: Policy) -> Launch {
    let params = Params { rows: rows as u32, columns: columns as u32, quads: quads(columns) };
    let bits = if policy.processor { FEW_BITS } else { BITS };
    let constants = vec![("WORKGROUP", 1 << bits), ("BITS", bits)];
    make("sample", "sample", vec![policy.rung.best()], constants, params, fold(rows))
}

/// The definition: for each row the token, and the number of logits that are not finite; the token is then the
/// likeliest of the others. `draws` has [`Draw::WORDS`] words a row.
pub fn reference(x: &[f64], draws: &[u32], columns: usize) -> Vec<u32> {
    let rows = x.chunks(columns.max(1)).zip(draws.chunks(Draw::WORDS));
    rows.flat_map(|(row, words)| {
        let logits: Vec<f32> = row.iter().map(|&x| x as f32).collect();
        let not_finite = logits.iter().filter(|x| !x.is_finite()).count();
        [token(&logits, Draw::of(words).unwrap_or(Draw::LIKELIEST)), not_finite as u32]
    })
    .collect()
}

fn token(logits: &[f32], draw: Draw) -> u32 {
    let value = |&id: &usize| if logits[id].is_finite() { logits[id] } else { f32::MIN };
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| value(b).partial_cmp(&value(a)).unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(b)));
    let Some(&first) = order.first() else { return 0 };
    if draw.top_k == 1 || logits.iter().any(|x| !x.is_finite()) {
        return first as u32;
    }
    let best = logits[first];
    let usual = |id: usize| odds(best, logits[id], Rate::new(1.0));
    order.truncate(draw.top_k(order.len()));
    if draw.has_top_p() {
        let nucleus = draw.nucleus(order.iter().map(|&id| u64::from(usual(id))).sum());
        order.truncate(1 + reaching(order.iter().map(|&id| usual(id)), nucleus));
    }
    order.retain(|&id| draw.min_p(usual(id)));
    order.sort_unstable();
    let chances: Vec<u32> = order.iter().map(|&id| draw.odds(best, logits[id])).collect();
    let whole = chances.iter().copied().map(u64::from).sum();
    order.get(reaching(chances.into_iter(), draw.target(whole))).map_or(0, |&id| id as u32)
}

/// The first place at which the sum of `odds` is `target` at least.
fn reaching(odds: impl Iterator<Item = u32>, target: u64) -> usize {
    let sums = odds.scan(0, |sum, odds| {
        *sum += u64::from(odds);
        Some(*sum)
    });
    sums.take_while(|&sum| sum < target).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odds_are_within_two_units_of_the_exponential() {
        let mut worst = 0.0f64;
        for temperature in [0.01f32, 0.3, 0.8, 1.0, 1.7, 100.0] {
            for i in 0..50_000u16 {
                let (best, x) = (3.7, 3.7 - temperature * f32::from(i) * 5e-4);
                let exact = ((f64::from(x) - f64::from(best)) / f64::from(temperature)).exp() * f64::from(ONE);
                worst = worst.max((f64::from(odds(best, x, Rate::new(temperature))) - exact).abs());
            }
        }
        // The difference itself is rounded to a single: half a unit in its last place, at most 2⁻²⁴ of the exponent.
        assert!(worst < 2.0 + 0.37 * f64::from(ONE) / 24f64.exp2(), "{worst} units");
    }

    #[test]
    fn odds_keep_their_edges() {
        let at = |best, x, temperature| odds(best, x, Rate::new(temperature));
        assert_eq!(at(f32::MAX, f32::MIN, f32::MAX), (ONE as f64 * (-2f64).exp()).round() as u32);
        assert_eq!(at(f32::MAX, f32::MIN, 1.0), 0);
        assert_eq!(at(1.0, 1.0 - f32::EPSILON, f32::MIN_POSITIVE), 0);
        assert_eq!(at(1e-39, -1e-39, f32::MIN_POSITIVE), ONE);
        assert_eq!(at(0.0, -0.0, 0.5), ONE);
        assert_eq!(at(0.0, -1.0, f32::MAX), ONE);
        // The shader has the rate of temperature 1 as constants.
        assert_eq!(Rate::new(1.0), Rate { mantissa: 3_098_164_009, shift: 148 });
    }

    #[test]
    fn a_row_of_equals_is_told_apart_by_columns() {
        let draw = |top_k, top_p, random| Draw::new(1.0, top_k, top_p, 0.0, random).words();
        let token = |draw: [u32; Draw::WORDS]| reference(&[2.0; 8], &draw, 8)[0];
        assert_eq!([0, 1 << 61, u64::MAX].map(|random| token(draw(0, 1.0, random))), [0, 1, 7]);
        assert_eq!([0, 1 << 63, u64::MAX].map(|random| token(draw(4, 1.0, random))), [0, 2, 3]);
        assert_eq!([0, 1 << 63, u64::MAX].map(|random| token(draw(0, 0.5, random))), [0, 2, 3]);
        assert_eq!(token(draw(0, 0.0, u64::MAX)), 0);
        assert_eq!(token(Draw::LIKELIEST.words()), 0);
    }

    #[test]
    fn words_are_the_draw() {
        let draw = Draw::new(0.8, 40, 0.95, 0.05, 0x0123_4567_89ab_cdef);
        assert_eq!(Draw::of(&draw.words()), Some(draw));
    }
}
