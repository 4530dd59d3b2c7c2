//! A checkpoint, and what transformers computes with it.

use quernel::checkpoint::Checkpoint;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A checkpoint with one configuration, and what is expected of it.
pub struct Golden {
    pub name: String,
    /// A folder whose `config.json` is this configuration.
    pub dir: PathBuf,
    /// f32, (tokens, vocabulary), for the list `tokens`.
    pub logits: Vec<f32>,
    /// `expected.json`.
    pub expected: serde_json::Value,
    /// Holds the folder, where it is not the committed one.
    _copy: Option<TempDir>,
}

impl Golden {
    pub fn open(name: String, committed: &Path, copy: Option<TempDir>) -> Self {
        let dir = copy.as_ref().map_or(committed, TempDir::path).to_owned();
        let expected = std::fs::read_to_string(committed.join("expected.json")).unwrap();
        let logits = Checkpoint::open(committed.join("expected.safetensors")).unwrap();
        let rows = logits.fact("logits").unwrap().shape.rows();
        let mut bytes = Vec::new();
        logits.read_rows("logits", 0..rows, &mut bytes).unwrap();
        let logits = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Self { name, dir, logits, expected: serde_json::from_str(&expected).unwrap(), _copy: copy }
    }

    /// The list `tokens`, `prompt` or `greedy`.
    pub fn ids(&self, list: &str) -> Vec<u32> {
        let ids = self.expected[list].as_array().unwrap();
        ids.iter().map(|id| id.as_u64().unwrap() as u32).collect()
    }

    /// The largest difference of `found` from the logits expected, by their standard deviation.
    pub fn error(&self, found: impl ExactSizeIterator<Item = f64>) -> f64 {
        let expected = || self.logits.iter().map(|&logit| f64::from(logit));
        assert_eq!(found.len(), self.logits.len(), "{}", self.name);
        let mean = expected().sum::<f64>() / self.logits.len() as f64;
        let deviation = (expected().map(|x| (x - mean).powi(2)).sum::<f64>() / self.logits.len() as f64).sqrt();
        let differences = expected().zip(found).map(|(expected, found)| (expected - found).abs() / deviation);
        // Not a number comes after infinity, and is not passed over.
        differences.max_by(f64::total_cmp).unwrap()
    }
}
