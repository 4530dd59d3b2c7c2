//! The checksums that the hub names files by.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// A file's checksum, as far as it has been read.
pub(super) enum Digest {
    /// Of large files.
    Sha256(Sha256),
    /// Of small files, which git keeps: over a header and the file.
    Git(Sha1),
    /// The hub gave another kind of name, which says nothing of the bytes.
    None,
}

impl Digest {
    /// The kind that `etag` is, of a file of `size` bytes.
    pub fn new(etag: &str, size: u64) -> Self {
        let hex = etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        match etag.len() {
            64 if hex => Self::Sha256(Sha256::new()),
            40 if hex => Self::Git(Sha1::new().chain_update(format!("blob {size}\0"))),
            _ => Self::None,
        }
    }

    /// Reads on.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(digest) => digest.update(bytes),
            Self::Git(digest) => digest.update(bytes),
            Self::None => {}
        }
    }

    /// The name of what was read, if this kind has one.
    pub fn finish(self) -> Option<String> {
        match self {
            Self::Sha256(digest) => Some(hex(&digest.finalize())),
            Self::Git(digest) => Some(hex(&digest.finalize())),
            Self::None => None,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_git_and_of_sha256() {
        let of = |etag: &str, bytes: &[u8]| {
            let mut digest = Digest::new(etag, bytes.len() as u64);
            bytes.chunks(3).for_each(|part| digest.update(part));
            digest.finish()
        };
        // git hash-object of "hello\n", and FIPS 180's example.
        assert_eq!(of(&"0".repeat(40), b"hello\n").unwrap(), "ce013625030ba8dba906f756967f9e9ca394464a");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of(&"0".repeat(64), b"abc").unwrap(), abc);
        assert_eq!(of("5d41402abc4b2a76b9719d911017c592-2", b"abc"), None);
    }
}
