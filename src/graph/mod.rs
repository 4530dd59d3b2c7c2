//! What is to be computed, and the plan of how.
//!
//! A [`Graph`] is meaning: operations on values whose shapes are inferred as a model is written down with the
//! [`Builder`]. A [`Plan`] is means: which kernels in which order on which buffers, made from a graph and a GPU's
//! [`Caps`](crate::tensor::Caps) alone. A plan is data: print it, compare it, test it without a GPU. Nothing here knows
//! what a model is called, where tensors come from, or how a buffer is made.

mod builder;
mod cost;
mod dot;
mod formats;
mod fuse;
mod lower;
mod memory;
mod op;
mod plan;
mod stack;
mod step;
mod tensors;
mod weights;

pub use builder::Builder;
pub use cost::{Cost, Costs};
pub use formats::{Formats, Why};
pub use memory::{Lifetime, Memory, assign};
pub use op::{Cache, Graph, Linear, Node, Op, Value, Weight};
pub use plan::{Buffer, Dispatch, Place, Plan};
pub use stack::{Shard, WeightBuffer, WeightUse};
pub use step::{StepInput, StepLayout, StepShape};
pub use tensors::{Source, Tensors};
