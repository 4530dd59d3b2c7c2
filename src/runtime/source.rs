//! A weight's numbers as the GPU stores them, read a block of rows at a time.

use crate::graph::{Source, Tensors, Weight};
use crate::quant::{decode, recode};
use crate::tensor::DType;
use crate::{Error, Result};
use std::ops::Range;

/// Bytes of a checkpoint that are held on the host at once while reading a weight.
pub(crate) const BLOCK: usize = 8 << 20;

/// Reads weights of one model; keeps its buffer from block to block.
pub(crate) struct Reader<'a> {
    tensors: &'a dyn Tensors,
    raw: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(tensors: &'a dyn Tensors) -> Self {
        Self { tensors, raw: Vec::new() }
    }

    /// Rows of `weight` in its own storage, without gaps, into `out`.
    pub(crate) fn rows(&mut self, weight: &Weight, rows: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        match &weight.source {
            Source::Angles { angles, .. } => {
                out.clear();
                out.extend_from_slice(bytemuck::cast_slice(&angles.table(rows)));
                Ok(())
            }
            Source::Tensor { name, rows: all, transposed: false } => {
                // A vector is one row to the GPU, and as many as it has elements to the file.
                let stored = match weight.fact.shape.axes().len() {
                    0 | 1 => all.clone(),
                    _ => all.start + rows.start..all.start + rows.end,
                };
                self.tensors.read_rows(name, stored, out)?;
                convert(self.tensors.fact(name)?.dtype, weight, out);
                Ok(())
            }
            Source::Tensor { name, rows: all, transposed: true } => {
                self.transposed(name, all.start + rows.start..all.start + rows.end, weight, out)
            }
        }
    }

    /// Whether rows of `weight` are as its tensor has them.
    pub(crate) fn copies(&self, weight: &Weight) -> Result<bool> {
        match &weight.source {
            Source::Tensor { name, transposed: false, .. } => Ok(self.tensors.fact(name)?.dtype == weight.fact.dtype),
            _ => Ok(false),
        }
    }

    /// As `rows`, as numbers.
    pub(crate) fn values(&mut self, weight: &Weight, rows: Range<usize>) -> Result<Vec<f64>> {
        let mut bytes = Vec::new();
        self.rows(weight, rows, &mut bytes)?;
        let values = decode(weight.fact.dtype, &bytes, weight.fact.shape.columns());
        Ok(values.into_iter().map(f64::from).collect())
    }

    /// Columns of a tensor that is stored (column of the weight, row of the weight), as the weight's rows.
    fn transposed(&mut self, name: &str, rows: Range<usize>, weight: &Weight, out: &mut Vec<u8>) -> Result<()> {
        let fact = self.tensors.fact(name)?;
        if fact.dtype.is_grouped() {
            let reason = format!("is {fact}, transposed: groups lie along a weight's rows and cannot be read so");
            return Err(Error::bad_tensor("(weight)", name, reason));
        }
        let (columns, width, bytes) = (fact.shape.rows(), fact.shape.columns(), fact.dtype.row_bytes(1));
        if rows.end > width {
            return Err(Error::bad_tensor("(weight)", name, format!("no columns {rows:?} in {fact}")));
        }
        out.clear();
        out.resize(rows.len() * columns * bytes, 0);
        let block = (BLOCK / (width * bytes).max(1)).max(1);
        for first in (0..columns).step_by(block) {
            let last = columns.min(first + block);
            self.tensors.read_rows(name, first..last, &mut self.raw)?;
            for (column, stored) in (first..last).zip(self.raw.chunks_exact(width * bytes)) {
                let wanted = &stored[rows.start * bytes..rows.end * bytes];
                for (row, element) in wanted.chunks_exact(bytes).enumerate() {
                    out[(row * columns + column) * bytes..][..bytes].copy_from_slice(element);
                }
            }
        }
        convert(fact.dtype, weight, out);
        Ok(())
    }
}

/// Changes the storage of the rows in `bytes` to that of `weight`.
fn convert(from: DType, weight: &Weight, bytes: &mut Vec<u8>) {
    let (to, columns) = (weight.fact.dtype, weight.fact.shape.columns());
    if from != to {
        *bytes = recode(from, to, bytes, columns);
    }
}
