//! `generation_config.json`: how a model's makers meant it to be sampled.

use super::Config;
use crate::{Result, files};
use std::ops::RangeInclusive;
use std::path::Path;

/// How a model's makers meant it to be sampled; what they left open is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Generation {
    /// Tokens that end a text: any of them. Empty where no file says.
    pub eos: Vec<u32>,
    /// The token that begins a text.
    pub bos: Option<u32>,
    /// Whether to draw from the distribution; greedy otherwise.
    pub do_sample: Option<bool>,
    /// What logits are divided by; 0 is greedy.
    pub temperature: Option<f32>,
    /// How many of the likeliest tokens remain; 0 is all.
    pub top_k: Option<usize>,
    /// The probability mass that the likeliest tokens which remain have together.
    pub top_p: Option<f32>,
    /// The smallest probability that remains, as a share of the largest.
    pub min_p: Option<f32>,
    /// What the logits of tokens already seen are divided (or, if negative, multiplied) by.
    pub repetition_penalty: Option<f32>,
}

impl Generation {
    /// Reads `generation_config.json` in `dir`, and from `config.json` the tokens that it leaves open.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let own = optional(&dir.join("generation_config.json"))?;
        let model = optional(&dir.join("config.json"))?;
        let mut generation = own.as_ref().map(Self::settings).transpose()?.unwrap_or_default();
        for config in [own, model].iter().flatten() {
            if generation.eos.is_empty() {
                generation.eos = config.one_or_more("eos_token_id")?.into_iter().map(|id| id as u32).collect();
            }
            if generation.bos.is_none() {
                generation.bos = config.optional_usize("bos_token_id")?.map(|id| id as u32);
            }
        }
        Ok(generation)
    }

    /// Everything but the tokens.
    fn settings(config: &Config) -> Result<Self> {
        Ok(Self {
            eos: Vec::new(),
            bos: None,
            do_sample: config.optional_bool("do_sample")?,
            temperature: number(config, "temperature", 0.0..=1e6)?,
            top_k: config.optional_usize("top_k")?,
            top_p: number(config, "top_p", 0.0..=1.0)?,
            min_p: number(config, "min_p", 0.0..=1.0)?,
            repetition_penalty: number(config, "repetition_penalty", 1e-6..=1e6)?,
        })
    }
}

fn optional(path: &Path) -> Result<Option<Config>> {
    // A link that leads nowhere is a broken checkpoint, not an absent file.
    if files::exists(path) { Config::open(path).map(Some) } else { Ok(None) }
}

fn number(config: &Config, key: &str, range: RangeInclusive<f64>) -> Result<Option<f32>> {
    match config.optional_f64(key)? {
        Some(value) if !range.contains(&value) => {
            let reason = format!("is {value}; it must be from {} to {}", range.start(), range.end());
            Err(config.bad(key, &reason))
        }
        value => Ok(value.map(|value| value as f32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(own: Option<&str>, model: Option<&str>) -> Result<Generation> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("generation_config.json", own), ("config.json", model)] {
            if let Some(text) = text {
                std::fs::write(dir.path().join(name), text).unwrap();
            }
        }
        Generation::open(dir.path())
    }

    #[test]
    fn settings_come_from_their_own_file_and_tokens_from_either() {
        let own = r#"{"eos_token_id": [2, 3], "do_sample": true, "temperature": 0.6, "top_p": 0.9, "top_k": 50,
                      "min_p": null, "repetition_penalty": 1.1}"#;
        let found = open(Some(own), Some(r#"{"eos_token_id": 9, "bos_token_id": 1, "temperature": 5}"#)).unwrap();
        let expected = Generation {
            eos: vec![2, 3],
            bos: Some(1),
            do_sample: Some(true),
            temperature: Some(0.6),
            top_k: Some(50),
            top_p: Some(0.9),
            min_p: None,
            repetition_penalty: Some(1.1),
        };
        assert_eq!(found, expected);
        assert_eq!(open(None, Some(r#"{"eos_token_id": 2}"#)).unwrap().eos, [2]);
        assert_eq!(open(None, None).unwrap(), Generation::default());
    }

    #[test]
    fn values_outside_their_range_are_refused() {
        for (key, value) in [
            ("temperature", "-1"),
            ("top_p", "1.5"),
            ("min_p", "-0.1"),
            ("repetition_penalty", "0"),
            ("top_k", "-1"),
            ("eos_token_id", "[1, \"x\"]"),
            ("bos_token_id", "1.5"),
            ("do_sample", "1"),
        ] {
            let error = open(Some(&format!("{{\"{key}\": {value}}}")), None).unwrap_err().to_string();
            assert!(error.contains("generation_config.json: ") && error.contains(key), "{error}");
        }
        assert!(open(Some("{"), None).is_err());
    }
}
