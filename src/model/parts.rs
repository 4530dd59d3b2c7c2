//! The parts that models are put together from: an operation with its own weights.
//!
//! A part called `name` has the tensors `name.weight` and `name.bias`, as PyTorch's modules do.

use crate::Result;
use crate::graph::{Builder, Value};

/// `x Wᵀ + b`: (tokens, columns) to (tokens, rows). It has no `b` unless `bias`.
#[track_caller]
pub(super) fn linear(g: &mut Builder<'_>, name: &str, x: Value, rows: usize, bias: bool) -> Result<Value> {
    let columns = g.fact(x).shape.columns();
    let weight = g.weight(&format!("{name}.weight"), [rows, columns])?;
    let bias = if bias { Some(g.vector(&format!("{name}.bias"), rows)?) } else { None };
    g.linear(x, weight, bias)
}

/// The logits of an output head `name` of its own: (tokens, columns) to (tokens, vocab).
#[track_caller]
pub(super) fn head(g: &mut Builder<'_>, name: &str, x: Value, vocab: usize) -> Result<Value> {
    let columns = g.fact(x).shape.columns();
    let weight = g.table(&format!("{name}.weight"), [vocab, columns])?;
    g.linear(x, weight, None)
}

/// Root mean square norm over groups of `len` elements: whole rows, or each head of a row.
#[track_caller]
pub(super) fn rms_norm(g: &mut Builder<'_>, name: &str, x: Value, len: usize, epsilon: f64) -> Result<Value> {
    let weight = g.vector(&format!("{name}.weight"), len)?;
    g.rms_norm(x, weight, epsilon)
}

/// Layer norm with weight and bias, over whole rows.
#[track_caller]
pub(super) fn layer_norm(g: &mut Builder<'_>, name: &str, x: Value, epsilon: f64) -> Result<Value> {
    let columns = g.fact(x).shape.columns();
    let weight = g.vector(&format!("{name}.weight"), columns)?;
    let bias = g.vector(&format!("{name}.bias"), columns)?;
    g.layer_norm(x, weight, Some(bias), epsilon)
}
