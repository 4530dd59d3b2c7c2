//! `quernel plan`: what a step does, without doing it.

use super::args::{kv, weights};
use super::doctor::VerdictArguments;
use super::model;
use clap::Args;
use quernel::checkpoint::Checkpoint;
use quernel::engine::EngineOptions;
use quernel::graph::{Plan, StepShape};
use quernel::kernels::{KvFormat, PAGE_TOKENS, Policy};
use quernel::model::{Model, Outputs};
use quernel::tensor::{Caps, DType};
use std::io::Write;
use std::path::PathBuf;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  quernel plan -m ./Llama-3.2-1B                       one token: what decoding does
  quernel plan -m ./Llama-3.2-1B --tokens 512          a part of a prompt
  quernel plan -m ./Llama-3.2-1B --dot | dot -Tsvg > plan.svg

A plan follows from an adapter's limits and features; --baseline plans for WebGPU's defaults, with no GPU at all.";

/// Which step of which model.
#[derive(Args)]
pub struct Arguments {
    /// The model: a folder with config.json and model.safetensors, or org/name[@revision] of the hub
    #[arg(short, long, value_name = "MODEL", default_value = quernel::STORYTELLER)]
    model: PathBuf,
    /// Tokens of the step
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = tokens)]
    tokens: usize,
    /// Tokens that the context holds [default: the model's, 4096 at most]
    #[arg(short, long, value_name = "N")]
    ctx_size: Option<usize>,
    /// The GPU: an index of `quernel devices`, a part of the name, or a PCI id
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,
    #[command(flatten)]
    verdict: VerdictArguments,
    /// Plan for WebGPU's default limits and no optional feature
    #[arg(long, conflicts_with = "adapter")]
    baseline: bool,
    /// Store matrices on the GPU in this format [default: as in the checkpoint]
    #[arg(long, alias = "dtype", value_name = "FORMAT", value_parser = weights())]
    weights: Option<DType>,
    /// Keep keys and values as f32, f16 or q8
    #[arg(long, value_name = "FORMAT", default_value_t = EngineOptions::default().kv, value_parser = kv())]
    kv: KvFormat,
    /// Use only kernels whose numbers do not depend on what else is in the step
    #[arg(long)]
    deterministic: bool,
    /// As Graphviz source
    #[arg(long)]
    dot: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let checkpoint = Checkpoint::open(model::resolve(&arguments.model, false)?)?;
    let model = Model::open(&checkpoint.config()?, &checkpoint)?;
    let options = EngineOptions { context: arguments.ctx_size, ..EngineOptions::default() };
    let context = options.context(model.context())?;
    let caps = if arguments.baseline {
        Caps::baseline()
    } else {
        arguments.verdict.open(arguments.adapter.as_deref(), false)?.caps().clone()
    };
    let pages = context.div_ceil(PAGE_TOKENS);
    let shape = StepShape { tokens: arguments.tokens, outputs: 1, sequences: 1, table_pitch: pages };
    let graph = model.graph(shape, context, Outputs::Argmax, &checkpoint, arguments.weights)?;
    let plan = Plan::new(graph.with_kv(arguments.kv), &caps, Policy::new(&caps, arguments.deterministic))?;
    let mut out = std::io::stdout().lock();
    if arguments.dot {
        out.write_all(plan.dot().as_bytes())?;
        return Ok(());
    }
    writeln!(out, "{}, {} parameters, on {}", model.name(), model.parameters(), caps.adapter)?;
    let plural = if arguments.tokens == 1 { "" } else { "s" };
    writeln!(out, "{} token{plural} in a context of {context}\n", arguments.tokens)?;
    write!(out, "{plan}")?;
    let bytes = plan.cache_bytes(pages);
    writeln!(out, "cache       {pages} pages of {PAGE_TOKENS} tokens in {}, {bytes} bytes", arguments.kv)?;
    Ok(())
}

fn tokens(text: &str) -> Result<usize, String> {
    let most = EngineOptions::MAX_BATCH;
    match text.parse() {
        Ok(tokens) if (1..=most).contains(&tokens) => Ok(tokens),
        _ => Err(format!("it is not a number between 1 and {most}")),
    }
}
