//! One kernel by hand: buffers, a launch, reading back, and the definition beside it.
//!
//! A kernel is one word: `rms_norm` has its launch and its definition in `src/kernels/rms_norm.rs`, and its shader in
//! `shaders/rms_norm.wgsl`. A launch is plain data; the GPU links and compiles the variant it names, and binds buffers to
//! the shader's variables by name.
//!
//! ```sh
//! cargo run --release --example 01_kernel
//! ```

use pollster::block_on;
use quernel::gpu::{Choice, Gpu, Usage};
use quernel::kernels::{Policy, rms_norm};
use std::error::Error;

/// Five rows of 64: a multiple of 8, so that rows follow each other without padding.
const ROWS: usize = 5;
const COLUMNS: usize = 64;
const EPSILON: f32 = 1e-5;

fn main() -> Result<(), Box<dyn Error>> {
    let x: Vec<f32> = (0..ROWS * COLUMNS).map(|i| (i as f32 * 0.37).sin()).collect();
    let weight: Vec<f32> = (0..COLUMNS).map(|i| 1.0 + i as f32 / COLUMNS as f32).collect();

    let gpu = block_on(Gpu::open(&Choice::default()))?;
    let y = block_on(run(&gpu, &x, &weight))?;

    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
    let expected = rms_norm::reference(&wide(&x), &wide(&weight), f64::from(EPSILON));
    let worst = y.iter().zip(&expected).map(|(y, expected)| (f64::from(*y) - expected).abs()).fold(0.0, f64::max);
    println!("{} gives {:.4?} …", gpu.info().name, &y[..4]);
    println!("the definition {:.4?} …", &expected[..4]);
    println!("they differ by {worst:.1e} at most");
    if y.len() == expected.len() && worst < 1e-5 { Ok(()) } else { Err("the GPU and the definition differ".into()) }
}

/// Normalises the rows of `x` on the GPU.
async fn run(gpu: &Gpu, x: &[f32], weight: &[f32]) -> quernel::Result<Vec<f32>> {
    let buffer = |label, numbers| gpu.buffer(label, 4 * numbers as u64, Usage::Activation);
    let (rows, scale, y) = (buffer("x", x.len())?, buffer("weight", weight.len())?, buffer("y", x.len())?);
    gpu.write(&rows.whole(), bytemuck::cast_slice(x))?;
    gpu.write(&scale.whole(), bytemuck::cast_slice(weight))?;

    // As high on the kernel's ladder as the adapter allows: subgroup operations where it has them.
    let rung = Policy::new(gpu.caps(), false).rung;
    let launch = rms_norm::launch(ROWS, COLUMNS, EPSILON, rung);
    println!("{} on a grid of {:?} workgroups", launch.variant, launch.grid);
    gpu.run(&launch, &[("x", rows.whole()), ("weight", scale.whole()), ("y", y.whole())]).await?;

    Ok(bytemuck::pod_collect_to_vec(&gpu.read(y.whole()).await?))
}
