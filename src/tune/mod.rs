//! Which way of a product is the fastest on this adapter.
//!
//! A product has several [`Way`](crate::kernels::Way)s. [`tune`] times them on random weights, more than caches hold, and
//! keeps one in place of the default where it is clearly faster. What was found is a [`Tuning`]: data that is kept in a
//! file, shipped with a program, and given to an [`Engine`](crate::engine::Engine). It belongs to one adapter with one
//! driver, and to this version of the kernels. Nothing here knows models, or where files are kept.

mod file;
mod search;
mod stage;
#[cfg(test)]
mod tests;
mod timing;

pub use file::{Device, Tuning};
pub use search::{BUDGET, tune, untuned};
pub(crate) use stage::Stage;
pub(crate) use timing::{Ready, TRIES, least_seconds, record, seconds};
