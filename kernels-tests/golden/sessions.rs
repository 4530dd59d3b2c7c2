//! Sessions: several at once, where they end, and what they give back.

use crate::fixtures::{Golden, copy_files, golden};
use crate::{engine, on_gpu};
use pollster::block_on;
use quernel::Error;
use quernel::engine::{Cancel, Engine, EngineOptions, GenerateOptions, SamplerOptions, Session, Stop};
use quernel::gpu::{Choice, Gpu};

/// The checkpoint for what does not depend on the architecture.
fn llama() -> Golden {
    golden().into_iter().find(|golden| golden.name == "llama").unwrap()
}

/// A greedy session with the golden prompt, which the golden text follows.
fn prompted(engine: &Engine, golden: &Golden) -> Session {
    let mut session = engine.session(SamplerOptions::greedy(), 0).unwrap();
    session.push(&golden.ids("prompt")).unwrap();
    session
}

fn text(golden: &Golden) -> &str {
    golden.expected["greedy_text"].as_str().unwrap()
}

/// A small llama with `context` tokens.
fn small(gpu: &Gpu, context: usize, sessions: usize) -> (Golden, Engine) {
    let golden = llama();
    let engine = engine(gpu, &golden, EngineOptions { context: Some(context), sessions, ..EngineOptions::default() });
    (golden, engine)
}

/// What is asked for of a generation that ends at no token of the model's.
fn until(max_tokens: Option<usize>, stop: &[&str], cancel: &Cancel) -> GenerateOptions {
    let stop = stop.iter().map(ToString::to_string).collect();
    GenerateOptions { max_tokens, stop, ignore_eos: true, cancel: cancel.clone(), ..GenerateOptions::default() }
}

#[test]
fn two_sessions_in_a_step_get_the_tokens_that_each_gets_alone() {
    on_gpu(|gpu| {
        for golden in golden() {
            let mut engine = engine(gpu, &golden, EngineOptions { sessions: 2, batch: 12, ..EngineOptions::default() });
            let greedy = golden.ids("greedy");
            let mut first = prompted(&engine, &golden);
            // The second begins when the first already speaks, with a prompt that does not fit in the rest of a step.
            let mut second = engine.session(SamplerOptions::greedy(), 0).unwrap();
            second.push(&[golden.ids("prompt"), greedy[..8].to_vec()].concat()).unwrap();
            block_on(engine.step(&mut [&mut first])).unwrap();
            let mut shared = 0;
            while first.tokens().len() < 8 + greedy.len() {
                let next = block_on(engine.step(&mut [&mut second, &mut first])).unwrap();
                assert!(next[1].is_some(), "a session that speaks is not held up");
                shared += usize::from(next[0].is_some());
                if second.tokens().len() >= 8 + greedy.len() {
                    second.truncate(16);
                }
            }
            assert!(shared > 12);
            assert_eq!(first.tokens()[8..], greedy, "{}", golden.name);
            assert_eq!(second.tokens()[8..], greedy[..second.tokens().len() - 8], "{}", golden.name);
        }
    });
}

#[test]
fn a_cancelled_answer_keeps_its_text_and_can_go_on() {
    on_gpu(|gpu| {
        let (golden, mut engine) = small(gpu, 64, 1);
        let mut session = prompted(&engine, &golden);
        let cancel = Cancel::default();
        let mut answer = engine.generate(&mut session, until(Some(24), &[], &cancel)).unwrap();
        let mut said: String = answer.by_ref().take(5).map(Result::unwrap).collect();
        cancel.cancel();
        said.extend(answer.by_ref().map(Result::unwrap));
        assert_eq!((answer.stop(), answer.generated().len()), (Some(Stop::Cancelled), 5));
        let mut answer = engine.generate(&mut session, until(Some(19), &[], &Cancel::default())).unwrap();
        said.extend(answer.by_ref().map(Result::unwrap));
        assert_eq!((answer.stop(), said.as_str()), (Some(Stop::MaxTokens), text(&golden)));
        let mut answer = engine.generate(&mut session, until(None, &[], &cancel)).unwrap();
        assert!(answer.next().is_none() && answer.stop() == Some(Stop::Cancelled) && answer.generated().is_empty());
    });
}

