//! `quantize`: x as groups of small integers with a scale, and some with a minimum, that lose least.
//!
//! A group's element x becomes m + s·q, q a whole number, s and m halves. Of the scales and minima that are least squares
//! for the quants of one of eleven steps, those are taken that lose least, where an element's loss weighs as its square:
//! what [`quant`](crate::quant) does on the host, on the device, beside which numbers may be as they are in a file.

use super::policy::quant;
use super::{Launch, WORKGROUP, grid, launch as make, params};
use crate::tensor::{BLOCK_GROUPS, DType, GROUP};
use half::f16;

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// Rows of x.
        rows: u32,
        /// Groups of a row.
        groups: u32,
        /// Packs of 16 bytes of a row of x.
        packs: u32,
        /// Words from one row of y to the next.
        row_words: u32,
    }
}

/// Quantizes `rows` of `columns`, whole groups, from a plain storage to a grouped one. Binds `weight`, which is read, and
/// `y`. `None` where the storages are of other kinds, or rows are no whole groups.
pub fn launch(rows: usize, columns: usize, from: DType, to: DType) -> Option<Launch> {
    let groups = match to {
        DType::Q8 => "groups/q8",
        DType::Q4 => "groups/q4",
        DType::Q4A => "groups/q4a",
        DType::F32 | DType::F16 | DType::BF16 | DType::U32 => return None,
    };
    if from.is_grouped() || columns == 0 || !columns.is_multiple_of(GROUP) {
        return None;
    }
    let slots = vec![quant(from)?, ("groups", groups)];
    let params = Params {
        rows: rows as u32,
        groups: (columns / GROUP) as u32,
        packs: (from.row_bytes(columns) / 16) as u32,
        row_words: (to.row_bytes(columns) / 4) as u32,
    };
    let pairs = (columns / GROUP).div_ceil(BLOCK_GROUPS) * BLOCK_GROUPS / 2;
    let constants = vec![("WORKGROUP", WORKGROUP)];
    Some(make("quantize", "quantize", slots, constants, params, grid(rows * pairs)))
}

/// The definition: what the groups of `x` are when they are read back.
pub fn reference(x: &[f64], to: DType) -> Vec<f64> {
    x.chunks(GROUP).flat_map(|group| group_reference(group, to)).collect()
}

fn group_reference(x: &[f64], to: DType) -> Vec<f64> {
    let largest = x.iter().copied().fold(0.0f64, |largest, x| if x.abs() > largest.abs() { x } else { largest });
    let (low, high) = x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    match to {
        DType::Q8 => on_line(x, largest.abs() / 127.0, 0.0, (-127.0, 127.0)),
        DType::Q4 => on_line(x, if largest == 0.0 { 0.0 } else { symmetric(x, largest) }, 0.0, (-8.0, 7.0)),
        DType::Q4A if low < high => {
            let (scale, minimum) = affine(x, low, high);
            on_line(x, scale, minimum, (0.0, 15.0))
        }
        DType::Q4A => on_line(x, 0.0, low, (0.0, 15.0)),
        DType::F32 | DType::F16 | DType::BF16 | DType::U32 => x.to_vec(),
    }
}

/// Each element as the nearest m + s·q, with s and m rounded to halves.
fn on_line(x: &[f64], scale: f64, minimum: f64, (least, most): (f64, f64)) -> Vec<f64> {
    let half = |x: f64| f16::from_f64(x.clamp(-65_504.0, 65_504.0)).to_f64();
    let (scale, minimum) = (half(scale), half(minimum));
    let quant = |x: f64| if scale == 0.0 { 0.0 } else { ((x - minimum) / scale).round_ties_even().clamp(least, most) };
    x.iter().map(|&x| minimum + scale * quant(x)).collect()
}

/// Shares of a quant by which the steps tried differ from the plain one.
const TRIED: [f64; 11] = [0.0, -1.0, 1.0, -2.0, 2.0, -3.0, 3.0, -4.0, 4.0, -5.0, 5.0];

/// The share. No whole number of it is a half, at which the largest element's quant would hang on its last bit.
const SHARE: f64 = 0.27;

/// For quants q the best scale is Σx³q / Σx²q², and it gains (Σx³q)² / Σx²q² over all zeros.
fn symmetric(x: &[f64], largest: f64) -> f64 {
    let mut best = (0.0, largest / -8.0);
    for step in TRIED {
        let quants = x.iter().map(|x| (x * -(8.0 + step * SHARE) / largest).clamp(-8.0, 7.0).round_ties_even());
        let (xq, qq) =
            x.iter().zip(quants).fold((0.0, 0.0), |(xq, qq), (x, q)| (xq + x * x * x * q, qq + x * x * q * q));
        if qq > 0.0 && xq * xq / qq > best.0 {
            best = (xq * xq / qq, xq / qq);
        }
    }
    best.1
}

/// For quants q the best line is that of weighted least squares; of the steps', that which then loses least.
fn affine(x: &[f64], low: f64, high: f64) -> (f64, f64) {
    let sum = |term: &dyn Fn(usize) -> f64| (0..x.len()).map(|i| x[i] * x[i] * term(i)).sum::<f64>();
    let (weight, value) = (sum(&|_| 1.0), sum(&|i| x[i]));
    let mut best = (f64::INFINITY, ((high - low) / 15.0, low));
    for step in TRIED {
        let inverse = (15.0 + step * SHARE) / (high - low);
        let q: Vec<f64> = x.iter().map(|x| ((x - low) * inverse).clamp(0.0, 15.0).round_ties_even()).collect();
        let (wq, wqq, wqx) = (sum(&|i| q[i]), sum(&|i| q[i] * q[i]), sum(&|i| q[i] * x[i]));
        let (determinant, slope) = (weight * wqq - wq * wq, weight * wqx - wq * value);
        if determinant > 0.0 && slope > 0.0 {
            let scale = slope / determinant;
            let minimum = (value - scale * wq) / weight;
            let quant = |x: f64| ((x - minimum) / scale).clamp(0.0, 15.0).round_ties_even();
            let loss = sum(&|i| (x[i] - (minimum + scale * quant(x[i]))).powi(2));
            if loss < best.0 {
                best = (loss, (scale, minimum));
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Rng;
    use crate::quant::{decode, encode};

    /// The host's codec keeps what the definition keeps, as far as single precision tells.
    #[test]
    fn the_host_loses_what_the_definition_loses() {
        let x = Rng::new("quantize").numbers(GROUP * 2000, 0.05);
        let exact: Vec<f64> = x.iter().copied().map(f64::from).collect();
        for to in [DType::Q8, DType::Q4, DType::Q4A] {
            let loss = |back: &[f64]| exact.iter().zip(back).map(|(x, y)| (x * (x - y)).powi(2)).sum::<f64>();
            let host = decode(to, &encode(to, &x, GROUP), GROUP).into_iter().map(f64::from).collect::<Vec<_>>();
            let (host, defined) = (loss(&host), loss(&reference(&exact, to)));
            assert!((host / defined - 1.0).abs() < 1e-3, "{to}: {host:e} and {defined:e}");
        }
    }
}
