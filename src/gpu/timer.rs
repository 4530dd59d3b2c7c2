//! The device's own clock.

use super::health::caught;
use super::{BindGroup, Commands, Gpu, Pipeline, Readback};
use crate::{Error, Result};
use std::time::Duration;

/// Passes that one set of queries can time: each takes two.
const PER_SET: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;

/// Bytes of a pass's two times.
const PAIR: u64 = 2 * wgpu::QUERY_SIZE as u64;

/// Room for the times of some compute passes, as the device takes them.
///
/// Record passes with [`Commands::timed_pass`], then [`Commands::keep_times`]; submit, and [`read`](Self::read).
pub struct Timer {
    sets: Vec<wgpu::QuerySet>,
    resolved: wgpu::Buffer,
    readback: Readback,
    passes: usize,
    /// Nanoseconds of a tick.
    period: f64,
}

impl Timer {
    /// Room for `passes` passes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the device has no clock, [`Error::OutOfMemory`].
    pub fn new(gpu: &Gpu, passes: usize) -> Result<Self> {
        let device = &gpu.inner.device;
        if !device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            let reason = "it does not tell the time (timestamp queries)".to_owned();
            return Err(Error::Unsupported { adapter: gpu.info().name.clone(), reason });
        }
        let bytes = (passes.max(1) as u64 * PAIR).next_multiple_of(wgpu::QUERY_RESOLVE_BUFFER_ALIGNMENT);
        let (sets, resolved) = caught(device, "making a timer", || {
            let sets = (0..passes.max(1)).step_by(PER_SET).map(|first| {
                let count = 2 * PER_SET.min(passes.max(1) - first) as u32;
                let ty = wgpu::QueryType::Timestamp;
                device.create_query_set(&wgpu::QuerySetDescriptor { label: Some("times"), ty, count })
            });
            let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
            let descriptor =
                wgpu::BufferDescriptor { label: Some("times"), size: bytes, usage, mapped_at_creation: false };
            (sets.collect(), device.create_buffer(&descriptor))
        })?;
        let period = f64::from(gpu.inner.queue.get_timestamp_period());
        Ok(Self { sets, resolved, readback: Readback::new(gpu, bytes)?, passes, period })
    }

    /// Passes that it has room for.
    pub fn passes(&self) -> usize {
        self.passes
    }

    /// Waits for all that was submitted; how long each of the first `passes` passes took.
    ///
    /// # Errors
    /// As [`Readback::read_into`].
    pub async fn read(&self, passes: usize) -> Result<Vec<Duration>> {
        let mut bytes = Vec::new();
        self.readback.read_into(&mut bytes, passes as u64 * PAIR).await?;
        let ticks = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        let pairs = bytes.chunks_exact(PAIR as usize).map(|pair| pair.split_at(wgpu::QUERY_SIZE as usize));
        let spans = pairs.map(|(begin, end)| ticks(end).saturating_sub(ticks(begin)) as f64 * self.period);
        Ok(spans.map(|nanoseconds| Duration::from_nanos(nanoseconds as u64)).collect())
    }
}

impl Commands {
    /// As [`pass`](Self::pass), with the time that the pass takes as the timer's number `index`.
    ///
    /// # Errors
    /// As [`pass`](Self::pass), and [`Error::Gpu`] where the timer has no such number.
    pub fn timed_pass<'a>(
        &mut self,
        timer: &Timer,
        index: usize,
        launches: impl IntoIterator<Item = (&'a Pipeline, &'a BindGroup, [u32; 3])>,
    ) -> Result<()> {
        let Some(query_set) = timer.sets.get(index / PER_SET).filter(|_| index < timer.passes) else {
            return Err(Error::Gpu { message: format!("a timer for {} passes was asked for {index}", timer.passes) });
        };
        let first = 2 * (index % PER_SET) as u32;
        let writes = wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        };
        self.record(Some(writes), launches)
    }

    /// Records that the times of the first `passes` passes are to be kept for [`Timer::read`].
    ///
    /// # Errors
    /// [`Error::Gpu`] where the timer has not so many.
    pub fn keep_times(&mut self, timer: &Timer, passes: usize) -> Result<()> {
        if passes > timer.passes {
            return Err(Error::Gpu { message: format!("a timer for {} passes was asked for {passes}", timer.passes) });
        }
        for (index, set) in timer.sets.iter().enumerate() {
            let first = index * PER_SET;
            let count = PER_SET.min(passes.saturating_sub(first)) as u32;
            if count > 0 {
                self.encoder.resolve_query_set(set, 0..2 * count, &timer.resolved, first as u64 * PAIR);
            }
        }
        let target = &timer.readback.buffer().inner.raw;
        self.encoder.copy_buffer_to_buffer(&timer.resolved, 0, target, 0, passes as u64 * PAIR);
        Ok(())
    }
}
