//! The command `quernel`.

mod cli;

use clap::{Parser, Subcommand};

/// Runs language models on any GPU.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the GPU adapters
    Devices {
        /// As JSON, with limits
        #[arg(long)]
        json: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Devices { json } => cli::devices::run(json),
    }
}
