//! Choosing a group's scale: the one whose quants come closest to the values.
//!
//! For given quants q the scale that loses least is Σxq / Σq², and what it loses is Σx² − (Σxq)² / Σq². So quants are
//! tried for several steps around the one that just holds the largest value, each with its own best scale. A value's
//! loss weighs as its square, since what is large in a row moves the result most.
//!
//! Every value of a model passes here a dozen times, so loops are over lanes, which a compiler turns into vectors,
//! and what only the values determine is computed once.

use super::Values;

/// Steps tried, in shares of a quant beside the one that just holds the largest value; the nearest first, so that of
/// equals the plainest is taken.
const TRIED: [f32; 11] = [0.0, -1.0, 1.0, -2.0, 2.0, -3.0, 3.0, -4.0, 4.0, -5.0, 5.0];

/// The share. No whole number of it is a half, at which the largest value's quant would hang on its last bit.
const SHARE: f32 = 0.27;

/// Sums that are kept side by side.
const LANES: usize = 8;

/// The nearest whole number of one below 2²², ties to even.
///
/// A sum with 3·2²² has no bits after the point. The standard library's function is a call where a processor's oldest
/// instructions must do.
pub(super) fn round(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC) - MAGIC
}

/// The sum of what `term` gives for each element.
fn sum(term: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for first in (0..super::GROUP).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(first + lane);
        }
    }
    lanes.into_iter().sum()
}

/// The one that is largest without its sign; of equals the first.
fn largest(values: &Values) -> f32 {
    values.iter().fold(0.0, |largest: f32, &value| if value.abs() > largest.abs() { value } else { largest })
}

/// The scale for quants from `-least` to `most`; 0 where all values are.
pub(super) fn symmetric(values: &Values, least: f32, most: f32) -> f32 {
    let largest = largest(values);
    if largest == 0.0 || !largest.is_finite() {
        return 0.0;
    }
    let weights = values.map(|x| x * x);
    let weighed = values.map(|x| x * x * x);
    let mut best = (0.0f32, largest / -least);
    for step in TRIED {
        let inverse = -(least + step * SHARE) / largest;
        let quants = values.map(|x| round((x * inverse).clamp(-least, most)));
        let xq = sum(|i| weighed[i] * quants[i]);
        let qq = sum(|i| weights[i] * quants[i] * quants[i]);
        // What is gained, Σx² less the loss.
        if qq > 0.0 && xq * xq > best.0 * qq {
            best = (xq * xq / qq, xq / qq);
        }
    }
    best.1
}

/// The scale and the minimum for quants from 0 to `most`.
pub(super) fn affine(values: &Values, most: f32) -> (f32, f32) {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !(low < high && low.is_finite() && high.is_finite()) {
        return (0.0, if low.is_finite() { low } else { 0.0 });
    }
    let weighed = Weighed::new(values);
    let mut best = (f32::INFINITY, ((high - low) / most, low));
    for step in TRIED {
        let inverse = (most + step * SHARE) / (high - low);
        if let Some((scale, minimum)) = weighed.least_squares(values, inverse, low, most) {
            let loss = weighed.loss(values, scale, minimum, most);
            if loss < best.0 {
                best = (loss, (scale, minimum));
            }
        }
    }
    best.1
}

/// What only the values determine: the largest of them, what each weighs, its weight times how far it is from the
/// largest, and both sums.
///
/// All is measured from the largest and its quant, since its weight may be nearly all the weight, and differences of
/// large sums would lose the rest.
struct Weighed {
    peak: f32,
    weights: Values,
    values: Values,
    weight: f32,
    value: f32,
}

impl Weighed {
    fn new(values: &Values) -> Self {
        let peak = largest(values);
        let (weights, weighed) = (values.map(|x| x * x), values.map(|x| x * x * (x - peak)));
        Self { peak, weight: sum(|i| weights[i]), value: sum(|i| weighed[i]), weights, values: weighed }
    }

    /// The line through (quant, value) for the quants of one step: its slope and its value at 0.
    fn least_squares(&self, values: &Values, inverse: f32, low: f32, most: f32) -> Option<(f32, f32)> {
        let quant = |x: f32| round(((x - low) * inverse).clamp(0.0, most));
        let middle = quant(self.peak);
        let quants = values.map(|x| quant(x) - middle);
        let wq = sum(|i| self.weights[i] * quants[i]);
        let wqq = sum(|i| self.weights[i] * quants[i] * quants[i]);
        let wqx = sum(|i| self.values[i] * quants[i]);
        let determinant = self.weight * wqq - wq * wq;
        let scale = (self.weight * wqx - wq * self.value) / determinant;
        let minimum = self.peak + (self.value - scale * wq) / self.weight - scale * middle;
        (determinant > 0.0 && scale > 0.0).then_some((scale, minimum))
    }

    fn loss(&self, values: &Values, scale: f32, minimum: f32, most: f32) -> f32 {
        let inverse = scale.recip();
        sum(|i| {
            let quant = round(((values[i] - minimum) * inverse).clamp(0.0, most));
            let lost = values[i] - (minimum + scale * quant);
            self.weights[i] * lost * lost
        })
    }
}
