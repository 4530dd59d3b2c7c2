//! A graph by hand: the feed-forward half of a transformer's layer, planned, run on the GPU, and run by definition.
//!
//! A graph says what is computed; shapes are inferred and checked at the line that adds an operation. A plan says how:
//! which kernel variant on which grid, and where each value lies. The executor makes a plan resident and replays it.
//!
//! ```sh
//! cargo run --release --example 02_graph
//! ```

use pollster::block_on;
use quernel::gpu::{Choice, Gpu};
use quernel::graph::{Builder, Graph, Plan, StepInput, StepShape};
use quernel::kernels::{Policy, activation::Act};
use quernel::runtime::{Executor, Reference, StepInputs};
use quernel::tensor::Tensor;
use std::collections::BTreeMap;
use std::error::Error;

type Tensors = BTreeMap<String, Tensor>;

const HIDDEN: usize = 64;
const INNER: usize = 172;
const VOCAB: usize = 100;
const STEP: StepShape = StepShape { tokens: 3, outputs: 1, sequences: 1, table_pitch: 1 };

fn main() -> Result<(), Box<dyn Error>> {
    let gpu = block_on(Gpu::open(&Choice::default()))?;
    let tensors = tensors();
    let plan = Plan::new(graph(&tensors)?, gpu.caps(), Policy::new(gpu.caps(), false))?;
    println!("{plan}");

    let mut inputs = StepInputs::new(STEP, gpu.caps().binding_alignment);
    inputs.list_mut(StepInput::Ids).copy_from_slice(&[7, 42, 99]);
    inputs.list_mut(StepInput::OutputRows).copy_from_slice(&[2]);

    // There is no attention here, so there are no layers to cache, and no pages.
    let expected = Reference::new(&plan.graph.caches, 0).run(&plan.graph, &tensors, &inputs)?;
    let mut executor = block_on(Executor::load(gpu, &plan, 0, &tensors, &mut |_, _| ()))?;
    let plan = executor.add(plan)?;
    let ticket = executor.run(plan, &inputs)?;
    let mut words = Vec::new();
    block_on(executor.read(&ticket, 0, &mut words))?;

    let found: &[f32] = bytemuck::cast_slice(&words);
    let apart = found.iter().zip(&expected[0]).map(|(found, expected)| (f64::from(*found) - expected).abs());
    let worst = apart.fold(0.0, f64::max);
    println!("the GPU gives  {:.4?} …\nthe definition {:.4?} …", &found[..4], &expected[0][..4]);
    println!("they differ by {worst:.1e} at most");
    if found.len() == HIDDEN && worst < 1e-5 { Ok(()) } else { Err("the GPU and the definition differ".into()) }
}

/// x + down(silu(gate(norm(x))) · up(norm(x))), for the last of the step's tokens.
fn graph(tensors: &Tensors) -> quernel::Result<Graph> {
    let mut g = Builder::new(STEP, tensors, None);
    let table = g.weight("embedding", [VOCAB, HIDDEN])?;
    let x = g.embed(table)?;
    let norm = g.vector("norm", HIDDEN)?;
    let h = g.rms_norm(x, norm, 1e-5)?;
    let (gate, up) = (g.weight("gate", [INNER, HIDDEN])?, g.weight("up", [INNER, HIDDEN])?);
    let (gate, up) = (g.linear(h, gate, None)?, g.linear(h, up, None)?);
    let h = g.gated(Act::Silu, gate, up)?;
    let down = g.weight("down", [HIDDEN, INNER])?;
    let h = g.linear(h, down, None)?;
    let x = g.add(x, h)?;
    let last = g.output_rows(x)?;
    Ok(g.finish(vec![last]))
}

/// The weights: in a real model, a checkpoint stands in the map's place.
fn tensors() -> Tensors {
    let matrix = |(name, rows, columns): (&str, usize, usize)| {
        let values: Vec<f32> = (0..rows * columns).map(|i| (i as f32 * 1.7 + rows as f32).sin() * 0.1).collect();
        Tensor::from_f32([rows, columns], &values).map(|tensor| (name.to_owned(), tensor))
    };
    let shapes =
        [("embedding", VOCAB, HIDDEN), ("gate", INNER, HIDDEN), ("up", INNER, HIDDEN), ("down", HIDDEN, INNER)];
    let norm = Tensor::from_f32([HIDDEN], &[1.0; HIDDEN]).map(|tensor| ("norm".to_owned(), tensor));
    shapes.into_iter().filter_map(matrix).chain(norm).collect()
}
