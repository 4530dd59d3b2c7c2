//! A plan made resident: pipelines, buffers and bind groups, made once and replayed at every step.

use super::weights::Weights;
use super::{Clock, Scratch, StepInputs};
use crate::gpu::{BindGroup, Buffer, BufferSlice, Commands, Gpu, Pipeline, Readback, Timer, Usage};
use crate::graph::{self, Place, Plan, StepLayout};
use crate::tensor::Fact;
use crate::{Error, Result};

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
    readback: Readback,
}

/// Where a value that the host reads lies, in its slot and in the readback buffer.
struct Output {
    fact: Fact,
    from: BufferSlice,
    to: BufferSlice,
    offset: usize,
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
        let bytes = read_facts(&plan).map(|(_, fact)| fact.resident_bytes()).sum::<u64>().max(4);
        let readback = Readback::new(gpu, bytes)?;
        let mut resident = Self { plan, slots, step, layout, dispatches: Vec::new(), outputs: Vec::new(), readback };
        resident.outputs = resident.outputs()?;
        resident.dispatches = resident.bind(gpu, weights, layers)?;
        Ok(resident)
    }

    /// Encodes the whole step: one compute pass, and the copies of what the host reads.
    pub(super) fn encode(&self, gpu: &Gpu, inputs: &StepInputs) -> Result<Commands> {
        gpu.write(&self.step.whole(), inputs.bytes())?;
        let mut commands = gpu.encoder();
        commands.pass(self.launches())?;
        self.copy_outputs(&mut commands)?;
        Ok(commands)
    }

    /// As `encode`, with the time that the step takes, or each of its dispatches in a pass of its own.
    pub(super) fn encode_timed(&self, gpu: &Gpu, inputs: &StepInputs, clock: Clock, timer: &Timer) -> Result<Commands> {
        gpu.write(&self.step.whole(), inputs.bytes())?;
        let mut commands = gpu.encoder();
        match clock {
            Clock::Step => commands.timed_pass(timer, 0, self.launches())?,
            Clock::Dispatches => {
                for (index, launch) in self.launches().enumerate() {
                    commands.timed_pass(timer, index, [launch])?;
                }
            }
        }
        commands.keep_times(timer, self.times(clock))?;
        self.copy_outputs(&mut commands)?;
        Ok(commands)
    }

    /// How many times `encode_timed` takes.
    pub(super) fn times(&self, clock: Clock) -> usize {
        match clock {
            Clock::Step => 1,
            Clock::Dispatches => self.dispatches.len(),
        }
    }

    fn launches(&self) -> impl Iterator<Item = (&Pipeline, &BindGroup, [u32; 3])> {
        self.dispatches.iter().map(|(pipeline, group, grid)| (pipeline, group, *grid))
    }

    fn copy_outputs(&self, commands: &mut Commands) -> Result<()> {
        self.outputs.iter().try_for_each(|output| commands.copy(output.from.clone(), output.to.clone()))
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

    /// Waits for the step, and copies one output's words into `out`, without padding.
    pub(super) async fn read(&mut self, output: usize, raw: &mut Vec<u8>, out: &mut Vec<u32>) -> Result<()> {
        let Some(Output { fact, offset, .. }) = self.outputs.get(output) else {
            return Err(Error::Gpu { message: format!("the plan has no output {output}") });
        };
        let bytes = self.readback.buffer().bytes();
        self.readback.read_into(raw, bytes).await?;
        let rows = raw[*offset..*offset + fact.resident_bytes() as usize].chunks_exact(fact.row_bytes());
        out.clear();
        for row in rows {
            let row = row[..fact.shape.columns() * fact.dtype.bytes()].chunks_exact(4);
            out.extend(row.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])));
        }
        Ok(())
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
            let to = self.readback.buffer().slice(offset, fact.resident_bytes());
            outputs.push(Output { fact: fact.clone(), from, to, offset: offset as usize });
            offset += fact.resident_bytes();
        }
        Ok(outputs)
    }

    fn bind(&self, gpu: &Gpu, weights: &Weights, layers: &[Layer]) -> Result<Vec<(Pipeline, BindGroup, [u32; 3])>> {
        let stride = (gpu.caps().binding_alignment as usize).next_multiple_of(16);
        let places = self.plan.dispatches.iter().map(|dispatch| dispatch.launch.params.len().next_multiple_of(stride));
        let params = gpu.buffer("params", places.sum::<usize>().max(stride) as u64, Usage::Params)?;
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
            graph::Buffer::Shard { weight, shard } => {
                weights.shard(&self.plan.weights[weight].weight.name, shard)?.whole()
            }
            graph::Buffer::Step(input) => self.step.slice(self.layout.offset(input), self.layout.len(input)),
            graph::Buffer::Keys(layer) => layers[layer].keys.whole(),
            graph::Buffer::Values(layer) => layers[layer].values.whole(),
        })
    }
}

/// The nodes whose values the host reads.
fn read_facts(plan: &Plan) -> impl Iterator<Item = (usize, &Fact)> {
    let nodes = plan.graph.outputs.iter().map(|value| value.node());
    nodes.filter_map(|node| Some((node, plan.graph.nodes[node].fact.as_ref()?)))
}
