//! `quernel generate`: continues a text.

use super::args::{ModelArguments, SamplingArguments};
use super::timings::Timings;
use super::{exit, open, text};
use anyhow::Context;
use clap::Args;
use quernel::Error;
use quernel::engine::{Cancel, Engine, GenerateOptions, Session, Stop};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  quernel generate \"Once upon a time\" --echo
  quernel generate -m ./Llama-3.2-1B -p \"Once upon a time\" -n 200
  quernel generate -m ./Llama-3.2-1B -f prompt.txt --temp 0 --timings
  echo \"The capital of France is\" | quernel generate -m ./Qwen3-0.6B -n 20 > answer.txt";

/// What to continue, and how far.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The text to continue [default: standard input]
    #[arg(value_name = "PROMPT", conflicts_with_all = ["prompt", "file"])]
    text: Option<String>,
    /// The same, as a flag
    #[arg(short, long, value_name = "TEXT", conflicts_with = "file")]
    prompt: Option<String>,
    /// A file with the text to continue; a line break at its end is left out
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Tokens to generate at most; -1 until the model ends its answer or the context is full
    #[arg(short = 'n', long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(-1..))]
    predict: i64,
    /// Stop where this text appears, and leave it out; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Go on where the model ends its answer
    #[arg(long)]
    ignore_eos: bool,
    /// Print the prompt before the answer
    #[arg(long)]
    echo: bool,
    /// Print how long it took on standard error
    #[arg(long)]
    timings: bool,
    #[command(flatten)]
    sampling: SamplingArguments,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut timings = Timings::start();
    let sampler = arguments.sampling.options();
    sampler.validate()?;
    let prompt = prompt(arguments)?;
    let files = open::files(&arguments.model)?;
    let tokens = files.tokenizer()?.encode(&prompt)?;
    files.expect_room(&tokens)?;
    let cancel = Cancel::default();
    stop_on_ctrl_c(&cancel)?;
    let mut engine = files.engine(&arguments.model)?;
    timings.loaded();
    let seed = arguments.sampling.seed();
    let mut session = engine.session(sampler, seed)?;
    session.push(&tokens)?;
    ANSWERING.store(true, Ordering::Relaxed);
    let stop = print(arguments, &mut engine, &mut session, &prompt, cancel, &mut timings)?;
    if arguments.timings {
        tell_part!("{}", timings.report(tokens.len(), session.tokens().len() - tokens.len(), seed));
    }
    if stop == Some(Stop::Context) && !arguments.model.quiet {
        let longer = engine.context() < engine.model().context();
        let hint = if longer { "-c asks for a longer one" } else { "the model was trained for no longer one" };
        tell!("the context of {} tokens is full; {hint}", engine.context());
    }
    Ok(if stop == Some(Stop::Cancelled) { ExitCode::from(exit::INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// Streams the answer to standard output; what was generated before an error is there.
fn print(
    arguments: &Arguments,
    engine: &mut Engine,
    session: &mut Session,
    prompt: &str,
    cancel: Cancel,
    timings: &mut Timings,
) -> anyhow::Result<Option<Stop>> {
    let mut out = std::io::stdout().lock();
    if arguments.echo {
        out.write_all(prompt.as_bytes())?;
        out.flush()?;
    }
    let options = GenerateOptions {
        max_tokens: usize::try_from(arguments.predict).ok(),
        stop: arguments.stop.clone(),
        ignore_eos: arguments.ignore_eos,
        cancel,
        ..GenerateOptions::default()
    };
    let mut generate = engine.generate(session, options)?;
    let mut result = Ok(());
    for piece in &mut generate {
        match piece {
            Ok(piece) => {
                timings.token();
                out.write_all(piece.as_bytes())?;
                out.flush()?;
            }
            Err(error) => result = Err(error),
        }
    }
    let stop = generate.stop();
    // The next shell prompt, or the error, begins on a line of its own. A file gets the text alone.
    if out.is_terminal() {
        writeln!(out)?;
    }
    result?;
    Ok(stop)
}

fn prompt(arguments: &Arguments) -> anyhow::Result<String> {
    let mut text = match (arguments.text.as_ref().or(arguments.prompt.as_ref()), &arguments.file) {
        (Some(prompt), _) => return Ok(prompt.clone()),
        (None, Some(file)) => text::of_file(file)?,
        (None, None) if std::io::stdin().is_terminal() => {
            let reason = "there is none; write it behind the command, give -f FILE, or pipe it in";
            return Err(Error::option("--prompt", reason).into());
        }
        (None, None) => text::of_stdin()?,
    };
    let end = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(end.unwrap_or(text.len()));
    Ok(text)
}

/// Whether there is an answer that Ctrl-C would end.
static ANSWERING: AtomicBool = AtomicBool::new(false);

/// The first Ctrl-C ends the answer, a second one the program; before an answer, the first does.
fn stop_on_ctrl_c(cancel: &Cancel) -> anyhow::Result<()> {
    let cancel = cancel.clone();
    ctrlc::set_handler(move || {
        if cancel.is_cancelled() || !ANSWERING.load(Ordering::Relaxed) {
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
        cancel.cancel();
    })
    .context("setting up Ctrl-C")
}
