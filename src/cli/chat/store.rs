//! Conversations as files.

use quernel::text::Message;
use quernel::{Error, Result};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// What this version writes, and all that it reads.
const VERSION: u32 = 1;
/// Bytes that a file may have.
const MAX_FILE: u64 = 256 << 20;

/// A conversation as it is kept.
#[derive(Serialize, Deserialize)]
pub struct Stored {
    /// The format's version.
    quernel_chat: u32,
    /// What the model was told before.
    pub system: Option<String>,
    /// What was said, in order.
    pub messages: Vec<Message>,
}

impl Stored {
    /// A conversation to be kept.
    pub fn new(system: Option<String>, messages: Vec<Message>) -> Self {
        Self { quernel_chat: VERSION, system, messages }
    }

    /// Reads a file that [`write`](Self::write) wrote.
    pub fn read(path: &Path) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(|error| Error::io(path, error))?.len();
        if length > MAX_FILE {
            return Err(Error::bad_file(path, format!("has {length} bytes; a conversation may have {MAX_FILE}")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, error))?;
        let stored: Self = serde_json::from_str(&text)
            .map_err(|error| Error::bad_file(path, format!("is no conversation that /save wrote: {error}")))?;
        match stored.quernel_chat {
            VERSION => Ok(stored),
            other => Err(Error::bad_file(path, format!("is of version {other}; this program reads version {VERSION}"))),
        }
    }

    /// Writes it whole, or leaves what was there.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed = |error: std::io::Error| Error::io(path, error);
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        // A name of this process's own, so that two that write at once do not mix.
        let mut new = path.as_os_str().to_owned();
        new.push(format!(".{}.new", std::process::id()));
        let written = std::fs::File::create(&new).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| std::fs::rename(&new, path)).map_err(|error| {
            std::fs::remove_file(&new).ok();
            failed(error)
        })
    }
}
