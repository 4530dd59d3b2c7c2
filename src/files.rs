//! Opening files that anyone may have made.
//!
//! Model files come from strangers, and folders hold more than files. What is opened here is a regular file of a
//! bounded size, or a typed error that names it. This module knows nothing of what the files say.

use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// A file opened for reading, and its length in bytes.
///
/// # Errors
/// [`Error::Io`] where there is no such file or it may not be read, [`Error::BadFile`] where it is a folder, a pipe or
/// a device.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    // Asked for before the file is opened: to open a pipe would wait for its writer.
    regular(path, &fs::metadata(path).map_err(|e| Error::io(path, e))?)?;
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let metadata = file.metadata().map_err(|e| Error::io(path, e))?;
    regular(path, &metadata)?;
    Ok((file, metadata.len()))
}

fn regular(path: &Path, metadata: &fs::Metadata) -> Result<()> {
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
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let failed = |error| Error::io(path, error);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    // A name of this process's own, so that two that write at once do not mix.
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&new, path)).map_err(|error| {
        fs::remove_file(&new).ok();
        failed(error)
    })
}

/// Fills `out` with the bytes at `offset`, whatever was read before; several threads may read one file.
#[cfg(unix)]
pub(crate) fn read_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

/// Fills `out` with the bytes at `offset`, whatever was read before; several threads may read one file.
#[cfg(windows)]
pub(crate) fn read_at(file: &File, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
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

/// There are no files to read on other systems.
#[cfg(not(any(unix, windows)))]
pub(crate) fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
