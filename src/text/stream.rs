//! Text out of token ids, as they come.

use super::Tokenizer;
use super::tokenizer::Role;
use crate::Result;

/// Tokens that are decoded again before each new one, so that it is decoded as within its text: a decoder may treat the
/// first token of a text differently (the space before it is dropped), and a character may have four bytes.
const CONTEXT: usize = 8;
/// Tokens that the window may grow to before all but the context is dropped.
const WINDOW: usize = 32;
/// What stands for bytes that are no character, or not yet.
const REPLACEMENT: char = '\u{FFFD}';

/// Turns ids into text one by one.
///
/// The pieces, put together, are what [`Tokenizer::decode`] gives for the prompt and all ids, without what it gives for
/// the prompt. A character whose bytes come in several tokens is given out whole, after the last of them. Where a
/// tokenizer writes unknown characters as byte tokens, a run of them is given out when it ends, because its decoder
/// takes a run for text only if all of it is. The time for a token does not grow with the text.
///
/// ```no_run
/// # fn main() -> quernel::Result<()> {
/// use quernel::text::{TextStream, Tokenizer};
/// let tokenizer = Tokenizer::open("path/to/model")?;
/// let mut stream = TextStream::new(&tokenizer, &tokenizer.encode("Once upon")?)?;
/// let mut text = stream.push(263)?;
/// text += &stream.push(931)?;
/// text += &stream.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TextStream {
    tokenizer: Tokenizer,
    /// The last ids that bring text.
    window: Vec<u32>,
    /// Bytes of the window's text that were given out.
    emitted: usize,
    /// The end of the prompt's text that an id to come may still change.
    prompt_end: String,
}

impl TextStream {
    /// A stream of the ids that follow those of `prompt`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`](crate::Error::Tokenizer) where the tokenizer's decoder fails.
    pub fn new(tokenizer: &Tokenizer, prompt: &[u32]) -> Result<Self> {
        let mut stream =
            Self { tokenizer: tokenizer.clone(), window: Vec::new(), emitted: 0, prompt_end: String::new() };
        // Backwards to a context that holds a token of text, for a run of bytes must not be cut.
        let mut whole = false;
        for &id in prompt.iter().rev() {
            let role = tokenizer.role(id);
            whole |= role == Role::Text;
            if role != Role::Nothing {
                stream.window.push(id);
            }
            if whole && stream.window.len() >= CONTEXT {
                break;
            }
        }
        stream.window.reverse();
        let text = tokenizer.decode(&stream.window)?;
        stream.emitted = match stream.run() {
            0 => text.len() - unfinished(&text),
            run => tokenizer.decode(&stream.window[..stream.window.len() - run])?.len(),
        };
        stream.prompt_end = rest(&text, stream.emitted).to_owned();
        Ok(stream)
    }

    /// Takes the next id. Returns the text that is now certain; it may be empty.
    ///
    /// # Errors
    /// [`Error::Tokenizer`](crate::Error::Tokenizer) where the tokenizer's decoder fails.
    pub fn push(&mut self, id: u32) -> Result<String> {
        let role = self.tokenizer.role(id);
        if role == Role::Nothing {
            return Ok(String::new());
        }
        self.window.push(id);
        if role == Role::Byte {
            return Ok(String::new());
        }
        let text = self.tokenizer.decode(&self.window)?;
        let certain = text.len() - unfinished(&text);
        let piece = self.emit(&text[..certain]);
        if self.window.len() > WINDOW {
            let window = self.window[self.window.len() - CONTEXT..].to_vec();
            let shortened = self.tokenizer.decode(&window)?;
            // A window without text would make the next token the first of its text.
            if !shortened.is_empty() {
                self.emitted = shortened.len().saturating_sub(text.len() - certain);
                self.window = window;
            }
        }
        Ok(piece)
    }

    /// The text that was held back, when no more ids will come.
    ///
    /// # Errors
    /// [`Error::Tokenizer`](crate::Error::Tokenizer) where the tokenizer's decoder fails.
    pub fn finish(&mut self) -> Result<String> {
        let text = self.tokenizer.decode(&self.window)?;
        Ok(self.emit(&text))
    }

    /// What `text`, the window's, has beyond what was given out.
    fn emit(&mut self, text: &str) -> String {
        let piece = rest(text, self.emitted);
        self.emitted = self.emitted.max(text.len());
        if piece.is_empty() {
            return String::new();
        }
        let prompt_end = std::mem::take(&mut self.prompt_end);
        piece.strip_prefix(prompt_end.as_str()).unwrap_or(piece).to_owned()
    }

    /// How many byte tokens the window ends with.
    fn run(&self) -> usize {
        self.window.iter().rev().take_while(|&&id| self.tokenizer.role(id) == Role::Byte).count()
    }
}

/// Bytes at the end of `text` that may be the beginning of a character.
fn unfinished(text: &str) -> usize {
    if text.ends_with(REPLACEMENT) { REPLACEMENT.len_utf8() } else { 0 }
}

/// `text` from the first character that begins at `from` or later.
fn rest(text: &str, from: usize) -> &str {
    (from..text.len()).find_map(|at| text.get(at..)).unwrap_or_default()
}
