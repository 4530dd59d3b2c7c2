//! `quernel logits`: every position's logits as a file.

use super::args::ModelArguments;
use super::open;
use clap::Args;
use pollster::block_on;
use quernel::Error;
use quernel::checkpoint::{Stored, Writer};
use safetensors::tensor::{Dtype, TensorView};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

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
    write(&arguments.output, [tokens.len(), vocab], &bytes)
}

/// Writes the file, which is there whole or not at all. A link is followed, and what is no file, such as a pipe, is written
/// to as it is.
fn write(path: &Path, axes: [usize; 2], bytes: &[u8]) -> anyhow::Result<()> {
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        let file = safetensors::serialize([("logits", TensorView::new(Dtype::F32, axes.to_vec(), bytes)?)], None)?;
        let written = OpenOptions::new().write(true).open(path).and_then(|mut pipe| pipe.write_all(&file));
        return Ok(written.map_err(|error| Error::io(path, error))?);
    }
    let mut writer = Writer::create(path, &[("logits", Stored::plain(Dtype::F32, axes.to_vec()))])?;
    writer.write(bytes)?;
    Ok(writer.finish()?)
}
