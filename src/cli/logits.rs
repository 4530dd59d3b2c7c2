//! `quernel logits`: every position's logits as a file.

use super::args::ModelArguments;
use super::open;
use clap::Args;
use pollster::block_on;
use quernel::Error;
use safetensors::tensor::{Dtype, TensorView};
use std::path::PathBuf;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  quernel logits -m ./Llama-3.2-1B --tokens 128000,9906,1917 -o logits.safetensors
  quernel logits -m ./Llama-3.2-1B -p \"Hello world\" --weights f16 --kv f32 -o logits.safetensors

The file has one tensor, \"logits\": f32, (tokens, vocabulary).";

/// Whose logits, and where they go.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Token ids, with commas between them
    #[arg(long, value_name = "IDS", value_delimiter = ',', required_unless_present = "prompt")]
    tokens: Vec<u32>,
    /// A text in place of token ids
    #[arg(short, long, value_name = "TEXT", conflicts_with = "tokens")]
    prompt: Option<String>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let files = open::files(&arguments.model)?;
    let tokens = match &arguments.prompt {
        Some(text) => files.tokenizer()?.encode(text)?,
        None => arguments.tokens.clone(),
    };
    files.expect_room(&tokens)?;
    let mut engine = files.engine(&arguments.model)?;
    let vocab = engine.model().vocab();
    let mut logits: Vec<f32> = Vec::new();
    block_on(engine.logits(&tokens, &mut |_, rows| {
        logits.extend_from_slice(rows);
        Ok(())
    }))?;
    let bytes: Vec<u8> = logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![tokens.len(), vocab], &bytes)?;
    write(&arguments.output, view)
}

/// Writes beside the file first, so that it is there whole or not at all.
fn write(path: &PathBuf, logits: TensorView<'_>) -> anyhow::Result<()> {
    let mut part = path.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let bytes = safetensors::serialize([("logits", logits)], None)?;
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        // The part may never have come to be.
        let _ = std::fs::remove_file(&part);
    }
    Ok(written.map_err(|error| Error::io(path, error))?)
}
