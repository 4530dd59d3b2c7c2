//! How tokens are to be chosen, and which choices of options make sense.

use crate::{Error, Result};

/// How a token is chosen from the logits of a step. The default is llama.cpp's.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerOptions {
    /// What logits are divided by before the draw: below 1 bolder, above 1 flatter. 0 takes the likeliest token.
    pub temperature: f32,
    /// Keep this many of the likeliest tokens; 0 for all.
    pub top_k: usize,
    /// Keep the likeliest tokens whose probabilities add up to this much; 1 for all.
    pub top_p: f32,
    /// Keep tokens at least this many times as likely as the likeliest; 0 for all.
    pub min_p: f32,
    /// Positive logits of recent tokens are divided by this, negative ones multiplied; 1 for neither.
    pub repeat_penalty: f32,
    /// How many of the last tokens, the prompt's among them, count as recent; 0 for none, -1 for all.
    pub repeat_last_n: i32,
    /// Taken from a recent token's logit for each time that it occurs.
    pub frequency_penalty: f32,
    /// Taken from a recent token's logit once.
    pub presence_penalty: f32,
    /// Added to the logits of single tokens, before all else; negative infinity forbids a token.
    pub logit_bias: Vec<(u32, f32)>,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
        }
    }
}

impl SamplerOptions {
    /// The likeliest token, always.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// The model's own distribution, of which nothing is cut off and nothing penalised.
    pub fn unbounded() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0, ..Self::default() }
    }

    /// Whether the likeliest token is taken without a draw (once biases and penalties are applied).
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0 || self.top_k == 1
    }

    /// Whether the logits must come to the host: biases and penalties are its matter, everything else is the GPU's.
    pub fn needs_logits(&self) -> bool {
        self.penalizes() || !self.logit_bias.is_empty()
    }

    /// Whether any recent token's logit changes.
    pub(super) fn penalizes(&self) -> bool {
        let changes = self.repeat_penalty != 1.0 || self.frequency_penalty != 0.0 || self.presence_penalty != 0.0;
        changes && self.repeat_last_n != 0
    }

    /// The tail of `history` that counts as recent.
    pub(super) fn recent<'a>(&self, history: &'a [u32]) -> &'a [u32] {
        let last = usize::try_from(self.repeat_last_n).unwrap_or(history.len());
        &history[history.len().saturating_sub(last)..]
    }

    /// Checks every option's range.
    ///
    /// # Errors
    /// [`Error::Option`], naming the option as the command line spells it.
    pub fn validate(&self) -> Result<()> {
        within("--temp", self.temperature, 0.0..=f32::MAX, "a finite number, 0 or more")?;
        within("--top-p", self.top_p, 0.0..=1.0, "between 0 and 1")?;
        within("--min-p", self.min_p, 0.0..=1.0, "between 0 and 1")?;
        within("--repeat-penalty", self.repeat_penalty, f32::MIN_POSITIVE..=f32::MAX, "a finite number above 0")?;
        within("--frequency-penalty", self.frequency_penalty, f32::MIN..=f32::MAX, "a finite number")?;
        within("--presence-penalty", self.presence_penalty, f32::MIN..=f32::MAX, "a finite number")?;
        if self.repeat_last_n < -1 {
            let reason = format!("{} tokens; it must be a number of tokens, or -1 for all", self.repeat_last_n);
            return Err(Error::option("--repeat-last-n", reason));
        }
        match self.logit_bias.iter().find(|(_, bias)| bias.is_nan() || *bias == f32::INFINITY) {
            Some((token, bias)) => Err(Error::option(
                "--logit-bias",
                format!("{bias} for token {token}; it must be a finite number, or -inf to forbid the token"),
            )),
            None => Ok(()),
        }
    }
}

fn within(option: &'static str, value: f32, range: std::ops::RangeInclusive<f32>, must: &str) -> Result<()> {
    if range.contains(&value) { Ok(()) } else { Err(Error::option(option, format!("{value}; it must be {must}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_out_of_range_is_refused_by_its_own_name() {
        type Change = fn(&mut SamplerOptions);
        let wrong: [(&str, Change); 14] = [
            ("--temp", |o| o.temperature = -0.1),
            ("--temp", |o| o.temperature = f32::NAN),
            ("--temp", |o| o.temperature = f32::INFINITY),
            ("--top-p", |o| o.top_p = 1.01),
            ("--top-p", |o| o.top_p = f32::NAN),
            ("--min-p", |o| o.min_p = -0.01),
            ("--min-p", |o| o.min_p = 2.0),
            ("--repeat-penalty", |o| o.repeat_penalty = 0.0),
            ("--repeat-penalty", |o| o.repeat_penalty = f32::INFINITY),
            ("--frequency-penalty", |o| o.frequency_penalty = f32::NAN),
            ("--presence-penalty", |o| o.presence_penalty = f32::NEG_INFINITY),
            ("--repeat-last-n", |o| o.repeat_last_n = -2),
            ("--logit-bias", |o| o.logit_bias = vec![(3, 0.0), (4, f32::NAN)]),
            ("--logit-bias", |o| o.logit_bias = vec![(3, f32::INFINITY)]),
        ];
        for (name, change) in wrong {
            let mut options = SamplerOptions::default();
            change(&mut options);
            let result = options.validate();
            assert!(matches!(&result, Err(Error::Option { option, .. }) if *option == name), "{name}: {result:?}");
        }
        SamplerOptions::default().validate().expect("the defaults are in range");
        SamplerOptions { logit_bias: vec![(3, f32::NEG_INFINITY)], ..SamplerOptions::greedy() }
            .validate()
            .expect("a token may be forbidden");
    }

    #[test]
    fn logits_stay_on_the_gpu_unless_single_tokens_change() {
        let greedy = SamplerOptions::greedy();
        assert!(!greedy.needs_logits());
        assert!(!SamplerOptions { top_k: 1, ..SamplerOptions::default() }.needs_logits());
        assert!(!SamplerOptions::default().needs_logits());
        assert!(SamplerOptions { repeat_penalty: 1.1, ..greedy.clone() }.needs_logits());
        assert!(!SamplerOptions { repeat_penalty: 1.1, repeat_last_n: 0, ..greedy.clone() }.needs_logits());
        assert!(SamplerOptions { presence_penalty: 0.1, ..greedy.clone() }.needs_logits());
        assert!(SamplerOptions { logit_bias: vec![(0, 1.0)], ..greedy }.needs_logits());
    }

    #[test]
    fn recent_tokens_are_the_last_ones() {
        let of = |repeat_last_n| SamplerOptions { repeat_last_n, ..SamplerOptions::default() };
        let history = [5, 6, 7];
        assert_eq!(of(2).recent(&history), [6, 7]);
        assert_eq!(of(9).recent(&history), history);
        assert_eq!(of(-1).recent(&history), history);
        assert!(of(0).recent(&history).is_empty());
    }
}
