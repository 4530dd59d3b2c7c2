//! Where a step's time goes: kernel by kernel on the device's own clock, between kernels, and on the host.

use super::measure::{Test, WARM_UPS, fill, rewind};
use super::roofline::Roofline;
use crate::engine::{Engine, Session};
use crate::graph::{Cost, Costs};
use crate::graph::{Dispatch, Op, Plan};
use crate::runtime::Clock;
use crate::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Steps of an answer that are enough to know the others.
const STEPS: usize = 32;

/// Where the time of a test's steps goes, on the average.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// Steps that were averaged.
    pub steps: usize,
    /// The parts of a step.
    pub waterfall: Waterfall,
    /// Each kernel on each shape, the longest first.
    pub kernels: Vec<Row>,
}

/// The parts of a step, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Waterfall {
    /// The whole, as the host sees it.
    pub step_ms: f64,
    /// Dispatches at work, each timed in a pass of its own.
    pub kernels_ms: f64,
    /// What is left of the device's time: barriers, and waiting for the next dispatch.
    pub gaps_ms: f64,
    /// What is left of the whole: the host at work while the device waits, and both waiting for each other.
    pub host_ms: f64,
    /// The least that the device's limits leave for the kernels' work; `None` where they are not known.
    pub least_ms: Option<f64>,
}

/// One kernel on one shape, in a step. What it costs follows from the plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The variant, and the matrix that it reads, if any.
    pub kernel: String,
    /// Dispatches of a step.
    pub count: f64,
    /// Milliseconds of all of them.
    pub ms: f64,
    /// Gigabytes in a second.
    pub gbps: f64,
    /// Trillions of multiplications and additions in a second.
    pub tflops: f64,
    /// The least time that the device's limits leave, as a share of the time taken; `None` where they are not known.
    pub share_of_ceiling: Option<f64>,
}

impl Row {
    /// A kernel that took `seconds` for what costs `cost`.
    pub(super) fn new(kernel: String, seconds: f64, cost: Cost, roofline: Option<&Roofline>) -> Self {
        let seconds = seconds.max(1e-12);
        Self {
            kernel,
            count: 1.0,
            ms: 1e3 * seconds,
            gbps: cost.bytes / seconds / 1e9,
            tflops: cost.flops / seconds / 1e12,
            share_of_ceiling: roofline.map(|roofline| roofline.least_seconds(cost.bytes, cost.flops) / seconds),
        }
    }
}

/// Runs the steps of `test` three times: as always, with the device's time of each step, and of each dispatch.
///
/// # Errors
/// [`Error::Unsupported`] where the device has no clock, and what [`Engine::step`] returns.
pub async fn profile(engine: &mut Engine, test: Test, roofline: Option<&Roofline>) -> Result<Profile> {
    let mut session = fill(engine, test.depth).await?;
    let mut all = [Totals::default(), Totals::default(), Totals::default()];
    for (clock, totals) in [None, Some(Clock::Step), Some(Clock::Dispatches)].into_iter().zip(&mut all) {
        engine.take_time(clock);
        let ran = warm_and_run(engine, &mut session, test, totals).await;
        engine.take_time(None);
        ran?;
    }
    let [plain, whole, each] = all;
    if each.steps == 0 {
        return Err(Error::option("--profile", "there is no step to look at"));
    }
    let step = |time: Duration, totals: &Totals| time / totals.steps.max(1) as u32;
    Ok(summary([step(plain.host, &plain), step(whole.device, &whole), step(each.device, &each)], each, roofline))
}

/// Once more before: pipelines are made, memory is there, and the engine knows how much of a prompt to take at a time.
async fn warm_and_run(engine: &mut Engine, session: &mut Session, test: Test, totals: &mut Totals) -> Result<()> {
    let short = Test { generated: test.generated.min(1), ..test };
    for _ in 0..WARM_UPS {
        let before = engine.pace().tokens(usize::MAX);
        run(engine, session, short, &mut Totals::default()).await?;
        if engine.pace().tokens(usize::MAX) == before {
            break;
        }
    }
    run(engine, session, test, totals).await
}