#[test]
fn a_stop_text_ends_an_answer_wherever_tokens_cut_it() {
    on_gpu(|gpu| {
        let (golden, mut engine) = small(gpu, 64, 1);
        let text = text(&golden);
        for (begin, end) in [(0, 2), (3, 4), (5, 9), (9, 17), (20, 31)] {
            let stop = &text[begin..end];
            let mut session = prompted(&engine, &golden);
            let options = until(Some(24), &["never said", stop], &Cancel::default());
            let mut answer = engine.generate(&mut session, options).unwrap();
            let said: String = answer.by_ref().map(Result::unwrap).collect();
            assert_eq!((said.as_str(), answer.stop()), (&text[..text.find(stop).unwrap()], Some(Stop::StopText)));
        }
    });
}

#[test]
fn the_models_own_end_ends_an_answer_unless_it_is_ignored() {
    on_gpu(|gpu| {
        for golden in golden() {
            let mut engine = engine(gpu, &golden, EngineOptions::default());
            let mut ends = (0..engine.model().vocab() as u32).filter(|&token| engine.ends(token).unwrap());
            let end = ends.next_back().unwrap();
            let sampler = SamplerOptions { logit_bias: vec![(end, 1e9)], ..SamplerOptions::greedy() };
            let mut session = engine.session(sampler, 0).unwrap();
            session.push(&golden.ids("prompt")).unwrap();
            let mut answer = engine.generate(&mut session, GenerateOptions::default()).unwrap();
            assert!(answer.next().is_none(), "{}: an end token has no text", golden.name);
            assert_eq!((answer.stop(), answer.generated()), (Some(Stop::EndOfSequence), &[end][..]));
            let mut answer = engine.generate(&mut session, until(Some(3), &[], &Cancel::default())).unwrap();
            answer.by_ref().for_each(|piece| drop(piece.unwrap()));
            assert_eq!((answer.stop(), answer.generated()), (Some(Stop::MaxTokens), &[end; 3][..]));
        }
    });
}

#[test]
fn a_full_context_is_told_and_what_was_said_is_kept() {
    on_gpu(|gpu| {
        let (golden, mut engine) = small(gpu, 20, 1);
        let mut session = prompted(&engine, &golden);
        let full = session.push(&[1; 13]);
        assert!(matches!(full, Err(Error::ContextFull { tokens: 21, context: 20 })), "{full:?}");
        assert_eq!(session.tokens(), golden.ids("prompt"));
        let mut answer = engine.generate(&mut session, until(None, &[], &Cancel::default())).unwrap();
        answer.by_ref().for_each(|piece| drop(piece.unwrap()));
        assert_eq!((answer.stop(), answer.generated()), (Some(Stop::Context), &golden.ids("greedy")[..12]));
        let full = block_on(engine.step(&mut [&mut session]));
        assert!(matches!(full, Err(Error::ContextFull { tokens: 21, context: 20 })), "{full:?}");
        session.truncate(12);
        let mut answer = engine.generate(&mut session, until(Some(24), &[], &Cancel::default())).unwrap();
        let pieces: Vec<_> = answer.by_ref().collect();
        assert!(matches!(pieces[..], [.., Err(Error::ContextFull { .. })]), "asked for more than there is room for");
        assert_eq!(session.tokens()[8..], golden.ids("greedy")[..12]);
    });
}

