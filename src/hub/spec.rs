//! The name of a model, and names that may become paths.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The revision of a name without one.
const MAIN: &str = "main";

/// A model of the hub: `org/name`, or `org/name@revision` with a branch, a tag or a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    repo: String,
    revision: Option<String>,
}

impl Spec {
    /// The model: `org/name`, or the bare name that some old ones have.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The revision, `main` where none was named.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(MAIN)
    }

    /// The revision that was named.
    pub fn named_revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }
}

impl FromStr for Spec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |reason: &str| Err(Error::option("the model's name", format!("{text:?} {reason}")));
        let (repo, revision) = match text.split_once('@') {
            Some((repo, revision)) => (repo, Some(revision.to_owned())),
            None => (text, None),
        };
        let parts: Vec<&str> = repo.split('/').collect();
        // The hub has the same rules; two dashes stand for a slash in the cache.
        if parts.len() > 2 || !parts.iter().all(|part| is_plain(part)) || repo.contains("--") {
            return wrong("is not org/name or org/name@revision: letters, digits, '-', '_' and '.' make a name");
        }
        // A branch may have slashes in it, as refs/pr/1 has.
        if revision.as_ref().is_some_and(|revision| !revision.split('/').all(is_plain)) {
            return wrong("has a revision that is no branch, tag or commit");
        }
        Ok(Self { repo: repo.to_owned(), revision })
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        self.revision.as_ref().map_or(Ok(()), |revision| write!(f, "@{revision}"))
    }
}

/// Whether `name` is one that can stand in a path without leading anywhere else, on any system.
pub(super) fn is_plain(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    (1..=128).contains(&name.len()) && !name.starts_with('.') && !name.ends_with('.') && name.chars().all(fine)
}

/// Whether `text` is a commit's name.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_at_most_two_parts_and_a_revision() {
        let spec: Spec = "Qwen/Qwen3-0.6B".parse().unwrap();
        assert_eq!((spec.repo(), spec.revision(), spec.named_revision()), ("Qwen/Qwen3-0.6B", "main", None));
        for text in ["a/b@refs/pr/1", "a/b@v1.0", "gpt2"] {
            assert_eq!(text.parse::<Spec>().unwrap().to_string(), text);
        }
        assert_eq!("a/b@v1.0".parse::<Spec>().unwrap().revision(), "v1.0");
    }

    #[test]
    fn no_name_leads_out_of_the_cache() {
        let long = "x".repeat(129);
        for text in [
            "", "/", "a/", "/b", "a/b/c", "../b", "a/..", "./b", "a/b@", "a/b@../c", "a/b@/c", "a/b@c//d", "a\\b",
            "a b/c", "a/b@c@d", "a/b\0", "a--b/c", "C:/b", "~/b", "é/b", "a/b.", &long,
        ] {
            assert!(text.parse::<Spec>().is_err(), "{text:?}");
        }
    }
}
