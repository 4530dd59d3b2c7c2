//! One file at a time, from the hub into the cache.

use super::cache::{Folder, Place};
use super::client::{Client, bare, passing};
use super::digest::Digest;
use super::retry::Failure;
use super::spec::is_plain;
use super::{Progress, Spec};
use crate::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use ureq::Body;
use ureq::http::{HeaderMap, Method, Response};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// A file of the hub.
struct Remote {
    name: String,
    url: String,
    /// The name of its contents.
    etag: String,
    size: u64,
}

/// The files of one commit, on their way into the cache.
pub(super) struct Download<'a> {
    pub client: &'a Client<'a>,
    pub spec: &'a Spec,
    pub folder: &'a Folder,
    pub commit: &'a str,
}

/// A file that grows.
struct Part<'a> {
    remote: &'a Remote,
    path: PathBuf,
    file: File,
    have: u64,
    digest: Digest,
}

impl Download<'_> {
    /// What the hub says of a file.
    ///
    /// # Errors
    /// [`Error::HubReply`] where a name, a size or a checksum is not what it can be; and as [`super::Hub::pull`].
    fn ask(&self, name: &str) -> Result<Remote> {
        let url = self.client.file(self.spec, self.commit, name);
        let wrong = |reason: &str| Error::HubReply { url: url.clone(), reason: reason.to_owned() };
        let reply = self.client.retry().run(|| self.send(&Method::HEAD, &url, 0, name))?;
        let header = |name| header(reply.headers(), name);
        if header("x-repo-commit").is_some_and(|commit| commit != self.commit) {
            return Err(wrong("it is of another commit than the one that was asked for"));
        }
        let etag = header("x-linked-etag").or_else(|| header("etag")).unwrap_or_default();
        let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
        if !is_plain(&etag) {
            return Err(wrong("it comes with no checksum that could name it in the cache"));
        }
        let size = header("x-linked-size").or_else(|| header("content-length")).and_then(|size| size.parse().ok());
        let size = size.ok_or_else(|| wrong("it comes without its size"))?;
        Ok(Remote { name: name.to_owned(), url, etag, size })
    }

    /// Puts files into the commit's folder that are not there yet, fetching those that the cache does not have.
    ///
    /// # Errors
    /// As [`super::Hub::pull`].
    pub fn obtain(&self, names: &[String], progress: &mut dyn FnMut(Progress<'_>)) -> Result<()> {
        let snapshot = self.folder.snapshot(self.commit);
        let wanted = names.iter().filter(|name| !snapshot.join(name).is_file());
        let remotes = wanted.map(|name| self.ask(name)).collect::<Result<Vec<_>>>()?;
        let total = sum(remotes.iter().map(|remote| remote.size));
        self.expect_room(&remotes)?;
        let mut before = 0_u64;
        for remote in &remotes {
            self.file(remote, &mut |done| {
                progress(Progress { file: &remote.name, done: before.saturating_add(done), total })
            })?;
            before = before.saturating_add(remote.size);
        }
        Ok(())
    }

    fn expect_room(&self, remotes: &[Remote]) -> Result<()> {
        let cache = self.folder.cache();
        fs::create_dir_all(cache).map_err(|e| Error::io(cache, e))?;
        let here = |remote: &Remote| {
            let length = |path: PathBuf| fs::metadata(path).map_or(0, |file| file.len());
            length(self.folder.blob(&remote.etag)).max(length(self.folder.part(&remote.etag)))
        };
        let need = sum(remotes.iter().map(|remote| remote.size.saturating_sub(here(remote))));
        // Not every system tells; the disk then tells when it is full.
        match fs4::available_space(cache) {
            Ok(have) if have < need => Err(Error::DoesNotFit {
                what: self.spec.to_string(),
                need,
                have,
                limit_name: format!("the free space of {}", cache.display()),
                way_out: "; quernel rm takes models out, and HF_HUB_CACHE names another folder".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// One file, under its lock: whoever waited for it finds it there.
    fn file(&self, remote: &Remote, progress: &mut dyn FnMut(u64)) -> Result<()> {
        let lock = self.folder.lock(&remote.etag)?;
        let place = Place { folder: self.folder, commit: self.commit, name: &remote.name, etag: &remote.etag };
        if !place.is_taken() {
            let blob = self.folder.blob(&remote.etag);
            let new = !fs::metadata(&blob).is_ok_and(|file| file.len() == remote.size);
            if new {
                let path =
                    if lock.is_held() { self.folder.part(&remote.etag) } else { self.folder.own_part(&remote.etag) };
                self.fetch(remote, path, &blob, progress)?;
            }
            place.take(new)?;
        }
        progress(remote.size);
        Ok(())
    }

    /// Fetches the file to `path`, and renames it to `blob` once it is whole and what the hub says it is.
    fn fetch(&self, remote: &Remote, path: PathBuf, blob: &Path, progress: &mut dyn FnMut(u64)) -> Result<()> {
        let mut part = Part::open(remote, path)?;
        let resumed = part.have > 0;
        self.grow(&mut part, progress)?;
        if let Err(error) = part.check() {
            // What was there before may have been the start of something else.
            if !resumed {
                return Err(part.discard(error));
            }
            part.restart()?;
            self.grow(&mut part, progress)?;
            if let Err(error) = part.check() {
                return Err(part.discard(error));
            }
        }
        part.file.sync_all().map_err(|e| Error::io(&part.path, e))?;
        fs::rename(&part.path, blob).map_err(|e| Error::io(blob, e))
    }

    /// Asks for the rest until it is there.
    fn grow(&self, part: &mut Part<'_>, progress: &mut dyn FnMut(u64)) -> Result<()> {
        let mut retry = self.client.retry();
        progress(part.have);
        while part.have < part.remote.size {
            let before = part.have;
            let remote = part.remote;
            let reply = self.send(&Method::GET, &remote.url, part.have, &remote.name);
            let failed = reply.and_then(|reply| part.take(reply, progress)).err();
            if part.have > before {
                retry.gained();
            }
            if let Some(failure) = failed {
                retry.after(failure)?;
            }
        }
        Ok(())
    }

    fn send(&self, method: &Method, url: &str, from: u64, name: &str) -> Result<Response<Body>, Failure> {
        self.client.send(method, url, from, &format!("file {name} in {}", self.spec), self.spec)
    }
}

impl<'a> Part<'a> {
    /// The file as an earlier run left it.
    fn open(remote: &'a Remote, path: PathBuf) -> Result<Self> {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(|e| Error::io(&path, e))?;
        let digest = Digest::new(&remote.etag, remote.size);
        let mut part = Self { remote, path, file, have: 0, digest };
        part.read_own()?;
        Ok(part)
    }

    /// Takes up what is there, or nothing of a file that is too long.
    fn read_own(&mut self) -> Result<()> {
        let mut bytes = vec![0; PIECE];
        loop {
            match self.file.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(read) => {
                    self.have += read as u64;
                    self.digest.update(&bytes[..read]);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(&self.path, e)),
            }
            if self.have > self.remote.size {
                return self.restart();
            }
        }
    }

    /// Begins again with nothing.
    fn restart(&mut self) -> Result<()> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(|e| Error::io(&self.path, e))?;
        self.have = 0;
        self.digest = Digest::new(&self.remote.etag, self.remote.size);
        Ok(())
    }

    /// Appends what a reply brings.
    fn take(&mut self, mut reply: Response<Body>, progress: &mut dyn FnMut(u64)) -> Result<(), Failure> {
        let url = &self.remote.url;
        let from = header(reply.headers(), "content-range").and_then(range_start).unwrap_or(0);
        if from != self.have {
            // The server does not continue where we are; what it sends is the whole file, or of no use.
            self.restart()?;
            if from != 0 {
                return Err(passing(url, &"the hub sent another part than the one that was asked for"));
            }
        }
        let mut reader = reply.body_mut().as_reader();
        let mut bytes = vec![0; PIECE];
        loop {
            match reader.read(&mut bytes) {
                Ok(0) if self.have < self.remote.size => {
                    return Err(passing(url, &"the connection ended before the file did"));
                }
                Ok(0) => return Ok(()),
                Ok(read) => self.append(&bytes[..read])?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(passing(url, &e)),
            }
            progress(self.have);
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let length = self.have + bytes.len() as u64;
        if length > self.remote.size {
            let reason = format!("it sends more than the {} bytes that {} has", self.remote.size, self.remote.name);
            return Err(Error::HubReply { url: bare(&self.remote.url), reason });
        }
        self.file.write_all(bytes).map_err(|e| Error::io(&self.path, e))?;
        self.digest.update(bytes);
        self.have = length;
        Ok(())
    }

    /// Compares it with the checksum that names it.
    fn check(&mut self) -> Result<()> {
        let etag = &self.remote.etag;
        let digest = std::mem::replace(&mut self.digest, Digest::None).finish();
        match digest.filter(|found| !found.eq_ignore_ascii_case(etag)) {
            Some(found) => {
                let reason =
                    format!("what arrived has the checksum {found}, and {} should have {etag}", self.remote.name);
                Err(Error::bad_file(&self.path, format!("{reason}; it was thrown away, and can be fetched again")))
            }
            None => Ok(()),
        }
    }

    /// Removes it, on account of `error`.
    fn discard(self, error: Error) -> Error {
        drop(self.file);
        // If it cannot be removed, the next run finds that it is wrong.
        let _ = fs::remove_file(&self.path);
        error
    }
}

/// Sizes that a server says may be anything.
fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The first byte of `bytes 7-12/13`.
fn range_start(header: &str) -> Option<u64> {
    header.trim().strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}
