//! `quernel quantize`: writes a checkpoint with narrower weights.

use super::{model, open};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::HumanBytes;
use quernel::checkpoint::Checkpoint;
use quernel::quantize::Quantized;
use quernel::tensor::DType;
use std::path::PathBuf;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  quernel quantize -m ./Llama-3.2-1B --weights q4 -o ./Llama-3.2-1B-q4
  quernel generate -m ./Llama-3.2-1B-q4 -p \"Once upon a time\" -n 200

The new folder holds the settings, the tokenizer and one model.safetensors. It gives the numbers that --weights gives
with the old one, and loads faster. It needs no GPU.";

/// Which checkpoint, and where the new one goes.
#[derive(Args)]
pub struct Arguments {
    /// The model: a folder with config.json and model.safetensors, or org/name[@revision] of the hub
    #[arg(short, long, value_name = "MODEL")]
    model: PathBuf,
    /// Store matrices in this format; embeddings and the output head are kept at q8
    #[arg(long, value_name = "FORMAT", value_parser = grouped())]
    weights: DType,
    /// The folder to write: an empty one, or one that is not there yet
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Say nothing on standard error but errors
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let checkpoint = Checkpoint::open(model::resolve(&arguments.model, arguments.quiet)?)?;
    let quantized = Quantized::new(&checkpoint, arguments.weights)?;
    let (before, after) = (HumanBytes(checkpoint.bytes()), HumanBytes(quantized.bytes()));
    if !arguments.quiet {
        tell!("weights: {}", quantized.formats());
    }
    let bar = open::progress_bar("quantizing", arguments.quiet);
    let progress = &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let written = quantized.write(&arguments.output, progress);
    bar.finish_and_clear();
    written?;
    if !arguments.quiet {
        tell!("{}: {after}, from {before}", arguments.output.display());
    }
    Ok(())
}

/// A format in groups by its name.
fn grouped() -> impl TypedValueParser<Value = DType> {
    let names = DType::WEIGHTS.into_iter().filter(|dtype| dtype.is_grouped()).map(DType::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<DType>())
}
