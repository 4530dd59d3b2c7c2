//! What each kernel means, and how one of its variants is chosen.
//!
//! One file a kernel, one word for it everywhere: `src/kernels/x.rs` has its `Params`, `launch` (which variant, which
//! grid) and `reference` (the definition, in `f64`), `shaders/x.wgsl` computes it, `kernels-tests/x.rs` holds the two
//! together. No GPU here: a [`Launch`] is data, so that plans can be made and tested without a device.

mod launch;

pub use launch::{FOLD, Launch, Params, Variant, fold};
