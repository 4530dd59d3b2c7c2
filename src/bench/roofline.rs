//! What a device can do at best, measured through the same interface that models run on.
//!
//! A published bandwidth or peak is what nobody reaches, and a driver adds its own costs; so the line that results are
//! held against is drawn by kernels that do one thing only. Of several shapes of a kernel the fastest counts: a GPU
//! wants many threads, a processor few workgroups with much to do.

use super::probes::{dot, empty, fma, matrix, memory};
use super::stats::percentile;
use crate::gpu::{Buffer, Gpu, Readback, Usage};
use crate::kernels::Launch;
use crate::kernels::random::{self, Numbers};
use crate::tensor::DType;
use crate::tune::{Ready, TRIES, least_seconds, record, seconds};
use crate::{Error, Result};
use serde::Serialize;
use std::time::Instant;

/// A device's measured limits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Roofline {
    /// Gigabytes that are read from memory in a second.
    pub read_gbps: f64,
    /// Gigabytes that are read and written in a second while copying, both counted.
    pub copy_gbps: f64,
    /// Trillions of multiplications and additions in a second, in `F32`.
    pub f32_tflops: f64,
    /// The same in `F16`; `None` where shaders have none.
    pub f16_tflops: Option<f64>,
    /// The same of bytes, four at a time.
    pub int8_tops: f64,
    /// The same in cooperative matrices of each shape that was tried.
    pub matrices: Vec<MatrixPeak>,
    /// Microseconds from one dispatch to the next that waits for it.
    pub dependent_dispatch_us: f64,
    /// Microseconds from one dispatch to the next that does not.
    pub independent_dispatch_us: f64,
    /// Microseconds that the host takes to record and submit a dispatch.
    pub encode_us: f64,
    /// Microseconds from submitting a dispatch to the host's having read its result.
    pub latency_us: f64,
}

/// What one shape of cooperative matrix reaches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatrixPeak {
    /// Its sides and the numbers in it, as `16x16 f16`; sums are `F32`.
    pub shape: String,
    /// Trillions of multiplications and additions in a second.
    pub tflops: f64,
}

impl Roofline {
    /// Measures `gpu`, which should have nothing else to do: a few seconds.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) where its memory is taken already, and what running kernels
    /// returns.
    pub async fn measure(gpu: &Gpu) -> Result<Self> {
        let (read_gbps, copy_gbps) = bandwidths(gpu).await?;
        let f16 = gpu.caps().f16;
        Ok(Self {
            read_gbps,
            copy_gbps,
            f32_tflops: arithmetic(gpu, DType::F32).await?.unwrap_or_default(),
            f16_tflops: if f16 { arithmetic(gpu, DType::F16).await? } else { None },
            int8_tops: bytes(gpu).await?,
            matrices: matrices(gpu).await?,
            dependent_dispatch_us: dispatches(gpu, false).await?,
            independent_dispatch_us: dispatches(gpu, true).await?,
            encode_us: encoding(gpu).await?,
            latency_us: latency(gpu).await?,
        })
    }

    /// Gigabytes that `gpu` reads from memory in a second, by the same kernels.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub async fn read_gbps(gpu: &Gpu) -> Result<f64> {
        Ok(bandwidths(gpu).await?.0)
    }

    /// The highest rate of multiplications and additions measured, in a second.
    pub fn peak(&self) -> f64 {
        let matrices = self.matrices.iter().map(|peak| peak.tflops);
        let all = [self.f32_tflops, self.f16_tflops.unwrap_or(0.0), self.int8_tops].into_iter().chain(matrices);
        1e12 * all.fold(0.0, f64::max)
    }

    /// Seconds that work takes at least: until all bytes are read, or all numbers multiplied and added, whichever is
    /// later.
    pub fn least_seconds(&self, bytes: f64, flops: f64) -> f64 {
        (bytes / (1e9 * self.read_gbps)).max(flops / self.peak())
    }
}

/// Whether the adapter is a processor, for which a share of a GPU's work is enough.
fn small(gpu: &Gpu) -> bool {
    gpu.info().kind == "cpu"
}

/// Buffers of random bytes that no cache holds, at least two, all of one size.
async fn footprint(gpu: &Gpu) -> Result<Vec<Buffer>> {
    const ONE: u64 = 128 << 20;
    let all = if small(gpu) { 4 * ONE } else { 8 * ONE };
    // A device of little memory is one of small caches.
    let all = gpu.info().memory.map_or(all, |memory| all.min(memory / 4)).max(16 << 20);
    let one = ONE.min(gpu.caps().max_binding).min(gpu.caps().max_buffer).min(all / 2);
    let (columns, numbers) = (1 << 10, Numbers { seed: 1, exponent: 0 });
    let mut buffers = Vec::new();
    for _ in 0..all / one {
        let buffer = gpu.buffer("footprint", one, Usage::Activation)?;
        let rows = (one / 4) as usize / columns;
        if let Some(launch) = random::launch(numbers, 0..rows, columns, DType::F32) {
            gpu.run(&launch, &[("y", buffer.whole())]).await?;
        }
        buffers.push(buffer);
    }
    Ok(buffers)
}

