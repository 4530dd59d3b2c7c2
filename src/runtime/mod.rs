//! Plans made to run: on the GPU, on the CPU by definition, and side by side.
//!
//! The [`Executor`] uploads a model's weights, makes each plan resident once, and replays it for every step with new
//! [`StepInputs`]: nothing is created between the first token and the last. [`Reference`] computes the same graphs from
//! the kernels' definitions, and [`Executor::run_checked`] holds one against the other, node by node. Nothing here
//! knows a model's name, a session, or what a token means.

mod check;
mod executor;
mod marks;
mod narrow;
mod need;
mod reference;
mod resident;
mod scratch;
mod source;
mod step;
#[cfg(test)]
mod tests;
mod weights;

pub use executor::{Clock, Executor, PlanId, Ticket};
pub use need::Need;
pub use reference::Reference;
pub use scratch::Scratch;
pub(crate) use source::{BLOCK, Reader};
pub use step::StepInputs;
pub use weights::Progress;
