//! Models of the Hugging Face hub: fetched into the cache that Python's `huggingface_hub` keeps, and found there.
//!
//! [`Spec`] names a model, [`Settings`] says where the cache and the hub are, and [`Hub`] gives a model's folder. Only
//! files that Quernel reads are fetched. A file comes to be in the cache at once and whole: it grows beside its place,
//! under a lock, is compared with the checksum that the hub names it by, and is then renamed. So a process may be killed
//! at any time, and several may fetch one model. This module knows nothing of what the files hold, beyond the names in
//! an index, and nothing of models or GPUs.
//!
//! ```no_run
//! use quernel::hub::{Hub, Settings, Spec};
//!
//! fn main() -> quernel::Result<()> {
//!     let hub = Hub::new(Settings::from_env()?);
//!     let folder = hub.fetch(&"Qwen/Qwen3-0.6B".parse::<Spec>()?, &mut |progress| {
//!         println!("{}: {} of {} bytes", progress.file, progress.done, progress.total);
//!     })?;
//!     println!("{}", folder.display());
//!     Ok(())
//! }
//! ```

mod cache;
mod client;
mod digest;
mod download;
mod list;
mod retry;
mod settings;
mod spec;
mod wanted;

pub use list::Snapshot;
pub use settings::Settings;
pub use spec::Spec;

use crate::{Error, Result};
use cache::Folder;
use client::Client;
use download::Download;
use std::path::PathBuf;

/// How far a model has been fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file that is being fetched.
    pub file: &'a str,
    /// Bytes of all files that are here, those of earlier runs too.
    pub done: u64,
    /// Bytes of all files that are fetched.
    pub total: u64,
}

/// The hub and the cache of its models.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
}

impl Hub {
    /// The hub and the cache that `settings` name. Nothing is connected to yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The model's folder in the cache, if it is there and whole; the hub is not asked whether there is a newer one.
    pub fn cached(&self, spec: &Spec) -> Option<PathBuf> {
        let folder = self.folder(spec);
        let commit = folder.commit(spec.revision())?;
        folder.missing(&commit).is_empty().then(|| folder.snapshot(&commit))
    }

    /// The model's folder: the one in the cache if it is whole, and else what the hub has.
    ///
    /// # Errors
    /// As [`Hub::pull`].
    pub fn fetch(&self, spec: &Spec, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf> {
        match self.cached(spec) {
            Some(folder) => Ok(folder),
            None => self.pull(spec, progress),
        }
    }

    /// Fetches what the hub has now under the revision, as far as it is not in the cache, and gives the model's folder.
    ///
    /// The revision points to the new folder once it is whole; until then it names the old one.
    ///
    /// # Errors
    /// [`Error::HubNotFound`] and [`Error::HubRefused`] where the hub does not have or not give the model,
    /// [`Error::Network`] where it cannot be reached after several tries, [`Error::HubReply`] where it sends what cannot
    /// be used, [`Error::BadFile`] where a file differs from its checksum, [`Error::DoesNotFit`] where the disk is too
    /// small, [`Error::Io`] where the cache cannot be written. With [`Settings::offline`], [`Error::Offline`] where the
    /// cache lacks files.
    pub fn pull(&self, spec: &Spec, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf> {
        let folder = self.folder(spec);
        if self.settings.offline {
            return self.cached(spec).ok_or_else(|| self.offline(spec, &folder));
        }
        let client = Client::new(&self.settings);
        let listing = client.listing(spec)?;
        let commit = &listing.commit;
        let mut names = wanted::small(spec, &listing.names)?;
        let download = Download { client: &client, spec, folder: &folder, commit };
        if let Some(index) = wanted::index(&listing.names) {
            // What else is wanted stands in this file.
            download.obtain(&[index.to_owned()], &mut |_| {})?;
            names.extend(wanted::shards(&folder.snapshot(commit).join(index), &listing.names)?);
        }
        download.obtain(&names, progress)?;
        if !names.iter().any(|name| name == wanted::TOKENIZER) {
            folder.mark_absent(commit, wanted::TOKENIZER)?;
        }
        if spec.revision() != commit {
            folder.point(spec.revision(), commit)?;
        }
        Ok(folder.snapshot(commit))
    }

    /// What the cache holds of each model, by name and commit.
    ///
    /// # Errors
    /// [`Error::Io`] where the cache's folder is there and cannot be read.
    pub fn list(&self) -> Result<Vec<Snapshot>> {
        list::list(&self.settings.cache)
    }

    /// Takes a model out of the cache, one revision if the name says which, and gives the number of bytes freed. A file
    /// that another revision has as well stays.
    ///
    /// # Errors
    /// [`Error::HubNotFound`] where the cache has no such model, and [`Error::Io`] where something cannot be removed.
    pub fn remove(&self, spec: &Spec) -> Result<u64> {
        list::remove(&self.folder(spec), spec)
    }

    fn folder(&self, spec: &Spec) -> Folder {
        Folder::new(&self.settings.cache, spec.repo())
    }

    fn offline(&self, spec: &Spec, folder: &Folder) -> Error {
        let missing = match folder.commit(spec.revision()) {
            Some(commit) => folder.missing(&commit),
            None => vec!["all of it".to_owned()],
        };
        Error::Offline { repo: spec.to_string(), cache: self.settings.cache.clone(), missing }
    }
}
