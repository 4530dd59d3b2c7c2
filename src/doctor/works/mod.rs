//! What each kernel is to compute, with the tolerance and the reason for it.
//!
//! The self-test runs some of it at a few sizes, the kernel tests all of it at many.

mod attention;
mod elements;
mod linear;
mod qkv;
mod rows;
mod runs;
mod tokens;

pub use attention::{Attention, Scene};
pub use elements::{activation, add, gated, quantize, scale, wide};
pub use linear::{Product, ProductData};
pub use qkv::qkv;
pub use rows::{argmax, embed, layer_norm, rms_norm, sample};
pub use runs::Runs;
pub use tokens::{attention_merge, kv_write, rope};