/// What steps took.
#[derive(Default)]
struct Totals {
    steps: usize,
    host: Duration,
    device: Duration,
    kernels: BTreeMap<String, (usize, Duration, Cost)>,
}

/// The steps of the prompt, then some of the answer's, after `test.depth` tokens.
async fn run(engine: &mut Engine, session: &mut Session, test: Test, totals: &mut Totals) -> Result<()> {
    let prompt = rewind(engine, session, test).await?;
    session.push(&prompt)?;
    let end = test.depth + test.prompt + test.generated.min(STEPS);
    while session.computed() < end {
        let first = session.computed();
        let begin = Instant::now();
        engine.step(&mut [&mut *session]).await?;
        totals.host += begin.elapsed();
        totals.steps += 1;
        let Some((plan, times)) = engine.times().await? else { continue };
        totals.device += times.iter().sum::<Duration>();
        if times.len() == plan.dispatches.len() {
            totals.dispatches(plan, first, &times);
        }
    }
    Ok(())
}

impl Totals {
    fn dispatches(&mut self, plan: &Plan, first: usize, times: &[Duration]) {
        let costs = Costs::new(plan);
        for ((dispatch, time), cost) in plan.dispatches.iter().zip(times).zip(costs.each(first)) {
            let (count, sum, costs) = self.kernels.entry(label(plan, dispatch)).or_default();
            *count += 1;
            *sum += *time;
            *costs += cost;
        }
    }
}

/// The variant, and the matrices that a dispatch reads: what tells its time from another's.
pub(super) fn label(plan: &Plan, dispatch: &Dispatch) -> String {
    let mut label = dispatch.launch.variant.to_string();
    for input in &plan.graph.nodes[dispatch.node].inputs {
        let Op::Weight(weight) = plan.graph.nodes[input.node()].op else { continue };
        let fact = &plan.weights[weight].weight.fact;
        if fact.shape.axes().len() == 2 {
            label += &format!(" {fact}");
        }
    }
    label
}

/// From the times of one step: the host's, the device's, and the kernels'.
fn summary([step, whole, kernels]: [Duration; 3], each: Totals, roofline: Option<&Roofline>) -> Profile {
    let steps = each.steps as f64;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let least = |cost: Cost| roofline.map(|roofline| roofline.least_seconds(cost.bytes, cost.flops));
    let row = |(kernel, (count, time, cost)): (String, (usize, Duration, Cost))| Row {
        count: count as f64 / steps,
        ms: ms(time) / steps,
        ..Row::new(kernel, time.as_secs_f64(), cost, roofline)
    };
    let least_ms = each.kernels.values().map(|(_, _, cost)| least(*cost)).sum::<Option<f64>>();
    let mut rows: Vec<Row> = each.kernels.into_iter().map(row).collect();
    rows.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    let waterfall = Waterfall {
        step_ms: ms(step),
        kernels_ms: ms(kernels),
        gaps_ms: ms(whole.saturating_sub(kernels)),
        host_ms: ms(step.saturating_sub(whole)),
        least_ms: least_ms.map(|seconds| 1e3 * seconds / steps),
    };
    Profile { steps: each.steps, waterfall, kernels: rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_gaps_and_host() {
        let cost = Cost { bytes: 4e9, flops: 8e9 };
        let mut each = Totals { steps: 2, ..Totals::default() };
        each.kernels.insert("short".to_owned(), (2, Duration::from_millis(20), Cost::default()));
        each.kernels.insert("long".to_owned(), (8, Duration::from_millis(80), cost));
        let times = [75, 60, 50].map(Duration::from_millis);
        let found = summary(times, each, None);
        let Waterfall { step_ms, kernels_ms, gaps_ms, host_ms, least_ms } = found.waterfall;
        assert_eq!((step_ms, kernels_ms, gaps_ms, host_ms, least_ms), (75.0, 50.0, 10.0, 15.0, None));
        let row = &found.kernels[0];
        assert_eq!((row.kernel.as_str(), row.count, row.ms), ("long", 4.0, 40.0));
        assert!((row.gbps - 50.0).abs() < 1e-9 && (row.tflops - 0.1).abs() < 1e-9);
        assert_eq!((found.kernels.len(), row.share_of_ceiling), (2, None));
    }
}
