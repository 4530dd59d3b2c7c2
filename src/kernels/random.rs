//! `random`: W\[row, column\] = 2⁻ᵉ (2b − 255), b a random byte: weights for a model's shape where there is no model.
//!
//! Four neighbours in a row share one hash of their place and the seed: PCG in three dimensions, Jarzynski and Olano,
//! "Hash Functions for GPU Rendering" (JCGT 2020). An odd number of eight bits times a power of two is exact in `F32`,
//! `F16` and `BF16`, so a weight is the same number in every format, on the device and on the host.

use super::{Launch, WORKGROUP, grid, launch as make, params};
use crate::tensor::{DType, pitch};
use std::ops::Range;

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// Rows to fill.
        rows: u32,
        /// Packs of 16 bytes in a row, padding included.
        packs: u32,
        /// The first of these rows in the whole matrix.
        first_row: u32,
        /// Which random numbers.
        seed: u32,
        /// 2⁻ᵉ.
        scale: f32,
    }
}

/// The root mean square of an odd number between -255 and 255: √((256² − 1) / 3).
const SPREAD: f64 = 147.8;

/// The largest e for which every value is a normal number in `F16`.
const MAX_EXPONENT: f64 = 14.0;

/// Which numbers a matrix is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Numbers {
    /// Another seed, other numbers.
    pub seed: u32,
    /// Every number is a multiple of 2 to the minus this.
    pub exponent: u32,
}

impl Numbers {
    /// Numbers whose spread is close to 1/√columns, so that a product with such a matrix is as large as what it was
    /// multiplied by.
    pub fn for_columns(columns: usize, seed: u32) -> Self {
        let exponent = (SPREAD * (columns as f64).sqrt()).log2().round().clamp(0.0, MAX_EXPONENT);
        Self { seed, exponent: exponent as u32 }
    }
}

/// Fills `rows` of a matrix of `columns` columns, stored as `dtype`. Binds `y`, which begins with the first of them.
/// `None` where the storage has no packing.
pub fn launch(numbers: Numbers, rows: Range<usize>, columns: usize, dtype: DType) -> Option<Launch> {
    let slot = match dtype {
        DType::F32 => "pack/f32",
        DType::F16 => "pack/f16",
        DType::BF16 => "pack/bf16",
        DType::U32 | DType::Q8 | DType::Q4 | DType::Q4A => return None,
    };
    let packs = dtype.row_bytes(pitch(columns)) / 16;
    let params = Params {
        rows: rows.len() as u32,
        packs: packs as u32,
        first_row: rows.start as u32,
        seed: numbers.seed,
        scale: (-(numbers.exponent as f32)).exp2(),
    };
    let constants = vec![("WORKGROUP", WORKGROUP)];
    Some(make("random", "random", vec![("pack", slot)], constants, params, grid(rows.len() * packs)))
}

/// The definition.
pub fn reference(numbers: Numbers, rows: Range<usize>, columns: usize) -> Vec<f64> {
    let scale = (-f64::from(numbers.exponent)).exp2();
    let row = |row: usize| {
        let quads = (0..columns.div_ceil(4)).map(move |quad| hash([row as u32, quad as u32, numbers.seed])[0]);
        quads.flat_map(u32::to_le_bytes).take(columns).map(move |byte| scale * (2.0 * f64::from(byte) - 255.0))
    };
    rows.flat_map(row).collect()
}

/// PCG in three dimensions.
fn hash(v: [u32; 3]) -> [u32; 3] {
    let [mut x, mut y, mut z] = v.map(|v| v.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    for round in 0..2 {
        x = x.wrapping_add(y.wrapping_mul(z));
        y = y.wrapping_add(z.wrapping_mul(x));
        z = z.wrapping_add(x.wrapping_mul(y));
        if round == 0 {
            [x, y, z] = [x, y, z].map(|v| v ^ (v >> 16));
        }
    }
    [x, y, z]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_spread_that_keeps_a_product_in_bounds() {
        for columns in [64, 576, 4096, 14_336] {
            let numbers = Numbers::for_columns(columns, 7);
            let values = reference(numbers, 0..64, columns);
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let spread = (values.iter().map(|x| x * x).sum::<f64>() / n).sqrt() * (columns as f64).sqrt();
            assert!((0.7..1.42).contains(&spread), "{columns}: {spread}");
            // Five standard errors of the mean of n numbers.
            assert!(mean.abs() * (columns as f64).sqrt() < 5.0 * spread / n.sqrt(), "{columns}: {mean}");
        }
    }

    #[test]
    fn a_row_goes_on_where_a_narrower_one_ends() {
        let numbers = Numbers { seed: 3, exponent: 5 };
        let (narrow, wide) = (reference(numbers, 4..7, 9), reference(numbers, 4..7, 16));
        for (narrow, wide) in narrow.chunks(9).zip(wide.chunks(16)) {
            assert_eq!(narrow, &wide[..9]);
        }
    }

    #[test]
    fn neighbours_rows_and_seeds_are_independent() {
        let at = |seed, row: usize| reference(Numbers { seed, exponent: 0 }, row..row + 1, 4096);
        let correlation = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / 21_845.0;
        let first = at(1, 5);
        for other in [at(1, 6), at(2, 5), [&first[1..], &[0.0]].concat(), [&first[4..], &[0.0; 4]].concat()] {
            assert!(correlation(&first, &other).abs() < 5.0 * 64.0);
        }
        assert_eq!(reference(Numbers { seed: 1, exponent: 0 }, 0..6, 4096)[5 * 4096..], first);
    }
}
