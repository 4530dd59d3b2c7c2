//! Chat templates: a conversation as the text that a model was trained on.
//!
//! A checkpoint brings its own, in Jinja. It is rendered as transformers renders it, byte for byte, and it comes from a
//! stranger: it is bounded in length, in work and in time, and runs on a stack that its nesting cannot use up. What
//! remains is an error. This module knows nothing of models and of how a prompt becomes tokens.

mod files;
mod guard;
mod json;
mod prompt;
mod python;
mod tags;
#[cfg(test)]
mod tests;

pub use prompt::{Message, Moment, Prompt};

use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that a template may have.
const MAX_TEMPLATE: usize = 64 << 10;
/// The fuel of any prompt, about an instruction each, and the bytes of it that bring one more.
const FUEL: u64 = 1_000_000;
const BYTES_PER_FUEL: usize = 16;
/// The format of many models that state none, and of those that have no tokens for turns.
const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + \
                      '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// A template of conversations.
///
/// ```
/// use quernel::text::{ChatTemplate, Message, Prompt};
/// let template = ChatTemplate::new("{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}")?;
/// let prompt = Prompt { messages: vec![Message::new("user", "Hello.")], ..Prompt::default() };
/// assert_eq!(template.render(&prompt)?, "<user>Hello.\n");
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    /// Where it was read, or what it is called.
    path: PathBuf,
    source: Arc<str>,
    /// The special tokens of the checkpoint, by their names: `bos_token` and the like.
    specials: Vec<(String, String)>,
}

impl ChatTemplate {
    /// The template of the checkpoint in `dir`: the default one, or one of several by its `name`.
    ///
    /// It is looked for in `chat_template.jinja` and `additional_chat_templates/`, in `chat_template.json`, and as
    /// `chat_template` in `tokenizer_config.json`.
    ///
    /// # Errors
    /// [`Error::ChatTemplate`] where there is none (of that name), or it is none; [`Error::Io`], [`Error::BadFile`].
    pub fn open(dir: impl AsRef<Path>, name: Option<&str>) -> Result<Self> {
        let dir = dir.as_ref();
        let (path, source) = files::find(dir, name)?;
        Self::checked(path, &source, files::specials(dir)?)
    }

    /// A template from a file of its own, with the special tokens of the checkpoint in `dir`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(file: impl AsRef<Path>, dir: impl AsRef<Path>) -> Result<Self> {
        let file = file.as_ref();
        let source = crate::files::read_text(file, MAX_TEMPLATE as u64)?;
        Self::checked(file.to_owned(), &source, files::specials(dir.as_ref())?)
    }

    /// A template from its text, with no special tokens.
    ///
    /// # Errors
    /// [`Error::ChatTemplate`] where it is none.
    pub fn new(source: &str) -> Result<Self> {
        Self::checked(PathBuf::from("chat template"), source, Vec::new())
    }

    /// The template that most models without tokens of their own for turns understand.
    ///
    /// # Errors
    /// None that would not be a defect.
    pub fn chatml() -> Result<Self> {
        Self::checked(PathBuf::from("chatml"), CHATML, Vec::new())
    }

    fn checked(path: PathBuf, source: &str, specials: Vec<(String, String)>) -> Result<Self> {
        if source.len() > MAX_TEMPLATE {
            let reason = format!("has {} bytes; a template may have {MAX_TEMPLATE}", source.len());
            return Err(Error::ChatTemplate { path, reason });
        }
        let source: Arc<str> = tags::plain(source).into();
        let shared = Arc::clone(&source);
        guard::run(&path, move || {
            let environment = python::environment(FUEL, None);
            environment.template_from_str(&shared).map(|_| ()).map_err(|e| told(&e))
        })?;
        Ok(Self { path, source, specials })
    }

    /// The prompt as text, its special tokens written out.
    ///
    /// # Errors
    /// [`Error::ChatTemplate`] where the template refuses the conversation or asks for too much work, and
    /// [`Error::ChatTemplateTime`] where it asks for too much time: it then goes on, out of reach, and only the end of the
    /// process is sure to end it.
    pub fn render(&self, prompt: &Prompt) -> Result<String> {
        let (variables, bytes) = prompt.variables(&self.specials);
        let fuel = FUEL + (bytes / BYTES_PER_FUEL) as u64;
        let (source, now) = (Arc::clone(&self.source), prompt.now);
        guard::run(&self.path, move || {
            let environment = python::environment(fuel, now);
            let template = environment.template_from_str(&source).map_err(|e| told(&e))?;
            template.render(variables).map_err(|e| told(&e))
        })
    }

    /// The template as it is rendered.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// An error of the renderer, with the line that it is on.
fn told(error: &minijinja::Error) -> String {
    let detail = error.detail().unwrap_or_default();
    if detail.starts_with(python::RAISED) {
        return detail.to_owned();
    }
    let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
    let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
    format!("{line}{}{detail}", error.kind())
}
