//! How fast a checkpoint gets to the GPU, beside how fast its file can be read: `cargo bench --bench load`, or
//! `cargo bench --bench load -- path/to/model`. Without a folder, one of SmolLM2-135M's shape is written for it.
//!
//! Read into one small buffer, a file that the system has in memory costs nothing but that memory. Read into memory that
//! is new, as the weights' own is where the GPU shares the host's, it costs the system's work for every page as well.

use quernel::bench::{Shape, Synthetic};
use quernel::checkpoint::Checkpoint;
use quernel::engine::{Engine, EngineOptions};
use quernel::gpu::{Choice, Gpu};
use quernel::graph::Tensors;
use safetensors::tensor::{Dtype, View};
use std::borrow::Cow;
use std::path::Path;
use std::time::Instant;

/// Each is done as often, and the fastest counts.
const TRIES: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo says --bench to whatever it runs.
    let given = std::env::args().skip(1).find(|word| !word.starts_with("--"));
    let made = tempfile::tempdir()?;
    let dir = match &given {
        Some(dir) => Path::new(dir),
        None => {
            write(made.path())?;
            made.path()
        }
    };
    let gpu = pollster::block_on(Gpu::open(&Choice::default()))?;
    println!("{} ({})", gpu.info().name, gpu.info().backend);
    let (mut reading, mut keeping, mut loading, mut bytes) = (f64::INFINITY, f64::INFINITY, f64::INFINITY, 0);
    for _ in 0..TRIES {
        let begin = Instant::now();
        bytes = read(dir, false)?;
        reading = reading.min(begin.elapsed().as_secs_f64());
        let begin = Instant::now();
        read(dir, true)?;
        keeping = keeping.min(begin.elapsed().as_secs_f64());
        let begin = Instant::now();
        let options = EngineOptions { context: Some(32), ..EngineOptions::default() };
        let engine = pollster::block_on(Engine::open(dir, gpu.clone(), options, &mut |_, _| ()))?;
        loading = loading.min(begin.elapsed().as_secs_f64());
        drop(engine);
    }
    let rate = |seconds: f64| bytes as f64 / seconds / 1e9;
    println!("{bytes} bytes of tensors");
    let share = |seconds: f64| 100.0 * seconds / loading;
    println!("read into one buffer {:>8.2} GB/s", rate(reading));
    println!("read into new memory {:>8.2} GB/s", rate(keeping));
    println!(
        "loaded to the GPU    {:>8.2} GB/s, {:.0} % and {:.0} % of these",
        rate(loading),
        share(reading),
        share(keeping)
    );
    Ok(())
}

/// Reads every tensor a block at a time, into one buffer or, where they are to be kept, into new ones; how many bytes there
/// were.
fn read(dir: &Path, keep: bool) -> quernel::Result<usize> {
    const BLOCK: usize = 8 << 20;
    let checkpoint = Checkpoint::open(dir)?;
    let (mut all, mut out, mut kept) = (0, Vec::new(), Vec::new());
    for name in checkpoint.names() {
        let fact = checkpoint.fact(name)?;
        let rows = fact.shape.axes().first().copied().unwrap_or(1);
        let block = (BLOCK / (fact.bytes() / rows.max(1)).max(1)).max(1);
        for first in (0..rows).step_by(block) {
            checkpoint.read_rows(name, first..rows.min(first + block), &mut out)?;
            all += out.len();
            if keep {
                kept.push(std::mem::take(&mut out));
            }
        }
    }
    Ok(all)
}

/// A tensor of the shape, made when it is written.
struct Made<'a> {
    tensors: &'a Synthetic,
    name: &'a str,
    axes: Vec<usize>,
}

impl View for Made<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::BF16
    }

    fn shape(&self) -> &[usize] {
        &self.axes
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut out = Vec::new();
        let read = self.tensors.read_rows(self.name, 0..self.axes[0], &mut out);
        read.expect("a tensor of the shape can be made");
        Cow::Owned(out)
    }

    fn data_len(&self) -> usize {
        2 * self.axes.iter().product::<usize>()
    }
}

/// A checkpoint of random numbers.
fn write(dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let shape = Shape::named("smollm2-135m")?;
    let tensors = Synthetic::new(&shape.config()?, 42)?;
    let made = tensors.names().map(|name| {
        let axes = tensors.fact(name)?.shape.axes().to_vec();
        Ok((name, Made { tensors: &tensors, name, axes }))
    });
    let made = made.collect::<quernel::Result<Vec<_>>>()?;
    safetensors::serialize_to_file(made, None, &dir.join("model.safetensors"))?;
    std::fs::write(dir.join("config.json"), shape.json())?;
    Ok(())
}
