//! `quernel chat`: a conversation on a terminal, or with whatever is piped in.
//!
//! The checkpoint's own template writes the conversation as a prompt, and the session computes what of it is new.
//! Standard output carries the answers alone.

mod commands;
mod input;
mod talk;

use super::args::{ModelArguments, SamplingArguments};
use super::{exit, model, open};
use anyhow::Context;
use clap::Args;
use input::{Input, Line};
use quernel::Error;
use quernel::engine::Cancel;
use quernel::text::{ChatTemplate, Conversation};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use talk::Talk;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  quernel chat -m ./Qwen3-0.6B
  quernel chat -m ./Llama-3.2-1B-Instruct -sys \"You are terse.\" --temp 0.3 --ctx-shift
  printf 'Who are you?\\nWhy?\\n' | quernel chat -m ./Qwen3-0.6B > answers.txt

Within the chat /help lists the commands. A line that ends with a backslash goes on; so does all between two lines of \"\"\".
Ctrl-C stops an answer, Ctrl-D ends the chat.";

/// With whom to talk, and how.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// What the model is told before the conversation, also -sys
    #[arg(long, visible_alias = "system-prompt", value_name = "TEXT")]
    system: Option<String>,
    /// The form of the conversation: a file with a template, the name of one of the checkpoint's, or chatml
    #[arg(long, value_name = "FILE|NAME")]
    chat_template: Option<String>,
    /// What else the template knows, as a JSON object: {"enable_thinking": false}
    #[arg(long, value_name = "JSON", value_parser = object)]
    chat_template_kwargs: Option<Map<String, Value>>,
    /// Where the context is full, forget the oldest turns and go on
    #[arg(long)]
    ctx_shift: bool,
    /// Tokens of an answer at most; -1 until the model ends it or the context is full
    #[arg(short = 'n', long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(-1..))]
    predict: i64,
    #[command(flatten)]
    sampling: SamplingArguments,
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let sampler = arguments.sampling.options();
    sampler.validate()?;
    let files = open::files(&arguments.model)?;
    files.tokenizer()?;
    let template = template(arguments, files.dir())?;
    let interrupt = Interrupt::default();
    interrupt.listen()?;
    let engine = files.engine(&arguments.model)?;
    let seed = arguments.sampling.seed();
    let session = engine.session(sampler, seed)?;
    let more = arguments.chat_template_kwargs.clone().unwrap_or_default();
    let mut talk = Talk::new(engine, session, template, more, seed, interrupt)?;
    talk.take_up(Conversation { system: arguments.system.clone(), messages: Vec::new() })?;
    talk.shift = arguments.ctx_shift;
    talk.most = usize::try_from(arguments.predict).ok();
    let mut input = Input::open()?;
    if input.is_terminal() && !arguments.model.quiet {
        tell!("Ask something. /help lists the commands; Ctrl-C stops an answer, Ctrl-D ends the chat.");
    }
    converse(&mut talk, &mut input)
}

/// Line by line, to the end.
fn converse(talk: &mut Talk, input: &mut Input) -> anyhow::Result<ExitCode> {
    let mut interrupted = false;
    loop {
        let done = match input.next()? {
            Line::End => return Ok(ExitCode::SUCCESS),
            Line::Interrupted if interrupted => return Ok(ExitCode::from(exit::INTERRUPTED)),
            Line::Interrupted => {
                tell!("Ctrl-C again, Ctrl-D or /exit ends the chat.");
                interrupted = true;
                continue;
            }
            Line::Text(text) if text.trim().is_empty() => continue,
            Line::Text(text) => match text.strip_prefix('/').filter(|_| !text.contains('\n')) {
                Some(command) => match commands::run(talk, command) {
                    Ok(commands::Then::End) => return Ok(ExitCode::SUCCESS),
                    Ok(commands::Then::GoOn) => Ok(()),
                    Err(error) => Err(error),
                },
                None => talk.say(text),
            },
        };
        interrupted = false;
        match done {
            Ok(()) => {}
            // What is wrong with a line ends it alone where somebody can write another.
            Err(error) if input.is_terminal() && is_about_a_line(&error) => {
                exit::report(&error);
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_about_a_line(error: &anyhow::Error) -> bool {
    let about = |error: &Error| {
        use Error::{BadFile, ChatTemplate, ContextFull, Io, Option, Tokenizer};
        matches!(
            error,
            ChatTemplate { .. } | ContextFull { .. } | Tokenizer(_) | Option { .. } | Io { .. } | BadFile { .. }
        )
    };
    error.downcast_ref::<Error>().is_some_and(about)
}

/// The form of the conversation: what was asked for, or else the checkpoint's own.
fn template(arguments: &Arguments, dir: &Path) -> anyhow::Result<ChatTemplate> {
    let found = match arguments.chat_template.as_deref() {
        None => ChatTemplate::open(dir, None),
        Some(file) if Path::new(file).exists() => ChatTemplate::read(PathBuf::from(file), dir),
        Some("chatml") => ChatTemplate::chatml(),
        Some(name) => ChatTemplate::open(dir, Some(name)),
    };
    let model = &arguments.model.model;
    if found.is_err() && dir != model && model::is_snapshot(dir) {
        // Python fetches what it is asked for, and a folder does not tell what it was not.
        tell!("(if another program fetched the model: `quernel pull {}` adds what it left out)", model.display());
    }
    Ok(found?)
}

/// Ctrl-C while nobody is asked for a line: it stops the answer that is under way, or else, or again, the program.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<Mutex<Option<Cancel>>>);

impl Interrupt {
    fn listen(&self) -> anyhow::Result<()> {
        let own = self.clone();
        let handler = move || match own.answer() {
            Some(cancel) if !cancel.is_cancelled() => cancel.cancel(),
            _ => std::process::exit(i32::from(exit::INTERRUPTED)),
        };
        ctrlc::set_handler(handler).context("setting up Ctrl-C")
    }

    fn answer(&self) -> Option<Cancel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An answer begins, which can be stopped, or has ended.
    pub fn set(&self, answer: Option<Cancel>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }
}
