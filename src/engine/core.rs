//! The engine: a model made resident, moved forward a step at a time.

use super::fit::Fit;
use super::pace::{End, UnderWay, Work};
use super::plans::{Plans, Ready};
use super::schedule::{Part, schedule};
use super::session::Pool;
use super::{EngineOptions, Pace, PagePool, SamplerOptions, Session, batch};
use crate::checkpoint::{Checkpoint, Config, Generation};
use crate::gpu::Gpu;
use crate::graph::{Costs, Formats, Plan, StepShape, Tensors};
use crate::kernels::{PAGE_TOKENS, Policy};
use crate::model::{Model, Outputs};
use crate::runtime::{Clock, Executor, Need, PlanId, Progress, Reference, StepInputs, Ticket};
use crate::text::Tokenizer;
use crate::tune::Tuning;
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A model on a GPU, and whatever moves its sessions forward.
pub struct Engine {
    tensors: Box<dyn Tensors + Send + Sync>,
    /// Where the tokenizer is; `None` for a model that is no folder.
    dir: Option<PathBuf>,
    pub(super) model: Model,
    pub(super) generation: Generation,
    tokenizer: Option<Arc<Tokenizer>>,
    pub(super) options: EngineOptions,
    policy: Policy,
    pub(super) context: usize,
    pub(super) formats: Formats,
    pub(super) need: Need,
    /// The bytes of the largest step's slots, until they are made.
    slots: Vec<u64>,
    pub(super) pool: Pool,
    pub(super) executor: Executor,
    pub(super) plans: Plans,
    pub(super) reference: Option<Reference>,
    pub(super) words: Vec<u32>,
    /// The plan of the last step.
    last: Option<PlanId>,
    pub(super) pace: Pace,
    pub(super) tuning: Tuning,
}

impl Engine {
    /// Opens the checkpoint in `dir` and uploads it to `gpu`, telling `progress` the bytes done and the bytes in all.
    ///
    /// # Errors
    /// What is wrong with the checkpoint ([`Error::BadFile`], [`Error::BadTensor`], [`Error::UnknownArchitecture`]),
    /// with the options ([`Error::Option`]), or with the adapter ([`Error::DoesNotFit`], [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`]).
    pub async fn open(dir: impl AsRef<Path>, gpu: Gpu, options: EngineOptions, progress: Progress<'_>) -> Result<Self> {
        Self::load(Checkpoint::open(dir)?, gpu, options, progress).await
    }

