//! What an engine promises of a device that fails it.

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
