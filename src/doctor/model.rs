//! A whole model against logits that are known to be right.

use crate::engine::{Engine, SamplerOptions};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a model must compute.
#[derive(Debug, Clone, Copy)]
pub struct Golden<'a> {
    /// The model's name, to be told.
    pub name: &'a str,
    /// Ids of a text.
    pub tokens: &'a [u32],
    /// Their logits: (token, vocabulary).
    pub logits: &'a [f32],
    /// The largest difference that is allowed, by the logits' standard deviation.
    pub allowed: f64,
    /// Ids of a prompt.
    pub prompt: &'a [u32],
    /// The likeliest tokens after it, one after the other.
    pub greedy: &'a [u32],
}

/// What a model computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFinding {
    /// The model.
    pub model: String,
    /// The largest difference from the logits, by their standard deviation.
    pub error: f64,
    /// What is allowed.
    pub allowed: f64,
    /// Tokens of the answer that are as they must be, before the first that is not.
    pub right_tokens: usize,
    /// Tokens that the answer must have.
    pub tokens: usize,
    /// Why it computed nothing, where it did not.
    pub failure: Option<String>,
}

impl ModelFinding {
    /// Of a model that computed nothing, because of `error`.
    pub fn failed(golden: &Golden<'_>, error: &Error) -> Self {
        Self {
            model: golden.name.to_owned(),
            error: f64::MAX,
            allowed: golden.allowed,
            right_tokens: 0,
            tokens: golden.greedy.len(),
            failure: Some(error.to_string()),
        }
    }

    /// Whether all was right.
    pub fn passed(&self) -> bool {
        self.failure.is_none() && self.error <= self.allowed && self.right_tokens == self.tokens
    }
}

/// Computes the text's logits and the prompt's answer with `engine`, as any program would, and compares them. Weights and
/// cache in `f32` leave arithmetic alone to differ.
///
/// # Errors
/// What running the engine returns, and [`Error::Option`] where there are not as many logits as
/// the tokens and the model's vocabulary make.
pub async fn model_check(engine: &mut Engine, golden: Golden<'_>) -> Result<ModelFinding> {
    let vocab = engine.model().vocab();
    if golden.logits.len() != golden.tokens.len() * vocab {
        let reason = format!("{} logits are not {} tokens' of {vocab}", golden.logits.len(), golden.tokens.len());
        return Err(Error::option("golden logits", reason));
    }
    let mut found = Vec::with_capacity(golden.logits.len());
    let mut keep = |_: usize, rows: &[f32]| {
        found.extend_from_slice(rows);
        Ok(())
    };
    engine.logits(golden.tokens, &mut keep).await?;
    let mut session = engine.session(SamplerOptions::greedy(), 0)?;
    session.push(golden.prompt)?;
    let mut right_tokens = 0;
    for &expected in golden.greedy {
        let mut token = None;
        while token.is_none() {
            token = engine.step(&mut [&mut session]).await?.first().copied().flatten();
        }
        if token != Some(expected) {
            break;
        }
        right_tokens += 1;
    }
    Ok(ModelFinding {
        model: golden.name.to_owned(),
        error: difference(&found, golden.logits),
        allowed: golden.allowed,
        right_tokens,
        tokens: golden.greedy.len(),
        failure: None,
    })
}

/// The largest difference, by the standard deviation of what is expected.
fn difference(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let wanted = || expected.iter().map(|&x| f64::from(x));
    let count = expected.len().max(1) as f64;
    let mean = wanted().sum::<f64>() / count;
    let deviation = (wanted().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
    let differences = wanted().zip(found).map(|(wanted, &found)| (wanted - f64::from(found)).abs() / deviation);
    // Not a number comes after infinity, and is not passed over; JSON has neither.
    differences.max_by(f64::total_cmp).filter(|x| x.is_finite()).unwrap_or(f64::MAX)
}