    /// As [`open`](Self::open), with a checkpoint that is open already.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn load(
        checkpoint: Checkpoint,
        gpu: Gpu,
        options: EngineOptions,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let (config, generation) = (checkpoint.config()?, checkpoint.generation()?);
        let dir = checkpoint.dir().to_owned();
        let mut engine = Self::from_tensors(&config, Box::new(checkpoint), gpu, options, progress).await?;
        (engine.generation, engine.dir) = (generation, Some(dir));
        Ok(engine)
    }

    /// As [`open`](Self::open), of tensors from anywhere, which `config` describes. Such an engine has no tokenizer,
    /// and knows no token that ends an answer: it takes tokens and gives tokens.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn from_tensors(
        config: &Config,
        tensors: Box<dyn Tensors + Send + Sync>,
        gpu: Gpu,
        options: EngineOptions,
        progress: Progress<'_>,
    ) -> Result<Self> {
        options.validate()?;
        let model = Model::open(config, &*tensors)?;
        let context = options.context(model.context())?;
        let policy = Policy::new(gpu.caps(), options.deterministic);
        let policy = if options.matrices { policy.with_matrices(gpu.caps()) } else { policy };
        let policy = Policy { int8: options.int8, ..policy };
        let (need, slots) =
            Fit { model: &model, tensors: &*tensors, options: &options, gpu: &gpu, policy }.check(context)?;
        let pages = context.div_ceil(PAGE_TOKENS) * options.sessions;
        let pool = Arc::new(Mutex::new(PagePool::new(pages)?));
        let shape = StepShape { tokens: 1, outputs: 1, sequences: 1, table_pitch: 1 };
        let graph = model.graph(shape, context, Outputs::Argmax, &*tensors, options.dtype)?.with_kv(options.kv);
        let reference = options.check.then(|| Reference::new(&graph.caches, pages));
        let formats = graph.formats();
        let plan = Plan::new(graph, gpu.caps(), policy)?;
        // Kernels of one token and of many round differently, so what came before must not choose between them.
        let pace = if options.deterministic { Pace::of(gpu.caps()).eager() } else { Pace::of(gpu.caps()) };
        let tuning = options.tuning_of(gpu.info());
        let executor = Executor::load(gpu, &plan, pages, &*tensors, progress).await?;
        Ok(Self {
            tensors,
            dir: None,
            model,
            generation: Generation::default(),
            tokenizer: None,
            options,
            policy,
            context,
            formats,
            need,
            slots,
            pool,
            executor,
            plans: Plans::new(need.plans.max(Plans::BUDGET)),
            reference,
            words: Vec::new(),
            last: None,
            pace,
            tuning,
        })
    }

    /// A new, empty session that chooses its tokens by `sampler`; the same `seed` gives the same tokens on any machine
    /// that computes the same logits.
    ///
    /// # Errors
    /// [`Error::Option`] where a sampler's value is outside its range.
    pub fn session(&self, sampler: SamplerOptions, seed: u64) -> Result<Session> {
        let model = (self.model.vocab(), self.executor.gpu().caps().processor);
        Session::new(&self.pool, self.context, model, sampler, seed)
    }

    /// Computes one step: as many waiting tokens of `sessions` as it can hold. A session whose tokens are all computed
    /// gets its next token, which is returned in its place and waits to be computed in turn.
    ///
    /// # Errors
    /// [`Error::ContextFull`] where the cache has no room, [`Error::NotFinite`] where logits are not numbers,
    /// [`Error::Diverged`] where checking finds a difference, [`Error::DeviceLost`], [`Error::OutOfMemory`]. The
    /// sessions' tokens are then as before, and the step can be tried again.
    pub async fn step(&mut self, sessions: &mut [&mut Session]) -> Result<Vec<Option<u32>>> {
        if let [session] = sessions
            && let Some(token) = self.step_ahead(session).await?
        {
            return Ok(vec![Some(token)]);
        }
        sessions.iter_mut().for_each(|session| session.go_ahead(None));
        let mut next = vec![None; sessions.len()];
        let most = self.options.step_tokens();
        self.take_singly(sessions, most).await?;
        let parts = schedule(sessions, most, self.pace.tokens(most), self.options.sessions);
        for part in parts.iter().filter(|part| part.last) {
            sessions[part.session].expect_room()?;
        }
        let outputs = outputs(parts.iter().filter(|part| part.last).map(|part| sessions[part.session].outputs()));
        let Some(ticket) = self.run(sessions, &parts, outputs, false).await? else { return Ok(next) };
        if parts.iter().any(|part| part.last) {
            self.read(&ticket).await?;
        }
        for (row, part) in parts.iter().filter(|part| part.last).enumerate() {
            next[part.session] = Some(self.choose(sessions[part.session], outputs, row)?);
        }
        for part in &parts {
            sessions[part.session].commit(part.tokens);
        }
        for (session, token) in sessions.iter_mut().zip(&next) {
            session.push(token.as_slice())?;
        }
        if let [session] = sessions {
            // The token is the caller's whatever comes of the step after it; what lasts is met there again.
            self.begin_ahead(session).ok();
        }
        Ok(next)
    }

    /// Computes a prompt of `most` tokens at most token by token, up to its last, where the pace has that.
    async fn take_singly(&mut self, sessions: &mut [&mut Session], most: usize) -> Result<()> {
        let watched = self.reference.is_some() || self.executor.takes_time();
        let [session] = sessions else { return Ok(()) };
        if watched || session.waiting() > most {
            return Ok(());
        }
        while session.waiting() > 1 && self.pace.single(session.waiting(), self.need.weights) {
            // Where there is no room for all of it, nothing is to have been done.
            session.expect_room()?;
            session.reserve(session.waiting())?;
            let part = Part { session: 0, tokens: 1, last: false };
            let outputs = session.outputs();
            self.run(&mut [&mut **session], &[part], outputs, false).await?;
            session.commit(1);
        }
        Ok(())
    }

    /// Submits the step that `parts` make; `None` where they are none.
    pub(super) async fn run(
        &mut self,
        sessions: &mut [&mut Session],
        parts: &[Part],
        outputs: Outputs,
        every_position: bool,
    ) -> Result<Option<Ticket>> {
        if parts.is_empty() {
            return Ok(None);
        }
        for part in parts {
            sessions[part.session].reserve(part.tokens)?;
        }
        let tables = parts.iter().map(|part| sessions[part.session].table());
        let pitch = batch::table_pitch(tables, self.context);
        let shape = batch::shape(parts, every_position, self.options.sessions, pitch);
        self.prepare(shape, outputs)?;
        let Self { plans, executor, reference, tensors, pace, .. } = self;
        let Some(ready) = plans.get(shape, outputs) else { return Ok(None) };
        batch::fill(&mut ready.inputs, sessions, parts, every_position)?;
        let first = parts.iter().map(|part| sessions[part.session].computed()).max().unwrap_or(0);
        executor.make_room().await?;
        let gpu = executor.gpu().clone();
        if let Some(step) = pace.under_way().take() {
            match gpu.is_done(&step.done)? {
                true => pace.learn(step.work, End::Unseen),
                false => *pace.under_way() = Some(step),
            }
        }
        let began = pace.now().filter(|_| reference.is_none() && !executor.takes_time());
        let cuts = pace.cuts(shape.tokens, ready.costs.each(first));
        let ticket = match reference {
            None => executor.run_in_parts(ready.plan, &ready.inputs, &cuts)?,
            Some(reference) => executor.run_checked(ready.plan, &ready.inputs, &**tensors, reference).await?,
        };
        self.last = Some(ready.plan);
        let (tokens, flops) = (shape.tokens, ready.costs.step(first).flops);
        let step = began.map(|began| UnderWay {
            ticket: ticket.clone(),
            done: gpu.done(),
            work: Work { began, tokens, flops },
        });
        if let Some(before) = pace.submitted(step) {
            let end = End::awaited(gpu.is_done(&before.done)?);
            executor.wait(&before.ticket).await?;
            pace.learn(before.work, end);
        }
        Ok(Some(ticket))
    }

    /// Waits for a step, and brings its first output to the host.
    pub(super) async fn read(&mut self, ticket: &Ticket) -> Result<()> {
        let step = self.pace.under_way().take_if(|step| step.ticket.is(ticket));
        let ended = step.as_ref().map(|step| self.executor.gpu().is_done(&step.done)).transpose()?;
        self.executor.read(ticket, 0, &mut self.words).await?;
        if let Some((step, ended)) = step.zip(ended) {
            self.pace.learn(step.work, End::awaited(ended));
        }
        Ok(())
    }

    /// Replaces how much of a prompt a step takes, which follows from the adapter and the system's clock by default.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Submissions to the device so far: one for each step that fits the pace's bound.
    pub fn submissions(&self) -> u64 {
        self.executor.submissions()
    }

    /// How much of a prompt a step takes.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Has the device take the time of every step from now on, or no longer.
    pub fn take_time(&mut self, clock: Option<Clock>) {
        self.executor.take_time(clock);
    }

    /// The plan of the last step, and how long the device took for it or for each of its dispatches, as
    /// [`take_time`](Self::take_time) asked. `None` before the first step.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::Gpu`].
    pub async fn times(&self) -> Result<Option<(&Plan, Vec<Duration>)>> {
        let Some(plan) = self.last else { return Ok(None) };
        Ok(Some((self.executor.plan(plan)?, self.executor.times(plan).await?)))
    }

    /// Plans steps of `shape`, where there is no plan of them.
    pub(super) fn prepare(&mut self, shape: StepShape, outputs: Outputs) -> Result<()> {
        if self.plans.get(shape, outputs).is_some() {
            return Ok(());
        }
        self.executor.reserve(&self.slots)?;
        self.slots.clear();
        let plan = self.plan(shape, outputs)?;
        let caps = self.executor.gpu().caps();
        let (bytes, costs) = (Need::of_plan(&plan, caps), Costs::new(&plan));
        let inputs = StepInputs::new(shape, caps.binding_alignment);
        for old in self.plans.make_room(bytes) {
            self.executor.remove(old);
        }
        let plan = self.executor.add(plan)?;
        self.plans.insert(shape, outputs, Ready { plan, inputs, costs, bytes });
        Ok(())
    }

    /// The plan for steps of one shape.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where the adapter's limits are too small for it.
    pub fn plan(&self, shape: StepShape, outputs: Outputs) -> Result<Plan> {
        let graph = self.model.graph(shape, self.context, outputs, &*self.tensors, self.options.dtype)?;
        Plan::tuned(graph.with_kv(self.options.kv), self.executor.gpu().caps(), self.policy, &self.tuning.ways)
    }

    /// The next token of the session for which it, or the logits to choose it from, are in `row` of what was read.
    pub(super) fn choose(&mut self, session: &mut Session, outputs: Outputs, row: usize) -> Result<u32> {
        match outputs {
            Outputs::Argmax | Outputs::Sample => match self.words[2 * row..2 * row + 2] {
                [token, 0] => Ok(token),
                [_, count] => Err(Error::NotFinite { count: count as usize }),
                _ => Err(Error::NotFinite { count: 0 }),
            },
            Outputs::Logits => {
                let vocab = self.model.vocab();
                session.sample(bytemuck::cast_slice_mut(&mut self.words[row * vocab..(row + 1) * vocab]))
            }
        }
    }

    /// The tokenizer of the checkpoint, read the first time.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::BadFile`] where there is none that can be read; everything but text works without.
    pub fn tokenizer(&mut self) -> Result<Arc<Tokenizer>> {
        if let Some(tokenizer) = &self.tokenizer {
            return Ok(Arc::clone(tokenizer));
        }
        let none = || Error::Tokenizer("this model is no folder, so there is none".to_owned());
        let tokenizer = Arc::new(Tokenizer::open(self.dir.as_ref().ok_or_else(none)?)?);
        self.tokenizer = Some(Arc::clone(&tokenizer));
        Ok(tokenizer)
    }

    /// Whether `token` ends an answer, by `generation_config.json` or else the tokenizer.
    ///
    /// # Errors
    /// As [`tokenizer`](Self::tokenizer), which is asked only where the checkpoint's configuration names no such token.
    pub fn ends(&mut self, token: u32) -> Result<bool> {
        if self.generation.eos.is_empty() {
            return Ok(self.tokenizer()?.eos() == Some(token));
        }
        Ok(self.generation.eos.contains(&token))
    }
}

/// What serves all of a step's sessions: logits anybody, and a draw the greedy too.
fn outputs(wanted: impl Iterator<Item = Outputs>) -> Outputs {
    wanted.fold(Outputs::Argmax, |all, one| match (all, one) {
        (Outputs::Logits, _) | (_, Outputs::Logits) => Outputs::Logits,
        (Outputs::Sample, _) | (_, Outputs::Sample) => Outputs::Sample,
        (Outputs::Argmax, Outputs::Argmax) => Outputs::Argmax,
    })
}
