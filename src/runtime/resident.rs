//! A plan made resident: pipelines, buffers and bind groups, made once and replayed at every step.

use super::marks::Marks;
use super::weights::Weights;
use super::{Clock, Scratch, StepInputs};
use crate::gpu::{BindGroup, Buffer, BufferSlice, Commands, Gpu, Pipeline, Readback, Submission, Timer, Usage};
use crate::graph::{self, Place, Plan, StepInput, StepLayout};
use crate::tensor::{Caps, Fact};
use crate::{Error, Result};
use std::ops::Range;

/// Keys and values of one layer.
pub(super) struct Layer {
    pub(super) keys: Buffer,
    pub(super) values: Buffer,
}

/// A plan with all that it runs on.
pub(super) struct Resident {
    pub(super) plan: Plan,
    slots: Vec<Buffer>,
    step: Buffer,
    layout: StepLayout,
    dispatches: Vec<(Pipeline, BindGroup, [u32; 3])>,
    outputs: Vec<Output>,
    /// One for each step that may be under way, used in turn.
    readbacks: [Readback; UNDER_WAY],
}

/// Steps of one plan that may be submitted and not yet read.
pub(super) const UNDER_WAY: usize = 2;

/// How a step is encoded, beside what it computes.
pub(super) struct Turn<'a> {
    /// Which readback buffer gets the outputs.
    pub(super) readback: usize,
    /// The first id, where it comes from the device: once what was submitted before has put it there.
    pub(super) carried: Option<BufferSlice>,
    /// What is timed, each dispatch in a pass of its own or all in one.
    pub(super) timed: Option<(Clock, &'a Timer)>,
}

/// Where a value that the host reads lies, in its slot and in the readback buffers.
struct Output {
    fact: Fact,
    from: BufferSlice,
    offset: u64,
}

impl Resident {
    pub(super) fn new(
        gpu: &Gpu,
        plan: Plan,
        weights: &Weights,
        layers: &[Layer],
        scratch: &mut Scratch,
    ) -> Result<Self> {
        let alignment = gpu.caps().binding_alignment;
        let layout = StepLayout::new(plan.step, u64::from(alignment));
        let step = gpu.buffer("step", layout.bytes(), Usage::Step)?;
        let slots = scratch.slots(gpu, &plan.slots)?;
        let bytes = read_bytes(&plan) + Marks::BYTES;
        let readbacks = [Readback::new(gpu, bytes)?, Readback::new(gpu, bytes)?];
        let mut resident = Self { plan, slots, step, layout, dispatches: Vec::new(), outputs: Vec::new(), readbacks };
        resident.outputs = resident.outputs()?;
        resident.dispatches = resident.bind(gpu, weights, layers)?;
        Ok(resident)
    }

    /// Encodes a part of the step's dispatches: one compute pass. The first brings the step's numbers, and the last copies
    /// what the host reads. A part whose time is taken is the whole.
    pub(super) fn encode(
        &self,
        gpu: &Gpu,
        inputs: &StepInputs,
        turn: &Turn<'_>,
        part: Range<usize>,
    ) -> Result<Commands> {
        let dispatches = self.dispatches.get(part.clone());
        let cut = || Error::Gpu { message: format!("a step has no dispatches {part:?}") };
        let dispatches = dispatches.ok_or_else(cut)?;
        let mut commands = gpu.encoder();
        if part.start == 0 {
            gpu.write(&self.step.whole(), inputs.bytes())?;
            if let Some(carried) = turn.carried.clone() {
                commands.copy(carried, self.step.slice(self.layout.offset(StepInput::Ids), 4))?;
            }
        }
        let last = part.end == self.dispatches.len();
        let launches = || dispatches.iter().map(|(pipeline, group, grid)| (pipeline, group, *grid));
        match turn.timed {
            None => commands.pass(launches())?,
            Some((Clock::Step, timer)) => commands.timed_pass(timer, 0, launches())?,
            Some((Clock::Dispatches, timer)) => {
                for (index, launch) in launches().enumerate() {
                    commands.timed_pass(timer, index, [launch])?;
                }
            }
        }
        if let Some((clock, timer)) = turn.timed {
            commands.keep_times(timer, self.times(clock))?;
        }
        for output in self.outputs.iter().filter(|_| last) {
            let to = self.readbacks[turn.readback].buffer().slice(output.offset, output.from.bytes());
            commands.copy(output.from.clone(), to)?;
        }
        Ok(commands)
    }

    /// How many times a clock takes.
    pub(super) fn times(&self, clock: Clock) -> usize {
        match clock {
            Clock::Step => 1,
            Clock::Dispatches => self.dispatches.len(),
        }
    }

    /// Encodes the dispatches of one node alone.
    pub(super) fn encode_node(&self, gpu: &Gpu, node: usize) -> Result<Commands> {
        let mut commands = gpu.encoder();
        let mine = self.plan.dispatches.iter().zip(&self.dispatches).filter(|(planned, _)| planned.node == node);
        commands.pass(mine.map(|(_, (pipeline, group, grid))| (pipeline, group, *grid)))?;
        Ok(commands)
    }

    /// Fills the step's buffer.
    pub(super) fn write_step(&self, gpu: &Gpu, inputs: &StepInputs) -> Result<()> {
        gpu.write(&self.step.whole(), inputs.bytes())
    }

    /// Where the marks go in the readback buffer `turn`: behind the outputs.
    pub(super) fn marks(&self, turn: usize) -> BufferSlice {
        self.readbacks[turn].buffer().slice(read_bytes(&self.plan), Marks::BYTES)
    }

