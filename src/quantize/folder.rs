//! The folder of a new checkpoint: empty before, and complete or gone after.

use crate::{Error, Result, files};
use std::cell::RefCell;
use std::fs::{self, File, TryLockError};
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

/// Named chat templates lie in a folder of their own.
const TEMPLATES: &str = "additional_chat_templates";

/// There while a checkpoint comes to be, and locked by whoever writes it: a lock ends with its process, so what a
/// killed one left is told from what another is at.
const LOCK: &str = ".quernel-quantize";

/// A folder that is being filled. Dropped before [`keep`](Self::keep), it takes what it got with it.
pub(super) struct Folder {
    dir: PathBuf,
    /// Held until the folder is whole.
    lock: Option<File>,
    /// Whether it was made here.
    made: bool,
    files: RefCell<Vec<PathBuf>>,
}

impl Folder {
    /// The folder `dir`, made where it is not there. What an interrupted run left in it is removed.
    pub(super) fn new(dir: &Path) -> Result<Self> {
        let made = match left_by_another(dir) {
            Ok(_) => false,
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => true,
            Err(e) => return Err(e),
        };
        fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let path = dir.join(LOCK);
        let open = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = open.map_err(|e| Error::io(&path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::bad_file(dir, "is being filled by another `quernel quantize`; wait for its end"));
            }
            // There are disks without locks.
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, e)),
        }
        // Another may have come to its end in between.
        let left = left_by_another(dir).inspect_err(|_| drop(fs::remove_file(&path)))?;
        let folder = Self { dir: dir.to_owned(), lock: Some(lock), made, files: RefCell::default() };
        for name in left {
            let path = dir.join(name);
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|e| Error::io(&path, e))?;
        }
        Ok(folder)
    }

    /// Where the weights go.
    pub(super) fn weights(&self) -> PathBuf {
        self.dir.join("model.safetensors")
    }

    /// Copies settings, tokenizer and chat templates from the folder of another checkpoint.
    pub(super) fn copy_from(&self, from: &Path) -> Result<()> {
        for name in files::names(from)?.iter().filter(|name| copied(name)) {
            // Tools keep folders of such names too, and links that lead nowhere are read by nobody.
            if files::is_folder(&from.join(name)).is_ok_and(|folder| !folder) {
                self.copy(&from.join(name), &self.dir.join(name))?;
            }
        }
        let (templates, to) = (from.join(TEMPLATES), self.dir.join(TEMPLATES));
        if files::exists(&templates) {
            fs::create_dir(&to).map_err(|e| Error::io(&to, e))?;
            self.files.borrow_mut().push(to.clone());
            for name in files::names(&templates)?.iter().filter(|name| name.ends_with(".jinja")) {
                self.copy(&templates.join(name), &to.join(name))?;
            }
        }
        Ok(())
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        let (mut source, _) = files::open(from)?;
        let mut part = to.as_os_str().to_owned();
        part.push(PART);
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

/// The end of a file's name until it is whole.
const PART: &str = ".part";

fn copied(name: &str) -> bool {
    name.starts_with("tokenizer") || COPIED.contains(&name)
}

/// The names of what is in a folder that takes a new checkpoint: nothing, or what a run left that was interrupted.
///
/// # Errors
/// [`Error::Io`] where there is no folder, [`Error::BadFile`] where it holds anything else.
fn left_by_another(dir: &Path) -> Result<Vec<String>> {
    let mut names = files::names(dir)?;
    let count = fs::read_dir(dir).map(Iterator::count).map_err(|e| Error::io(dir, e))?;
    let locked = names.iter().any(|name| name == LOCK);
    let left = |name: &String| name == LOCK || name == TEMPLATES || copied(name) || name.ends_with(PART);
    if count > 0 && !(locked && count == names.len() && names.iter().all(left)) {
        let reason = "is not empty; a new checkpoint goes into an empty folder, or one that is not there yet";
        return Err(Error::bad_file(dir, reason));
    }
    names.retain(|name| name != LOCK);
    Ok(names)
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays: the folder holds no weights, so nobody takes it for a checkpoint.
        for path in self.files.take().into_iter().rev() {
            let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
        }
        let _ = fs::remove_file(self.dir.join(LOCK));
        // Some systems keep a file until nobody has it open, and its folder with it.
        self.lock.take();
        if self.made {
            let _ = fs::remove_dir(&self.dir);
        }
    }
}
