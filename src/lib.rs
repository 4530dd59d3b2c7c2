//! Quernel runs transformers on any GPU: hand-written WGSL kernels, composed by a graph executor, through `wgpu`.
//!
//! A first program, which has the model inside tell a story:
//!
//! ```no_run
//! use pollster::block_on;
//! use quernel::engine::{Engine, EngineOptions, GenerateOptions, SamplerOptions};
//! use quernel::gpu::{Choice, Gpu};
//!
//! let gpu = block_on(Gpu::open(&Choice::default()))?;
//! let mut engine = block_on(Engine::open(quernel::STORYTELLER, gpu, EngineOptions::default(), &mut |_, _| {}))?;
//! let mut session = engine.session(SamplerOptions::default(), 42)?; // the seed
//! session.push(&engine.tokenizer()?.encode("Once upon a time")?)?;
//! for piece in engine.generate(&mut session, GenerateOptions::default())? {
//!     print!("{}", piece?);
//! }
//! # Ok::<(), quernel::Error>(())
//! ```
//!
//! A folder from Hugging Face stands in the place of [`STORYTELLER`] where another model is wanted. Every call that waits
//! for the GPU is a future, which any executor runs; `examples/` climb from one kernel to a chat.
//!
//! | feature | what it brings | by default |
//! |---|---|---|
//! | `cli` | what the command `quernel` needs and a library does not | yes |
//! | `hub` | `hub`: models of the Hugging Face hub, fetched into its cache | yes |
//! | `story` | `story`: a grammar that tells stories and judges them | yes |
//! | `storyteller` | [`STORYTELLER`]: a model of 5 MB that is compiled in | yes |
//!
//! The house has floors, and a module imports only from the floors below it:
//!
//! | floor | module | what it knows |
//! |---|---|---|
//! | 0 | [`error`] | what can go wrong, and who can act on it |
//! | 1 | [`tensor`], `files` | shapes, storage, and what a GPU can do, as plain data · files that anyone may have made |
//! | 2 | [`quant`], [`shader`], [`text`], `hub` | numbers as bytes · WGSL as text · characters and token ids · fetching models |
//! | 3 | [`checkpoint`], [`kernels`] | model files · what each kernel means and how it is chosen |
//! | 4 | [`graph`], [`gpu`] | operations, their shapes, and plans as data · the only `wgpu` in the house |
//! | 5 | [`runtime`], [`model`], [`tune`] | plans made resident, the reference executor · architectures as graphs · the fastest ways of products |
//! | 6 | [`engine`], [`quantize`] | sessions, the scheduler, the cache, sampling · checkpoints with narrower weights |
//! | 7 | `story` | short stories, told and judged by a grammar |
//! | 8 | [`bench`](mod@bench), [`doctor`] | how fast it all is, how far from the device's limits, and how good · whether an adapter computes correctly |
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
#[cfg(feature = "hub")]
pub mod hub;
pub mod kernels;
pub mod model;
pub mod quant;
pub mod quantize;
pub mod runtime;
pub mod shader;
#[cfg(feature = "story")]
pub mod story;
pub mod tensor;
pub mod text;
pub mod tune;

pub use error::{Error, Result};
pub use files::STORYTELLER;

/// The examples of the README, so that they compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
