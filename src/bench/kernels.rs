//! A plan's kernels one by one, each repeated on data of its own that no cache holds: needs no clock of the device's, and
//! no model that fits it.

use super::cost::{Cost, Costs};
use super::profile::{Row, label};
use super::roofline::Roofline;
use super::timing::{Ready, least_seconds};
use crate::Result;
use crate::gpu::{Buffer as Memory, BufferSlice, Gpu, Usage};
use crate::graph::{Buffer, Dispatch, Plan, StepInput};
use crate::kernels::PAGE_TOKENS;
use crate::kernels::random::{self, Numbers};
use crate::quant::encode;
use crate::tensor::{Fact, pitch};
use std::collections::{BTreeMap, HashMap};

/// Bytes of weights that one kernel walks through, and copies of small ones at most.
const WALKED: u64 = 256 << 20;
const MOST_COPIES: u64 = 64;

/// Rows that the host makes where the device does not.
const REPEATED: u64 = 64;

/// Times each distinct kernel of `plan` on each of its shapes, for tokens at positions from `first` on; the kernels that
/// take longest in a step come first. Weights are random numbers.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory), and what running kernels returns.
pub async fn kernels(gpu: &Gpu, plan: &Plan, first: usize, roofline: Option<&Roofline>) -> Result<Vec<Row>> {
    let costs = Costs::new(plan);
    let mut distinct: BTreeMap<String, (&Dispatch, Cost, f64)> = BTreeMap::new();
    for (dispatch, cost) in plan.dispatches.iter().zip(costs.each(first)) {
        distinct.entry(label(plan, dispatch)).or_insert((dispatch, cost, 0.0)).2 += 1.0;
    }
    let mut stage = Stage { gpu, plan, first, shared: HashMap::new() };
    let mut rows = Vec::with_capacity(distinct.len());
    for (label, (dispatch, cost, count)) in distinct {
        let ready = stage.ready(dispatch).await?;
        let seconds = least_seconds(gpu, &ready).await? / ready.len().max(1) as f64;
        let row = Row::new(label, seconds, cost, roofline);
        rows.push(Row { count, ms: count * row.ms, ..row });
    }
    rows.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    Ok(rows)
}

/// Buffers for one dispatch after the other.
struct Stage<'a> {
    gpu: &'a Gpu,
    plan: &'a Plan,
    first: usize,
    /// What every copy of a dispatch shares: activations and the step's lists.
    shared: HashMap<Buffer, Memory>,
}

impl Stage<'_> {
    /// The dispatch as many times as its weights and caches must be there so that no cache holds them all.
    async fn ready(&mut self, dispatch: &Dispatch) -> Result<Vec<Ready>> {
        let own = dispatch.bindings.iter().map(|(_, buffer)| *buffer).filter(|buffer| !is_shared(*buffer));
        let bytes: u64 = own.map(|buffer| self.bytes(buffer)).sum();
        let copies = if bytes == 0 { 1 } else { WALKED.div_ceil(bytes).clamp(1, MOST_COPIES) };
        let mut all = Vec::new();
        for _ in 0..copies {
            let mut bound: Vec<(&'static str, Memory)> = Vec::new();
            for &(name, buffer) in &dispatch.bindings {
                bound.push((name, self.memory(buffer).await?));
            }
            let bindings: Vec<_> = bound.iter().map(|(name, memory)| (*name, memory)).collect();
            all.push(Ready::new(self.gpu, &dispatch.launch, &bindings)?);
        }
        Ok(all)
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
