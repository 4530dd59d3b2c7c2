//! Runs plans of one model on a GPU.

use super::marks::Marks;
use super::resident::{Layer, Resident, Turn, UNDER_WAY};
use super::weights::Weights;
use super::{Progress, Scratch, StepInputs};
use crate::gpu::{BufferSlice, Gpu, Submission, Timer, Usage};
use crate::graph::{Cache, Plan, Tensors};
use crate::kernels::KvFormat;
use crate::{Error, Result};
use std::collections::HashMap;
use std::time::Duration;

/// A model's weights and caches on the GPU, and the plans that run on them.
///
/// Steps run in the order in which they are submitted. Two of a plan may be under way; the outputs of a third take the
/// place of the first's.
pub struct Executor {
    gpu: Gpu,
    weights: Weights,
    layers: Vec<Layer>,
    kv: KvFormat,
    scratch: Scratch,
    plans: HashMap<PlanId, Kept>,
    /// Plans made resident so far.
    added: u64,
    raw: Vec<u8>,
    /// Steps submitted so far, of all plans.
    submitted: u64,
    marks: Marks,
    /// The last step that was submitted whole.
    newest: Option<Ticket>,
    clock: Option<Clock>,
    timer: Option<Timer>,
}

/// A resident plan, and its last steps by the readback buffers that they use.
struct Kept {
    resident: Resident,
    last: [u64; UNDER_WAY],
}

/// A step that was submitted, whose outputs can be read.
#[derive(Debug, Clone)]
pub struct Ticket {
    plan: PlanId,
    /// Which of all steps it is, counted from 1.
    serial: u64,
    turn: usize,
    submission: Submission,
    /// The number of its last submission, of all steps'.
    number: u64,
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
pub struct PlanId(u64);

impl Ticket {
    /// Whether both are of one step.
    pub fn is(&self, other: &Self) -> bool {
        self.serial == other.serial
    }
}

impl Executor {
    /// Submissions that a step is divided into at most.
    pub const PARTS: usize = (Marks::KEPT / 2) as usize;

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
        // Buffers of an engine that is gone stay until what was submitted with them has run.
        gpu.finished().await?;
        let layers = plan.graph.caches.iter().enumerate();
        let kv = plan.graph.kv;
        let layers = layers.map(|(index, cache)| layer(&gpu, index, cache, pages, kv)).collect::<Result<Vec<_>>>()?;
        let weights = Weights::upload(&gpu, plan, tensors, progress).await?;
        let marks = Marks::new(&gpu)?;
        Ok(Self {
            gpu,
            weights,
            layers,
            kv,
            scratch: Scratch::default(),
            plans: HashMap::new(),
            added: 0,
            raw: Vec::new(),
            submitted: 0,
            marks,
            newest: None,
            clock: None,
            timer: None,
        })
    }

