//! A chat that remembers: one session for the whole conversation, to which each turn adds its new tokens only.
//!
//! The form is plain, `user: …` and `assistant: …` on a line each, and not the chat template that a model may have been
//! trained on (`quernel::text::ChatTemplate`, which `quernel chat` uses). An answer ends with its line. Lines come from
//! standard input, and its end ends the chat.
//!
//! ```sh
//! cargo run --release --example 05_chat                              # a tiny model: its words mean nothing
//! cargo run --release --example 05_chat -- path/to/model
//! printf 'Hello.\nWho are you?\n' | cargo run --release --example 05_chat
//! ```

use pollster::block_on;
use quernel::engine::{Engine, EngineOptions, GenerateOptions, SamplerOptions, Session, Stop};
use quernel::gpu::{Choice, Gpu};
use std::error::Error;
use std::io::Write;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/golden/qwen3");

/// Tokens of an answer at most.
const ANSWER: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let model = std::env::args().nth(1).unwrap_or(TINY.to_owned());
    let gpu = block_on(Gpu::open(&Choice::default()))?;
    let mut engine = block_on(Engine::open(model, gpu, EngineOptions::default(), &mut |_, _| ()))?;
    let mut session = engine.session(SamplerOptions::default(), 42)?;
    let mut line_is_open = false;
    for line in std::io::stdin().lines() {
        let turn = format!("{}user: {}\nassistant:", if line_is_open { "\n" } else { "" }, line?);
        listen(&mut engine, &mut session, &turn)?;
        let stop = answer(&mut engine, &mut session)?;
        line_is_open = stop != Some(Stop::StopText);
    }
    Ok(())
}

/// Adds a turn to what the session holds; where there is no room for it and an answer, the conversation begins anew.
fn listen(engine: &mut Engine, session: &mut Session, turn: &str) -> quernel::Result<()> {
    let tokenizer = engine.tokenizer()?;
    let mut tokens = tokenizer.encode_plain(turn)?;
    if session.tokens().len() + tokens.len() + ANSWER > session.limit() {
        eprintln!("(the context is full: what was said is forgotten)");
        session.truncate(0);
    }
    if session.tokens().is_empty() {
        // With the token that a text of this model begins with.
        tokens = tokenizer.encode(turn)?;
    }
    eprintln!("({} tokens remembered, {} new)", session.tokens().len(), tokens.len());
    session.push(&tokens)
}

/// Streams the answer, which stays in the session.
fn answer(engine: &mut Engine, session: &mut Session) -> Result<Option<Stop>, Box<dyn Error>> {
    let stop = vec!["\n".to_owned()];
    let options = GenerateOptions { max_tokens: Some(ANSWER), stop, ..GenerateOptions::default() };
    let mut answer = engine.generate(session, options)?;
    for piece in &mut answer {
        print!("{}", piece?);
        std::io::stdout().flush()?;
    }
    println!();
    Ok(answer.stop())
}
