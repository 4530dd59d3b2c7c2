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
pub(super) const TRIES: usize = 4;

/// A launch made ready.
pub(super) struct Ready {
    pipeline: Pipeline,
    bind_group: BindGroup,
    grid: [u32; 3],
}

impl Ready {
    /// With whole buffers bound by name.
    pub(super) fn new(gpu: &Gpu, launch: &Launch, buffers: &[(&'static str, &Buffer)]) -> Result<Self> {
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
pub(super) fn record(gpu: &Gpu, all: &[Ready], runs: usize) -> Result<Commands> {
    let mut commands = gpu.encoder();
    commands.pass((0..runs).flat_map(|_| all.iter().map(Ready::part)))?;
    Ok(commands)
}

/// Seconds that all of `all`, one after the other, `runs` times, take with all that waiting for them costs.
pub(super) async fn seconds(gpu: &Gpu, all: &[Ready], runs: usize) -> Result<f64> {
    let begin = Instant::now();
    let submission = gpu.submit(record(gpu, all, runs)?)?;
    gpu.wait(&submission).await?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Seconds of one run of `all` at best.
pub(super) async fn least_seconds(gpu: &Gpu, all: &[Ready]) -> Result<f64> {
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
