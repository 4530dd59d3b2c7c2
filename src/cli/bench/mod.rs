//! `quernel bench`: how fast models are, in llama-bench's terms.

mod compare;
mod list;
mod localscore;
mod output;
mod profile;
mod roofline;
mod run;
mod subject;

use super::args::{kv, weights};
use super::doctor::VerdictArguments;
use super::tuning::TuningArguments;
use clap::{Args, Subcommand, ValueEnum};
use list::Numbers;
use quernel::bench::Format;
use quernel::engine::EngineOptions;
use quernel::kernels::KvFormat;
use quernel::tensor::DType;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  quernel bench -m ./Llama-3.2-1B                            pp512 and tg128
  quernel bench --shape llama-3.1-8b -p 512-4096*2 -n 0      prompts of several lengths, no files needed
  quernel bench -m ./Qwen3-0.6B -p 0 -n 128 -d 0,4096,16384  how much a long context costs
  quernel bench --shape llama-3.2-1b -p 512 -n 32 --profile  where the time goes
  quernel bench --roofline                                   the device's own limits
  quernel bench compare before.json after.json               what changed, beyond chance
  quernel bench -m ./Qwen3-0.6B -pg 1024,256 -o json > qwen3.json

Shapes: smollm2-135m, qwen3-0.6b, llama-3.2-1b, llama-3.2-3b, llama-3.1-8b, mistral-7b; and tiny, which is no model's
and for tests. Their weights are random numbers, made on the device.
Tokenizing and sampling take no part in the time. Lists are 1,2,4 or ranges: 1-8, 1-8+2, 128-4096*2.";

/// What is measured, on what, and how often.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The model: a folder, or org/name[@revision] of the hub; may be given several times
    #[arg(short, long, value_name = "MODEL", required_unless_present_any = ["shape", "roofline"])]
    model: Vec<PathBuf>,
    /// A model's shape in place of its files, filled with random numbers; several with commas between them
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    shape: Vec<String>,
    /// Measure the device's own limits and nothing else: bandwidths, arithmetic, dispatches
    #[arg(long, conflicts_with_all = ["model", "shape"])]
    roofline: bool,
    /// Leave out the device's own limits, with which results are compared
    #[arg(long, conflicts_with = "roofline")]
    no_roofline: bool,
    /// Tokens of the prompts: a list; 0 for none
    #[arg(short = 'p', long, value_name = "LIST", default_value = "512", value_parser = list::numbers)]
    n_prompt: Numbers,
    /// Tokens of the answers: a list; 0 for none
    #[arg(short = 'n', long, value_name = "LIST", default_value = "128", value_parser = list::numbers)]
    n_gen: Numbers,
    /// A prompt and an answer one after the other, also -pg; may be given several times
    #[arg(long, value_name = "PP,TG", value_parser = list::pair)]
    pg: Vec<(usize, usize)>,
    /// Tokens that the context holds before: a list
    #[arg(short = 'd', long, value_name = "LIST", default_value = "0", value_parser = list::numbers)]
    n_depth: Numbers,
    /// Most tokens of a prompt that are handed over at once: a list
    #[arg(short, long, value_name = "LIST", default_value = "2048", value_parser = list::numbers)]
    batch_size: Numbers,
    /// Most tokens of a step, also -ub: a list; a GPU's steps have fewer where it would take longer than a moment
    #[arg(long, value_name = "LIST", default_value = "512", value_parser = list::numbers)]
    ubatch_size: Numbers,
    /// Other tests in place of these: localscore for LocalScore's nine and its score, which takes long
    #[arg(long, value_name = "NAME", conflicts_with_all = ["n_prompt", "n_gen", "pg", "n_depth", "profile", "roofline"])]
    preset: Option<Preset>,
    /// Samples of each test [default: 5; 1 of a preset's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    repetitions: Option<u16>,
    /// Seconds to rest before each test
    #[arg(long, value_name = "N", default_value_t = 0)]
    delay: u64,
    /// Do not run each test once before
    #[arg(long)]
    no_warmup: bool,
    /// Store matrices on the GPU in these formats, with commas between them [default: as in the checkpoint]
    #[arg(long, value_delimiter = ',', alias = "dtype", value_parser = weights())]
    weights: Vec<DType>,
    /// Keep keys and values in these formats, also -ctk and -ctv, which are one here
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', default_value = EngineOptions::default().kv.name(),
          value_parser = kv())]
    kv: Vec<KvFormat>,
    /// Multiply prompts by the GPU's cooperative matrices, where it has them (experimental)
    #[arg(long)]
    matrices: bool,
    /// Round what q4 and q4a weights are multiplied by to 8 bits (experimental)
    #[arg(long)]
    int8: bool,
    #[command(flatten)]
    tuning: TuningArguments,
    #[command(flatten)]
    verdict: VerdictArguments,
    /// Look for the fastest ways of the products that are not known yet, where a processor runs the shaders too: 10 s
    #[arg(long, conflicts_with = "no_tune")]
    tune: bool,
    /// Keep the GPU interface's checks of every index in the shaders (slower)
    #[arg(long)]
    checked_shaders: bool,
    /// The GPU: an index of `quernel devices`, a part of the name, or a PCI id
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,
    /// Show where a step's time goes: each kernel, the gaps between them, the host
    #[arg(long, conflicts_with = "roofline")]
    profile: bool,
    /// Format of standard output: md, csv, json, jsonl or sql
    #[arg(short, long, value_name = "FORMAT", default_value = "md", value_parser = format)]
    output: Format,
    /// The same on standard error in another format, also -oe
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    output_err: Option<Format>,
    /// Tell on standard error what is being done
    #[arg(long)]
    progress: bool,
    /// Say nothing on standard error but warnings and errors
    #[arg(short, long)]
    quiet: bool,
}

/// Tests that somebody else has put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// LocalScore's nine tests and its score, computed here
    Localscore,
}

#[derive(Subcommand)]
enum Command {
    /// Compare two files of results: which differences are real, and whether anything became slower
    #[command(after_long_help = compare::EXAMPLES)]
    Compare(compare::Arguments),
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Some(Command::Compare(arguments)) => compare::run(arguments),
        None => run::run(arguments).map(|()| ExitCode::SUCCESS),
    }
}

fn format(text: &str) -> Result<Format, String> {
    text.parse().map_err(|error: quernel::Error| error.to_string())
}

/// llama.cpp has flags of two letters after one dash, which clap does not know: here they are written out. All but one
/// are llama-bench's alone.
pub fn spelled_out(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = arguments.collect();
    let is = |name: &str| all.get(1).is_some_and(|command| command == name);
    let (bench, chat) = (is("bench"), is("chat"));
    for argument in all.iter_mut().skip(2) {
        let long = match argument.to_str() {
            Some("-ub") => "--ubatch-size",
            Some("-sys") if chat => "--system",
            Some("-pg") if bench => "--pg",
            Some("-oe") if bench => "--output-err",
            Some("-ctk" | "-ctv") if bench => "--kv",
            _ => continue,
        };
        *argument = OsString::from(long);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_two_letters_are_benchs_but_for_one() {
        let spelled = |line: &str| spelled_out(line.split(' ').map(OsString::from)).join(" ".as_ref());
        assert_eq!(
            spelled("quernel bench -pg 1,2 -ub 64 -oe md -ctk f16 -p 3"),
            "quernel bench --pg 1,2 --ubatch-size 64 --output-err md --kv f16 -p 3"
        );
        assert_eq!(spelled("quernel generate -ub 64 -oe"), "quernel generate --ubatch-size 64 -oe");
    }
}
