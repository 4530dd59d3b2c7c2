//! What each kernel means, and how one of its variants is chosen.
//!
//! One file a kernel, one word for it everywhere: `src/kernels/x.rs` has its `Params`, `launch` (which variant, which
//! grid) and `reference` (the definition, in `f64`), `shaders/x.wgsl` computes it, `kernels-tests/x.rs` holds the two
//! together. No GPU here: a [`Launch`] is data, so that plans can be made and tested without a device.
//!
//! A kernel climbs a ladder. The lowest rung needs nothing but WebGPU's defaults and is never taken away; higher rungs
//! use what an adapter has. A [`Policy`] says how high to climb. Kernels that add nothing up have a single rung.

pub mod activation;
pub mod add;
pub mod argmax;
pub mod attention;
pub mod attention_merge;
pub mod embed;
pub mod gated;
mod kv;
pub mod kv_write;
mod launch;
pub mod layer_norm;
pub mod linear;
mod policy;
pub mod quantize;
pub mod random;
pub mod rms_norm;
pub mod rope;
pub mod sample;
pub mod scale;
mod ways;

pub use kv::KvFormat;
pub(crate) use launch::params;
pub use launch::{FOLD, Launch, Params, Rounding, Variant, fold};
pub use policy::{Policy, Rung};
pub use ways::{Product, Way, Ways, rounds_with};

/// The place in a step's list of sequences, or the row in the cache, of a token that only fills a bucket up.
pub const NOTHING: u32 = u32::MAX;

/// Tokens that one page of the key-value cache holds.
pub const PAGE_TOKENS: usize = 32;

/// Threads of a workgroup in the kernels that need no particular number.
const WORKGROUP: u32 = 64;

/// Quads of four elements in a row of `columns`, padding included.
const fn quads(columns: usize) -> u32 {
    (crate::tensor::pitch(columns) / 4) as u32
}

/// Workgroups that `threads` threads make, folded.
fn grid(threads: usize) -> [u32; 3] {
    fold(threads.div_ceil(WORKGROUP as usize))
}

/// A launch of `variant` with `params`.
fn launch<P: Params>(
    kernel: &'static str,
    shader: &'static str,
    slots: Vec<(&'static str, &'static str)>,
    constants: Vec<(&'static str, u32)>,
    params: P,
    grid: [u32; 3],
) -> Launch {
    let recipe = crate::shader::Recipe { shader, slots, constants };
    Launch { variant: Variant { kernel, recipe }, params: bytemuck::bytes_of(&params).to_vec(), grid }
}
