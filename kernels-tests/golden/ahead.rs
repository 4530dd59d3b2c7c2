//! A step that is submitted before the token that it takes is read: whatever happens in between, the tokens stay.

use crate::fixtures::golden;
use crate::{engine, on_card, on_gpu};
use pollster::block_on;
use quernel::engine::{Engine, EngineOptions, SamplerOptions, Session};
use quernel::kernels::KvFormat;

/// Tokens of a drawn answer.
const ANSWER: usize = 12;

fn step(engine: &mut Engine, session: &mut Session) -> Option<u32> {
    block_on(engine.step(&mut [session])).unwrap()[0]
}

#[test]
fn tokens_stay_whatever_happens_while_a_step_is_under_way() {
    on_gpu(|gpu| {
        for golden in golden() {
            let options = EngineOptions { sessions: 2, kv: KvFormat::F32, ..EngineOptions::default() };
            let mut engine = engine(gpu, &golden, options);
            let (prompt, greedy) = (golden.ids("prompt"), golden.ids("greedy"));
            let new = |engine: &Engine| {
                let mut session = engine.session(SamplerOptions::greedy(), 0).unwrap();
                session.push(&prompt).unwrap();
                session
            };
            // Three sessions in turns, so that each one's step is overtaken by others'.
            let mut sessions = [new(&engine), new(&engine)];
            let mut third = new(&engine);
            for index in 0..greedy.len() / 2 {
                for session in &mut sessions {
                    assert_eq!(step(&mut engine, session), Some(greedy[index]), "{}", golden.name);
                }
                if index == 3 {
                    assert_eq!(step(&mut engine, &mut third), Some(greedy[0]), "{}", golden.name);
                    third = new(&engine); // goes away with its step under way
                }
            }
            // Back to an earlier token, on with another one than the device took, and back again.
            let [mut session, other] = sessions;
            drop(other);
            session.truncate(prompt.len() + 2);
            let another = (greedy[2] + 1) % engine.model().vocab() as u32;
            session.push(&[another]).unwrap();
            assert!(step(&mut engine, &mut session).is_some());
            session.truncate(prompt.len() + 2);
            session.keep_logits(true);
            assert_eq!(step(&mut engine, &mut session), Some(greedy[2]), "{}", golden.name);
            session.keep_logits(false);
            let rest: Vec<_> = (3..greedy.len()).map(|_| step(&mut engine, &mut session).unwrap()).collect();
            assert_eq!(rest, greedy[3..], "{}", golden.name);
        }
    });
}

/// How tokens are chosen: by any filters, at several temperatures.
fn samplers() -> [SamplerOptions; 4] {
    let default = SamplerOptions::default();
    [
        SamplerOptions { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..default.clone() },
        SamplerOptions { temperature: 1.4, top_k: 0, top_p: 0.9, min_p: 0.0, ..default.clone() },
        SamplerOptions { temperature: 2.0, top_k: 300, top_p: 0.99, min_p: 0.01, ..default.clone() },
        default,
    ]
}

/// An answer's tokens; the host chooses them where logits are kept, and then no step is ahead of it.
fn answer(engine: &mut Engine, prompt: &[u32], sampler: SamplerOptions, keep_logits: bool) -> Vec<u32> {
    let mut session = engine.session(sampler, 5).unwrap();
    session.keep_logits(keep_logits);
    session.push(prompt).unwrap();
    (0..ANSWER).map(|_| step(engine, &mut session).unwrap()).collect()
}

#[test]
fn the_device_draws_the_tokens_that_the_host_would() {
    on_card(|gpu| {
        for golden in golden() {
            let mut engine = engine(gpu, &golden, EngineOptions::default());
            let prompt = golden.ids("prompt");
            let mut answers = Vec::new();
            for sampler in samplers() {
                let expected = answer(&mut engine, &prompt, sampler.clone(), true);
                assert_eq!(answer(&mut engine, &prompt, sampler, false), expected, "{}", golden.name);
                answers.push(expected);
            }
            answers.dedup();
            assert!(answers.len() > 1, "{}: filters change nothing", golden.name);
        }
    });
}

