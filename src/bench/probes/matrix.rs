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
    8.0 * f64::from(rounds) * product * f64::from(WORKGROUP / subgroup.max(1)) * workgroups as f64
}

/// The definition, for one subgroup: `a` is four squares of `side`, `b` two.
pub fn reference(a: &[f64], b: &[f64], rounds: u32, side: usize) -> Vec<f64> {
    let sum = |x: &[f64], at: usize| x.chunks(side * side).map(|square| square[at]).sum::<f64>();
    let mut y = vec![0.0; side * side];
    for (at, y) in y.iter_mut().enumerate() {
        let (row, column) = (at / side, at % side);
        *y = f64::from(rounds) * (0..side).map(|k| sum(a, row * side + k) * sum(b, k * side + column)).sum::<f64>();
    }
    y
}
