//! The GPU: adapters, devices, buffers, pipelines and commands. The only place that names `wgpu`.
//!
//! [`adapters`] tells what there is, a [`Choice`] picks one, [`Gpu::open`] opens it. A [`Gpu`] makes [`Buffer`]s and
//! [`Pipeline`]s, binds the one to the other by name, and submits [`Commands`]. The core is `async` and needs no
//! thread, file or clock; on a native target a wait polls the device, in a browser the browser does.
//!
//! Nothing here panics on what a driver does: a refused allocation, a refused command and a lost device each come back
//! as a typed error, and [`Gpu::health`] tells what was reported between calls. This module knows nothing of graphs,
//! models or tokens: a kernel is a [`Launch`](crate::kernels::Launch), a tensor is bytes.

mod adapter;
mod buffer;
mod choice;
mod commands;
mod device;
mod health;
mod limits;
mod memory;
mod pipeline;
mod readback;
mod signal;
#[cfg(test)]
mod tests;
mod timer;
mod upload;

#[cfg(not(target_family = "wasm"))]
pub use adapter::adapters;
pub use adapter::{AdapterInfo, Limits, MatrixShape, find_adapters};
pub use buffer::{Buffer, BufferSlice, Usage};
pub use choice::Choice;
pub use commands::{Commands, Done, Submission};
pub use device::{Counts, Gpu};
pub use pipeline::{BindGroup, Pipeline};
pub use readback::Readback;
pub use timer::Timer;
pub use upload::Upload;
/// The graphics interface, for programs that hand in a device of their own.
pub use wgpu;
