//! Numbers and their shapes: what a tensor is, before any file, graph or GPU.
//!
//! [`DType`] is how elements are stored, [`Shape`] how many there are along each axis, [`Fact`] both together, and
//! [`Tensor`] a fact with its bytes on the host. [`Caps`] says in plain data what a GPU can do, so that kernels can be
//! chosen and graphs planned with no GPU at hand. Nothing here computes, and nothing here knows where numbers go.

mod caps;
mod dtype;
mod fact;
mod host;

pub use caps::{Caps, Matrix};
pub use dtype::{BLOCK_GROUPS, DType, GROUP};
pub use fact::{Fact, MAX_RANK, PITCH, Shape, pitch};
pub use host::Tensor;
