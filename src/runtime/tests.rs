//! A small graph with every operation in it, on the GPU and by definition.

use super::{Executor, Reference, StepInputs};
use crate::gpu::{Choice, Gpu};
use crate::graph::{self, Builder, Cache, Graph, Plan, StepInput, StepShape};
use crate::kernels::activation::Act;
use crate::kernels::{KvFormat, NOTHING, Policy, Rung, attention, rope};
use crate::tensor::{Caps, DType, Tensor};
use crate::{Error, Result};
use std::collections::BTreeMap;

mod steps;

const STEP: StepShape = StepShape { tokens: 4, outputs: 2, sequences: 2, table_pitch: 2 };
const HIDDEN: usize = 20;
const VOCAB: usize = 37;

/// Numbers without a pattern, between -1 and 1.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
    };
    (0..count).map(next).collect()
}

fn tensors() -> BTreeMap<String, Tensor> {
    let shapes: [(&str, &[usize]); 10] = [
        ("embedding", &[VOCAB, HIDDEN]),
        ("norm", &[HIDDEN]),
        ("norm_bias", &[HIDDEN]),
        ("q", &[HIDDEN, 32]),
        ("kv", &[32, HIDDEN]),
        ("kv_bias", &[32]),
        ("o", &[HIDDEN, 32]),
        ("up", &[43, HIDDEN]),
        ("down", &[HIDDEN, 43]),
        ("head_norm", &[16]),
    ];
    let make = |(seed, (name, shape)): (usize, (&str, &[usize]))| {
        let values = numbers(shape.iter().product(), seed as u32 + 1);
        (name.to_owned(), Tensor::from_f32(crate::tensor::Shape::new(shape), &values).unwrap())
    };
    shapes.into_iter().enumerate().map(make).collect()
}

fn graph(tensors: &BTreeMap<String, Tensor>, width: Option<DType>) -> Result<Graph> {
    graph_of(STEP, tensors, width)
}

fn graph_of(step: StepShape, tensors: &BTreeMap<String, Tensor>, width: Option<DType>) -> Result<Graph> {
    let mut g = Builder::new(step, tensors, width);
    let table = g.weight("embedding", [VOCAB, HIDDEN])?;
    let x = g.embed(table)?;
    let (norm, bias) = (g.vector("norm", HIDDEN)?, g.vector("norm_bias", HIDDEN)?);
    let h = g.layer_norm(x, norm, Some(bias), 1e-5)?;
    let q = g.weight_transposed("q", 0..32, [32, HIDDEN])?;
    let q = g.linear(h, q, None)?;
    let head_norm = g.vector("head_norm", 16)?;
    let q = g.rms_norm(q, head_norm, 1e-6)?;
    let (k, k_bias) = (g.weight_rows("kv", 0..16, [32, HIDDEN])?, g.vector_part("kv_bias", 0..16, 32)?);
    let (v, v_bias) = (g.weight_rows("kv", 16..32, [32, HIDDEN])?, g.vector_part("kv_bias", 16..32, 32)?);
    let (k, v) = (g.linear(h, k, Some(k_bias))?, g.linear(h, v, Some(v_bias))?);
    let angles = g.angles(&rope::Angles::plain(10_000.0, 8), 32);
    let turn = |heads| rope::Heads { heads, head_dim: 16, rotary_dim: 8, pairing: rope::Pairing::Halves };
    let (q, k) = (g.rope(q, turn(2), angles)?, g.rope(k, turn(1), angles)?);
    g.kv_write(0, Cache { kv_heads: 1, head_dim: 16 }, k, v)?;
    let heads = attention::Heads { heads: 2, kv_heads: 1, head_dim: 16, scale: 0.25, window: None };
    let a = g.attention(0, q, heads)?;
    let o = g.weight("o", [HIDDEN, 32])?;
    let o = g.linear(a, o, None)?;
    let x = g.add(x, o)?;
    let up = g.weight("up", [43, HIDDEN])?;
    let u = g.linear(x, up, None)?;
    let act = g.activation(Act::Gelu, u);
    let u = g.gated(Act::Silu, u, act)?;
    let down = g.weight("down", [HIDDEN, 43])?;
    let d = g.linear(u, down, None)?;
    let d = g.scale(d, 0.5);
    let x = g.output_rows(d)?;
    let logits = g.linear(x, table, None)?;
    let best = g.argmax(logits)?;
    Ok(g.finish(vec![logits, best]))
}

/// Two sequences, the second with a token in its second page, and one token that fills the step up.
fn inputs(alignment: u32) -> StepInputs {
    inputs_of(STEP, alignment)
}

fn inputs_of(step: StepShape, alignment: u32) -> StepInputs {
    let mut inputs = StepInputs::new(step, alignment);
    inputs.list_mut(StepInput::Ids).copy_from_slice(&[3, 36, 0, 0]);
    inputs.list_mut(StepInput::Positions).copy_from_slice(&[0, 1, 0, 0]);
    inputs.list_mut(StepInput::Sequences).copy_from_slice(&[0, 0, 1, NOTHING]);
    inputs.list_mut(StepInput::KvRows).copy_from_slice(&[64, 65, 0, NOTHING]);
    for (table, pages) in inputs.list_mut(StepInput::Pages).chunks_mut(step.table_pitch).zip([[2, 0], [0, 1]]) {
        table[..2].copy_from_slice(&pages);
    }
    inputs.list_mut(StepInput::OutputRows).copy_from_slice(&[1, 2]);
    inputs
}