    /// Waits for `submission`, and copies one output's words out of the readback buffer `turn` into `out`, without
    /// padding. Returns the marks, which `raw` holds.
    pub(super) async fn read<'a>(
        &self,
        (submission, turn): (&Submission, usize),
        output: usize,
        raw: &'a mut Vec<u8>,
        out: &mut Vec<u32>,
    ) -> Result<&'a [u8]> {
        let Output { fact, offset, .. } = self.output(output)?;
        self.bring(submission, turn, raw).await?;
        let begin = *offset as usize;
        let rows = raw[begin..begin + fact.resident_bytes() as usize].chunks_exact(fact.row_bytes());
        out.clear();
        for row in rows {
            let row = row[..fact.dtype.row_bytes(fact.shape.columns())].chunks_exact(4);
            out.extend(row.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])));
        }
        Ok(&raw[read_bytes(&self.plan) as usize..])
    }

    /// Waits for `submission`, and brings the readback buffer `turn` to `raw`. Returns the marks in it.
    pub(super) async fn bring<'a>(
        &self,
        submission: &Submission,
        turn: usize,
        raw: &'a mut Vec<u8>,
    ) -> Result<&'a [u8]> {
        let readback = &self.readbacks[turn];
        readback.read_after(submission, raw, readback.buffer().bytes()).await?;
        Ok(&raw[read_bytes(&self.plan) as usize..])
    }

    /// The first word of an output, where the device has it until another step runs.
    pub(super) fn first_word(&self, output: usize) -> Result<BufferSlice> {
        let from = &self.output(output)?.from;
        Ok(from.buffer().slice(from.offset(), 4))
    }

    fn output(&self, output: usize) -> Result<&Output> {
        let found = self.outputs.get(output);
        found.ok_or_else(|| Error::Gpu { message: format!("the plan has no output {output}") })
    }

    /// The part of a slot that holds a node's value, until another value takes its place.
    pub(super) fn value(&self, node: usize) -> Option<(&Fact, BufferSlice)> {
        let fact = self.plan.graph.nodes[node].fact.as_ref()?;
        match self.plan.places[node] {
            Place::Slot(slot) => Some((fact, self.slots[slot].slice(0, fact.resident_bytes()))),
            _ => None,
        }
    }

    fn outputs(&self) -> Result<Vec<Output>> {
        let mut outputs = Vec::new();
        let mut offset = 0;
        for (node, fact) in read_facts(&self.plan) {
            let Some((_, from)) = self.value(node) else {
                let op = self.plan.graph.nodes[node].op.name();
                return Err(Error::Gpu { message: format!("{op} is not a value that the host can read") });
            };
            outputs.push(Output { fact: fact.clone(), from, offset });
            offset += fact.resident_bytes();
        }
        Ok(outputs)
    }

    fn bind(&self, gpu: &Gpu, weights: &Weights, layers: &[Layer]) -> Result<Vec<(Pipeline, BindGroup, [u32; 3])>> {
        let stride = stride(gpu.caps());
        let params = gpu.buffer("params", params_bytes(&self.plan, gpu.caps()), Usage::Params)?;
        let mut bound = Vec::with_capacity(self.plan.dispatches.len());
        let mut offset = 0;
        for dispatch in &self.plan.dispatches {
            let launch = &dispatch.launch;
            gpu.write(&params.slice(offset, launch.params.len() as u64), &launch.params)?;
            let mut bindings = vec![("params", params.slice(offset, launch.params.len() as u64))];
            for &(name, buffer) in &dispatch.bindings {
                bindings.push((name, self.slice(buffer, weights, layers)?));
            }
            let pipeline = gpu.pipeline(&launch.variant)?;
            let group = gpu.bind(&pipeline, &bindings)?;
            bound.push((pipeline, group, launch.grid));
            offset += launch.params.len().next_multiple_of(stride) as u64;
        }
        Ok(bound)
    }

    fn slice(&self, buffer: graph::Buffer, weights: &Weights, layers: &[Layer]) -> Result<BufferSlice> {
        Ok(match buffer {
            graph::Buffer::Slot { slot, bytes } => self.slots[slot].slice(0, bytes),
            graph::Buffer::Weights(buffer) => weights.buffer(&self.plan.weight_buffers[buffer].name)?.whole(),
            graph::Buffer::Step(input) => self.step.slice(self.layout.offset(input), self.layout.len(input)),
            graph::Buffer::Keys(layer) => layers[layer].keys.whole(),
            graph::Buffer::Values(layer) => layers[layer].values.whole(),
        })
    }
}

/// Bytes of the buffers that a resident plan has for itself.
pub(super) fn own_bytes(plan: &Plan, caps: &Caps) -> [u64; 2 + UNDER_WAY] {
    let step = StepLayout::new(plan.step, u64::from(caps.binding_alignment)).bytes();
    let read = read_bytes(plan) + Marks::BYTES;
    [step, params_bytes(plan, caps), read, read]
}

/// Each kernel's parameters begin at a multiple of this.
fn stride(caps: &Caps) -> usize {
    (caps.params_alignment as usize).next_multiple_of(16)
}

fn params_bytes(plan: &Plan, caps: &Caps) -> u64 {
    let stride = stride(caps);
    let places = plan.dispatches.iter().map(|dispatch| dispatch.launch.params.len().next_multiple_of(stride));
    places.sum::<usize>().max(stride) as u64
}

fn read_bytes(plan: &Plan) -> u64 {
    read_facts(plan).map(|(_, fact)| fact.resident_bytes()).sum::<u64>().max(4)
}

/// The nodes whose values the host reads.
fn read_facts(plan: &Plan) -> impl Iterator<Item = (usize, &Fact)> {
    let nodes = plan.graph.outputs.iter().map(|value| value.node());
    nodes.filter_map(|node| Some((node, plan.graph.nodes[node].fact.as_ref()?)))
}
