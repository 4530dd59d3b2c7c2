//! `empty`: as little as a dispatch can do that the next one has to wait for.

use super::make;
use crate::kernels::{Launch, params};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// What the word grows by.
        term: u32,
    }
}

/// Adds `term` to the first word of `y`. Binds `y`.
pub fn launch(term: u32) -> Launch {
    make("empty", "bench/empty", vec![], vec![("WORKGROUP", 1)], Params { term }, [1, 1, 1])
}

/// The definition.
pub fn reference(y: u32, term: u32) -> u32 {
    y.wrapping_add(term)
}
