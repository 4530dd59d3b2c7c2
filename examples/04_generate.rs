//! Generates text, and prints each piece as it comes.
//!
//! ```sh
//! cargo run --release --example 04_generate                          # the model that is compiled in tells a story
//! cargo run --release --example 04_generate -- path/to/model "Once upon a time"
//! ```

use pollster::block_on;
use quernel::engine::{Engine, EngineOptions, GenerateOptions, SamplerOptions};
use quernel::gpu::{Choice, Gpu};
use std::error::Error;
use std::io::Write;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or(quernel::STORYTELLER.to_owned());
    let prompt = arguments.next().unwrap_or("Once upon a time".to_owned());

    let gpu = block_on(Gpu::open(&Choice::default()))?;
    let mut engine = block_on(Engine::open(model, gpu, EngineOptions::default(), &mut |_, _| ()))?;

    // A session has its own place in the cache, its own sampler, and its own dice: the same seed, the same tokens.
    let sampler = SamplerOptions { temperature: 0.7, top_p: 0.9, ..SamplerOptions::default() };
    let mut session = engine.session(sampler, 42)?;
    session.push(&engine.tokenizer()?.encode(&prompt)?)?;

    // Pieces are always whole characters; in an async program, `next_piece().await` takes the iterator's place.
    print!("{prompt}");
    let options = GenerateOptions { max_tokens: Some(400), ..GenerateOptions::default() };
    let mut answer = engine.generate(&mut session, options)?;
    for piece in &mut answer {
        print!("{}", piece?);
        std::io::stdout().flush()?;
    }
    println!();
    eprintln!("{} tokens, then {:?}", answer.generated().len(), answer.stop());
    Ok(())
}
