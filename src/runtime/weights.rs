//! Weights on the GPU: uploaded once, by name, whatever plans use them.

use super::narrow::Narrow;
use super::source::{BLOCK, Reader};
use crate::gpu::{Buffer, Gpu, Upload, Usage};
use crate::graph::{Plan, Shard, Tensors, Weight, WeightBuffer, WeightUse};
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
        let (reader, upload, narrow) = (Reader::new(tensors), Upload::new(gpu), Narrow::new(gpu));
        let mut loading = Loading { gpu, reader, upload, narrow, bytes: Vec::new(), done: 0, total };
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

    /// The rows of a weight of `plan`, as they lie on the device.
    pub(super) async fn read(&self, gpu: &Gpu, plan: &Plan, used: &WeightUse) -> Result<Vec<u8>> {
        let mut rows = Vec::new();
        for shard in &used.shards {
            let buffer = self.buffer(&plan.weight_buffers[shard.buffer].name)?;
            let bytes = (shard.rows.len() * used.weight.fact.row_bytes()) as u64;
            rows.extend(gpu.read(buffer.slice(shard.offset, bytes)).await?);
        }
        Ok(rows)
    }

    /// The buffer of that name.
    pub(super) fn buffer(&self, name: &str) -> Result<&Buffer> {
        let found = self.buffers.get(name);
        found.ok_or_else(|| Error::Gpu { message: format!("the weights {name:?} were never uploaded") })
    }
}

struct Loading<'a> {
    gpu: &'a Gpu,
    reader: Reader<'a>,
    upload: Upload,
    narrow: Narrow<'a>,
    bytes: Vec<u8>,
    done: u64,
    total: u64,
}

impl Loading<'_> {
    async fn shard(&mut self, used: &WeightUse, shard: &Shard, buffer: &Buffer, progress: Progress<'_>) -> Result<()> {
        let (weight, rows) = (&used.weight, &shard.rows);
        let row_bytes = weight.fact.row_bytes();
        let place = |rows: &Range<usize>| {
            let first = (rows.start - shard.rows.start) * row_bytes;
            buffer.slice(shard.offset + first as u64, (rows.len() * row_bytes) as u64)
        };
        let aligned = shard.offset.is_multiple_of(u64::from(self.gpu.caps().binding_alignment));
        let random = self.random(weight, rows).filter(|_| aligned);
        let narrowed = self.narrow.rows_at_once(weight, &self.reader)?.filter(|_| aligned);
        let at_once = match (&random, narrowed) {
            (Some(_), _) => rows.len(),
            (None, Some(at_once)) => at_once,
            (None, None) => self.rows_at_once(weight)?,
        };
        for first in rows.clone().step_by(at_once.max(1)) {
            let part = first..rows.end.min(first + at_once);
            let to = place(&part);
            let bytes = to.bytes();
            match (&random, narrowed) {
                (Some(launch), _) => self.gpu.run(launch, &[("y", to)]).await?,
                (None, Some(_)) => self.narrow.rows(weight, part, to, &mut self.reader, &mut self.upload).await?,
                (None, None) => {
                    self.reader.rows(weight, part, &mut self.bytes)?;
                    pad_rows(&weight.fact, &mut self.bytes);
                    self.upload.write(&to, &self.bytes).await?;
                }
            }
            self.done += bytes;
            progress(self.done, self.total);
        }
        Ok(())
    }

    /// Rows of `weight` that the host reads at once: they pass through `f32` where their storage changes, and where a tensor
    /// is transposed each block reads all of it.
    fn rows_at_once(&self, weight: &Weight) -> Result<usize> {
        let block = if self.reader.copies(weight)? { PIECE } else { BLOCK };
        Ok((block / weight.fact.row_bytes().max(4 * weight.fact.shape.columns()).max(1)).max(1))
    }

    /// The launch that makes rows of `weight` on the device, where it is a matrix of random numbers.
    fn random(&self, weight: &Weight, rows: &Range<usize>) -> Option<Launch> {
        let (numbers, rows) = self.reader.random(weight, rows)?;
        random::launch(numbers, rows, weight.fact.shape.columns(), weight.fact.dtype)
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
