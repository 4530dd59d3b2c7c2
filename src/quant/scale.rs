//! Choosing a group's scale: the one whose quants come closest to the values.
//!
//! For given quants q the scale that loses least is Σxq / Σq², and what it loses is Σx² − (Σxq)² / Σq². So quants are
//! tried for several steps around the one that just holds the largest value, each with its own best scale. A value's
//! loss weighs as its square, since what is large in a row moves the result most.

use super::Values;

/// Steps tried, in eighths of a quant beside the one that just holds the largest value; the nearest first, so that of
/// equals the plainest is taken.
const TRIED: [f32; 19] =
    [0.0, -1.0, 1.0, -2.0, 2.0, -3.0, 3.0, -4.0, 4.0, -5.0, 5.0, -6.0, 6.0, -7.0, 7.0, -8.0, 8.0, -9.0, 9.0];

/// What a value's loss weighs.
fn weight(value: f32) -> f32 {
    value * value
}

/// The scale for quants from `-least` to `most`; 0 where all values are.
pub(super) fn symmetric(values: &Values, least: f32, most: f32) -> f32 {
    let largest =
        values.iter().fold(0.0f32, |largest, &value| if value.abs() > largest.abs() { value } else { largest });
    if largest == 0.0 || !largest.is_finite() {
        return 0.0;
    }
    let mut best = (0.0f32, largest / -least);
    for step in TRIED {
        let inverse = -(least + step / 8.0) / largest;
        let (mut xq, mut qq) = (0.0f32, 0.0f32);
        for &x in values {
            let q = (x * inverse).round_ties_even().clamp(-least, most);
            xq += weight(x) * x * q;
            qq += weight(x) * q * q;
        }
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
    let mut best = (f32::INFINITY, ((high - low) / most, low));
    for step in TRIED {
        let inverse = (most + step / 8.0) / (high - low);
        if let Some((scale, minimum)) = least_squares(values, inverse, low, most) {
            let loss = loss(values, scale, minimum, most);
            if loss < best.0 {
                best = (loss, (scale, minimum));
            }
        }
    }
    best.1
}

/// The line through (quant, value) for the quants of one step: its slope and its value at 0.
fn least_squares(values: &Values, inverse: f32, low: f32, most: f32) -> Option<(f32, f32)> {
    let (mut w, mut wq, mut wqq, mut wx, mut wqx) = (0.0f32, 0.0f32, 0.0f32, 0.0f32, 0.0f32);
    for &x in values {
        let q = ((x - low) * inverse).round_ties_even().clamp(0.0, most);
        let weight = weight(x);
        w += weight;
        wq += weight * q;
        wqq += weight * q * q;
        wx += weight * x;
        wqx += weight * q * x;
    }
    let determinant = w * wqq - wq * wq;
    let scale = (w * wqx - wq * wx) / determinant;
    (determinant > 0.0 && scale > 0.0).then(|| (scale, (wx - scale * wq) / w))
}

fn loss(values: &Values, scale: f32, minimum: f32, most: f32) -> f32 {
    let loss = |&x: &f32| {
        let q = ((x - minimum) / scale).round_ties_even().clamp(0.0, most);
        weight(x) * (x - (minimum + scale * q)).powi(2)
    };
    values.iter().map(loss).sum()
}
