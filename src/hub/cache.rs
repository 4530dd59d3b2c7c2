//! A model in the cache, laid out as `huggingface_hub` does it.
//!
//! `blobs` holds files by the checksums that the hub names them by, `snapshots` a folder for each commit with links to
//! them, `refs` the commits that revisions point to, and `.no_exist` the names of files that a commit does not have.
//! Locks lie in `.locks` beside the models.

use super::spec::is_commit;
use super::wanted;
use crate::{Error, Result, files};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Bytes that a file with a commit's name may have.
const MAX_REF: u64 = 256;

/// A model's folder, whether it is there or not.
pub(super) struct Folder {
    cache: PathBuf,
    name: String,
}

/// The lock of a file in the cache, until it is dropped or the process ends.
pub(super) struct Lock(Option<File>);

impl Lock {
    /// Whether the file system has locks at all.
    pub fn is_held(&self) -> bool {
        self.0.is_some()
    }
}

impl Folder {
    /// The folder of `repo`.
    pub fn new(cache: &Path, repo: &str) -> Self {
        Self { cache: cache.to_owned(), name: format!("models--{}", repo.replace('/', "--")) }
    }

    /// The cache that it is in.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// All that there is of the model.
    pub fn root(&self) -> PathBuf {
        self.cache.join(&self.name)
    }

    /// Where its locks are.
    pub fn locks(&self) -> PathBuf {
        self.cache.join(".locks").join(&self.name)
    }

    /// Where the file that is named `etag` is, once it is whole.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.root().join("blobs").join(etag)
    }

    /// Where it grows, under its lock.
    pub fn part(&self, etag: &str) -> PathBuf {
        self.blob(&format!("{etag}.incomplete"))
    }

    /// Where it grows when there are no locks: a file of this process alone.
    pub fn own_part(&self, etag: &str) -> PathBuf {
        self.blob(&format!("{etag}.{:08x}.incomplete", std::process::id()))
    }

    /// The folder of a commit.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.root().join("snapshots").join(commit)
    }

    /// The file that says which commit a revision is.
    pub fn reference(&self, revision: &str) -> PathBuf {
        self.root().join("refs").join(revision)
    }

    /// The commit that a revision was when it was last fetched.
    pub fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) && self.snapshot(revision).is_dir() {
            return Some(revision.to_owned());
        }
        let commit = files::read_text(&self.reference(revision), MAX_REF).ok()?.trim().to_owned();
        is_commit(&commit).then_some(commit)
    }

    /// Files that a commit's folder lacks: none, and it can be used.
    pub fn missing(&self, commit: &str) -> Vec<String> {
        let missing = wanted::missing(&self.snapshot(commit)).into_iter();
        missing.filter(|name| !self.absent(commit, name).is_file()).collect()
    }

    fn absent(&self, commit: &str, name: &str) -> PathBuf {
        self.root().join(".no_exist").join(commit).join(name)
    }

    /// Remembers that a commit has no such file.
    pub fn mark_absent(&self, commit: &str, name: &str) -> Result<()> {
        write_whole(&self.absent(commit, name), "")
    }

    /// Lets a revision be a commit from now on.
    pub fn point(&self, revision: &str, commit: &str) -> Result<()> {
        write_whole(&self.reference(revision), commit)
    }

    /// Waits for the lock of the file that is named `etag`.
    pub fn lock(&self, etag: &str) -> Result<Lock> {
        make_folder_of(&self.blob(etag))?;
        let path = self.locks().join(format!("{etag}.lock"));
        make_folder_of(&path)?;
        let open = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(|e| Error::io(&path, e))?;
        match file.lock() {
            Ok(()) => Ok(Lock(Some(file))),
            Err(e) if e.kind() == ErrorKind::Unsupported => Ok(Lock(None)),
            Err(e) => Err(Error::io(&path, e)),
        }
    }
}

/// A file's place in a commit's folder.
pub(super) struct Place<'a> {
    pub folder: &'a Folder,
    pub commit: &'a str,
    pub name: &'a str,
    pub etag: &'a str,
}

impl Place<'_> {
    fn path(&self) -> PathBuf {
        self.folder.snapshot(self.commit).join(self.name)
    }

    /// Whether the file is there.
    pub fn is_taken(&self) -> bool {
        self.path().is_file()
    }

    /// Puts the blob there: a link, or where there are no links the file itself, which is moved if it is `new`.
    pub fn take(&self, new: bool) -> Result<()> {
        let path = self.path();
        make_folder_of(&path)?;
        // Out of the snapshot, and of a folder in it where the name has one.
        let up = 2 + self.name.matches('/').count();
        let target = PathBuf::from_iter(std::iter::repeat_n("..", up)).join("blobs").join(self.etag);
        if fs::symlink_metadata(&path).is_ok() {
            // A link to what is not there any more.
            fs::remove_file(&path).map_err(|e| Error::io(&path, e))?;
        }
        match link(&target, &path) {
            Err(_) if !self.is_taken() => self.take_without_links(new),
            _ => Ok(()),
        }
    }

    fn take_without_links(&self, new: bool) -> Result<()> {
        let (path, blob) = (self.path(), self.folder.blob(self.etag));
        if new {
            return fs::rename(&blob, &path).map_err(|e| Error::io(&path, e));
        }
        // Another commit may have it as well.
        let part = self.folder.own_part(self.etag);
        fs::copy(&blob, &part).and_then(|_| fs::rename(&part, &path)).map_err(|e| Error::io(&path, e))
    }
}

#[cfg(unix)]
fn link(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn link(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(not(any(unix, windows)))]
fn link(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

fn make_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))
}

/// Writes beside the file first, so that it is there whole or not at all.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    make_folder_of(path)?;
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.incomplete", std::process::id()));
    let part = PathBuf::from(part);
    fs::write(&part, text).and_then(|()| fs::rename(&part, path)).map_err(|e| Error::io(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn a_revision_is_a_commit_once_it_points_to_one() {
        let cache = tempfile::tempdir().unwrap();
        let folder = Folder::new(cache.path(), "a/b");
        assert_eq!(folder.commit("refs/pr/1"), None);
        folder.point("refs/pr/1", COMMIT).unwrap();
        assert_eq!(folder.commit("refs/pr/1").as_deref(), Some(COMMIT));
        assert_eq!(folder.commit(COMMIT), None, "it has no folder yet");
        folder.point("main", "../../elsewhere").unwrap();
        assert_eq!(folder.commit("main"), None);
        let names: Vec<_> = fs::read_dir(folder.root().join("refs")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "nothing else is left: {names:?}");
    }

    #[test]
    fn a_file_is_linked_or_moved_or_copied() {
        let cache = tempfile::tempdir().unwrap();
        let folder = Folder::new(cache.path(), "a/b");
        let lock = folder.lock("e").unwrap();
        assert!(lock.is_held());
        let put = |name: &str, new: bool, links: bool| {
            fs::write(folder.blob("e"), "x").unwrap();
            let place = Place { folder: &folder, commit: COMMIT, name, etag: "e" };
            assert!(!place.is_taken());
            make_folder_of(&place.path()).unwrap();
            if links {
                place.take(new).unwrap()
            } else {
                place.take_without_links(new).unwrap()
            }
            assert!(place.is_taken());
            assert_eq!(fs::read_to_string(place.path()).unwrap(), "x");
            folder.blob("e").is_file()
        };
        assert!(put("linked", true, true));
        assert!(put("folder/linked", true, true));
        assert!(put("copied", false, false));
        assert!(!put("moved", true, false));
    }
}
