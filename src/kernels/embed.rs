//! `embed`: y\[i\] = W\[ids\[i\]\]: one row of a table for each id.
//!
//! Token embeddings, learned positions, and the choice of the rows that go on to the output head are all this.

use super::linear::pack;
use super::policy::quant;
use super::{Launch, WORKGROUP, grid, launch as make, params, quads};
use crate::tensor::{DType, pitch};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// How many ids.
        ids: u32,
        /// Quads of a row, padding included.
        quads: u32,
        /// The shard's first row.
        first: u32,
        /// The shard's rows.
        rows: u32,
        /// Packs of a row of W, padding included.
        packs: u32,
        /// 16 bytes from one row of W to the next.
        row_words: u32,
        /// W's first row in its buffer.
        w_first: u32,
    }
}

/// A table of which a dispatch holds the rows from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// How the table is stored.
    pub dtype: DType,
    /// The shard's first row.
    pub first: usize,
    /// The shard's rows.
    pub rows: usize,
    /// Elements of a row.
    pub columns: usize,
    /// The table's first row in the buffer that is bound.
    pub w_first: usize,
}

/// Looks `ids` ids up in one shard. Binds `ids`, `weight`, `y`. `None` where the table's storage has no codec.
pub fn launch(ids: usize, table: Table) -> Option<Launch> {
    let quads = quads(table.columns);
    let params = Params {
        ids: ids as u32,
        quads,
        first: table.first as u32,
        rows: table.rows as u32,
        packs: (pitch(table.columns) / pack(table.dtype)) as u32,
        row_words: (table.dtype.row_bytes(pitch(table.columns)) / 16) as u32,
        w_first: table.w_first as u32,
    };
    let constants = vec![("WORKGROUP", WORKGROUP)];
    Some(make("embed", "embed", vec![quant(table.dtype)?], constants, params, grid(ids * quads as usize)))
}

/// The definition; an id beyond the table gives zeros.
pub fn reference(ids: &[u32], table: &[f64], columns: usize) -> Vec<f64> {
    ids.iter()
        .flat_map(|&id| match table.get(id as usize * columns..(id as usize + 1) * columns) {
            Some(row) => row.to_vec(),
            None => vec![0.0; columns],
        })
        .collect()
}