fn open() -> Gpu {
    pollster::block_on(Gpu::open(&Choice::default())).expect("these tests need a GPU driver; see scripts/drivers")
}

fn run(gpu: &Gpu, policy: Policy, width: Option<DType>, kv: KvFormat) -> Result<(Vec<f32>, Vec<u32>)> {
    let tensors = tensors();
    let plan = Plan::new(graph(&tensors, width)?.with_kv(kv), gpu.caps(), policy)?;
    let inputs = inputs(gpu.caps().binding_alignment);
    let mut reference = Reference::new(&plan.graph.caches, 3);
    let expected = Reference::new(&plan.graph.caches, 3).run(&plan.graph, &tensors, &inputs)?;
    let mut told = 0;
    let mut progress = |done, total| told = total - done;
    let load = Executor::load(gpu.clone(), &plan, 3, &tensors, &mut progress);
    let mut executor = pollster::block_on(load)?;
    assert_eq!(told, 0, "progress ends at the whole");
    let id = executor.add(plan)?;
    pollster::block_on(executor.run_checked(id, &inputs, &tensors, &mut reference))?;
    let ticket = executor.run(id, &inputs)?;
    let (mut logits, mut best) = (Vec::new(), Vec::new());
    pollster::block_on(executor.read(&ticket, 0, &mut logits))?;
    pollster::block_on(executor.read(&ticket, 1, &mut best))?;
    let logits: Vec<f32> = bytemuck::cast_vec(logits);
    assert_eq!(logits.len(), expected[0].len());
    let largest = expected[0].iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
    for (found, expected) in logits.iter().zip(&expected[0]) {
        assert!((f64::from(*found) - expected).abs() < 1e-5 * largest, "{found} for {expected}");
    }
    assert_eq!(best.iter().map(|&word| f64::from(word)).collect::<Vec<_>>(), expected[1]);
    Ok((logits, best))
}

#[test]
fn the_gpu_agrees_with_the_definitions_in_every_format() -> Result<()> {
    let gpu = open();
    for rung in Rung::available(gpu.caps()) {
        let policy = Policy { rung, deterministic: false, processor: false, int8: false };
        for width in [None, Some(DType::F16), Some(DType::BF16)] {
            run(&gpu, policy, width, KvFormat::F32)?;
        }
        for kv in [KvFormat::F16, KvFormat::Q8] {
            run(&gpu, policy, None, kv)?;
        }
    }
    Ok(())
}

#[test]
fn parameters_and_lists_begin_where_the_device_wants_them() -> Result<()> {
    // Devices differ in both, and in which is the larger: DirectX and Metal want 256 bytes for parameters alone.
    for (binding_alignment, params_alignment) in [(0, 256), (256, 0)] {
        let own = open().caps().clone();
        let largest = |wanted: u32, own: u32| wanted.max(own);
        let ceiling = Caps {
            binding_alignment: largest(binding_alignment, own.binding_alignment),
            params_alignment: largest(params_alignment, own.params_alignment),
            ..own
        };
        let gpu = pollster::block_on(Gpu::open_with(&Choice::default(), Some(ceiling.clone())))?;
        let granted = (gpu.caps().binding_alignment, gpu.caps().params_alignment);
        assert_eq!(granted, (ceiling.binding_alignment, ceiling.params_alignment));
        run(&gpu, Policy::new(gpu.caps(), false), None, KvFormat::F32)?;
    }
    Ok(())
}

#[test]
fn a_prompt_is_checked_by_what_its_rung_rounds() -> Result<()> {
    let (gpu, tensors) = (open(), tensors());
    let step = StepShape { tokens: 16, ..STEP };
    for rung in Rung::available(gpu.caps()) {
        let mut g = Builder::new(step, &tensors, Some(DType::F16));
        let table = g.weight("embedding", [VOCAB, HIDDEN])?;
        let x = g.embed(table)?;
        let x = g.scale(x, 0.3); // no halves
        let up = g.weight("up", [43, HIDDEN])?;
        let y = g.linear(x, up, None)?;
        let policy = Policy { rung, deterministic: false, processor: false, int8: false };
        let plan = Plan::new(g.finish(vec![y]), gpu.caps(), policy)?;
        let rounds = plan.dispatches.iter().any(|dispatch| dispatch.launch.variant.rounding().is_some());
        assert_eq!(rounds, matches!(rung, Rung::Cooperative { .. }));
        let mut reference = Reference::new(&plan.graph.caches, 3);
        let mut executor = pollster::block_on(Executor::load(gpu.clone(), &plan, 3, &tensors, &mut |_, _| ()))?;
        let id = executor.add(plan)?;
        let mut inputs = StepInputs::new(step, gpu.caps().binding_alignment);
        inputs.list_mut(StepInput::Ids).iter_mut().zip(3..).for_each(|(id, token)| *id = token);
        pollster::block_on(executor.run_checked(id, &inputs, &tensors, &mut reference))?;
    }
    Ok(())
}

