//! `dot`: how fast four bytes at a time can be multiplied and added.

use super::make;
use crate::kernels::{Launch, fold, params};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// How many threads.
        threads: u32,
        /// Rounds of four steps.
        rounds: u32,
        /// Four bytes with which those of a number are multiplied in a step.
        factor: u32,
    }
}

/// Numbers that a thread has.
pub const CHAINS: usize = 8;

/// `threads` threads of `rounds` rounds. Binds `y`.
pub fn launch(threads: usize, rounds: u32, workgroup: u32, factor: u32) -> Launch {
    let params = Params { threads: threads as u32, rounds, factor };
    let grid = fold(threads.div_ceil(workgroup as usize));
    make("dot", "bench/dot", vec![], vec![("WORKGROUP", workgroup)], params, grid)
}

/// Multiplications and additions of bytes of a launch.
pub fn ops(threads: usize, rounds: u32) -> f64 {
    8.0 * 4.0 * f64::from(rounds) * CHAINS as f64 * threads as f64
}

/// The definition.
pub fn reference(threads: usize, rounds: u32, factor: u32) -> Vec<u32> {
    let bytes = |word: u32| word.to_le_bytes().map(|byte| i32::from(byte as i8));
    let step = |s: i32| {
        let products = bytes(s as u32).into_iter().zip(bytes(factor)).map(|(a, b)| a * b);
        s.wrapping_add(products.sum::<i32>())
    };
    let chain = |first: usize| (0..4 * rounds).fold(first as i32, |s, _| step(s));
    (0..threads).map(|thread| (0..CHAINS).fold(0i32, |y, i| y.wrapping_add(chain(thread + i))) as u32).collect()
}
