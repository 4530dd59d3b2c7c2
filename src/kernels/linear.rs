//! `linear`: y = W x + bias for each token, W stored row by row in any of the weight formats.
//!
//! Two shaders: `matvec` reads every weight once for up to eight tokens and splits the columns among threads; `matmul`
//! tiles rows and tokens for a prompt. They add in different orders, so that where a token's numbers must not depend
//! on the step's size ([`Policy::deterministic`]), `matvec` serves every size.

use super::policy::quant;
use super::{Launch, Policy, WORKGROUP, fold, launch as make, params, quads};
use crate::tensor::{DType, pitch};

params! {
    /// The `Params` of both shaders.
    pub struct Params {
        /// How many tokens.
        tokens: u32,
        /// Rows of this shard of W.
        rows: u32,
        /// Columns of W.
        columns: u32,
        /// Packs of a row of W, padding included.
        packs: u32,
        /// Quads of a row of x.
        x_quads: u32,
        /// Quads of a row of y.
        y_quads: u32,
        /// The shard's first quad in a row of y.
        y_first: u32,
    }
}

/// Shards of a weight begin at multiples of this many rows: a whole padded row of the output.
pub const SHARD_ROWS: usize = crate::tensor::PITCH;

/// Rows and tokens of a tile of `matmul`.
const TILE: usize = 32;

/// Most tokens that one workgroup of `matvec` takes.
const MATVEC_TOKENS: usize = 8;

/// The shapes of one dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How many tokens.
    pub tokens: usize,
    /// Columns of W: elements of a token.
    pub columns: usize,
    /// The shard's first row of W; a multiple of [`SHARD_ROWS`].
    pub first_row: usize,
    /// The shard's rows.
    pub rows: usize,
    /// Rows of all shards: elements of an output row.
    pub all_rows: usize,
}

/// Multiplies tokens by one shard of W. Binds `x`, `weight`, `y`, and `bias` (of all rows) where there is one.
/// `None` where the weight's storage has no codec.
pub fn launch(shape: Shape, weight: DType, bias: bool, policy: Policy) -> Option<Launch> {
    let quant = quant(weight)?;
    let pack = if weight == DType::F32 { 4 } else { 8 };
    let params = Params {
        tokens: shape.tokens as u32,
        rows: shape.rows as u32,
        columns: shape.columns as u32,
        packs: (pitch(shape.columns) / pack) as u32,
        x_quads: quads(shape.columns),
        y_quads: quads(shape.all_rows),
        y_first: (shape.first_row / 4) as u32,
    };
    let tail = u32::from(!shape.columns.is_multiple_of(crate::tensor::PITCH));
    if shape.tokens > MATVEC_TOKENS && !policy.deterministic {
        let [x, y, _] = fold(shape.rows.div_ceil(TILE));
        let grid = [x, y, shape.tokens.div_ceil(TILE) as u32];
        return Some(make("linear", "matmul", vec![quant, bias_slot(bias)], vec![("TAIL", tail)], params, grid));
    }
    let tokens = shape.tokens.next_power_of_two().min(MATVEC_TOKENS);
    let [x, y, _] = fold(shape.rows.div_ceil(4));
    let grid = [x, y, shape.tokens.div_ceil(tokens) as u32];
    let constants = vec![("WORKGROUP", WORKGROUP), ("TOKENS", tokens as u32), ("TAIL", tail)];
    Some(make("linear", "matvec", vec![quant, policy.rung.reduce(), bias_slot(bias)], constants, params, grid))
}

/// The file that fills the slot `bias`.
pub(super) fn bias_slot(bias: bool) -> (&'static str, &'static str) {
    ("bias", if bias { "bias/row" } else { "bias/none" })
}

/// The definition.
pub fn reference(x: &[f64], weight: &[f64], bias: Option<&[f64]>, columns: usize) -> Vec<f64> {
    let rows = weight.chunks(columns.max(1));
    x.chunks(columns.max(1))
        .flat_map(|token| {
            rows.clone().enumerate().map(move |(row, weights)| {
                let sum: f64 = weights.iter().zip(token).map(|(w, x)| w * x).sum();
                sum + bias.map_or(0.0, |bias| bias[row])
            })
        })
        .collect()
}