/// Divisions of memory to be tried: threads of a workgroup, workgroups, loads of a round, and whether these are of 64 bits,
/// as the kernels for processors have them, and whether they are of the same words.
const DIVISIONS: [(u32, u32, u32, bool, bool); 9] = [
    (8, 256, 64, true, true),
    (8, 256, 4, true, false),
    (8, 256, 64, false, true),
    (8, 256, 4, false, false),
    (64, 4096, 4, false, false),
    (256, 1024, 4, false, false),
    (256, 4096, 4, false, false),
    (256, 16_384, 4, false, false),
    (256, 1024, 64, false, false),
];

/// Gigabytes that are read, and copied, in a second.
async fn bandwidths(gpu: &Gpu) -> Result<(f64, f64)> {
    let buffers = footprint(gpu).await?;
    let one = buffers.first().map_or(0, Buffer::bytes);
    let wide = gpu.caps().processor && gpu.caps().int64;
    let divisions = DIVISIONS.into_iter().filter(|division| wide || !division.3);
    let divisions: Vec<_> = divisions
        .filter_map(|(workgroup, workgroups, loads, wide, together)| {
            memory::Division { workgroup, workgroups, loads, wide, together, rounds: 1 }.fitted(one)
        })
        .collect();
    let threads = divisions.iter().map(|division| division.threads()).max().unwrap_or(1);
    let sums = gpu.buffer("sums", 4 * threads, Usage::Activation)?;
    let (mut reads, mut copies) = (Vec::new(), Vec::new());
    for division in divisions {
        if let Some(launch) = memory::read(division) {
            let all = buffers.iter().map(|x| Ready::new(gpu, &launch, &[("x", x), ("y", &sums)]));
            reads.push((all.collect::<Result<Vec<_>>>()?, (buffers.len() as u64 * division.bytes()) as f64));
        }
        if let Some(launch) = memory::copy(division) {
            let pairs = buffers.chunks_exact(2);
            let all = pairs.map(|pair| Ready::new(gpu, &launch, &[("x", &pair[0]), ("y", &pair[1])]));
            let all = all.collect::<Result<Vec<_>>>()?;
            let bytes = (2 * all.len() as u64 * division.bytes()) as f64;
            copies.push((all, bytes));
        }
    }
    Ok((fastest(gpu, &reads).await? / 1e9, fastest(gpu, &copies).await? / 1e9))
}

/// The highest rate of several ways to do the same, each with the amount that it does.
async fn fastest(gpu: &Gpu, ways: &[(Vec<Ready>, f64)]) -> Result<f64> {
    let mut best: Option<(usize, f64)> = None;
    for (way, (all, amount)) in ways.iter().enumerate() {
        seconds(gpu, &all[..1.min(all.len())], 1).await?;
        let mut rate = amount / seconds(gpu, all, 1).await?;
        // One run may have been disturbed; what is far behind would not catch up.
        if best.is_none_or(|(_, highest)| 2.0 * rate > highest) {
            rate = rate.max(amount / seconds(gpu, all, 1).await?);
        }
        if best.is_none_or(|(_, highest)| rate > highest) {
            best = Some((way, rate));
        }
    }
    let Some((all, amount)) = best.and_then(|(way, _)| ways.get(way)) else { return Ok(0.0) };
    Ok(amount / least_seconds(gpu, all).await?)
}

/// Threads that keep a device busy, and rounds of each in one dispatch.
fn work(gpu: &Gpu) -> (usize, u32) {
    if small(gpu) { (1 << 12, 1 << 8) } else { (1 << 18, 1 << 10) }
}

/// The highest rate of a launch over several sizes of workgroups; `None` where it cannot be made.
async fn widths(gpu: &Gpu, launch: impl Fn(usize, u32) -> Option<Launch>, amount: f64) -> Result<Option<f64>> {
    let (threads, _) = work(gpu);
    let y = gpu.buffer("y", 4 * threads as u64, Usage::Activation)?;
    let mut ways = Vec::new();
    // A GPU would leave most of its lanes without work in the smallest, and take long over it.
    let widths: &[u32] = if small(gpu) { &[8, 64, 256] } else { &[64, 256] };
    for launch in widths.iter().filter_map(|&workgroup| launch(threads, workgroup)) {
        ways.push((vec![Ready::new(gpu, &launch, &[("y", &y)])?], amount));
    }
    if ways.is_empty() { Ok(None) } else { fastest(gpu, &ways).await.map(Some) }
}

/// Trillions of multiplications and additions in a second.
async fn arithmetic(gpu: &Gpu, number: DType) -> Result<Option<f64>> {
    // The sign turns at every step, so that no number grows.
    let step = [-1.0, 3.0];
    let (threads, rounds) = work(gpu);
    let launch = |threads, workgroup| fma::launch(threads, rounds, workgroup, number, step);
    let rate = widths(gpu, launch, fma::flops(threads, rounds)).await?;
    Ok(rate.map(|rate| rate / 1e12))
}

