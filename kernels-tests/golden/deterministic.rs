//! What `--deterministic` promises: a token's logits, bit for bit, whatever else is in the step.

use crate::fixtures::{Golden, golden};
use crate::{ALLOWED, engine, logits, on_gpu};
use pollster::block_on;
use quernel::engine::{Engine, EngineOptions, SamplerOptions, Session};

/// Tokens of a step at most, which a prompt of 48 tokens is cut into, with a rest or without one.
const PIECES: [usize; 7] = [1, 2, 3, 5, 7, 16, 48];

/// Tokens of a step at most, which three sessions share.
const SHARED: [usize; 4] = [2, 7, 16, 48];

/// Tokens generated after each prompt.
const ANSWER: usize = 4;

/// One choice: the token, and the bits of the logits that it was chosen from.
type Chosen = (u32, Vec<u32>);

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

fn options(batch: usize, sessions: usize) -> EngineOptions {
    EngineOptions {
        kv: quernel::kernels::KvFormat::F32,
        batch,
        sessions,
        deterministic: true,
        ..EngineOptions::default()
    }
}

/// Each checkpoint once: another spelling of its configuration gives the same dispatches.
fn checkpoints() -> impl Iterator<Item = Golden> {
    golden().into_iter().filter(|golden| !golden.name.contains("classic"))
}

/// How each prompt is answered, one greedily and the others by chance, when all of them move forward together.
fn answers(engine: &mut Engine, prompts: &[(u64, &[u32])]) -> Vec<Vec<Chosen>> {
    let start = |&(seed, prompt): &(u64, &[u32])| {
        let sampler = if seed == 0 { SamplerOptions::greedy() } else { SamplerOptions::default() };
        let mut session = engine.session(sampler, seed).unwrap();
        session.keep_logits(true);
        session.push(prompt).unwrap();
        (session, Vec::new())
    };
    let mut answers: Vec<(Session, Vec<Chosen>)> = prompts.iter().map(start).collect();
    loop {
        let mut unfinished: Vec<_> = answers.iter_mut().filter(|(_, answer)| answer.len() < ANSWER).collect();
        if unfinished.is_empty() {
            return answers.into_iter().map(|(_, answer)| answer).collect();
        }
        let mut sessions: Vec<&mut Session> = unfinished.iter_mut().map(|(session, _)| session).collect();
        let next = block_on(engine.step(&mut sessions)).unwrap();
        for ((session, answer), token) in unfinished.into_iter().zip(next) {
            answer.extend(token.map(|token| (token, bits(session.logits()))));
        }
    }
}

#[test]
fn logits_are_the_same_bits_however_a_prompt_is_cut() {
    on_gpu(|gpu| {
        for golden in checkpoints() {
            let tokens = golden.ids("tokens");
            let mut whole = engine(gpu, &golden, options(512, 1));
            let (every, _) = logits(&mut whole, &tokens);
            let answer = answers(&mut whole, &[(0, &tokens)]);
            assert!(golden.error(every.iter().map(|&logit| f64::from(logit))) <= ALLOWED, "{}", golden.name);
            assert!(answer[0][0].1 == bits(&every[every.len() - whole.model().vocab()..]));
            for batch in PIECES {
                let mut cut = engine(gpu, &golden, options(batch, 1));
                assert!(answer == answers(&mut cut, &[(0, &tokens)]), "{} in pieces of {batch}", golden.name);
                if [2, 16].contains(&batch) {
                    let (in_pieces, most) = logits(&mut cut, &tokens);
                    assert_eq!(most, batch);
                    assert!(bits(&every) == bits(&in_pieces), "{} in pieces of {batch}", golden.name);
                }
            }
        }
    });
}

#[test]
fn logits_are_the_same_bits_alone_and_among_others() {
    on_gpu(|gpu| {
        for golden in checkpoints() {
            let (prompt, tokens) = (golden.ids("prompt"), golden.ids("tokens"));
            let prompts: [(u64, &[u32]); 3] = [(0, &prompt), (1, &tokens), (2, &tokens[11..40])];
            let mut alone = engine(gpu, &golden, options(512, 1));
            let alone: Vec<_> = prompts.iter().flat_map(|&prompt| answers(&mut alone, &[prompt])).collect();
            for batch in SHARED {
                let together = answers(&mut engine(gpu, &golden, options(batch, 3)), &prompts);
                assert!(alone == together, "{} with {batch} tokens a step", golden.name);
            }
        }
    });
}
