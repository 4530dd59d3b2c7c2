//! Opening files that anyone may have made, and those that are compiled in.
//!
//! Model files come from strangers, and folders hold more than files. What is opened here is a regular file of a
//! bounded size, or a typed error that names it. One folder, [`STORYTELLER`], is no folder of the disk: a model that
//! the program carries with it is read like any other. This module knows nothing of what the files say.

mod inside;

pub use inside::STORYTELLER;

use crate::{Error, Result};
use std::fs::{self, Metadata};
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

/// A file that is open for reading.
#[derive(Debug)]
pub(crate) enum File {
    Disk(fs::File),
    Inside(&'static [u8]),
}

/// A file opened for reading, and its length in bytes.
///
/// # Errors
/// [`Error::Io`] where there is no such file or it may not be read, [`Error::BadFile`] where it is a folder, a pipe or
/// a device.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    if let Some(bytes) = inside::file(path) {
        return Ok((File::Inside(bytes), bytes.len() as u64));
    }
    inside::expect(path)?;
    // Asked for before the file is opened: to open a pipe would wait for its writer.
    regular(path, &fs::metadata(path).map_err(|e| Error::io(path, e))?)?;
    let file = fs::File::open(path).map_err(|e| Error::io(path, e))?;
    let metadata = file.metadata().map_err(|e| Error::io(path, e))?;
    regular(path, &metadata)?;
    Ok((File::Disk(file), metadata.len()))
}

/// Whether there is something of that name. A link that leads nowhere is something.
pub(crate) fn exists(path: &Path) -> bool {
    inside::file(path).is_some() || fs::symlink_metadata(path).is_ok()
}

/// Whether it is a folder.
///
/// # Errors
/// [`Error::Io`] where there is nothing of that name, [`Error::BadFile`] where it would be a folder that was not
/// compiled in.
pub(crate) fn is_folder(path: &Path) -> Result<bool> {
    inside::expect(path)?;
    match inside::is_folder(path) || inside::file(path).is_some() {
        true => Ok(inside::is_folder(path)),
        false => fs::metadata(path).map(|found| found.is_dir()).map_err(|e| Error::io(path, e)),
    }
}

/// The names of what a folder holds, sorted; names that are no text are left out.
///
/// # Errors
/// [`Error::Io`] where it cannot be read.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    if inside::is_folder(folder) {
        return Ok(inside::names().map(str::to_owned).collect());
    }
    let entries = fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let names = entries.filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose());
    let mut names = names.collect::<io::Result<Vec<_>>>().map_err(|e| Error::io(folder, e))?;
    names.sort();
    Ok(names)
}

fn regular(path: &Path, metadata: &Metadata) -> Result<()> {
    match metadata {
        found if found.is_file() => Ok(()),
        found if found.is_dir() => Err(Error::bad_file(path, "is a folder, where a file is wanted")),
        _ => Err(Error::bad_file(path, "is neither a file nor a folder")),
    }
}

/// All of a file's text, if it has at most `limit` bytes.
///
/// # Errors
/// As [`open`], and [`Error::BadFile`] where the file is longer than `limit` or is not UTF-8.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String> {
    let (file, length) = open(path)?;
    if length > limit {
        return Err(Error::bad_file(path, format!("has {length} bytes; a file of its kind may have {limit} at most")));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::bad_file(path, format!("is not UTF-8 text: the byte at {at} begins no character"))
    })
}

/// Writes a file whole, and makes its folder where it is missing. Whoever reads it meanwhile finds the old one or the new.
/// A link is followed, and what is no file, such as a pipe or a terminal, is written to as it is.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let failed = |error| Error::io(path, error);
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(&target).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        let file = fs::OpenOptions::new().write(true).open(&target);
        return file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed);
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    // A name of this process's own, so that two that write at once do not mix.
    let new = target.with_extension(format!("{}.new", std::process::id()));
    let written = fs::File::create(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&new, &target)).map_err(|error| {
        fs::remove_file(&new).ok();
        failed(error)
    })
}

impl File {
    /// Fills `out` with the bytes at `offset`, whatever was read before; several threads may read one file.
    pub(crate) fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Disk(file) => read_at(file, out, offset),
            Self::Inside(bytes) => {
                let mut bytes = Cursor::new(bytes);
                bytes.set_position(offset);
                bytes.read_exact(out)
            }
        }
    }
}

impl Read for File {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Disk(file) => file.read(out),
            Self::Inside(bytes) => bytes.read(out),
        }
    }
}

#[cfg(unix)]
fn read_at(file: &fs::File, out: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

#[cfg(windows)]
fn read_at(file: &fs::File, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !out.is_empty() {
        match file.seek_read(out, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                out = &mut out[read..];
                offset += read as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// There are no files on the disks of other systems.
#[cfg(not(any(unix, windows)))]
fn read_at(_: &fs::File, _: &mut [u8], _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
#[cfg(feature = "storyteller")]
mod tests {
    use super::*;

    #[test]
    fn what_is_compiled_in_is_a_folder_of_files() {
        let folder = Path::new(STORYTELLER);
        assert!(is_folder(folder).unwrap() && exists(&folder.join("config.json")));
        assert!(!is_folder(&folder.join("config.json")).unwrap() && is_folder(&folder.join("vocab.json")).is_err());
        assert!(names(folder).unwrap().contains(&"tokenizer.json".to_owned()));
        let (file, length) = open(&folder.join("config.json")).unwrap();
        let mut end = [0; 2];
        file.read_at(&mut end, length - 2).unwrap();
        assert!(file.read_at(&mut end, length - 1).is_err() && file.read_at(&mut end, u64::MAX).is_err());
        let error = open(&folder.join("vocab.json")).unwrap_err().to_string();
        assert!(error.contains("vocab.json"), "{error}");
    }
    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_and_a_pipe_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("kept.json"), dir.path().join("link.json"));
        replace(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, "new").unwrap();
        assert!(fs::read_to_string(&file).unwrap() == "new" && fs::symlink_metadata(&link).unwrap().is_symlink());
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::thread::scope(|scope| {
            let read = scope.spawn(|| fs::read_to_string(&pipe).unwrap());
            replace(&pipe, "through").unwrap();
            assert_eq!(read.join().unwrap(), "through");
        });
        assert!(!fs::metadata(&pipe).unwrap().is_file());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing is left beside them");
        assert!(replace(dir.path(), "a folder").is_err());
    }
}