#[test]
fn weights_that_exceed_a_binding_are_sharded_and_give_the_same() -> Result<()> {
    let gpu = open();
    let policy = Policy::new(gpu.caps(), true);
    let whole = run(&gpu, policy, None, KvFormat::F32)?;
    let small = Caps { max_binding: 16 * 24 * 4, ..gpu.caps().clone() };
    let tensors = tensors();
    let plan = Plan::new(graph(&tensors, None)?, &small, policy)?;
    assert!(plan.weights.iter().any(|used| used.shards.len() == 3), "the embedding has three shards");
    let inputs = inputs(small.binding_alignment);
    let mut executor = pollster::block_on(Executor::load(gpu, &plan, 3, &tensors, &mut |_, _| ()))?;
    let id = executor.add(plan)?;
    let ticket = executor.run(id, &inputs)?;
    let mut logits = Vec::new();
    pollster::block_on(executor.read(&ticket, 0, &mut logits))?;
    assert_eq!(bytemuck::cast_vec::<_, f32>(logits), whole.0);
    Ok(())
}

#[test]
fn a_wrong_weight_is_found_at_the_node_that_uses_it() -> Result<()> {
    let gpu = open();
    let good = tensors();
    let mut bad = good.clone();
    bad.insert("up".to_owned(), Tensor::from_f32([43, HIDDEN], &numbers(43 * HIDDEN, 99)).unwrap());
    let plan = Plan::new(graph(&good, None)?, gpu.caps(), Policy::new(gpu.caps(), false))?;
    let inputs = inputs(gpu.caps().binding_alignment);
    let mut reference = Reference::new(&plan.graph.caches, 3);
    let mut executor = pollster::block_on(Executor::load(gpu, &plan, 3, &bad, &mut |_, _| ()))?;
    let id = executor.add(plan)?;
    match pollster::block_on(executor.run_checked(id, &inputs, &good, &mut reference)) {
        Err(Error::Diverged(found)) => {
            assert!(found.op.contains("f32 [43, 20]"), "{found}");
            assert!(found.variant.starts_with("linear/mat"), "{found}");
            assert!(!found.first.is_empty() && found.nmse > found.allowed);
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

/// Longer page tables make room for chunks of keys, and so for what they leave, which no value of the step shares.
#[test]
fn attention_in_chunks_gives_the_same_bits() -> Result<()> {
    let gpu = open();
    let tensors = tensors();
    let step = StepShape { table_pitch: 40, ..STEP };
    for processor in [false, true] {
        let policy = Policy { rung: Rung::Portable, deterministic: false, processor, int8: false };
        let whole = run(&gpu, policy, None, KvFormat::F16)?;
        let plan = Plan::new(graph_of(step, &tensors, None)?.with_kv(KvFormat::F16), gpu.caps(), policy)?;
        let attends = plan.scratch.iter().position(Option::is_some).unwrap();
        let kernels = plan.dispatches.iter().filter(|dispatch| dispatch.node == attends);
        let kernels: Vec<_> = kernels.map(|dispatch| dispatch.launch.variant.kernel).collect();
        assert_eq!(kernels, ["attention", "attention_merge"]);
        let Some(graph::Buffer::Slot { slot, .. }) = plan.scratch[attends] else { panic!("{:?}", plan.scratch) };
        let near = plan.graph.nodes[attends].inputs.iter().map(|value| value.node()).chain([attends]);
        assert!(near.into_iter().all(|node| plan.places[node] != graph::Place::Slot(slot)), "{plan}");
        let inputs = inputs_of(step, gpu.caps().binding_alignment);
        let mut reference = Reference::new(&plan.graph.caches, 3);
        let mut executor = pollster::block_on(Executor::load(gpu.clone(), &plan, 3, &tensors, &mut |_, _| ()))?;
        let id = executor.add(plan)?;
        let ticket = pollster::block_on(executor.run_checked(id, &inputs, &tensors, &mut reference))?;
        let mut logits = Vec::new();
        pollster::block_on(executor.read(&ticket, 0, &mut logits))?;
        assert_eq!(bytemuck::cast_vec::<_, f32>(logits), whole.0);
    }
    Ok(())
}

#[test]
fn a_plan_for_another_cache_is_refused() -> Result<()> {
    let gpu = open();
    let tensors = tensors();
    let plan = |kv| Plan::new(graph(&tensors, None)?.with_kv(kv), gpu.caps(), Policy::new(gpu.caps(), false));
    let single = plan(KvFormat::F32)?;
    let mut executor = pollster::block_on(Executor::load(gpu.clone(), &single, 3, &tensors, &mut |_, _| ()))?;
    let refused = executor.add(plan(KvFormat::F16)?);
    assert!(matches!(&refused, Err(Error::Gpu { message }) if message.contains("f16")), "{refused:?}");
    Ok(())
}
