//! Where lines come from: a terminal with editing and history, or a pipe.

use crate::cli::text;
use crate::cli::tuning::cache_folder;
use anyhow::Context;
use rustyline::error::ReadlineError;
use rustyline::{Behavior, Config, DefaultEditor};
use std::io::{IsTerminal, stdin, stdout};
use std::path::PathBuf;

/// Lines that the history keeps.
const HISTORY: usize = 1000;
/// What begins and ends a text of several lines.
const FENCE: &str = "\"\"\"";

/// What somebody entered.
pub enum Line {
    /// A text, of several lines maybe.
    Text(String),
    /// Ctrl-C at a prompt.
    Interrupted,
    /// Ctrl-D, or the end of what was piped in.
    End,
}

/// Where lines come from.
pub struct Input {
    /// `None` for a pipe.
    editor: Option<(DefaultEditor, Option<PathBuf>)>,
}

impl Input {
    /// Standard input, as a terminal if it is one.
    pub fn open() -> anyhow::Result<Self> {
        if !stdin().is_terminal() {
            return Ok(Self { editor: None });
        }
        // Where the answers go into a file or a pipe, what is typed does not.
        let behavior = if stdout().is_terminal() { Behavior::Stdio } else { Behavior::PreferTerm };
        let config = Config::builder().max_history_size(HISTORY)?.auto_add_history(false).behavior(behavior).build();
        let mut editor = DefaultEditor::with_config(config).context("setting up the terminal")?;
        let history = cache_folder().map(|folder| folder.join("chat-history"));
        // A history that cannot be read is as good as none.
        if let Some(path) = &history {
            editor.load_history(path).ok();
        }
        Ok(Self { editor: Some((editor, history)) })
    }

    /// Whether somebody sits there.
    pub fn is_terminal(&self) -> bool {
        self.editor.is_some()
    }

    /// The next text.
    pub fn next(&mut self) -> anyhow::Result<Line> {
        let mut text = match self.line("> ")? {
            Line::Text(line) => line,
            other => return Ok(other),
        };
        let fenced = text.trim_start().starts_with(FENCE);
        if fenced {
            text = text.trim_start()[FENCE.len()..].to_owned();
        }
        loop {
            let done = match fenced {
                true => text.trim_end().strip_suffix(FENCE).map(|inner| inner.trim_matches('\n').to_owned()),
                false => (!text.ends_with('\\')).then(|| text.clone()),
            };
            if let Some(text) = done {
                self.remember(&text);
                return Ok(Line::Text(text));
            }
            if !fenced {
                text.pop();
            }
            match self.line(". ")? {
                Line::Text(line) => text = format!("{text}\n{line}"),
                Line::Interrupted => return Ok(Line::Interrupted),
                // What was begun is not lost.
                Line::End => return Ok(Line::Text(text)),
            }
        }
    }

    fn line(&mut self, prompt: &str) -> anyhow::Result<Line> {
        let Some((editor, _)) = &mut self.editor else {
            let mut line = text::line()?;
            let read = line.len();
            line.truncate(line.trim_end_matches(['\n', '\r']).len());
            return Ok(if read == 0 { Line::End } else { Line::Text(line) });
        };
        loop {
            return match editor.readline(prompt) {
                Ok(line) => Ok(Line::Text(line)),
                Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
                Err(ReadlineError::Eof) => Ok(Line::End),
                // Another signal, such as a resize, changes nothing about the line.
                Err(ReadlineError::Signal(_)) => continue,
                Err(error) => Err(error).context("the terminal"),
            };
        }
    }

    /// Keeps a text for the arrow keys, and for the next time.
    fn remember(&mut self, text: &str) {
        let Some((editor, history)) = &mut self.editor else { return };
        if text.trim().is_empty() || !editor.add_history_entry(text).unwrap_or(false) {
            return;
        }
        if let Some(path) = history {
            // A history that cannot be written is no reason to stop.
            path.parent().map(std::fs::create_dir_all);
            editor.append_history(path).ok();
        }
    }
}