/// Trillions of multiplications and additions of bytes in a second.
async fn bytes(gpu: &Gpu) -> Result<f64> {
    let (threads, rounds) = work(gpu);
    let launch = |threads, workgroup| Some(dot::launch(threads, rounds, workgroup, 0x0102_fefd));
    let rate = widths(gpu, launch, dot::ops(threads, rounds)).await?;
    Ok(rate.unwrap_or(0.0) / 1e12)
}

/// What every shape of cooperative matrix reaches that there is a kernel for.
async fn matrices(gpu: &Gpu) -> Result<Vec<MatrixPeak>> {
    let Some((_, subgroup)) = gpu.caps().subgroup else { return Ok(Vec::new()) };
    // Products are dear where they are emulated.
    let (workgroups, rounds) = if small(gpu) { (4, 64) } else { (2048, 1024) };
    let mut peaks: Vec<MatrixPeak> = Vec::new();
    for &shape in &gpu.caps().matrices {
        let Some(launch) = matrix::launch(workgroups, rounds, subgroup, shape) else { continue };
        let name = format!("{0}x{0} {1}", shape.m, shape.input.map_or("", DType::name));
        if peaks.iter().any(|peak| peak.shape == name) {
            continue;
        }
        let square = 4 * u64::from(shape.m * shape.n);
        let (a, b) = (gpu.buffer("a", 4 * square, Usage::Weights)?, gpu.buffer("b", 2 * square, Usage::Weights)?);
        let subgroups = workgroups as u64 * u64::from(matrix::WORKGROUP / subgroup.max(1));
        let y = gpu.buffer("y", subgroups * matrix::SUMS as u64 * square, Usage::Activation)?;
        let ready = match Ready::new(gpu, &launch, &[("a", &a), ("b", &b), ("y", &y)]) {
            Ok(ready) => [ready],
            // A shape that the driver names and does not compile has no peak.
            Err(Error::Unsupported { .. } | Error::SelfTest { .. } | Error::Gpu { .. }) => continue,
            Err(error) => return Err(error),
        };
        let flops = matrix::flops(workgroups, rounds, subgroup, shape);
        peaks.push(MatrixPeak { shape: name, tflops: flops / least_seconds(gpu, &ready).await? / 1e12 });
    }
    Ok(peaks)
}

/// Dispatches of a chain.
const CHAIN: usize = 512;

/// A chain of dispatches that do next to nothing, on one buffer or each on its own.
fn chain(gpu: &Gpu, independent: bool) -> Result<Vec<Ready>> {
    let buffers = if independent { CHAIN } else { 1 };
    let buffers = (0..buffers).map(|_| gpu.buffer("word", 4, Usage::Activation)).collect::<Result<Vec<_>>>()?;
    let launch = empty::launch(1);
    buffers.iter().map(|y| Ready::new(gpu, &launch, &[("y", y)])).collect()
}

/// Microseconds from dispatch to dispatch: how much longer a chain twice as long takes.
async fn dispatches(gpu: &Gpu, independent: bool) -> Result<f64> {
    let chain = chain(gpu, independent)?;
    let half = CHAIN / 2;
    let (mut once, mut twice) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..=TRIES {
        let (short, long) = match independent {
            true => (seconds(gpu, &chain[..half], 1).await?, seconds(gpu, &chain, 1).await?),
            false => (seconds(gpu, &chain, half).await?, seconds(gpu, &chain, CHAIN).await?),
        };
        (once, twice) = (once.min(short), twice.min(long));
    }
    Ok(1e6 * (twice - once).max(0.0) / half as f64)
}

/// Microseconds of the host for each dispatch that it records and submits.
async fn encoding(gpu: &Gpu) -> Result<f64> {
    let chain = chain(gpu, false)?;
    let mut least = f64::INFINITY;
    for _ in 0..=TRIES {
        let begin = Instant::now();
        let submission = gpu.submit(record(gpu, &chain, CHAIN)?)?;
        least = least.min(begin.elapsed().as_secs_f64());
        gpu.wait(&submission).await?;
    }
    Ok(1e6 * least / CHAIN as f64)
}

/// Microseconds from submitting a dispatch to having its result: the middle one of several.
async fn latency(gpu: &Gpu) -> Result<f64> {
    let y = gpu.buffer("word", 4, Usage::Activation)?;
    let ready = [Ready::new(gpu, &empty::launch(1), &[("y", &y)])?];
    let readback = Readback::new(gpu, 4)?;
    let (mut out, mut times) = (Vec::new(), Vec::new());
    for _ in 0..8 * TRIES {
        let begin = Instant::now();
        let mut commands = record(gpu, &ready, 1)?;
        commands.copy(y.whole(), readback.buffer().whole())?;
        gpu.submit(commands)?;
        readback.read_into(&mut out, 4).await?;
        times.push(1e6 * begin.elapsed().as_secs_f64());
    }
    Ok(percentile(&times, 0.5).unwrap_or(0.0))
}
