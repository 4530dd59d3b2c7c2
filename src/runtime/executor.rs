//! Runs plans of one model on a GPU.

use super::resident::{Layer, Resident};
use super::weights::Weights;
use super::{Progress, Scratch, StepInputs};
use crate::gpu::{Commands, Gpu, Timer, Usage};
use crate::graph::{Cache, Plan, Tensors};
use crate::{Error, Result};
use std::time::Duration;

/// A model's weights and caches on the GPU, and the plans that run on them.
///
/// Steps are submitted in order and a step's outputs are read before the next is run.
pub struct Executor {
    gpu: Gpu,
    weights: Weights,
    layers: Vec<Layer>,
    scratch: Scratch,
    plans: Vec<Resident>,
    raw: Vec<u8>,
    clock: Option<Clock>,
    timer: Option<Timer>,
}

/// What of a step the device takes the time of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The step as a whole, which runs as it always does.
    Step,
    /// Each dispatch. They run in passes of their own, so that the step takes longer.
    Dispatches,
}

/// A plan that an [`Executor`] has made resident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlanId(usize);

impl Executor {
    /// Uploads the weights that `plan` uses, and makes caches of `pages` pages for its layers.
    ///
    /// Every plan of the model uses the same weights, so any of them does. The host holds a bounded part of the weights
    /// at a time, whatever the model's size.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] and [`Error::OutOfMemory`] where the adapter is too small, [`Error::BadTensor`] and
    /// [`Error::Io`] where a weight cannot be read, [`Error::DeviceLost`].
    pub async fn load(
        gpu: Gpu,
        plan: &Plan,
        pages: usize,
        tensors: &dyn Tensors,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let layers = plan.graph.caches.iter().enumerate();
        let layers = layers.map(|(index, cache)| layer(&gpu, index, cache, pages)).collect::<Result<Vec<_>>>()?;
        let weights = Weights::upload(&gpu, plan, tensors, progress).await?;
        Ok(Self {
            gpu,
            weights,
            layers,
            scratch: Scratch::default(),
            plans: Vec::new(),
            raw: Vec::new(),
            clock: None,
            timer: None,
        })
    }

    /// The device it runs on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Makes a plan resident: compiles its pipelines and binds its buffers.
    ///
    /// # Errors
    /// [`Error::Shader`] where a kernel does not link, [`Error::OutOfMemory`], [`Error::Gpu`].
    pub fn add(&mut self, plan: Plan) -> Result<PlanId> {
        let resident = Resident::new(&self.gpu, plan, &self.weights, &self.layers, &mut self.scratch)?;
        self.gpu.health()?;
        self.plans.push(resident);
        Ok(PlanId(self.plans.len() - 1))
    }

    /// Submits one step, in one compute pass.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`], [`Error::Gpu`].
    pub fn run(&mut self, plan: PlanId, inputs: &StepInputs) -> Result<()> {
        let commands = match self.clock {
            None => self.resident(plan)?.encode(&self.gpu, inputs)?,
            Some(clock) => self.timed(plan, inputs, clock)?,
        };
        self.gpu.submit(commands)?;
        self.gpu.health()
    }

    fn timed(&mut self, plan: PlanId, inputs: &StepInputs, clock: Clock) -> Result<Commands> {
        let times = self.resident(plan)?.times(clock);
        let timer = match self.timer.take().filter(|timer| timer.passes() >= times) {
            Some(timer) => timer,
            None => Timer::new(&self.gpu, times)?,
        };
        let commands = self.resident(plan)?.encode_timed(&self.gpu, inputs, clock, &timer);
        self.timer = Some(timer);
        commands
    }

    /// Has the device take the time of every step from now on, or no longer.
    pub fn take_time(&mut self, clock: Option<Clock>) {
        self.clock = clock;
    }

    /// Waits for the last step, which was one of `plan`, and tells how long it took on the device, or each of its
    /// dispatches in order. Nothing where no time was taken.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::Gpu`].
    pub async fn times(&self, plan: PlanId) -> Result<Vec<Duration>> {
        match (self.clock, &self.timer) {
            (Some(clock), Some(timer)) => timer.read(self.resident(plan)?.times(clock)).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Waits for the last step of `plan` and copies the 4-byte words of one of its outputs into `out`, row by row
    /// without padding.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`], [`Error::Gpu`].
    pub async fn read(&mut self, plan: PlanId, output: usize, out: &mut Vec<u32>) -> Result<()> {
        let Self { plans, raw, .. } = self;
        let resident = plans.get_mut(plan.0).ok_or_else(unknown_plan)?;
        resident.read(output, raw, out).await
    }

    /// The plan behind `plan`.
    ///
    /// # Errors
    /// [`Error::Gpu`] where it is another executor's.
    pub fn plan(&self, plan: PlanId) -> Result<&Plan> {
        Ok(&self.resident(plan)?.plan)
    }

    pub(super) fn resident(&self, plan: PlanId) -> Result<&Resident> {
        self.plans.get(plan.0).ok_or_else(unknown_plan)
    }
}

fn unknown_plan() -> Error {
    Error::Gpu { message: "this executor has no such plan".to_owned() }
}

fn layer(gpu: &Gpu, index: usize, cache: &Cache, pages: usize) -> Result<Layer> {
    let bytes = cache.bytes(pages);
    let limit = gpu.caps().max_binding.min(gpu.caps().max_buffer);
    if bytes > limit {
        return Err(Error::DoesNotFit {
            what: format!("the key-value cache of a layer, {pages} pages,"),
            need: bytes,
            have: limit,
            limit_name: format!("the largest binding of {:?}", gpu.caps().adapter),
            way_out: "; a shorter context (-c) needs less".to_owned(),
        });
    }
    let keys = gpu.buffer(&format!("keys {index}"), bytes, Usage::Activation)?;
    let values = gpu.buffer(&format!("values {index}"), bytes, Usage::Activation)?;
    Ok(Layer { keys, values })
}
