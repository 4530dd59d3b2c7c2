//! Launches made ready, and the least time that they take.

use crate::Result;
use crate::gpu::{BindGroup, Buffer, Commands, Gpu, Pipeline, Usage};
use crate::kernels::Launch;
use std::time::{Duration, Instant};

/// The least time that is measured: long beside what submitting and waiting take.
const LEAST: Duration = Duration::from_millis(30);

/// Most runs of a kernel in one submission.
const MOST_RUNS: usize = 1 << 12;

/// Measurements of which the fastest counts, since everything that can go wrong makes it slower.
pub(crate) const TRIES: usize = 4;

/// A launch made ready.
pub(crate) struct Ready {
    pipeline: Pipeline,
    bind_group: BindGroup,
    grid: [u32; 3],
}

impl Ready {
    /// With whole buffers bound by name.
    pub(crate) fn new(gpu: &Gpu, launch: &Launch, buffers: &[(&'static str, &Buffer)]) -> Result<Self> {
        let params = gpu.buffer("params", launch.params.len() as u64, Usage::Params)?;
        gpu.write(&params.whole(), &launch.params)?;
        let mut bindings = vec![("params", params.whole())];
        bindings.extend(buffers.iter().map(|(name, buffer)| (*name, buffer.whole())));
        let pipeline = gpu.pipeline(&launch.variant)?;
        let bind_group = gpu.bind(&pipeline, &bindings)?;
        Ok(Self { pipeline, bind_group, grid: launch.grid })
    }

    fn part(&self) -> (&Pipeline, &BindGroup, [u32; 3]) {
        (&self.pipeline, &self.bind_group, self.grid)
    }
}

/// All of `all`, one after the other, `runs` times.
pub(crate) fn record(gpu: &Gpu, all: &[Ready], runs: usize) -> Result<Commands> {
    let mut commands = gpu.encoder();
    commands.pass((0..runs).flat_map(|_| all.iter().map(Ready::part)))?;
    Ok(commands)
}

/// Seconds that all of `all`, one after the other, `runs` times, take with all that waiting for them costs.
pub(crate) async fn seconds(gpu: &Gpu, all: &[Ready], runs: usize) -> Result<f64> {
    let begin = Instant::now();
    let submission = gpu.submit(record(gpu, all, runs)?)?;
    gpu.wait(&submission).await?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Seconds of one run of `all` at best.
pub(crate) async fn least_seconds(gpu: &Gpu, all: &[Ready]) -> Result<f64> {
    seconds(gpu, all, 1).await?;
    let mut runs = 1;
    let mut least = seconds(gpu, all, runs).await?;
    while least * (runs as f64) < LEAST.as_secs_f64() && runs < MOST_RUNS {
        let wanted = (1.5 * LEAST.as_secs_f64() / least) as usize;
        runs = wanted.clamp(2 * runs, 16 * runs).min(MOST_RUNS);
        least = seconds(gpu, all, runs).await? / runs as f64;
    }
    for _ in 0..TRIES {
        least = least.min(seconds(gpu, all, runs).await? / runs as f64);
    }
    Ok(least)
}

/// What a sample of a way takes at least: long beside what submitting and waiting take.
const SAMPLE: f64 = 5e-3;

/// Samples, the middle one of which counts; fewer where they are so long that chance means little.
const SAMPLES: usize = 5;

/// What all samples of a way take at most, if one takes less.
const ENOUGH: f64 = 0.1;

/// Seconds of `count` runs, each on the next of `all`, with all that waiting for them costs.
pub(super) async fn cycle_seconds(gpu: &Gpu, all: &[Ready], count: usize) -> Result<f64> {
    let begin = Instant::now();
    let mut commands = gpu.encoder();
    commands.pass(all.iter().cycle().take(count).map(Ready::part))?;
    let submission = gpu.submit(commands)?;
    gpu.wait(&submission).await?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Seconds of one run, which takes about `look`: the median of samples that are long enough.
pub(super) async fn median_seconds(gpu: &Gpu, all: &[Ready], look: f64) -> Result<f64> {
    let mut count = 1;
    let mut seconds = look;
    while seconds < SAMPLE && count < MOST_RUNS {
        count = ((1.2 * SAMPLE / seconds * count as f64) as usize).clamp(2 * count, 16 * count).min(MOST_RUNS);
        seconds = cycle_seconds(gpu, all, count).await?;
    }
    let mut samples = vec![seconds / count as f64];
    while samples.len() < SAMPLES && (samples.len() + 1) as f64 * seconds < ENOUGH {
        samples.push(cycle_seconds(gpu, all, count).await? / count as f64);
    }
    samples.sort_by(f64::total_cmp);
    Ok(samples[samples.len() / 2])
}
