//! Steps in motion on a device that is made slow or fast by the clock alone.

use crate::on_gpu;
use pollster::block_on;
use quernel::bench::{Shape, Synthetic};
use quernel::engine::{Engine, EngineOptions, Pace, SamplerOptions};
use quernel::gpu::Gpu;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A pace whose clock goes on by so many milliseconds whenever it is read.
fn ticking(milliseconds: u64) -> Pace {
    let read = AtomicU64::new(0);
    let now = move || Duration::from_millis(milliseconds * read.fetch_add(1, Ordering::Relaxed));
    Pace::new(Pace::BOUND, Some(Box::new(now)))
}

fn tiny(gpu: &Gpu, deterministic: bool) -> Engine {
    let config = Shape::named("tiny").unwrap().config().unwrap();
    let tensors = Box::new(Synthetic::new(&config, 1).unwrap());
    let options = EngineOptions { deterministic, ..EngineOptions::default() };
    let mut progress = |_, _| ();
    block_on(Engine::from_tensors(&config, tensors, gpu.clone(), options, &mut progress)).unwrap()
}

/// What came of a prompt of so many tokens: its steps, the submissions that they were, and the logits after it.
fn answer(engine: &mut Engine, tokens: u32) -> (Vec<usize>, u64, Vec<u32>) {
    let mut session = engine.session(SamplerOptions::greedy(), 0).unwrap();
    session.keep_logits(true);
    session.push(&(0..tokens).collect::<Vec<u32>>()).unwrap();
    let (before, mut steps) = (engine.submissions(), Vec::new());
    while session.tokens().len() == tokens as usize {
        let computed = session.computed();
        block_on(engine.step(&mut [&mut session])).unwrap();
        steps.push(session.computed() - computed);
    }
    let logits = session.logits().iter().map(|logit| logit.to_bits()).collect();
    (steps, engine.submissions() - before, logits)
}

/// Steps of a prompt are as many as the pace makes of it, and what comes of them does not depend on that.
#[test]
fn a_prompt_is_divided_by_the_clock_and_answered_alike() {
    on_gpu(|gpu| {
        let mut engine = tiny(gpu, true);
        engine.set_pace(Pace::unbounded());
        let (steps, submissions, whole) = answer(&mut engine, 400);
        assert_eq!((steps, submissions), (vec![400], 1));
        // A step is measured once the next is submitted, or where it had ended by then: before the third at the latest.
        engine.set_pace(ticking(1));
        let (steps, submissions, logits) = answer(&mut engine, 400);
        assert!(matches!(steps[..], [128, 272] | [128, 128, 144]), "{steps:?}");
        assert_eq!((submissions, engine.pace().tokens(9999)), (steps.len() as u64, EngineOptions::MAX_BATCH));
        assert!(logits == whole);
        let (_, _, whole) = answer(&mut engine, 100);
        // A second and more: the next steps are as short as steps get, and their dispatches are submitted apart.
        engine.set_pace(ticking(1000));
        let (steps, submissions, logits) = answer(&mut engine, 100);
        assert_eq!((steps, submissions, engine.pace().tokens(9999)), (vec![100], 1, Pace::LEAST));
        assert!(logits == whole);
        let (steps, submissions, logits) = answer(&mut engine, 100);
        assert_eq!(steps, [64, 36]);
        assert!(submissions > 15, "{submissions}");
        assert!(logits == whole);
    });
}

/// What the caller does between two steps of a prompt is not the device's time.
#[test]
fn a_pause_between_steps_leaves_them_as_they_are() {
    on_gpu(|gpu| {
        let mut engine = tiny(gpu, false);
        let time = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&time);
        let now = move || Duration::from_secs(clock.load(Ordering::Relaxed));
        engine.set_pace(Pace::new(Pace::BOUND, Some(Box::new(now))));
        let mut session = engine.session(SamplerOptions::greedy(), 0).unwrap();
        session.push(&(0..400).collect::<Vec<u32>>()).unwrap();
        let mut step = |pause: bool| {
            let submissions = engine.submissions();
            block_on(engine.step(&mut [&mut session])).unwrap();
            if pause {
                block_on(engine.gpu().finished()).unwrap();
                time.fetch_add(60, Ordering::Relaxed);
            }
            (session.computed(), engine.submissions() - submissions)
        };
        assert_eq!([step(true), step(true), step(false)], [(128, 1), (256, 1), (384, 1)]);
    });
}

/// The first short prompt waits for no kernels but those that its answer needs, and is answered as by the others.
#[test]
fn a_first_short_prompt_is_taken_token_by_token_on_a_processor() {
    on_gpu(|gpu| {
        if !gpu.caps().processor {
            return;
        }
        let mut engine = tiny(gpu, false);
        let mut answer = |tokens: u32| {
            let mut session = engine.session(SamplerOptions::greedy(), 0).unwrap();
            session.keep_logits(true);
            session.push(&(0..tokens).collect::<Vec<u32>>()).unwrap();
            let before = engine.submissions();
            assert!(block_on(engine.step(&mut [&mut session])).unwrap()[0].is_some());
            (engine.submissions() - before, session.logits().to_vec())
        };
        let (submissions, single) = answer(7);
        assert_eq!(submissions, 7);
        assert_eq!(answer(400).0, 1);
        let (submissions, whole) = answer(7);
        assert_eq!(submissions, 1);
        let error = |at: usize| f64::from(single[at] - whole[at]).powi(2);
        let (error, size) =
            (0..whole.len()).fold((0.0, 0.0), |(e, s), at| (e + error(at), s + f64::from(whole[at]).powi(2)));
        assert!(size > 0.0 && error / size < 1e-4, "{error} of {size}");
    });
}
