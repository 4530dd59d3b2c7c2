//! Writes the corpus that the model inside was taught by: a JSON object a line, with a story's text, how one might have
//! asked for it, and what one may ask afterwards.
//!
//! `cargo run --release --example stories -- COUNT [SEED] > corpus.jsonl`; with `--read`, the stories alone, to be read.

use quernel::story::{Grammar, Teller};
use std::error::Error;
use std::io::{BufWriter, Write};

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, numbers): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word.starts_with('-'));
    let number = |at: usize, default| numbers.get(at).map_or(Ok(default), |word| word.parse::<u64>());
    let (count, seed) = (number(0, 50)?, number(1, 1)?);
    let grammar = Grammar::new()?;
    let teller = Teller::new(&grammar, seed);
    let mut out = BufWriter::new(std::io::stdout().lock());
    for story in (0..count).map(|number| teller.story(number)) {
        if flags.is_empty() {
            let entry =
                serde_json::json!({ "text": story.text, "request": story.request, "questions": story.questions });
            writeln!(out, "{entry}")?;
        } else {
            if let Some(request) = story.request {
                writeln!(out, "> {request}\n")?;
            }
            writeln!(out, "{}\n", story.text)?;
            for (question, answer) in story.questions {
                writeln!(out, "  {question} {answer}")?;
            }
            writeln!(out, "\n{}\n", "-".repeat(60))?;
        }
    }
    Ok(out.flush()?)
}
