//! A chat that remembers: one session for the whole conversation, in which each turn computes only what is new.
//!
//! The model's own chat template writes the conversation, as the model was trained to read it. Lines come from standard
//! input, and its end ends the chat.
//!
//! ```sh
//! cargo run --release --example 05_chat                              # the model that is compiled in
//! cargo run --release --example 05_chat -- path/to/model
//! echo 'Tell me a story about a fox and a lantern.' | cargo run --release --example 05_chat
//! ```

use pollster::block_on;
use quernel::engine::{Engine, EngineOptions, GenerateOptions, SamplerOptions, Session};
use quernel::gpu::{Choice, Gpu};
use quernel::text::{ChatTemplate, Message, Prompt};
use std::error::Error;
use std::io::Write;

/// Tokens that an answer is to have room for.
const ANSWER: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let model = std::env::args().nth(1).unwrap_or(quernel::STORYTELLER.to_owned());
    let template = ChatTemplate::open(&model, None)?;
    let gpu = block_on(Gpu::open(&Choice::default()))?;
    let mut engine = block_on(Engine::open(model, gpu, EngineOptions::default(), &mut |_, _| ()))?;
    let mut session = engine.session(SamplerOptions::default(), 42)?;
    let mut messages = Vec::new();
    for line in std::io::stdin().lines() {
        messages.push(Message::new("user", line?));
        let mut tokens = conversation(&mut engine, &template, &messages)?;
        if tokens.len() + ANSWER > session.limit() {
            eprintln!("(the context is full: what was said before is forgotten)");
            messages.drain(..messages.len() - 1);
            tokens = conversation(&mut engine, &template, &messages)?;
        }
        listen(&mut session, &tokens)?;
        messages.push(Message::new("assistant", answer(&mut engine, &mut session)?));
    }
    Ok(())
}

/// The conversation up to where the answer begins.
fn conversation(engine: &mut Engine, template: &ChatTemplate, messages: &[Message]) -> quernel::Result<Vec<u32>> {
    let prompt = Prompt { messages: messages.to_vec(), add_generation_prompt: true, ..Prompt::default() };
    engine.tokenizer()?.encode_plain(&template.render(&prompt)?)
}

/// Has the session hold `tokens`. As far as they are what it holds already, nothing is computed again.
fn listen(session: &mut Session, tokens: &[u32]) -> quernel::Result<()> {
    let same = session.tokens().iter().zip(tokens).take_while(|(held, token)| held == token).count();
    session.truncate(same);
    eprintln!("({same} tokens remembered, {} new)", tokens.len() - same);
    session.push(&tokens[same..])
}

/// Streams the answer, which stays in the session.
fn answer(engine: &mut Engine, session: &mut Session) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    let mut pieces = engine.generate(session, GenerateOptions::default())?;
    for piece in &mut pieces {
        let piece = piece?;
        print!("{piece}");
        std::io::stdout().flush()?;
        text.push_str(&piece);
    }
    println!();
    Ok(text)
}
