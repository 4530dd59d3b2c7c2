//! Products in other ways than the default ones give the same logits.

use crate::fixtures::{Golden, golden};
use crate::{ALLOWED, engine, logits, on_gpu};
use pollster::block_on;
use quernel::engine::{Engine, EngineOptions, SamplerOptions};
use quernel::gpu::{Choice, Gpu};
use quernel::graph::StepShape;
use quernel::kernels::{KvFormat, Ways};
use quernel::model::Outputs;
use quernel::tensor::Caps;
use quernel::tune::{BUDGET, Device, Tuning};
use std::time::Duration;

/// Of each product of some step the way that is `choice` places behind the default.
fn ways(engine: &Engine, choice: usize) -> Ways {
    let mut found = Ways::new();
    for tokens in [1, 2, 4, 8, 64] {
        let plan =
            engine.plan(StepShape { tokens, outputs: 1, sequences: 1, table_pitch: 2 }, Outputs::Logits).unwrap();
        let calls = plan.dispatches.iter().filter_map(|dispatch| dispatch.call);
        found.extend(calls.map(|call| (call.product(), call.ways()[choice % call.ways().len()])));
    }
    found
}

#[test]
fn a_tuned_plan_gives_the_logits_of_transformers() {
    on_gpu(|gpu| {
        // To a processor's driver, the least device is a GPU: it has other ways.
        let least = block_on(Gpu::open_with(&Choice::default(), Some(Caps::baseline()))).unwrap();
        for (gpu, choices) in [(gpu, [1, 4]), (&least, [3, 6])] {
            // Between them these have every form of product.
            let some = golden().into_iter().filter(|golden| ["llama", "qwen2", "gpt2"].contains(&&*golden.name));
            let some: Vec<_> = some.collect();
            assert_eq!(some.len(), 3);
            for (golden, choice) in some.iter().flat_map(|golden| choices.map(|choice| (golden, choice))) {
                gives_the_logits(gpu, golden, choice);
            }
        }
    });
}

/// With the ways that are `choice` places behind the default.
fn gives_the_logits(gpu: &Gpu, golden: &Golden, choice: usize) {
    let options = || EngineOptions { kv: KvFormat::F32, ..EngineOptions::default() };
    let tuning = Tuning { device: Device::new(gpu.info()), ways: ways(&engine(gpu, golden, options()), choice) };
    let mut tuned = engine(gpu, golden, EngineOptions { tuning: Some(tuning.clone()), ..options() });
    assert_eq!(tuned.tuning(), &tuning);
    // As a prompt, and token by token.
    let (prompt, _) = logits(&mut tuned, &golden.ids("tokens"));
    assert!(golden.error(prompt.into_iter().map(f64::from)) <= ALLOWED, "{} {choice}", golden.name);
    let mut session = tuned.session(SamplerOptions::greedy(), 0).unwrap();
    session.push(&golden.ids("prompt")).unwrap();
    let greedy = golden.ids("greedy");
    let answer = greedy.iter().map(|_| block_on(tuned.step(&mut [&mut session])).unwrap()[0].unwrap());
    assert_eq!(answer.collect::<Vec<_>>(), greedy, "{} {choice}", golden.name);
}

#[test]
fn determinism_and_other_devices_are_left_alone() {
    on_gpu(|gpu| {
        let golden = golden().into_iter().find(|golden| golden.name == "llama").unwrap();
        let options = |deterministic| EngineOptions { deterministic, ..EngineOptions::default() };
        let plain = engine(gpu, &golden, options(false));
        let tuning = Tuning { device: Device::new(gpu.info()), ways: ways(&plain, 3) };
        let tokens = golden.ids("tokens");
        let (expected, _) = logits(&mut engine(gpu, &golden, options(true)), &tokens);
        let mut tuned = engine(gpu, &golden, EngineOptions { tuning: Some(tuning.clone()), ..options(true) });
        assert_eq!(tuned.untuned().unwrap(), 0, "there is one way");
        assert!(logits(&mut tuned, &tokens).0 == expected);
        let foreign =
            Tuning { device: Device { driver_info: "another".to_owned(), ..tuning.device.clone() }, ..tuning };
        let other = engine(gpu, &golden, EngineOptions { tuning: Some(foreign), ..options(false) });
        assert!(other.tuning().ways.is_empty() && other.untuned().unwrap() > 0);
    });
}

#[test]
fn an_engine_tunes_itself_and_hands_on_what_it_found() {
    on_gpu(|gpu| {
        let golden = golden().into_iter().find(|golden| golden.name == "llama").unwrap();
        let mut first = engine(gpu, &golden, EngineOptions::default());
        block_on(first.tune(Duration::ZERO, &mut |_, _| ())).unwrap();
        assert!(first.tuning().ways.is_empty());
        block_on(first.tune(BUDGET, &mut |_, _| ())).unwrap();
        let text = first.tuning().to_json().unwrap();
        let options = EngineOptions { tuning: Some(Tuning::from_json(&text).unwrap()), ..EngineOptions::default() };
        let mut second = engine(gpu, &golden, options);
        assert!(!second.tuning().ways.is_empty());
        assert_eq!(second.tuning(), first.tuning());
        let tokens = golden.ids("tokens");
        assert!(logits(&mut first, &tokens).0 == logits(&mut second, &tokens).0);
    });
}
