//! `matrix`: how fast cooperative matrices can be multiplied and added.

use super::make;
use crate::kernels::{Launch, params};
use crate::tensor::{DType, Matrix};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// Rounds of eight products.
        rounds: u32,
    }
}

/// Threads of a workgroup.
pub const WORKGROUP: u32 = 128;

/// `workgroups` workgroups of `rounds` rounds. Binds `a`, `b`, `y`; `None` for shapes other than squares of 8 or
/// 16 that add up in `F32`, and where a subgroup's size does not divide a workgroup's.
pub fn launch(workgroups: usize, rounds: u32, subgroup: u32, shape: Matrix) -> Option<Launch> {
    let slot = match (shape.m, shape.n, shape.k, shape.input, shape.output) {
        (8, 8, 8, Some(DType::F16), Some(DType::F32)) => "bench/tile/8x8_f16",
        (8, 8, 8, Some(DType::F32), Some(DType::F32)) => "bench/tile/8x8_f32",
        (16, 16, 16, Some(DType::F16), Some(DType::F32)) => "bench/tile/16x16_f16",
        _ => return None,
    };
    let constants = vec![("WORKGROUP", WORKGROUP), ("SUBGROUP", subgroup)];
    let grid = [workgroups as u32, 1, 1];
    let launch = make("matrix", "bench/matrix", vec![("tile", slot)], constants, Params { rounds }, grid);
    (subgroup > 0 && WORKGROUP.is_multiple_of(subgroup)).then_some(launch)
}

/// Multiplications and additions of a launch.
pub fn flops(workgroups: usize, rounds: u32, subgroup: u32, shape: Matrix) -> f64 {
    let product = 2.0 * f64::from(shape.m) * f64::from(shape.n) * f64::from(shape.k);
    SUMS as f64 * f64::from(rounds) * product * f64::from(WORKGROUP / subgroup.max(1)) * workgroups as f64
}

/// Products that a subgroup adds up, and stores.
pub const SUMS: usize = 8;

/// The definition, for one subgroup: `a` is four squares of `side`, `b` two; the products of each of `a` with each of `b`.
pub fn reference(a: &[f64], b: &[f64], rounds: u32, side: usize) -> Vec<f64> {
    let square = side * side;
    let pairs = a.chunks(square).flat_map(|a| b.chunks(square).map(move |b| (a, b)));
    let product = |(a, b): (&[f64], &[f64])| -> Vec<f64> {
        let sum = |row: usize, column: usize| (0..side).map(|k| a[row * side + k] * b[k * side + column]).sum::<f64>();
        (0..square).map(|at| f64::from(rounds) * sum(at / side, at % side)).collect()
    };
    pairs.flat_map(product).collect()
}
