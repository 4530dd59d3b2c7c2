//! Timing the ways of each product, within a budget.

use super::stage::{Copies, Stage};
use super::timing::{Ready, cycle_seconds, median_seconds};
use crate::gpu::Gpu;
use crate::graph::{Dispatch, Plan};
use crate::kernels::linear::Call;
use crate::kernels::{Launch, Product, Ways};
use crate::{Error, Result};
use std::time::{Duration, Instant};

/// What tuning may take by default.
pub const BUDGET: Duration = Duration::from_secs(10);

/// Bytes of weights that are walked through: more than any cache holds.
const WALKED: u64 = 128 << 20;

/// What a way may take of the default's time to be preferred: less is chance.
const CLEARLY: f64 = 0.97;

/// What a first, short look may take of the best time for a way to be measured properly.
const HOPELESS: f64 = 2.0;

/// Seconds that a first run may take because a driver compiles.
const COMPILING: f64 = 0.5;

/// What times ways; a test has its own.
pub(super) trait Measure {
    /// Prepares to measure one dispatch's ways.
    async fn begin(&mut self, subject: &Subject<'_>) -> Result<()>;

    /// Seconds of one run. `at_most` is what it may take to be of interest. `None` where it takes longer, or where the
    /// device does not have what it needs.
    async fn seconds(&mut self, launch: &Launch, at_most: f64) -> Result<Option<f64>>;

    /// What was spent so far.
    fn spent(&self) -> Duration;
}

/// A product to be tuned.
pub(super) struct Subject<'a> {
    pub(super) plan: usize,
    pub(super) dispatch: &'a Dispatch,
    pub(super) call: Call,
    /// What of a step it is: elements of W, times how often it is there.
    pub(super) share: f64,
}

/// Times the ways of every product of `plans` that `known` does not have, for `budget` at most, and adds the fastest of
/// each: the default, unless another takes 3 % less, twice. `progress` is told the products done and the products in all.
/// Products that the budget leaves no time for stay unknown.
///
/// Weights are random numbers, and there must be room on the device for 128 MiB of them, or for one matrix if that is
/// larger. In a browser nothing is timed, since its clock is too coarse: give it a tuning from elsewhere.
///
/// # Errors
/// [`Error::DeviceLost`], [`Error::OutOfMemory`], [`Error::Gpu`].
pub async fn tune(
    gpu: &Gpu,
    plans: &[&Plan],
    budget: Duration,
    known: &mut Ways,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    if cfg!(target_family = "wasm") {
        return Ok(());
    }
    let stages = plans.iter().map(|plan| Stage::new(gpu, plan, 0)).collect();
    let mut measure = OnGpu { gpu, stages, copies: None, began: Instant::now() };
    search(&mut measure, plans, budget, known, progress).await
}

/// How many products of `plans` [`tune`] would time.
pub fn untuned(plans: &[&Plan], known: &Ways) -> usize {
    subjects(plans, known).len()
}

/// The products of `plans` that are not known, once each, from those that matter most.
pub(super) fn subjects<'a>(plans: &[&'a Plan], known: &Ways) -> Vec<Subject<'a>> {
    let mut found: Vec<(Product, Subject<'a>)> = Vec::new();
    for (index, plan) in plans.iter().enumerate() {
        let calls = plan.dispatches.iter().filter_map(|dispatch| Some((dispatch, dispatch.call?)));
        for (dispatch, call) in calls {
            let product = call.product();
            if known.contains_key(&product) || call.ways().len() < 2 {
                continue;
            }
            let share = product.rows as f64 * product.columns as f64;
            match found.iter_mut().find(|(other, _)| *other == product) {
                Some((_, subject)) if subject.plan == index => subject.share += share,
                Some(_) => {}
                None => found.push((product, Subject { plan: index, dispatch, call, share })),
            }
        }
    }
    let mut subjects: Vec<_> = found.into_iter().map(|(_, subject)| subject).collect();
    subjects.sort_by(|a, b| b.share.total_cmp(&a.share));
    subjects
}

/// [`tune`] with whatever times.
pub(super) async fn search<M: Measure>(
    measure: &mut M,
    plans: &[&Plan],
    budget: Duration,
    known: &mut Ways,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let subjects = subjects(plans, known);
    for (done, subject) in subjects.iter().enumerate() {
        progress(done, subjects.len());
        if measure.spent() >= budget {
            return Ok(());
        }
        fastest(measure, subject, budget, known).await?;
    }
    progress(subjects.len(), subjects.len());
    Ok(())
}

async fn fastest<M: Measure>(measure: &mut M, subject: &Subject<'_>, budget: Duration, known: &mut Ways) -> Result<()> {
    measure.begin(subject).await?;
    let launches = || subject.call.ways().into_iter().filter_map(|way| Some((way, subject.call.launch(way)?)));
    let Some((default, plain)) = launches().next() else { return Ok(()) };
    let Some(usual) = measure.seconds(&plain, f64::INFINITY).await? else { return Ok(()) };
    let (mut best, mut least) = (None, CLEARLY * usual);
    for (way, launch) in launches().skip(1) {
        if measure.spent() >= budget {
            break;
        }
        if let Some(seconds) = measure.seconds(&launch, least).await?.filter(|&seconds| seconds < least) {
            (best, least) = (Some((way, launch)), seconds);
        }
    }
    // Once more, one right after the other: the first may have had a bad moment. One that is not as good then is not
    // looked at again, nor is what the budget left out of this product: the next time the others have their turn.
    let way = match best {
        Some((way, launch)) => {
            let usual = measure.seconds(&plain, f64::INFINITY).await?.unwrap_or(0.0);
            let again = measure.seconds(&launch, CLEARLY * usual).await?;
            if again.is_some_and(|seconds| seconds < CLEARLY * usual) { way } else { default }
        }
        None => default,
    };
    known.insert(subject.call.product(), way);
    Ok(())
}

struct OnGpu<'a> {
    gpu: &'a Gpu,
    stages: Vec<Stage<'a>>,
    copies: Option<Copies>,
    began: Instant,
}

impl OnGpu<'_> {
    async fn timed(&self, ready: &[Ready], at_most: f64) -> Result<Option<f64>> {
        // Once to warm up: drivers compile when a pipeline is first used. Then as short a look as there is.
        let first = cycle_seconds(self.gpu, ready, 1).await?;
        let hopeless = |seconds: f64| seconds > HOPELESS * at_most + 1e-3;
        if hopeless(first) && first > COMPILING {
            return Ok(None);
        }
        let look = cycle_seconds(self.gpu, ready, 1).await?;
        if hopeless(look) {
            return Ok(None);
        }
        median_seconds(self.gpu, ready, look).await.map(Some)
    }
}

impl Measure for OnGpu<'_> {
    async fn begin(&mut self, subject: &Subject<'_>) -> Result<()> {
        // Those of the product before are given back first.
        self.copies = None;
        self.copies = Some(self.stages[subject.plan].copies(subject.dispatch, WALKED).await?);
        Ok(())
    }

    async fn seconds(&mut self, launch: &Launch, at_most: f64) -> Result<Option<f64>> {
        let Some(copies) = &self.copies else { return Ok(None) };
        match copies.ready(self.gpu, launch) {
            Ok(ready) => self.timed(&ready, at_most).await,
            // What a driver refuses is no way.
            Err(Error::Unsupported { .. } | Error::SelfTest { .. } | Error::Gpu { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn spent(&self) -> Duration {
        self.began.elapsed()
    }
}
