//! How fast a model is on a GPU, and how far from the device's own limits.
//!
//! A [`Test`] is a prompt, an answer or both; [`measure`] runs it on an [`Engine`](crate::engine::Engine) and takes the
//! time; a [`Setting`] turns what was measured into a [`Record`] of named fields, and a [`Report`] writes records down
//! in the formats of llama-bench, whose names and order they keep. [`Shape`] and [`Synthetic`] stand for a model's
//! files where there are none, and `Storytelling` judges what a model writes. This module knows no flags and no terminal, and takes no part in running a model.

mod compare;
mod cost;
mod kernels;
mod localscore;
mod measure;
pub mod probes;
mod profile;
mod record;
mod report;
mod roofline;
mod shapes;
pub mod stats;
#[cfg(feature = "story")]
mod storytelling;
mod synthetic;
#[cfg(test)]
mod tests;

pub use crate::graph::{Cost, Costs};
pub use compare::{Entry, Pair, SIGNIFICANCE, Verdict, compare};
pub use cost::test_cost;
pub use kernels::kernels;
pub use localscore::{LOCALSCORE, Scored, localscore};
pub use measure::{Measured, Protocol, Sample, Test, measure};
pub use profile::{Profile, Row, Waterfall, profile};
pub use record::{Field, Record, Setting, Tested, rfc3339};
pub use report::{Format, Report};
pub use roofline::{MatrixPeak, Roofline};
pub use shapes::{SHAPES, Shape};
#[cfg(feature = "story")]
pub use storytelling::{Storytelling, Told};
pub use synthetic::Synthetic;
