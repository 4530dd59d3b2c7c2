//! One answer, streamed.

use super::{Engine, Session};
use crate::text::{StopStrings, TextStream};
use crate::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks a generation to stop, from a signal handler, another thread, or a button.
///
/// ```
/// let cancel = quernel::engine::Cancel::default();
/// cancel.clone().cancel();
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks to stop at the next token.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// When a generation ends.
#[derive(Debug, Clone, Default)]
pub struct GenerateOptions {
    /// Tokens at most; `None` for as many as the context holds.
    pub max_tokens: Option<usize>,
    /// Texts that end it; they are not part of the answer.
    pub stop: Vec<String>,
    /// Tokens that end it besides the model's own end-of-sequence tokens, such as the end of a template's turn.
    pub stop_tokens: Vec<u32>,
    /// Go on past the model's own end-of-sequence tokens, and past `stop_tokens`.
    pub ignore_eos: bool,
    /// Somebody who may ask to stop.
    pub cancel: Cancel,
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The model ended its answer.
    EndOfSequence,
    /// One of the stop texts appeared.
    StopText,
    /// As many tokens as were asked for.
    MaxTokens,
    /// The context is full, and no number of tokens was asked for.
    Context,
    /// Somebody asked.
    Cancelled,
}

/// An answer on its way: pieces of valid text, as an iterator or with [`next_piece`](Self::next_piece).
///
/// The tokens stay in the session, so that the conversation can go on, and whatever was generated before an error is
/// not lost.
pub struct Generate<'e> {
    engine: &'e mut Engine,
    session: &'e mut Session,
    options: GenerateOptions,
    stream: TextStream,
    stops: StopStrings,
    first: usize,
    stop: Option<Stop>,
    failed: bool,
}

impl Engine {
    /// Answers what was pushed into `session`.
    ///
    /// # Errors
    /// [`Error::Option`] where nothing waits to be answered, and what [`tokenizer`](Self::tokenizer) returns.
    pub fn generate<'e>(&'e mut self, session: &'e mut Session, options: GenerateOptions) -> Result<Generate<'e>> {
        if session.waiting() == 0 {
            let reason = "is empty, and this model has no token to begin with; give some text";
            return Err(Error::option("--prompt", reason));
        }
        let stream = TextStream::new(&*self.tokenizer()?, session.tokens())?;
        let stops = StopStrings::new(options.stop.clone());
        let first = session.tokens().len();
        Ok(Generate { engine: self, session, options, stream, stops, first, stop: None, failed: false })
    }
}

impl Generate<'_> {
    /// The next piece of the answer, `None` at its end. A piece may be empty where a character is not yet complete, or
    /// where it may yet turn out to be a stop text.
    ///
    /// # Errors
    /// What [`Engine::step`] returns; nothing comes after an error.
    pub async fn next_piece(&mut self) -> Result<Option<String>> {
        if self.stop.is_some() || self.failed {
            return Ok(None);
        }
        let piece = self.advance().await;
        self.failed = piece.is_err();
        piece
    }

    async fn advance(&mut self) -> Result<Option<String>> {
        let room = self.session.limit() > self.session.tokens().len();
        if self.options.cancel.is_cancelled() {
            return self.end(Stop::Cancelled);
        }
        match self.options.max_tokens {
            Some(most) if self.generated().len() >= most => return self.end(Stop::MaxTokens),
            None if !room => return self.end(Stop::Context),
            _ => {}
        }
        let token = loop {
            if let [Some(token)] = self.engine.step(&mut [&mut *self.session]).await?[..] {
                break token;
            }
            if self.options.cancel.is_cancelled() {
                return self.end(Stop::Cancelled);
            }
        };
        if !self.options.ignore_eos && (self.options.stop_tokens.contains(&token) || self.engine.ends(token)?) {
            return self.end(Stop::EndOfSequence);
        }
        let (text, stopped) = self.stops.push(&self.stream.push(token)?);
        if stopped {
            self.stop = Some(Stop::StopText);
        }
        Ok(Some(text))
    }

    /// Ends, with what was held back.
    fn end(&mut self, stop: Stop) -> Result<Option<String>> {
        self.stop = Some(stop);
        let (mut text, stopped) = self.stops.push(&self.stream.finish()?);
        if !stopped {
            text.push_str(&self.stops.finish());
        }
        Ok((!text.is_empty()).then_some(text))
    }

    /// Why it ended; `None` while it has not, or where it ended in an error.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// The tokens generated so far.
    pub fn generated(&self) -> &[u32] {
        &self.session.tokens()[self.first..]
    }
}

/// Waits for each piece.
#[cfg(not(target_family = "wasm"))]
impl Iterator for Generate<'_> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        pollster::block_on(self.next_piece()).transpose()
    }
}
