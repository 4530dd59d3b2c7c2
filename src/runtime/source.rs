//! A weight's numbers as the GPU stores them, read a block of rows at a time.

use crate::graph::{Source, Tensors, Weight};
use crate::kernels::random::Numbers;
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
        let stored = self.stored(weight, rows, out)?;
        if stored != weight.fact.dtype {
            *out = recode(stored, weight.fact.dtype, out, weight.fact.shape.columns());
        }
        Ok(())
    }

    /// Rows of `weight` as what they are made from has them, without gaps, into `out`, and how that is.
    pub(crate) fn stored(&mut self, weight: &Weight, rows: Range<usize>, out: &mut Vec<u8>) -> Result<DType> {
        match &weight.source {
            Source::Angles { angles, .. } => {
                out.clear();
                out.extend_from_slice(bytemuck::cast_slice(&angles.table(rows)));
                return Ok(DType::F32);
            }
            Source::Tensor { name, rows: all, transposed: false } => {
                // A vector is one row to the GPU, and as many as it has elements to the file.
                let stored = match weight.fact.shape.axes().len() {
                    0 | 1 => all.clone(),
                    _ => all.start + rows.start..all.start + rows.end,
                };
                self.tensors.read_rows(name, stored, out)?;
            }
            Source::Tensor { name, rows: all, transposed: true } => {
                self.transposed(name, all.start + rows.start..all.start + rows.end, out)?;
            }
        }
        self.dtype(weight)
    }

    /// Whether rows of `weight` are as its tensor has them, one after the other.
    pub(crate) fn copies(&self, weight: &Weight) -> Result<bool> {
        let in_rows = matches!(weight.source, Source::Tensor { transposed: false, .. });
        Ok(in_rows && self.dtype(weight)? == weight.fact.dtype)
    }

    /// How what `weight` is made from is stored.
    pub(crate) fn dtype(&self, weight: &Weight) -> Result<DType> {
        match &weight.source {
            Source::Tensor { name, .. } => Ok(self.tensors.fact(name)?.dtype),
            Source::Angles { .. } => Ok(DType::F32),
        }
    }

    /// The random numbers that `rows` of `weight` are, and the rows that these are of all of them.
    pub(crate) fn random(&self, weight: &Weight, rows: &Range<usize>) -> Option<(Numbers, Range<usize>)> {
        let Source::Tensor { name, rows: all, transposed: false } = &weight.source else { return None };
        let numbers = self.tensors.random(name).filter(|_| weight.fact.shape.axes().len() == 2)?;
        Some((numbers, all.start + rows.start..all.start + rows.end))
    }

    /// As `rows`, as numbers.
    pub(crate) fn values(&mut self, weight: &Weight, rows: Range<usize>) -> Result<Vec<f64>> {
        let mut bytes = Vec::new();
        self.rows(weight, rows, &mut bytes)?;
        let values = decode(weight.fact.dtype, &bytes, weight.fact.shape.columns());
        Ok(values.into_iter().map(f64::from).collect())
    }

    /// Columns of a tensor that is stored (column of the weight, row of the weight), as the weight's rows.
    fn transposed(&mut self, name: &str, rows: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
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
        Ok(())
    }
}
