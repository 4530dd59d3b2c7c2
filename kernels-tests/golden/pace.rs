//! Steps in motion on a device that is made slow or fast by the clock alone.

use crate::on_gpu;
use pollster::block_on;
use quernel::bench::{Shape, Synthetic};
use quernel::engine::{Engine, EngineOptions, Pace, SamplerOptions};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A pace whose clock goes on by so many milliseconds whenever it is read.
fn ticking(milliseconds: u64) -> Pace {
    let read = AtomicU64::new(0);
    let now = move || Duration::from_millis(milliseconds * read.fetch_add(1, Ordering::Relaxed));
    Pace::new(Pace::BOUND, Some(Box::new(now)))
}

/// Steps of a prompt are as many as the pace makes of it, and what comes of them does not depend on that.
#[test]
fn a_prompt_is_divided_by_the_clock_and_answered_alike() {
    on_gpu(|gpu| {
        let config = Shape::named("tiny").unwrap().config().unwrap();
        let tensors = Box::new(Synthetic::new(&config, 1).unwrap());
        let options = EngineOptions { deterministic: true, ..EngineOptions::default() };
        let mut progress = |_, _| ();
        let engine = Engine::from_tensors(&config, tensors, gpu.clone(), options, &mut progress);
        let mut engine = block_on(engine).unwrap();
        let mut answer = |pace| {
            engine.set_pace(pace);
            let mut session = engine.session(SamplerOptions::greedy(), 0).unwrap();
            session.keep_logits(true);
            session.push(&(0..400).collect::<Vec<u32>>()).unwrap();
            let (before, mut steps) = (engine.submissions(), Vec::new());
            while session.tokens().len() == 400 {
                let computed = session.computed();
                block_on(engine.step(&mut [&mut session])).unwrap();
                steps.push(session.computed() - computed);
            }
            let logits: Vec<u32> = session.logits().iter().map(|logit| logit.to_bits()).collect();
            (steps, engine.submissions() - before, engine.pace().tokens(4096), logits)
        };
        let (steps, submissions, most, whole) = answer(Pace::unbounded());
        assert_eq!((steps, submissions, most), (vec![400], 1, 4096));
        // A step is measured once the next is submitted.
        let (steps, submissions, most, logits) = answer(ticking(1));
        assert_eq!((steps, submissions, most), (vec![128, 128, 144], 3, 512));
        assert!(logits == whole);
        // Each takes a second and more: from the third on their dispatches are submitted apart.
        let (steps, submissions, most, logits) = answer(ticking(1000));
        assert_eq!((steps, most), (vec![128, 128, 64, 64, 16], Pace::LEAST));
        assert!(submissions > 15, "{submissions}");
        assert!(logits == whole);
    });
}

/// The first short prompt waits for no kernels but those that its answer needs, and is answered as by the others.
#[test]
fn a_first_short_prompt_is_taken_token_by_token_on_a_processor() {
    on_gpu(|gpu| {
        if !gpu.caps().processor {
            return;
        }
        let config = Shape::named("tiny").unwrap().config().unwrap();
        let tensors = Box::new(Synthetic::new(&config, 1).unwrap());
        let options = EngineOptions::default();
        let mut progress = |_, _| ();
        let engine = Engine::from_tensors(&config, tensors, gpu.clone(), options, &mut progress);
        let mut engine = block_on(engine).unwrap();
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
