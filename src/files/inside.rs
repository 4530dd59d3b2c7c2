//! The model that is compiled in, as a folder of files.

use crate::{Error, Result};
use std::path::Path;

/// The folder of the model that is compiled in, for whatever opens a model's folder: a small teller of short stories.
///
/// It is there with the feature `storyteller`.
pub const STORYTELLER: &str = "quernel:storyteller";

#[cfg(feature = "storyteller")]
const FILES: &[(&str, &[u8])] = &[
    ("chat_template.jinja", include_bytes!("../../assets/storyteller/chat_template.jinja")),
    ("config.json", include_bytes!("../../assets/storyteller/config.json")),
    ("expected.json", include_bytes!("../../assets/storyteller/expected.json")),
    ("expected.safetensors", include_bytes!("../../assets/storyteller/expected.safetensors")),
    ("generation_config.json", include_bytes!("../../assets/storyteller/generation_config.json")),
    ("model.safetensors", include_bytes!("../../assets/storyteller/model.safetensors")),
    ("tokenizer.json", include_bytes!("../../assets/storyteller/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../../assets/storyteller/tokenizer_config.json")),
];

#[cfg(not(feature = "storyteller"))]
const FILES: &[(&str, &[u8])] = &[];

/// The file's bytes, if it is one that is compiled in.
pub(super) fn file(path: &Path) -> Option<&'static [u8]> {
    let name = path.strip_prefix(STORYTELLER).ok()?;
    FILES.iter().find(|(file, _)| Path::new(file) == name).map(|(_, bytes)| *bytes)
}

/// Whether this is the folder that is compiled in.
pub(super) fn is_folder(path: &Path) -> bool {
    !FILES.is_empty() && path == Path::new(STORYTELLER)
}

/// Refuses the model where it is not compiled in, for no disk has it.
pub(super) fn expect(path: &Path) -> Result<()> {
    if FILES.is_empty() && path.starts_with(STORYTELLER) {
        let reason = "is not compiled in: build with the feature `storyteller`, or name another model";
        return Err(Error::bad_file(STORYTELLER, reason));
    }
    Ok(())
}

/// The names of the files.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}
