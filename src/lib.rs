//! Quernel runs transformers on any GPU: hand-written WGSL kernels, composed by a graph executor, through `wgpu`.
//!
//! The house has floors, and a module imports only from the floors below it:
//!
//! | floor | module | what it knows |
//! |---|---|---|
//! | 0 | [`error`] | what can go wrong, and who can act on it |
//! | 1 | [`tensor`], `files` | shapes, storage, and what a GPU can do, as plain data · files that anyone may have made |
//! | 2 | [`quant`], [`shader`], [`text`] | numbers as bytes · WGSL as text · characters and token ids |
//! | 3 | [`checkpoint`], [`kernels`] | model files · what each kernel means and how it is chosen |
//! | 4 | [`graph`], [`gpu`] | operations, their shapes, and plans as data · the only `wgpu` in the house |
//! | 5 | [`runtime`], [`model`], [`tune`] | plans made resident, the reference executor · architectures as graphs · the fastest ways of products |
//! | 6 | [`engine`], [`quantize`] | sessions, the scheduler, the cache, sampling · checkpoints with narrower weights |
//! | 7 | [`bench`](mod@bench), [`doctor`] | how fast it all is, and how far from the device's limits · whether an adapter computes correctly |
#![deny(missing_docs)]
#![warn(rust_2018_idioms)]

pub mod bench;
pub mod checkpoint;
pub mod doctor;
pub mod engine;
pub mod error;
mod files;
pub mod gpu;
pub mod graph;
pub mod kernels;
pub mod model;
pub mod quant;
pub mod quantize;
pub mod runtime;
pub mod shader;
pub mod tensor;
pub mod text;
pub mod tune;

pub use error::{Error, Result};

/// The examples of the README, so that they compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
