//! The command line: what users type, and what they are told.
//!
//! Standard output carries results alone, so that they can be piped; everything else goes to standard error. Blocking
//! on the library's futures happens here and in thin wrappers only.

/// A line for standard error. Where nobody reads that any more it is dropped: the results still matter.
macro_rules! tell {
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($text)*)));
    }};
}

/// As `tell!`, without the line's end.
macro_rules! tell_part {
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!($($text)*));
    }};
}

mod args;
mod bench;
mod chat;
mod devices;
mod doctor;
mod exit;
mod generate;
#[cfg(feature = "hub")]
mod hub;
mod logits;
mod model;
mod open;
mod perplexity;
mod plan;
mod quantize;
mod shell;
#[cfg(feature = "story")]
mod task;
mod text;
mod timings;
mod tuning;

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Runs language models on any GPU.
///
/// Models are folders in Hugging Face's layout: config.json, model.safetensors (or its shards), tokenizer.json; or
/// org/name[@revision] of its hub, which is fetched once. One that tells short stories is compiled in, and is used where
/// none is named: quernel generate "Once upon a time"
#[derive(Parser)]
#[command(version, max_term_width = 120, after_long_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Continue a text
    #[command(alias = "run", after_long_help = generate::EXAMPLES)]
    Generate(generate::Arguments),
    /// Talk with a model
    #[command(after_long_help = chat::EXAMPLES)]
    Chat(chat::Arguments),
    /// List the GPU adapters, and what each can do
    Devices {
        /// As JSON, with every limit
        #[arg(long)]
        json: bool,
    },
    /// Say what this system lacks, and prove that the GPU computes correctly
    #[command(after_long_help = doctor::EXAMPLES)]
    Doctor(doctor::Arguments),
    /// Show what a step of a model does: operations, shapes, memory, dispatches
    #[command(after_long_help = plan::EXAMPLES)]
    Plan(plan::Arguments),
    /// Measure how fast models are: llama-bench's flags, tests and columns
    #[command(after_long_help = bench::EXAMPLES)]
    Bench(bench::Arguments),
    /// Write the logits of every position, to compare with another framework
    #[command(after_long_help = logits::EXAMPLES)]
    Logits(logits::Arguments),
    /// Measure how well a model foretells a text, and what narrower numbers cost
    #[command(after_long_help = perplexity::EXAMPLES)]
    Perplexity(perplexity::Arguments),
    /// Write a checkpoint with narrower weights, which loads with no further work
    #[command(after_long_help = quantize::EXAMPLES)]
    Quantize(quantize::Arguments),
    /// Print what a shell needs to complete commands and flags
    #[command(after_long_help = shell::COMPLETIONS)]
    Completions(shell::Completions),
    /// Write the manual
    #[command(after_long_help = shell::MAN)]
    Man(shell::Man),
    /// Fetch a model from the hub, or what is new of it
    #[cfg(feature = "hub")]
    #[command(after_long_help = hub::PULL_EXAMPLES)]
    Pull(hub::PullArguments),
    /// List the models of the hub that are in the cache
    #[cfg(feature = "hub")]
    #[command(after_long_help = hub::LS_EXAMPLES)]
    Ls(hub::LsArguments),
    /// Take a model out of the cache
    #[cfg(feature = "hub")]
    #[command(after_long_help = hub::RM_EXAMPLES)]
    Rm(hub::RmArguments),
}

/// Parses the command line and runs it.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse_from(bench::spelled_out(std::env::args_os()));
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("QUERNEL_LOG") {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    let done = match arguments.command {
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Chat(arguments) => chat::run(&arguments),
        Command::Devices { json } => devices::run(json).map(|()| ExitCode::SUCCESS),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Logits(arguments) => logits::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Quantize(arguments) => quantize::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Perplexity(arguments) => perplexity::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Completions(arguments) => {
            shell::completions(&arguments, Arguments::command()).map(|()| ExitCode::SUCCESS)
        }
        Command::Man(arguments) => shell::man(&arguments, Arguments::command()).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "hub")]
        Command::Pull(arguments) => hub::pull(&arguments).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "hub")]
        Command::Ls(arguments) => hub::ls(&arguments).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "hub")]
        Command::Rm(arguments) => hub::rm(&arguments).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| exit::report(&error))
}
