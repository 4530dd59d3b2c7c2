//! Sessions in motion: who takes part in a step, where their keys and values lie, and which token comes next.
//!
//! The engine owns a model made resident and moves any number of sessions forward, one step at a time. What it is made
//! of stands alone and needs no GPU: [`Sampler`] turns logits into a token, [`Rng`] is its dice, and [`PagePool`] hands
//! out the pages of the key-value cache. This floor knows nothing of shaders, files or the command line.

mod about;
mod ahead;
mod batch;
mod core;
mod fit;
mod generate;
mod logits;
mod options;
mod pace;
mod pages;
mod perplexity;
mod plans;
mod rng;
mod sampler;
mod schedule;
mod session;
#[cfg(test)]
mod tests;
mod tuned;

pub use self::core::Engine;
pub use generate::{Cancel, Generate, GenerateOptions, Stop};
pub use options::EngineOptions;
pub use pace::{Now, Pace};
pub use pages::{PagePool, PageTable};
pub use perplexity::{Comparison, Mean, Perplexity, Windows};
pub use rng::Rng;
pub use sampler::{Sampler, SamplerOptions};
pub use session::Session;
