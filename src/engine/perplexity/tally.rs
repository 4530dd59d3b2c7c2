//! From the logits of each token to means over a text.

use crate::{Error, Result};

/// A mean with its standard error: how far the mean of another text of this kind may lie from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Its standard error; 0 where there is one number only.
    pub error: f64,
}

impl Mean {
    fn of(numbers: &[f64]) -> Self {
        let count = numbers.len().max(1) as f64;
        let value = numbers.iter().sum::<f64>() / count;
        let squares: f64 = numbers.iter().map(|x| (x - value).powi(2)).sum();
        Self { value, error: if numbers.len() < 2 { 0.0 } else { (squares / (count - 1.0) / count).sqrt() } }
    }

    /// What it is for e to the numbers' mean; the error to first order.
    fn exp(self) -> Self {
        Self { value: self.value.exp(), error: self.value.exp() * self.error }
    }
}

/// How one engine's distributions lie to a reference's, on the same tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The reference's own perplexity.
    pub perplexity: Mean,
    /// The Kullback-Leibler divergence from the reference, in nats, over all scored tokens.
    pub divergence: Mean,
    /// The divergence that one token in a hundred exceeds.
    pub divergence_p99: f64,
    /// The largest.
    pub divergence_max: f64,
    /// How often both think the same token the likeliest, from 0 to 1.
    pub top1_agreement: f64,
}

/// What was measured on a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Perplexity {
    /// The perplexity.
    pub perplexity: Mean,
    /// Tokens that it is over.
    pub scored: usize,
    /// How it lies to the reference, where there is one.
    pub against: Option<Comparison>,
}

/// What has been gathered of the tokens scored so far.
#[derive(Default)]
pub(super) struct Tally {
    /// −ln p of each token.
    surprises: Vec<f64>,
    of_reference: Vec<f64>,
    divergences: Vec<f64>,
    agreed: usize,
}

impl Tally {
    pub(super) fn add(&mut self, logits: &[f32], reference: Option<&[f32]>, next: u32) -> Result<()> {
        let mine = log_softmax(logits)?;
        let surprise = |row: &[f64]| row.get(next as usize).map_or(f64::INFINITY, |chance| -chance);
        self.surprises.push(surprise(&mine));
        if let Some(reference) = reference {
            let reference = log_softmax(reference)?;
            self.of_reference.push(surprise(&reference));
            // Rounding may leave a sum of nearly nothing below zero, which no divergence is.
            let divergence: f64 = reference.iter().zip(&mine).map(|(p, q)| p.exp() * (p - q)).sum();
            self.divergences.push(divergence.max(0.0));
            self.agreed += usize::from(likeliest(&reference) == likeliest(&mine));
        }
        Ok(())
    }

    pub(super) fn result(mut self) -> Perplexity {
        let scored = self.surprises.len();
        self.divergences.sort_by(f64::total_cmp);
        let against = (!self.divergences.is_empty()).then(|| Comparison {
            perplexity: Mean::of(&self.of_reference).exp(),
            divergence: Mean::of(&self.divergences),
            divergence_p99: percentile(&self.divergences, 99),
            divergence_max: percentile(&self.divergences, 100),
            top1_agreement: self.agreed as f64 / scored as f64,
        });
        Perplexity { perplexity: Mean::of(&self.surprises).exp(), scored, against }
    }
}

/// ln of the chances that logits stand for.
fn log_softmax(logits: &[f32]) -> Result<Vec<f64>> {
    let count = logits.iter().filter(|logit| !logit.is_finite()).count();
    if count > 0 {
        return Err(Error::NotFinite { count });
    }
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|&logit| (f64::from(logit) - f64::from(largest)).exp()).sum();
    Ok(logits.iter().map(|&logit| f64::from(logit) - f64::from(largest) - total.ln()).collect())
}

/// The likeliest token; of equally likely ones the first.
fn likeliest(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, token| if row[token] > row[best] { token } else { best })
}

/// The least number that so many of a hundred do not exceed; `sorted` is in order.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn measured(rows: &[(&[f32], &[f32], u32)]) -> Perplexity {
        let mut tally = Tally::default();
        for (mine, reference, next) in rows {
            tally.add(mine, Some(reference), *next).unwrap();
        }
        tally.result()
    }

    #[test]
    fn chances_known_by_hand_give_what_they_must() {
        let ln = |chances: [f64; 3]| chances.map(|chance| (chance.ln() + 5.0) as f32);
        let (p, q) = (ln([0.5, 0.25, 0.25]), ln([0.25, 0.5, 0.25]));
        let found = measured(&[(&q, &p, 0), (&p, &p, 0)]);
        let against = found.against.unwrap();
        assert!((found.perplexity.value - 8f64.sqrt()).abs() < 1e-6, "{:?}", found.perplexity);
        assert!((against.perplexity.value - 2.0).abs() < 1e-6 && against.perplexity.error < 1e-6);
        // 0.5 ln 2 + 0.25 ln ½ of one token, nothing of the other.
        let divergence = 0.25 * 2f64.ln();
        assert!((against.divergence.value - divergence / 2.0).abs() < 1e-7);
        assert!((against.divergence.error - divergence / 2.0).abs() < 1e-7);
        assert!((against.divergence_p99 - divergence).abs() < 1e-7 && against.divergence_max == against.divergence_p99);
        assert_eq!((against.top1_agreement, found.scored), (0.5, 2));
    }

    #[test]
    fn the_percentile_is_a_number_that_was_there() {
        let numbers: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!((percentile(&numbers, 99), percentile(&numbers, 100), percentile(&[3.0], 99)), (198.0, 200.0, 3.0));
    }

    #[test]
    fn logits_that_are_no_numbers_are_an_error() {
        let refused = log_softmax(&[0.0, f32::NAN, f32::INFINITY]);
        assert!(matches!(refused, Err(Error::NotFinite { count: 2 })), "{refused:?}");
    }

    proptest! {
        #[test]
        fn a_divergence_is_never_below_zero_and_zero_of_itself(
            logits in prop::collection::vec((-80.0f32..80.0, -80.0f32..80.0), 1..40),
            shift in -100.0f32..100.0,
        ) {
            let (p, q): (Vec<f32>, Vec<f32>) = logits.into_iter().unzip();
            let total: f64 = log_softmax(&p).unwrap().iter().map(|ln| ln.exp()).sum();
            prop_assert!((total - 1.0).abs() < 1e-12);
            let moved: Vec<f32> = p.iter().map(|x| x + shift).collect();
            let of_itself = measured(&[(&p, &p, 0)]).against.unwrap().divergence.value;
            let of_moved = measured(&[(&moved, &p, 0)]).against.unwrap().divergence.value;
            let of_other = measured(&[(&q, &p, 0)]).against.unwrap().divergence.value;
            prop_assert!(of_itself == 0.0 && of_moved < 1e-4 && of_other >= 0.0);
        }
    }
}
