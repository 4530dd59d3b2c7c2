//! `fma`: how fast numbers can be multiplied and added.

use super::make;
use crate::kernels::{Launch, fold, params};
use crate::tensor::DType;

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// How many threads.
        threads: u32,
        /// Rounds of four steps.
        rounds: u32,
        /// What a number is multiplied by in a step.
        factor: f32,
        /// What is then added to it.
        term: f32,
    }
}

/// Numbers that a thread has.
pub const CHAINS: usize = 16;

/// `threads` threads of `rounds` rounds, in `F32` or `F16`; `None` in any other storage. Binds `y`.
pub fn launch(threads: usize, rounds: u32, workgroup: u32, number: DType, [factor, term]: [f32; 2]) -> Option<Launch> {
    let slot = match number {
        DType::F32 => "bench/number/f32",
        DType::F16 => "bench/number/f16",
        _ => return None,
    };
    let params = Params { threads: threads as u32, rounds, factor, term };
    let grid = fold(threads.div_ceil(workgroup as usize));
    Some(make("fma", "bench/fma", vec![("number", slot)], vec![("WORKGROUP", workgroup)], params, grid))
}

/// Multiplications and additions of a launch.
pub fn flops(threads: usize, rounds: u32) -> f64 {
    2.0 * 4.0 * f64::from(rounds) * CHAINS as f64 * threads as f64
}

/// The definition.
pub fn reference(threads: usize, rounds: u32, [factor, term]: [f32; 2]) -> Vec<f64> {
    let chain = |first: usize| (0..4 * rounds).fold(first as f64, |v, _| v.mul_add(f64::from(factor), f64::from(term)));
    (0..threads).map(|thread| (0..CHAINS).map(|index| chain(thread % 4 + index)).sum()).collect()
}
