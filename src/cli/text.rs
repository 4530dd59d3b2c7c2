//! Texts from files and streams, which may have no end.

use anyhow::Context;
use quernel::Error;
use std::fs::File;
use std::io::{BufRead, Read};
use std::path::Path;

/// Bytes of a text at most: millions of tokens, for which a tokenizer takes gigabytes of memory already.
pub const MOST: u64 = 16 << 20;

/// The whole text of a file, a pipe or a device.
pub fn of_file(path: &Path) -> anyhow::Result<String> {
    of(File::open(path).map_err(|error| Error::io(path, error))?, path)
}

/// The whole text of standard input.
pub fn of_stdin() -> anyhow::Result<String> {
    of(std::io::stdin().lock(), Path::new("standard input"))
}

/// A line of standard input, with its end; empty at the end of all.
pub fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().take(MOST + 1).read_line(&mut line).context("standard input")?;
    expect_fit(line.len(), Path::new("standard input"))?;
    Ok(line)
}

fn of(source: impl Read, name: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    source.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| Error::io(name, error))?;
    expect_fit(bytes.len(), name)?;
    Ok(String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::bad_file(name, format!("is not UTF-8 text: the byte at {at} begins no character"))
    })?)
}

fn expect_fit(bytes: usize, name: &Path) -> anyhow::Result<()> {
    if bytes as u64 > MOST {
        let reason = format!("is longer than {} MiB, the most that is taken; give it in parts", MOST >> 20);
        return Err(Error::bad_file(name, reason).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_an_end_is_refused_and_bytes_that_are_no_text_are_pointed_at() {
        let endless = of(std::io::repeat(b'a'), Path::new("yes")).unwrap_err().to_string();
        assert!(endless.starts_with("yes: ") && endless.contains("16 MiB"), "{endless}");
        let broken = of(&b"ab\xff"[..], Path::new("b.txt")).unwrap_err().to_string();
        assert!(broken.contains("byte at 2"), "{broken}");
        assert_eq!(of(&b"ab\n"[..], Path::new("b.txt")).unwrap(), "ab\n");
    }
}
