//! Conversations as files.

use super::Message;
use crate::{Error, Result, files};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What this version writes, and all that it reads.
const VERSION: u32 = 1;
/// Bytes that a file may have.
const MAX_FILE: u64 = 256 << 20;

/// A conversation, as `quernel chat` keeps and takes up again: a JSON file.
///
/// ```
/// use quernel::text::{Conversation, Message};
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("kept.json");
/// let said = Conversation { system: Some("Be brief.".to_owned()), messages: vec![Message::new("user", "Hello.")] };
/// said.write(&file)?;
/// assert_eq!(Conversation::read(&file)?, said);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// What the model is told before.
    pub system: Option<String>,
    /// What was said, in order.
    pub messages: Vec<Message>,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The format's version.
    quernel_chat: u32,
    system: Option<String>,
    messages: Vec<Message>,
}

impl Conversation {
    /// Reads a file that [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::BadFile`] where it is no file, too long, none of these, or of another version.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = files::read_text(path, MAX_FILE)?;
        let stored: Stored = serde_json::from_str(&text)
            .map_err(|error| Error::bad_file(path, format!("is no conversation that /save wrote: {error}")))?;
        match stored {
            Stored { quernel_chat: VERSION, system, messages } => Ok(Self { system, messages }),
            Stored { quernel_chat: other, .. } => {
                Err(Error::bad_file(path, format!("is of version {other}; this program reads version {VERSION}")))
            }
        }
    }

    /// Writes it whole, or leaves what was there. A link is followed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let Self { system, messages } = self.clone();
        let text = serde_json::to_string_pretty(&Stored { quernel_chat: VERSION, system, messages });
        files::replace(path, &text.map_err(|error| Error::io(path, error.into()))?)
    }

    /// All messages, what the model is told before as the first.
    pub fn told(&self) -> impl Iterator<Item = Message> {
        let system = self.system.iter().map(|text| Message::new("system", text.as_str()));
        system.chain(self.messages.iter().cloned())
    }
}
