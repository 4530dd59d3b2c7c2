//! The folder of a new checkpoint: empty before, and complete or gone after.

use crate::{Error, Result, files};
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What is copied beside every file whose name begins with `tokenizer`.
const COPIED: [&str; 8] = [
    "config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.json",
    "chat_template.jinja",
];

/// A folder that is being filled. Dropped before [`keep`](Self::keep), it takes what it got with it.
pub(super) struct Folder {
    dir: PathBuf,
    /// Whether it was made here.
    made: bool,
    files: RefCell<Vec<PathBuf>>,
}

impl Folder {
    /// The folder `dir`, made where it is not there.
    pub(super) fn new(dir: &Path) -> Result<Self> {
        let made = match fs::read_dir(dir).map(Iterator::count) {
            Ok(0) => false,
            Ok(_) => {
                let reason = "is not empty; a new checkpoint goes into an empty folder, or one that is not there yet";
                return Err(Error::bad_file(dir, reason));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
                true
            }
            Err(e) => return Err(Error::io(dir, e)),
        };
        Ok(Self { dir: dir.to_owned(), made, files: RefCell::default() })
    }

    /// Where the weights go.
    pub(super) fn weights(&self) -> PathBuf {
        self.dir.join("model.safetensors")
    }

    /// Copies settings and tokenizer from the folder of another checkpoint.
    pub(super) fn copy_from(&self, from: &Path) -> Result<()> {
        for name in files::names(from)? {
            if name.starts_with("tokenizer") || COPIED.contains(&name.as_str()) {
                self.copy(&from.join(&name), &self.dir.join(&name))?;
            }
        }
        Ok(())
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        let (mut source, _) = files::open(from)?;
        let mut part = to.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        self.files.borrow_mut().extend([part.clone(), to.to_owned()]);
        let mut copy = File::create(&part).map_err(|e| Error::io(&part, e))?;
        io::copy(&mut source, &mut copy).map_err(|e| Error::io(&part, e))?;
        fs::rename(&part, to).map_err(|e| Error::io(to, e))
    }

    /// Leaves everything where it is.
    pub(super) fn keep(mut self) {
        self.made = false;
        self.files.take();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays: the folder holds no weights, so nobody takes it for a checkpoint.
        for file in self.files.take() {
            let _ = fs::remove_file(file);
        }
        if self.made {
            let _ = fs::remove_dir(&self.dir);
        }
    }
}
