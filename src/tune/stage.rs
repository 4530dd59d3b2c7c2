//! Data for kernels to run on outside of a model: random weights, several copies of them, so that no cache holds them all.

use super::timing::Ready;
use crate::Result;
use crate::gpu::{Buffer as Memory, BufferSlice, Gpu, Usage};
use crate::graph::{Buffer, Dispatch, Plan, StepInput};
use crate::kernels::random::{self, Numbers};
use crate::kernels::{Launch, PAGE_TOKENS};
use crate::quant::encode;
use crate::tensor::{Fact, pitch};
use std::collections::HashMap;

/// Copies of small weights at most: a card's cache may hold some dozens.
const MOST_COPIES: u64 = 256;

/// Rows that the host makes where the device does not.
const REPEATED: u64 = 64;

/// What a dispatch binds, once for each copy.
pub(crate) struct Copies(Vec<Vec<(&'static str, Memory)>>);

impl Copies {
    /// A launch made ready on every copy.
    pub(crate) fn ready(&self, gpu: &Gpu, launch: &Launch) -> Result<Vec<Ready>> {
        let bound = self.0.iter().map(|bound| bound.iter().map(|(name, memory)| (*name, memory)).collect::<Vec<_>>());
        bound.map(|bindings| Ready::new(gpu, launch, &bindings)).collect()
    }
}

/// Buffers for one dispatch after the other.
pub(crate) struct Stage<'a> {
    gpu: &'a Gpu,
    plan: &'a Plan,
    first: usize,
    /// What every copy of a dispatch shares: activations and the step's lists.
    shared: HashMap<Buffer, Memory>,
}

impl<'a> Stage<'a> {
    /// For the dispatches of `plan`, with tokens at positions from `first` on.
    pub(crate) fn new(gpu: &'a Gpu, plan: &'a Plan, first: usize) -> Self {
        Self { gpu, plan, first, shared: HashMap::new() }
    }

    /// What a dispatch binds, as many times as its weights and caches must be there to have `walked` bytes.
    pub(crate) async fn copies(&mut self, dispatch: &Dispatch, walked: u64) -> Result<Copies> {
        let own = dispatch.bindings.iter().map(|(_, buffer)| *buffer).filter(|buffer| !is_shared(*buffer));
        let bytes: u64 = own.map(|buffer| self.bytes(buffer)).sum();
        let copies = if bytes == 0 { 1 } else { walked.div_ceil(bytes).clamp(1, MOST_COPIES) };
        let mut all = Vec::new();
        for _ in 0..copies {
            let mut bound = Vec::new();
            for &(name, buffer) in &dispatch.bindings {
                bound.push((name, self.memory(buffer).await?));
            }
            all.push(bound);
        }
        Ok(Copies(all))
    }

    async fn memory(&mut self, buffer: Buffer) -> Result<Memory> {
        // A slot is one buffer whatever part of it is bound.
        let key = match buffer {
            Buffer::Slot { slot, .. } => Buffer::Slot { slot, bytes: self.plan.slots[slot] },
            other => other,
        };
        if let Some(known) = self.shared.get(&key) {
            return Ok(known.clone());
        }
        let usage = match buffer {
            Buffer::Weights(_) => Usage::Weights,
            Buffer::Step(_) => Usage::Step,
            _ => Usage::Activation,
        };
        let memory = self.gpu.buffer("kernel", self.bytes(key).max(4), usage)?;
        match buffer {
            Buffer::Weights(index) => self.fill(index, &memory).await?,
            Buffer::Step(input) => self.gpu.write(&memory.whole(), bytemuck::cast_slice(&self.list(input)))?,
            _ => {}
        }
        if is_shared(buffer) {
            self.shared.insert(key, memory.clone());
        }
        Ok(memory)
    }

    /// Random numbers for every weight in the buffer: from the device where it makes them, or else some rows of the
    /// host's over and over.
    async fn fill(&self, buffer: usize, memory: &Memory) -> Result<()> {
        for used in &self.plan.weights {
            for shard in used.shards.iter().filter(|shard| shard.buffer == buffer) {
                let (fact, rows) = (&used.weight.fact, shard.rows.clone());
                let place = memory.slice(shard.offset, (rows.len() * fact.row_bytes()) as u64);
                let columns = fact.shape.columns();
                let numbers = Numbers::for_columns(columns, 1);
                let aligned = shard.offset.is_multiple_of(u64::from(self.gpu.caps().binding_alignment));
                match random::launch(numbers, rows.clone(), columns, fact.dtype).filter(|_| aligned) {
                    Some(launch) => self.gpu.run(&launch, &[("y", place)]).await?,
                    None => self.repeat(fact, &place)?,
                }
            }
        }
        Ok(())
    }

    fn repeat(&self, fact: &Fact, place: &BufferSlice) -> Result<()> {
        let (columns, row) = (fact.shape.columns(), fact.row_bytes() as u64);
        let rows = (place.bytes() / row).min(REPEATED) as usize;
        let numbers = random::reference(Numbers::for_columns(columns, 1), 0..rows, columns);
        let mut bytes = Vec::with_capacity(rows * row as usize);
        for values in numbers.chunks(columns) {
            let mut padded: Vec<f32> = values.iter().map(|&x| x as f32).collect();
            padded.resize(pitch(columns), 0.0);
            bytes.extend(encode(fact.dtype, &padded, padded.len()));
        }
        for first in (0..place.bytes()).step_by(bytes.len().max(1)) {
            let length = (bytes.len() as u64).min(place.bytes() - first);
            self.gpu.write(&place.buffer().slice(place.offset() + first, length), &bytes[..length as usize])?;
        }
        Ok(())
    }

    /// One sequence, whose pages are in order.
    fn list(&self, input: StepInput) -> Vec<u32> {
        let first = self.first as u32;
        let number = |index: u32| match input {
            StepInput::Positions | StepInput::KvRows => first + index,
            StepInput::Ids | StepInput::Pages => index,
            StepInput::Sequences | StepInput::OutputRows | StepInput::Draws => 0,
        };
        (0..self.plan.step.len(input).max(1) as u32).map(number).collect()
    }

    fn bytes(&self, buffer: Buffer) -> u64 {
        let pages = (self.first + self.plan.step.tokens).div_ceil(PAGE_TOKENS).max(self.plan.step.table_pitch);
        match buffer {
            Buffer::Slot { bytes, .. } => bytes,
            Buffer::Weights(index) => self.plan.weight_buffers[index].bytes,
            Buffer::Step(input) => 4 * self.plan.step.len(input).max(1) as u64,
            Buffer::Keys(layer) | Buffer::Values(layer) => {
                self.plan.graph.caches[layer].bytes(pages, self.plan.graph.kv)
            }
        }
    }
}

fn is_shared(buffer: Buffer) -> bool {
    matches!(buffer, Buffer::Slot { .. } | Buffer::Step(_))
}
