//! Weights on the GPU: uploaded once, by name, whatever plans use them.

use super::source::{BLOCK, Reader};
use crate::gpu::{Buffer, Gpu, Upload, Usage};
use crate::graph::{Plan, Shard, Source, Tensors, Weight, WeightBuffer, WeightUse};
use crate::kernels::{Launch, random};
use crate::tensor::Fact;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes that are read at once where their storage stays: few enough that a processor's cache holds them until they are
/// copied.
const PIECE: usize = 256 << 10;

/// Told the bytes that are on the GPU and the bytes that are to be, after every block.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// The weights of one model: buffers by name.
pub(super) struct Weights {
    buffers: BTreeMap<String, Buffer>,
}

impl Weights {
    /// Uploads every weight that `plan` uses.
    pub(super) async fn upload(gpu: &Gpu, plan: &Plan, tensors: &dyn Tensors, progress: Progress<'_>) -> Result<Self> {
        let total = plan.weight_bytes();
        let (reader, bytes) = (Reader::new(tensors), Vec::new());
        let mut loading = Loading { gpu, tensors, reader, upload: Upload::new(gpu), bytes, done: 0, total };
        let make = |buffer: &WeightBuffer| gpu.buffer(&buffer.name, buffer.bytes, Usage::Weights);
        let buffers = plan.weight_buffers.iter().map(make).collect::<Result<Vec<_>>>()?;
        for used in &plan.weights {
            for shard in &used.shards {
                loading.shard(used, shard, &buffers[shard.buffer], progress).await?;
            }
        }
        loading.upload.finish().await?;
        let names = plan.weight_buffers.iter().map(|buffer| buffer.name.clone());
        Ok(Self { buffers: names.zip(buffers).collect() })
    }

    /// The buffer of that name.
    pub(super) fn buffer(&self, name: &str) -> Result<&Buffer> {
        let found = self.buffers.get(name);
        found.ok_or_else(|| Error::Gpu { message: format!("the weights {name:?} were never uploaded") })
    }
}

struct Loading<'a> {
    gpu: &'a Gpu,
    tensors: &'a dyn Tensors,
    reader: Reader<'a>,
    upload: Upload,
    bytes: Vec<u8>,
    done: u64,
    total: u64,
}

impl Loading<'_> {
    async fn shard(&mut self, used: &WeightUse, shard: &Shard, buffer: &Buffer, progress: Progress<'_>) -> Result<()> {
        let (fact, rows) = (&used.weight.fact, &shard.rows);
        let row_bytes = fact.row_bytes();
        let place = buffer.slice(shard.offset, (rows.len() * row_bytes) as u64);
        if let Some(launch) = self.random(&used.weight, rows.clone(), shard.offset) {
            self.gpu.run(&launch, &[("y", place.clone())]).await?;
            self.done += place.bytes();
            progress(self.done, self.total);
            return Ok(());
        }
        // Rows pass through `f32` where their storage changes.
        let block = if self.reader.copies(&used.weight)? { PIECE } else { BLOCK };
        let block = (block / row_bytes.max(4 * fact.shape.columns()).max(1)).max(1);
        for first in rows.clone().step_by(block) {
            let last = rows.end.min(first + block);
            self.reader.rows(&used.weight, first..last, &mut self.bytes)?;
            pad_rows(fact, &mut self.bytes);
            let offset = shard.offset + ((first - rows.start) * row_bytes) as u64;
            self.upload.write(&buffer.slice(offset, self.bytes.len() as u64), &self.bytes).await?;
            self.done += self.bytes.len() as u64;
            progress(self.done, self.total);
        }
        Ok(())
    }

    /// The launch that makes rows of `weight` on the device, where it is a matrix of random numbers.
    fn random(&self, weight: &Weight, rows: Range<usize>, offset: u64) -> Option<Launch> {
        if !offset.is_multiple_of(u64::from(self.gpu.caps().binding_alignment)) {
            return None;
        }
        let Source::Tensor { name, rows: all, transposed: false } = &weight.source else { return None };
        let [_, columns] = *weight.fact.shape.axes() else { return None };
        let rows = all.start + rows.start..all.start + rows.end;
        random::launch(self.tensors.random(name)?, rows, columns, weight.fact.dtype)
    }
}

/// Spreads rows without gaps to the pitch that rows have on the GPU.
fn pad_rows(fact: &Fact, bytes: &mut Vec<u8>) {
    let (row, pitch) = (fact.dtype.row_bytes(fact.shape.columns()), fact.row_bytes());
    if row == pitch || row == 0 {
        return;
    }
    let rows = bytes.len() / row;
    let mut padded = vec![0; rows * pitch];
    for (padded, row) in padded.chunks_exact_mut(pitch).zip(bytes.chunks_exact(row)) {
        padded[..row.len()].copy_from_slice(row);
    }
    *bytes = padded;
}
