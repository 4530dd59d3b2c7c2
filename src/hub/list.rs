//! What is in the cache, and taking it out.

use super::cache::Folder;
use super::spec::{Spec, is_commit};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A model at one commit, in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The model: `org/name`.
    pub repo: String,
    /// The commit.
    pub commit: String,
    /// Branches and tags that point to it.
    pub revisions: Vec<String>,
    /// Bytes of its files; those that it shares with another commit are counted in both.
    pub bytes: u64,
    /// Its folder.
    pub path: PathBuf,
    /// Files without which it cannot be used, and which are not here.
    pub missing: Vec<String>,
}

/// All snapshots of the cache in `cache`, by name and commit.
pub(super) fn list(cache: &Path) -> Result<Vec<Snapshot>> {
    let mut found = Vec::new();
    for (_, name) in entries(cache)? {
        let Some(repo) = name.strip_prefix("models--").map(|name| name.replace("--", "/")) else { continue };
        if repo.parse::<Spec>().is_ok() {
            found.extend(snapshots(&Folder::new(cache, &repo), &repo)?);
        }
    }
    found.sort_by(|a, b| (&a.repo, &a.commit).cmp(&(&b.repo, &b.commit)));
    Ok(found)
}

fn snapshots(folder: &Folder, repo: &str) -> Result<Vec<Snapshot>> {
    let mut references = Vec::new();
    walk(&folder.root().join("refs"), "", &mut |name, _, _| references.push(name.to_owned()))?;
    references.sort();
    let mut found = Vec::new();
    for (path, commit) in entries(&folder.root().join("snapshots"))? {
        if !is_commit(&commit) {
            continue;
        }
        let points = |revision: &&String| folder.commit(revision).as_ref() == Some(&commit);
        let revisions = references.iter().filter(points).cloned().collect();
        let mut bytes = 0;
        walk(&path, "", &mut |_, path, _| bytes += fs::metadata(path).map_or(0, |file| file.len()))?;
        let missing = folder.missing(&commit);
        found.push(Snapshot { repo: repo.to_owned(), commit, revisions, bytes, path, missing });
    }
    Ok(found)
}

/// Takes the model out, or one revision of it, and gives the number of bytes freed.
pub(super) fn remove(folder: &Folder, spec: &Spec) -> Result<u64> {
    let root = folder.root();
    let Some(revision) = spec.named_revision() else {
        if !root.is_dir() {
            return Err(absent(folder, spec));
        }
        return remove_all(folder);
    };
    let all = snapshots(folder, spec.repo())?;
    let commit = folder.commit(revision).ok_or_else(|| absent(folder, spec))?;
    let Some(gone) = all.iter().find(|snapshot| snapshot.commit == commit) else { return Err(absent(folder, spec)) };
    if gone.revisions.len() > 1 && gone.revisions.iter().any(|name| name == revision) {
        // Another name leads to the same files.
        return remove_file(&folder.reference(revision)).map(|()| 0);
    }
    if all.len() == 1 {
        return remove_all(folder);
    }
    let mut kept = BTreeSet::new();
    for snapshot in all.iter().filter(|snapshot| snapshot.commit != commit) {
        kept.extend(blobs(folder, &snapshot.path)?);
    }
    let unused: Vec<PathBuf> = blobs(folder, &gone.path)?.difference(&kept).cloned().collect();
    // References first and blobs last: cut short at any point, no link leads to nothing.
    for revision in &gone.revisions {
        remove_file(&folder.reference(revision))?;
    }
    let mut freed = tree_bytes(&gone.path)?;
    remove_tree(&gone.path)?;
    remove_tree(&root.join(".no_exist").join(&commit))?;
    remove_file(&root.join("trees").join(format!("{commit}.json")))?;
    for blob in unused {
        freed += fs::metadata(&blob).map_or(0, |file| file.len());
        remove_file(&blob)?;
    }
    Ok(freed)
}

fn remove_all(folder: &Folder) -> Result<u64> {
    let freed = tree_bytes(&folder.root())?;
    for gone in ["refs", "snapshots"].map(|part| folder.root().join(part)).into_iter().chain([folder.root()]) {
        remove_tree(&gone)?;
    }
    // The locks stay: whoever is fetching now holds one, and the next must wait for the same.
    Ok(freed)
}

fn absent(folder: &Folder, spec: &Spec) -> Error {
    Error::HubNotFound {
        what: format!("model {spec} in the cache"),
        reason: format!("{} does not hold it; quernel ls shows what it holds", folder.cache().display()),
    }
}

/// The blobs that a snapshot's links lead to.
fn blobs(folder: &Folder, snapshot: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    // A link may lead anywhere; what is removed lies in this folder.
    let Ok(home) = folder.root().join("blobs").canonicalize() else { return Ok(found) };
    walk(snapshot, "", &mut |_, path, metadata| {
        let target = if metadata.is_symlink() { path.canonicalize().ok() } else { None };
        found.extend(target.filter(|target| target.parent() == Some(&home)));
    })?;
    Ok(found)
}

/// Bytes of the files in `folder`, not of what links lead to.
fn tree_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    walk(folder, "", &mut |_, _, metadata| bytes += if metadata.is_file() { metadata.len() } else { 0 })?;
    Ok(bytes)
}

/// Visits every file and link below `folder`: its name from there with slashes, its path, and what it is itself.
fn walk(folder: &Path, above: &str, visit: &mut dyn FnMut(&str, &Path, &Metadata)) -> Result<()> {
    for (path, name) in entries(folder)? {
        let metadata = match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            metadata => metadata.map_err(|e| Error::io(&path, e))?,
        };
        if metadata.is_dir() {
            walk(&path, &format!("{above}{name}/"), visit)?;
        } else {
            visit(&format!("{above}{name}"), &path, &metadata);
        }
    }
    Ok(())
}

/// Paths and names in a folder; none where there is no folder, or a name is no text.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let read = match fs::read_dir(folder) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        read => read.map_err(|e| Error::io(folder, e))?,
    };
    let mut found = Vec::new();
    for entry in read {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        found.extend(entry.file_name().into_string().ok().map(|name| (entry.path(), name)));
    }
    Ok(found)
}

fn remove_file(path: &Path) -> Result<()> {
    gone(path, fs::remove_file(path))
}

fn remove_tree(path: &Path) -> Result<()> {
    gone(path, fs::remove_dir_all(path))
}

fn gone(path: &Path, removed: std::io::Result<()>) -> Result<()> {
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io(path, e)),
        _ => Ok(()),
    }
}
