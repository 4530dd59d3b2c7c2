//! `generation_config.json`: how a model's makers meant it to be sampled.

use super::Config;
use crate::Result;
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
    if std::fs::symlink_metadata(path).is_err() { Ok(None) } else { Config::open(path).map(Some) }
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
