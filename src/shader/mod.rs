//! WGSL as text: from a file under `shaders/` to one complete module.
//!
//! A kernel's shader is plain WGSL that an editor understands. Three things vary, and each has its own knob: a *value*
//! is an `override`, frozen to a `const`; a *data layout* or a small *function* is a slot, filled by one of several
//! files that declare the same names; an *algorithm* is another file. The linker joins the files, and reflection tells
//! what the joined module binds. This module knows nothing of operations, graphs or devices.

mod link;
mod reflect;
mod sources;

pub use link::{Linked, Recipe, Target, link};
pub use reflect::{Access, Binding, Member, Parsed, Reflection, parse};
pub use sources::{source, sources};
