//! A step that is submitted before the token that it takes is read: whatever happens in between, the tokens stay.

use crate::fixtures::golden;
use crate::{engine, on_gpu};
use pollster::block_on;
use quernel::engine::{Engine, EngineOptions, SamplerOptions, Session};
use quernel::kernels::KvFormat;

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
