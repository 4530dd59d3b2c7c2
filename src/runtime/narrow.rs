//! Weights that are narrowed on the device: their rows go there as the file has them, and become groups there.
//!
//! So it is the file or the bus that limits loading, and no processor has to keep up with them.

use super::source::{BLOCK, Reader};
use crate::Result;
use crate::gpu::{Buffer, BufferSlice, Gpu, Upload, Usage};
use crate::graph::Weight;
use crate::kernels::{quantize, random};
use std::ops::Range;

/// Rows that take a whole number of any adapter's alignments: a row of groups is a whole number of 16 bytes, and no
/// alignment is above 256.
const ALIGNED_ROWS: usize = 16;

/// Narrows weights by way of one buffer, which is kept from block to block.
pub(super) struct Narrow<'a> {
    gpu: &'a Gpu,
    wide: Option<Buffer>,
    bytes: Vec<u8>,
}

impl<'a> Narrow<'a> {
    pub(super) fn new(gpu: &'a Gpu) -> Self {
        Self { gpu, wide: None, bytes: Vec::new() }
    }

    /// How many rows of `weight` to do at once where the device can narrow them; `None` where the host has to.
    pub(super) fn rows_at_once(&self, weight: &Weight, reader: &Reader<'_>) -> Result<Option<usize>> {
        let (caps, columns) = (self.gpu.caps(), weight.fact.shape.columns());
        let stored = reader.dtype(weight)?;
        let launch = quantize::launch(1, columns, stored, weight.fact.dtype);
        let runs = launch.is_some_and(|launch| !caps.refused.contains(&launch.variant.kind()));
        Ok(runs.then(|| (BLOCK / stored.row_bytes(columns).max(1) / ALIGNED_ROWS).max(1) * ALIGNED_ROWS))
    }

    /// Narrows `rows` of `weight` to `to`. They are there when what `upload` writes is.
    pub(super) async fn rows(
        &mut self,
        weight: &Weight,
        rows: Range<usize>,
        to: BufferSlice,
        reader: &mut Reader<'_>,
        upload: &mut Upload,
    ) -> Result<()> {
        let (columns, count, stored) = (weight.fact.shape.columns(), rows.len(), reader.dtype(weight)?);
        let wide = self.wide((count * stored.row_bytes(columns)) as u64)?;
        let numbers = reader.random(weight, &rows);
        match numbers.and_then(|(numbers, rows)| random::launch(numbers, rows, columns, stored)) {
            Some(launch) => {
                self.gpu.start(&launch, &[("y", wide.clone())])?;
            }
            None => {
                reader.stored(weight, rows, &mut self.bytes)?;
                upload.write(&wide, &self.bytes).await?;
                upload.send()?;
            }
        }
        if let Some(launch) = quantize::launch(count, columns, stored, weight.fact.dtype) {
            self.gpu.start(&launch, &[("weight", wide), ("y", to)])?;
        }
        Ok(())
    }

    /// The beginning of the buffer that rows pass through.
    fn wide(&mut self, bytes: u64) -> Result<BufferSlice> {
        let buffer = match self.wide.take().filter(|buffer| buffer.bytes() >= bytes) {
            Some(buffer) => buffer,
            None => self.gpu.buffer("wide rows", bytes, Usage::Activation)?,
        };
        Ok(self.wide.insert(buffer).slice(0, bytes))
    }
}
