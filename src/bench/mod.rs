//! How fast a model is on a GPU, and how far from the device's own limits.
//!
//! A [`Test`] is a prompt, an answer or both; [`measure`] runs it on an [`Engine`](crate::engine::Engine) and takes the
//! time; a [`Setting`] turns what was measured into a [`Record`] of named fields, and a [`Report`] writes records down
//! in the formats of llama-bench, whose names and order they keep. [`Shape`] and [`Synthetic`] stand for a model's
//! files where there are none. This module knows no flags and no terminal, and takes no part in running a model.

mod measure;
mod record;
mod report;
mod shapes;
pub mod stats;
mod synthetic;

pub use measure::{Measured, Protocol, Sample, Test, measure};
pub use record::{Field, Record, Setting, rfc3339};
pub use report::{Format, Report};
pub use shapes::{SHAPES, Shape};
pub use synthetic::Synthetic;
