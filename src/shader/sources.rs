//! The shader files, compiled in.

/// Every file: its path under `shaders/` without `.wgsl`, and its text.
pub fn sources() -> &'static [(&'static str, &'static str)] {
    &[]
}

/// The text of one file.
pub fn source(path: &str) -> Option<&'static str> {
    sources().iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}