    pub(super) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The device it runs on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Makes the buffers that steps write for themselves, of these bytes each: those of the largest plan, before any other is
    /// added. A smaller plan would else make some that a larger one cannot use, and keep them.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn reserve(&mut self, slots: &[u64]) -> Result<()> {
        self.scratch.slots(&self.gpu, slots).map(|_| ())
    }

    /// Makes a plan resident: compiles its pipelines and binds its buffers.
    ///
    /// # Errors
    /// [`Error::Shader`] where a kernel does not link, [`Error::OutOfMemory`], [`Error::Gpu`], also where the plan is for
    /// a cache of another format than the one that was loaded.
    pub fn add(&mut self, plan: Plan) -> Result<PlanId> {
        if plan.graph.kv != self.kv {
            let message = format!("a plan for a cache of {} on a cache of {}", plan.graph.kv, self.kv);
            return Err(Error::Gpu { message });
        }
        let resident = Resident::new(&self.gpu, plan, &self.weights, &self.layers, &mut self.scratch)?;
        self.gpu.health()?;
        let plan = PlanId(self.added);
        self.added += 1;
        self.plans.insert(plan, Kept { resident, last: [0; UNDER_WAY] });
        Ok(plan)
    }

    /// Gives back what a plan has for itself; steps of it that were not read are lost. The plan of the last step stays: whether
    /// the device carried out what came before is read with it.
    pub fn remove(&mut self, plan: PlanId) {
        if self.newest.as_ref().is_none_or(|newest| newest.plan != plan) {
            self.plans.remove(&plan);
        }
    }

    /// Submits one step, in one compute pass.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`], [`Error::Gpu`].
    pub fn run(&mut self, plan: PlanId, inputs: &StepInputs) -> Result<Ticket> {
        self.submit(plan, inputs, None, &[])
    }

    /// As [`run`](Self::run), in several submissions: `cuts` are the dispatches that they begin with, after the first, in
    /// order; of more than [`PARTS`](Self::PARTS) some are left out. A step whose time is taken is one all the same.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_in_parts(&mut self, plan: PlanId, inputs: &StepInputs, cuts: &[usize]) -> Result<Ticket> {
        self.submit(plan, inputs, None, cuts)
    }

    /// Waits until a step has ended.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`], [`Error::Gpu`].
    pub async fn wait(&self, ticket: &Ticket) -> Result<()> {
        self.gpu.wait(&ticket.submission).await
    }

    /// Submissions so far, of all steps.
    pub fn submissions(&self) -> u64 {
        self.marks.submitted()
    }

    /// Has the device take the time of every step from now on, or no longer.
    pub fn take_time(&mut self, clock: Option<Clock>) {
        self.clock = clock;
    }

    /// Whether the device takes the time of steps.
    pub fn takes_time(&self) -> bool {
        self.clock.is_some()
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

    /// Submits one step whose first id is the first word of what `before` yields first, which need not be known yet.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`Error::Gpu`] where another step was submitted since `before`.
    pub fn run_after(&mut self, before: &Ticket, plan: PlanId, inputs: &StepInputs) -> Result<Ticket> {
        if !self.is_last(before) {
            return Err(Error::Gpu { message: "another step took the place of what was to be carried on".to_owned() });
        }
        let carried = self.resident(before.plan)?.first_word(0)?;
        self.submit(plan, inputs, Some(carried), &[])
    }

    fn submit(
        &mut self,
        plan: PlanId,
        inputs: &StepInputs,
        carried: Option<BufferSlice>,
        cuts: &[usize],
    ) -> Result<Ticket> {
        self.submit_parts(plan, inputs, carried, cuts).inspect_err(|_| self.marks.forgive())
    }

    fn submit_parts(
        &mut self,
        plan: PlanId,
        inputs: &StepInputs,
        carried: Option<BufferSlice>,
        cuts: &[usize],
    ) -> Result<Ticket> {
        let turn = (self.submitted % UNDER_WAY as u64) as usize;
        if let Some(clock) = self.clock {
            let times = self.resident(plan)?.times(clock);
            if self.timer.as_ref().is_none_or(|timer| timer.passes() < times) {
                self.timer = Some(Timer::new(&self.gpu, times)?);
            }
        }
        let Self { gpu, plans, marks, .. } = self;
        let timed = self.clock.zip(self.timer.as_ref());
        let cuts = if timed.is_some() { &[] } else { cuts };
        let cuts = cuts.iter().step_by(1 + cuts.len() / (Self::PARTS - 1));
        let Kept { resident, last } = plans.get_mut(&plan).ok_or_else(unknown_plan)?;
        // Counted before it is submitted: a step that fails half-way has overwritten what the one before yielded.
        self.submitted += 1;
        last[turn] = self.submitted;
        let turn = Turn { readback: turn, carried, timed };
        let mut begin = 0;
        for &end in cuts {
            let mut part = resident.encode(gpu, inputs, &turn, begin..end)?;
            marks.leave(gpu, &mut part)?;
            gpu.submit(part)?;
            begin = end;
        }
        let mut rest = resident.encode(gpu, inputs, &turn, begin..resident.plan.dispatches.len())?;
        let number = marks.leave(gpu, &mut rest)?;
        rest.copy(marks.left(), resident.marks(turn.readback))?;
        let submission = gpu.submit(rest)?;
        self.gpu.health()?;
        let ticket = Ticket { plan, serial: self.submitted, turn: turn.readback, submission, number };
        self.newest = Some(ticket.clone());
        Ok(ticket)
    }

    /// Sees to it that no submission is forgotten before anybody has looked whether it was carried out: to be called before
    /// each step of a long prompt, of which nothing is read but the end. Waits for the last step now and then.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn make_room(&mut self) -> Result<()> {
        let Self { gpu, plans, raw, marks, newest, .. } = self;
        let Some(ticket) = newest.as_ref().filter(|_| !marks.has_room(Self::PARTS as u64)) else { return Ok(()) };
        let Kept { resident, .. } = plans.get(&ticket.plan).ok_or_else(unknown_plan)?;
        let left = resident.bring(&ticket.submission, ticket.turn, raw).await;
        let left = left.inspect_err(|_| marks.forgive())?;
        marks.look_through(gpu, ticket.number, left)
    }

    /// Counts a submission that never comes to the device.
    #[cfg(test)]
    pub(crate) fn lose_one(&mut self) {
        self.marks.lose_one();
    }

    /// Whether no step was submitted after that of `ticket`.
    pub fn is_last(&self, ticket: &Ticket) -> bool {
        ticket.serial == self.submitted
    }

    /// Whether the outputs of `ticket` can still be read.
    pub fn holds(&self, ticket: &Ticket) -> bool {
        self.plans.get(&ticket.plan).is_some_and(|kept| kept.last[ticket.turn] == ticket.serial)
    }

    /// Waits for a step and copies the 4-byte words of one of its outputs into `out`, row by row without padding.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], also where a submission since the last read was not carried out;
    /// [`Error::OutOfMemory`]; [`Error::Gpu`] where other steps' outputs took their place.
    pub async fn read(&mut self, ticket: &Ticket, output: usize, out: &mut Vec<u32>) -> Result<()> {
        if !self.holds(ticket) {
            return Err(Error::Gpu { message: "another step's outputs took the place of those to be read".to_owned() });
        }
        let Self { gpu, plans, raw, marks, .. } = self;
        let Kept { resident, .. } = plans.get(&ticket.plan).ok_or_else(unknown_plan)?;
        let read = resident.read((&ticket.submission, ticket.turn), output, raw, out).await;
        let left = read.inspect_err(|_| marks.forgive())?;
        marks.look_through(gpu, ticket.number, left)
    }

    /// The plan behind `plan`.
    ///
    /// # Errors
    /// [`Error::Gpu`] where it was removed, or is another executor's.
    pub fn plan(&self, plan: PlanId) -> Result<&Plan> {
        Ok(&self.resident(plan)?.plan)
    }

    pub(super) fn resident(&self, plan: PlanId) -> Result<&Resident> {
        self.plans.get(&plan).map(|kept| &kept.resident).ok_or_else(unknown_plan)
    }
}

fn unknown_plan() -> Error {
    Error::Gpu { message: "this executor has no such plan".to_owned() }
}

fn layer(gpu: &Gpu, index: usize, cache: &Cache, pages: usize, kv: KvFormat) -> Result<Layer> {
    let bytes = cache.bytes(pages, kv);
    let limit = gpu.caps().max_binding.min(gpu.caps().max_buffer);
    if bytes > limit {
        return Err(Error::DoesNotFit {
            what: format!("the {kv} key-value cache of a layer, {pages} pages,"),
            need: bytes,
            have: limit,
            limit_name: format!("the largest binding of {:?}", gpu.caps().adapter),
            way_out: "; a shorter context (-c) or a narrower cache (--kv) needs less".to_owned(),
        });
    }
    let keys = gpu.buffer(&format!("keys {index}"), bytes, Usage::Activation)?;
    let values = gpu.buffer(&format!("values {index}"), bytes, Usage::Activation)?;
    Ok(Layer { keys, values })
}
