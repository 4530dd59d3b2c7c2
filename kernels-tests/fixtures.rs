//! The golden checkpoints.

#[path = "expected.rs"]
mod expected;

pub use expected::Golden;
use std::path::Path;

/// Every golden checkpoint, once for each of its configurations.
pub fn golden() -> Vec<Golden> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/golden");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(assets).unwrap() {
        let dir = entry.unwrap().path();
        if dir.is_dir() {
            let name = dir.file_name().unwrap().to_string_lossy().into_owned();
            let classic = dir.join("config-classic.json");
            if classic.exists() {
                let copy = tempfile::tempdir().unwrap();
                copy_files(&dir, copy.path());
                std::fs::copy(classic, copy.path().join("config.json")).unwrap();
                all.push(Golden::open(format!("{name} (classic)"), &dir, Some(copy)));
            }
            all.push(Golden::open(name, &dir, None));
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(all.len() >= 9, "{} golden configurations", all.len());
    all
}

/// Copies the files of one folder into another.
pub fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