/// Every session has its own chain, one of them takes the likeliest and another changes single tokens: whatever a step
/// yields then, the tokens are those of a session by itself.
#[test]
fn sessions_side_by_side_draw_as_alone() {
    on_card(|gpu| {
        for golden in golden() {
            let prompt = golden.ids("prompt");
            let options = EngineOptions { sessions: 6, deterministic: true, ..EngineOptions::default() };
            let mut engine = engine(gpu, &golden, options);
            let penalty = SamplerOptions { repeat_penalty: 1.2, ..SamplerOptions::default() };
            let others = [SamplerOptions::greedy(), penalty];
            for count in [5, 6] {
                let chains = samplers().into_iter().chain(others.clone()).take(count);
                let mut sessions: Vec<Session> =
                    chains.clone().map(|sampler| engine.session(sampler, 5).unwrap()).collect();
                sessions.iter_mut().for_each(|session| session.push(&prompt).unwrap());
                for _ in 0..ANSWER {
                    let mut all: Vec<&mut Session> = sessions.iter_mut().collect();
                    assert!(block_on(engine.step(&mut all)).unwrap().iter().all(Option::is_some));
                }
                for (session, sampler) in sessions.iter().zip(chains) {
                    let alone = answer(&mut engine, &prompt, sampler, false);
                    assert_eq!(session.tokens()[prompt.len()..], alone, "{} among {count}", golden.name);
                }
            }
        }
    });
}

/// A step too many is as good as none: after an edit and on the way back the same tokens come.
#[test]
fn a_drawn_step_that_is_discarded_leaves_no_trace() {
    on_card(|gpu| {
        for golden in golden() {
            let mut engine = engine(gpu, &golden, EngineOptions::default());
            let prompt = golden.ids("prompt");
            let expected = answer(&mut engine, &prompt, SamplerOptions::default(), true);
            let mut session = engine.session(SamplerOptions::default(), 5).unwrap();
            session.push(&prompt).unwrap();
            (0..4).for_each(|_| assert!(step(&mut engine, &mut session).is_some()));
            session.truncate(prompt.len() + 2);
            session.push(&[1]).unwrap();
            assert!(step(&mut engine, &mut session).is_some());
            session.truncate(prompt.len() + 2);
            let rest: Vec<u32> = (2..ANSWER).map(|_| step(&mut engine, &mut session).unwrap()).collect();
            assert_eq!(rest, expected[2..], "{}", golden.name);
        }
    });
}

/// Checked steps draw by the definition too.
#[test]
fn checked_steps_draw_the_same() {
    on_card(|gpu| {
        let golden = golden().into_iter().next().unwrap();
        let prompt = golden.ids("prompt");
        let expected =
            answer(&mut engine(gpu, &golden, EngineOptions::default()), &prompt, SamplerOptions::default(), false);
        let mut checked = engine(gpu, &golden, EngineOptions { check: true, ..EngineOptions::default() });
        assert_eq!(answer(&mut checked, &prompt, SamplerOptions::default(), false), expected, "{}", golden.name);
    });
}

/// The last step of a full context has none after it, and says so when it is asked for.
#[test]
fn the_end_of_the_context_is_met_as_without() {
    on_gpu(|gpu| {
        for golden in golden() {
            let prompt = golden.ids("prompt");
            let options = EngineOptions { context: Some(prompt.len() + 5), ..EngineOptions::default() };
            let mut engine = engine(gpu, &golden, options);
            let mut session = engine.session(SamplerOptions::greedy(), 0).unwrap();
            session.push(&prompt).unwrap();
            let mut count = 0;
            while block_on(engine.step(&mut [&mut session])).is_ok() {
                count += 1;
            }
            assert_eq!((count, session.tokens().len()), (5, prompt.len() + 5), "{}", golden.name);
        }
    });
}

/// Whoever looks at the logits in the middle of an answer gets its tokens all the same.
#[test]
fn logits_in_between_leave_the_tokens() {
    on_gpu(|gpu| {
        let golden = golden().into_iter().next().unwrap();
        let mut engine = engine(gpu, &golden, EngineOptions { kv: KvFormat::F32, ..EngineOptions::default() });
        let greedy = golden.ids("greedy");
        let mut session = engine.session(SamplerOptions::greedy(), 0).unwrap();
        session.push(&golden.ids("prompt")).unwrap();
        assert_eq!(step(&mut engine, &mut session), Some(greedy[0]));
        let logits = block_on(engine.next_logits(&mut session)).unwrap().to_vec();
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        assert_eq!((best as u32, session.waiting()), (greedy[1], 0));
        session.push(&[greedy[1]]).unwrap();
        assert_eq!(step(&mut engine, &mut session), Some(greedy[2]));
        // Asked for once more with nothing waiting, and with no token taken over.
        block_on(engine.next_logits(&mut session)).unwrap();
        assert_eq!((session.waiting(), step(&mut engine, &mut session)), (0, None));
    });
}
