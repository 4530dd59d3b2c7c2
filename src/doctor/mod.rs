//! Whether an adapter computes correctly, and what to do where it does not.
//!
//! [`examine`] runs the conformance set: every kind of kernel variant that an [`Engine`](crate::engine::Engine) would use
//! on the adapter, at a few awkward sizes, against the kernel's own definition, with sentinels around all that it may
//! touch. A kind that fails is refused alone, by [`Gpu::refusing`](crate::gpu::Gpu::refusing), and plans take the next
//! rung, which was tried as well. [`lost`] tells what is left to none. [`model_check`] holds a whole model to logits that
//! are known. All of it makes a [`Certificate`], which is kept by adapter and driver. [`advice`] says what a system lacks.
//!
//! The kernel tests hold the same [`works`] to the same tolerances at many more sizes. Nothing here knows where files are
//! kept, or how any of it is shown.

mod advice;
mod cache;
mod certificate;
mod conformance;
mod data;
mod examine;
#[cfg(feature = "storyteller")]
mod inside;
mod model;
mod stand;
mod system;
mod work;
pub mod works;

pub use advice::advice;
pub use cache::Cache;
pub use certificate::{Certificate, Verdict};
pub use data::{Matrix, POISON, Rng, exact};
pub use examine::{Finding, examine, lost};
#[cfg(feature = "storyteller")]
pub use inside::storyteller;
pub use model::{Golden, ModelFinding, model_check};
pub use stand::{bound, run};
pub use system::{Node, Platform, System};
pub use work::{Bound, Expect, Output, Work, poison};
