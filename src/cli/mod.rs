//! The command line.

pub mod devices;
