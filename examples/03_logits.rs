//! Logits of a checkpoint: for a prompt, the five likeliest tokens that may follow.
//!
//! ```sh
//! cargo run --release --example 03_logits                            # the model that is compiled in
//! cargo run --release --example 03_logits -- path/to/model "Once upon a"
//! ```

use pollster::block_on;
use quernel::engine::{Engine, EngineOptions, SamplerOptions};
use quernel::gpu::{Choice, Gpu};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or(quernel::STORYTELLER.to_owned());
    let prompt = arguments.next().unwrap_or("Once upon a".to_owned());

    let gpu = block_on(Gpu::open(&Choice::default()))?;
    let mut engine = block_on(Engine::open(model, gpu, EngineOptions::default(), &mut |_, _| ()))?;
    let tokenizer = engine.tokenizer()?;
    let tokens = tokenizer.encode(&prompt)?;

    // Every position's logits come, in blocks of rows; the last row is about what follows the prompt.
    let vocab = engine.model().vocab();
    let mut last = Vec::new();
    let mut keep = |_, rows: &[f32]| {
        last = rows[rows.len() - vocab..].to_vec();
        Ok(())
    };
    block_on(engine.logits(&tokens, &mut keep))?;

    let mut order: Vec<usize> = (0..vocab).collect();
    order.sort_by(|&a, &b| last[b].total_cmp(&last[a]));
    let largest = last[order[0]];
    let sum: f32 = last.iter().map(|logit| (logit - largest).exp()).sum();
    println!("after {} tokens of {prompt:?}:", tokens.len());
    println!("{:>6}  {:>9}  {:>6}  text", "token", "logit", "p");
    for &token in &order[..5] {
        let probability = (last[token] - largest).exp() / sum;
        let text = tokenizer.decode(&[token as u32])?;
        println!("{token:>6}  {:>9.4}  {probability:>6.3}  {text:?}", last[token]);
    }

    // A greedy session lets the GPU find the largest logit, and reads that alone.
    let mut session = engine.session(SamplerOptions::greedy(), 0)?;
    session.push(&tokens)?;
    let mut next = None;
    while next.is_none() {
        next = block_on(engine.step(&mut [&mut session]))?[0];
    }
    if next == Some(order[0] as u32) { Ok(()) } else { Err(format!("the greedy token is {next:?}").into()) }
}
