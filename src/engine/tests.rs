//! What an engine promises of a device that fails it.

use super::plans::Plans;
use super::{Engine, EngineOptions, Pace, SamplerOptions};
use crate::bench::{Shape, Synthetic};
use crate::gpu::{Choice, Gpu};
use crate::{Error, Result};
use pollster::block_on;
use std::time::Duration;

const TOKENS: usize = 8000;

/// A prompt of more submissions than are remembered, of which nothing is read but the end: what was not carried out at its
/// beginning is missed all the same.
#[test]
fn a_lost_submission_is_missed_however_long_the_prompt() -> Result<()> {
    let config = Shape::named("tiny")?.config()?;
    for lost in [false, true] {
        let gpu = block_on(Gpu::open(&Choice::default()))?;
        let tensors = Box::new(Synthetic::new(&config, 1)?);
        let options = EngineOptions { context: Some(TOKENS + 1), batch: 100, ..EngineOptions::default() };
        let mut engine = block_on(Engine::from_tensors(&config, tensors, gpu, options, &mut |_, _| ()))?;
        // Nothing is as short as this bound: steps are divided at each dispatch.
        engine.set_pace(Pace::new(Duration::from_nanos(1), None));
        if lost {
            engine.executor.lose_one();
        }
        let mut session = engine.session(SamplerOptions::greedy(), 0)?;
        session.push(&vec![7; TOKENS])?;
        let before = engine.submissions();
        let mut answer = Ok(vec![None]);
        while matches!(answer.as_deref(), Ok([None])) {
            answer = block_on(engine.step(&mut [&mut session]));
        }
        match lost {
            false => {
                assert!(answer.is_ok() && engine.submissions() - before > 1024, "{}", engine.submissions() - before)
            }
            true => assert!(matches!(answer, Err(Error::DeviceLost { .. })), "{answer:?}"),
        }
    }
    Ok(())
}

/// Plans of steps of many sizes do not pile up: they stay within what was promised before the first of them was made, and
/// those that are made anew compute what they did.
#[test]
fn plans_of_many_sizes_stay_within_what_was_promised() -> Result<()> {
    const SIZES: [usize; 17] = [1, 2, 3, 5, 9, 17, 33, 65, 129, 193, 257, 321, 385, 449, 513, 577, 641];
    let config = Shape::named("tiny")?.config()?;
    let gpu = block_on(Gpu::open(&Choice::default()))?;
    let before = gpu.allocated();
    let tensors = Box::new(Synthetic::new(&config, 1)?);
    let options = EngineOptions { context: Some(1024), batch: 1024, deterministic: true, ..EngineOptions::default() };
    let mut engine = block_on(Engine::from_tensors(&config, tensors, gpu.clone(), options, &mut |_, _| ()))?;
    let promised = engine.need();
    engine.plans = Plans::new(promised.plans);
    let mut answers = Vec::new();
    for _ in 0..2 {
        for size in SIZES {
            let mut session = engine.session(SamplerOptions::greedy(), 0)?;
            session.push(&(0..size as u32).map(|id| id % 100).collect::<Vec<_>>())?;
            let mut answer = vec![None];
            while answer == [None] {
                answer = block_on(engine.step(&mut [&mut session]))?;
            }
            answers.extend(answer);
        }
        let taken = gpu.allocated() - before;
        assert!(taken <= promised.total(), "{taken} of {promised:?}");
        assert!(engine.plans.len() < SIZES.len(), "{}", engine.plans.len());
    }
    let (first, second) = answers.split_at(SIZES.len());
    assert_eq!(first, second);
    Ok(())
}
