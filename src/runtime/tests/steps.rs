//! Steps after one another: replayed, carried on, in parts, lost and refused.

use super::super::{Executor, PlanId, StepInputs};
use super::{graph, inputs, open, tensors};
use crate::graph::{Plan, StepInput};
use crate::kernels::Policy;
use crate::{Error, Result};

/// The small graph on a device of its own, with its outputs in this `order`: logits and their argmax.
fn resident(order: &[usize]) -> Result<(Executor, PlanId, StepInputs)> {
    let gpu = open();
    let tensors = tensors();
    let mut graph = graph(&tensors, None)?;
    graph.outputs = order.iter().map(|&output| graph.outputs[output]).collect();
    let plan = Plan::new(graph, gpu.caps(), Policy::new(gpu.caps(), false))?;
    let inputs = inputs(gpu.caps().binding_alignment);
    let mut executor = pollster::block_on(Executor::load(gpu, &plan, 3, &tensors, &mut |_, _| ()))?;
    let id = executor.add(plan)?;
    Ok((executor, id, inputs))
}

#[test]
fn replaying_a_step_creates_nothing() -> Result<()> {
    let (mut executor, id, inputs) = resident(&[0, 1])?;
    let gpu = executor.gpu().clone();
    let before = (gpu.counts(), gpu.allocated());
    let mut logits = Vec::new();
    for _ in 0..10 {
        let ticket = executor.run(id, &inputs)?;
        pollster::block_on(executor.read(&ticket, 0, &mut logits))?;
    }
    assert_eq!((gpu.counts(), gpu.allocated()), before);
    Ok(())
}

#[test]
fn outputs_are_held_for_two_steps_and_refused_after() -> Result<()> {
    let (mut executor, id, inputs) = resident(&[0, 1])?;
    let tickets = [executor.run(id, &inputs)?, executor.run(id, &inputs)?, executor.run(id, &inputs)?];
    let mut words = Vec::new();
    let mut read = |ticket| pollster::block_on(executor.read(ticket, 1, &mut words)).map(|()| words.clone());
    let (second, third) = (read(&tickets[1])?, read(&tickets[2])?);
    assert!(!second.is_empty() && second == third);
    assert!(matches!(read(&tickets[0]), Err(Error::Gpu { .. })));
    assert!(matches!(executor.run_after(&tickets[1], id, &inputs), Err(Error::Gpu { .. })));
    Ok(())
}

#[test]
fn a_step_takes_its_first_id_from_the_step_before() -> Result<()> {
    // The argmax first, so that its token is what is carried on.
    let (mut executor, id, mut inputs) = resident(&[1, 0])?;
    let (mut best, mut carried, mut told) = (Vec::new(), Vec::new(), Vec::new());
    let first = executor.run(id, &inputs)?;
    inputs.list_mut(StepInput::Ids)[0] = 36;
    let second = executor.run_after(&first, id, &inputs)?;
    pollster::block_on(executor.read(&first, 0, &mut best))?;
    pollster::block_on(executor.read(&second, 1, &mut carried))?;
    inputs.list_mut(StepInput::Ids)[0] = best[0];
    let third = executor.run(id, &inputs)?;
    pollster::block_on(executor.read(&third, 1, &mut told))?;
    assert_eq!(carried, told);
    Ok(())
}

#[test]
fn a_step_in_parts_gives_the_same_bits() -> Result<()> {
    let (mut executor, id, inputs) = resident(&[0, 1])?;
    let dispatches = executor.plan(id)?.dispatches.len();
    let mut run = |cuts: &[usize]| -> Result<(Vec<u32>, u64)> {
        let before = executor.submissions();
        let ticket = executor.run_in_parts(id, &inputs, cuts)?;
        let mut logits = Vec::new();
        pollster::block_on(executor.read(&ticket, 0, &mut logits))?;
        Ok((logits, executor.submissions() - before))
    };
    let (whole, one) = run(&[])?;
    assert_eq!(one, 1);
    for cuts in [vec![1], vec![dispatches - 1], vec![2, 3, 9], (1..dispatches).collect()] {
        assert_eq!(run(&cuts)?, (whole.clone(), 1 + cuts.len() as u64), "{cuts:?}");
    }
    Ok(())
}

/// What a driver gives up and reports as done is found out at the next read, many submissions later too, and the device
/// is not believed again.
#[test]
fn a_submission_that_never_ran_is_missed() -> Result<()> {
    for (before, lost) in [(150, false), (0, true), (1, true), (69, true), (1300, true)] {
        let (mut executor, id, inputs) = resident(&[0, 1])?;
        let mut words = Vec::new();
        for _ in 0..before {
            executor.run(id, &inputs)?;
        }
        if lost {
            executor.lose_one();
        }
        let later = executor.run_in_parts(id, &inputs, &[2, 5])?;
        let read = pollster::block_on(executor.read(&later, 1, &mut words));
        match lost {
            false => read?,
            true => assert!(matches!(read, Err(Error::DeviceLost { .. })), "{before}: {read:?}"),
        }
        assert_eq!(executor.run(id, &inputs).is_err(), lost, "{before}");
    }
    Ok(())
}

/// Of more steps than numbers are kept, none of which anybody reads, none is forgotten.
#[test]
fn a_submission_is_missed_in_a_prompt_however_long() -> Result<()> {
    for lost in [false, true] {
        let (mut executor, id, inputs) = resident(&[0, 1])?;
        if lost {
            executor.lose_one();
        }
        let mut steps = || -> Result<()> {
            for _ in 0..600 {
                pollster::block_on(executor.make_room())?;
                executor.run_in_parts(id, &inputs, &[2, 5])?;
            }
            let last = executor.run(id, &inputs)?;
            pollster::block_on(executor.read(&last, 1, &mut Vec::new()))
        };
        assert_eq!(steps().is_err(), lost);
    }
    Ok(())
}

/// A submission that the driver refused was told as an error, and is not missed once more.
#[test]
fn what_was_refused_can_be_tried_again() -> Result<()> {
    let (mut executor, id, inputs) = resident(&[0, 1])?;
    let (mut first, mut again) = (Vec::new(), Vec::new());
    let ticket = executor.run(id, &inputs)?;
    pollster::block_on(executor.read(&ticket, 1, &mut first))?;
    // Cuts that are in no order make no step.
    executor.run_in_parts(id, &inputs, &[5, 2]).unwrap_err();
    let ticket = executor.run(id, &inputs)?;
    pollster::block_on(executor.read(&ticket, 1, &mut again))?;
    assert_eq!(first, again);
    Ok(())
}
