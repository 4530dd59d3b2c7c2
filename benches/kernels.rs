//! The kernels of models' real shapes one by one, each on data that no cache holds:
//! `cargo bench --bench kernels -- llama-3.2-1b 1 512` for steps of 1 and 512 tokens.
//!
//! `quernel bench --profile` shows the same kernels at work in a model, where the device has a clock.

use quernel::bench::{Roofline, Row, Shape, Synthetic, kernels};
use quernel::gpu::{Choice, Gpu};
use quernel::graph::{Plan, StepShape};
use quernel::kernels::{PAGE_TOKENS, Policy};
use quernel::model::{Model, Outputs};

/// Tokens that the cache holds before, so that attention has something to do.
const FIRST: usize = 512;

fn main() -> quernel::Result<()> {
    // Cargo says --bench to whatever it runs.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let (steps, mut shapes): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word.parse::<usize>().is_ok());
    let mut steps: Vec<usize> = steps.iter().filter_map(|word| word.parse().ok()).collect();
    if steps.is_empty() {
        steps = vec![1, 512];
    }
    if shapes.is_empty() {
        shapes.push("smollm2-135m".to_owned());
    }
    pollster::block_on(run(&shapes, &steps))
}

async fn run(shapes: &[String], steps: &[usize]) -> quernel::Result<()> {
    let gpu = Gpu::open(&Choice::default()).await?;
    let info = gpu.info();
    println!("{} ({}, {} {})", info.name, info.backend, info.driver, info.driver_info);
    let roofline = Roofline::measure(&gpu).await?;
    println!("reads {:.1} GB/s, {:.2} TFLOP/s at best", roofline.read_gbps, roofline.peak() / 1e12);
    for shape in shapes {
        let config = Shape::named(shape)?.config()?;
        let tensors = Synthetic::new(&config, 42)?;
        let model = Model::open(&config, &tensors)?;
        for &tokens in steps {
            let context = FIRST + tokens;
            let step = StepShape { tokens, outputs: 1, sequences: 1, table_pitch: context.div_ceil(PAGE_TOKENS) };
            let graph = model.graph(step, context, Outputs::Argmax, &tensors, None)?;
            let plan = Plan::new(graph, gpu.caps(), Policy::new(gpu.caps(), false))?;
            println!("\n{shape}, a step of {tokens} after {FIRST} tokens");
            print(&kernels(&gpu, &plan, FIRST, Some(&roofline)).await?);
        }
    }
    Ok(())
}

fn print(rows: &[Row]) {
    println!("|    ms a step |  count |     GB/s |  TFLOP/s | of ceiling | kernel");
    println!("| -----------: | -----: | -------: | -------: | ---------: | ------");
    for row in rows {
        let share = 100.0 * row.share_of_ceiling.unwrap_or(0.0);
        let Row { kernel, count, ms, gbps, tflops, .. } = row;
        println!("| {ms:>12.4} | {count:>6} | {gbps:>8.2} | {tflops:>8.3} | {share:>8.1} % | {kernel}");
    }
}