#[test]
fn sessions_give_their_pages_back() {
    on_gpu(|gpu| {
        let (golden, mut engine) = small(gpu, 64, 2);
        let all = engine.free_pages();
        assert_eq!(all, 4);
        for _ in 0..3 {
            let mut sessions = [0; 3].map(|_| prompted(&engine, &golden));
            let [first, second, third] = &mut sessions;
            first.push(&golden.ids("greedy")).unwrap();
            second.push(&golden.ids("tokens")).unwrap();
            block_on(engine.step(&mut [first, second])).unwrap();
            assert_eq!(engine.free_pages(), 1);
            block_on(engine.step(&mut [third])).unwrap();
            second.truncate(32);
            assert_eq!(engine.free_pages(), 1);
            third.push(&golden.ids("greedy")[1..]).unwrap();
            third.push(&[1]).unwrap();
            block_on(engine.step(&mut [third])).unwrap();
            assert_eq!(engine.free_pages(), 0);
            first.push(&[2]).unwrap();
            let full = block_on(engine.step(&mut [first]));
            assert!(matches!(full, Err(Error::ContextFull { tokens: 34, context: 32 })), "{full:?}");
            assert_eq!(third.tokens()[8..32], golden.ids("greedy"));
        }
        assert_eq!(engine.free_pages(), all);
        let mut after = prompted(&engine, &golden);
        let next = block_on(engine.step(&mut [&mut after])).unwrap();
        assert_eq!(next, [Some(golden.ids("greedy")[0])], "pages that others used bring nothing of theirs");
    });
}

/// No token can be chosen where logits are not numbers; it must not be token 0, and the session stays as it was.
#[test]
fn logits_that_are_no_numbers_are_told() {
    on_gpu(|gpu| {
        let mut golden = llama();
        let copy = tempfile::tempdir().unwrap();
        copy_files(&golden.dir, copy.path());
        let weights = copy.path().join("model.safetensors");
        let mut bytes = std::fs::read(&weights).unwrap();
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        std::fs::write(weights, bytes).unwrap();
        golden.dir = copy.path().to_owned();
        let mut engine = engine(gpu, &golden, EngineOptions::default());
        for keep_logits in [false, true] {
            let mut session = prompted(&engine, &golden);
            session.keep_logits(keep_logits);
            let next = block_on(engine.step(&mut [&mut session]));
            assert!(matches!(next, Err(Error::NotFinite { count: 1.. })), "{next:?}");
            assert_eq!(session.tokens(), golden.ids("prompt"));
        }
    });
}

#[test]
fn a_lost_device_is_told_and_what_was_said_is_kept() {
    on_gpu(|_| {
        // A device of its own, since it is lost for good.
        let gpu = block_on(Gpu::open(&Choice::default())).unwrap();
        let (golden, mut engine) = small(&gpu, 64, 1);
        let mut session = prompted(&engine, &golden);
        let mut answer = engine.generate(&mut session, until(None, &[], &Cancel::default())).unwrap();
        answer.by_ref().take(5).for_each(|piece| drop(piece.unwrap()));
        gpu.destroy();
        let lost: Vec<_> = answer.by_ref().collect();
        assert!(matches!(lost[..], [Err(Error::DeviceLost { .. })]), "{lost:?}");
        assert_eq!(answer.stop(), None);
        assert_eq!(session.tokens()[8..], golden.ids("greedy")[..5]);
        let lost = block_on(engine.step(&mut [&mut session]));
        assert!(matches!(lost, Err(Error::DeviceLost { .. })), "{lost:?}");
        let again = block_on(Engine::open(&golden.dir, gpu, EngineOptions::default(), &mut |_, _| ()));
        assert!(matches!(again, Err(Error::DeviceLost { .. })));
    });
}

/// A token that was chosen is given, though no page is left for the step after it; and there it is told.
#[test]
fn a_token_is_not_lost_with_the_step_after_it() {
    on_gpu(|gpu| {
        let (golden, mut engine) = small(gpu, 64, 1);
        let mut first = prompted(&engine, &golden);
        block_on(engine.step(&mut [&mut first])).unwrap();
        let mut full = engine.session(SamplerOptions::greedy(), 0).unwrap();
        let page: Vec<u32> = golden.ids("tokens").into_iter().cycle().take(32).collect();
        full.push(&page).unwrap();
        let token = block_on(engine.step(&mut [&mut full])).unwrap()[0];
        assert!(token.is_some() && full.tokens()[32..] == [token.unwrap()] && engine.free_pages() == 0);
        let error = block_on(engine.step(&mut [&mut full]));
        assert!(matches!(error, Err(Error::ContextFull { .. })) && full.tokens().len() == 33, "{error:?}");
        drop(first);
        assert!(block_on(engine.step(&mut [&mut full])).unwrap()[0].is_some() && full.tokens().len() == 34);
    });
}
