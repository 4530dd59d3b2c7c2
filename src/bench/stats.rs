//! What samples say: means, spreads, percentiles.

/// The mean; 0 of no samples.
pub fn mean(samples: &[f64]) -> f64 {
    if samples.is_empty() { 0.0 } else { samples.iter().sum::<f64>() / samples.len() as f64 }
}

/// The standard deviation of the population that the samples are of, by n − 1; 0 of fewer than two.
///
/// ```
/// use quernel::bench::stats::{mean, deviation};
/// let samples = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
/// assert_eq!(mean(&samples), 5.0);
/// assert!((deviation(&samples) - (32.0f64 / 7.0).sqrt()).abs() < 1e-12);
/// ```
pub fn deviation(samples: &[f64]) -> f64 {
    if samples.len() < 2 {
        return 0.0;
    }
    let mean = mean(samples);
    let squares: f64 = samples.iter().map(|x| (x - mean) * (x - mean)).sum();
    (squares / (samples.len() - 1) as f64).sqrt()
}

/// The value below which a share of the samples lies, between neighbours in proportion; `None` of no samples.
///
/// ```
/// use quernel::bench::stats::percentile;
/// assert_eq!(percentile(&[4.0, 1.0, 3.0, 2.0], 0.5), Some(2.5));
/// assert_eq!(percentile(&[4.0, 1.0, 3.0, 2.0], 1.0), Some(4.0));
/// assert_eq!(percentile(&[], 0.5), None);
/// ```
pub fn percentile(samples: &[f64], share: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let (below, above) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
    Some(below + (above - below) * place.fract())
}

/// How likely means as far apart as these are where the populations' means are the same, whatever their spreads:
/// Welch's t-test, "The generalization of 'Student's' problem" (Biometrika 1947), on both sides. `None` where either
/// has fewer than two samples.
///
/// ```
/// use quernel::bench::stats::welch;
/// assert!(welch(&[10.0, 10.1, 9.9], &[12.0, 12.1, 11.9]).unwrap() < 0.001);
/// assert!(welch(&[10.0, 10.1, 9.9], &[10.0, 10.2, 9.8]).unwrap() > 0.9);
/// ```
pub fn welch(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let variance = |samples: &[f64]| deviation(samples).powi(2) / samples.len() as f64;
    let (of_a, of_b) = (variance(a), variance(b));
    let distance = (mean(a) - mean(b)).abs();
    if of_a + of_b == 0.0 {
        return Some(if distance == 0.0 { 1.0 } else { 0.0 });
    }
    let part = |variance: f64, samples: &[f64]| variance * variance / (samples.len() - 1) as f64;
    let freedom = (of_a + of_b).powi(2) / (part(of_a, a) + part(of_b, b));
    Some(student(distance / (of_a + of_b).sqrt(), freedom))
}

/// The probability that Student's t with `freedom` degrees of freedom, 1 or more, is further from 0 than `t`.
///
/// With x = √ν tan θ the density's tail becomes ∫ cosᵛ⁻¹ θ dθ from atan(t/√ν) to π/2, as a share of the same from 0:
/// smooth and bounded, so that Simpson's rule does.
fn student(t: f64, freedom: f64) -> f64 {
    const INTERVALS: usize = 2000;
    let end = std::f64::consts::FRAC_PI_2;
    let integral = |begin: f64| {
        let width = (end - begin) / INTERVALS as f64;
        let height = |index: usize| (begin + width * index as f64).cos().max(0.0).powf(freedom - 1.0);
        let inner: f64 = (1..INTERVALS).map(|index| height(index) * if index % 2 == 1 { 4.0 } else { 2.0 }).sum();
        (height(0) + inner + height(INTERVALS)) * width / 3.0
    };
    integral((t / freedom.sqrt()).atan()) / integral(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_tails_are_those_of_the_tables() {
        // Fisher and Yates, table III: t that is exceeded on either side with the probability given.
        for (freedom, t, probability) in [
            (1.0, 12.706, 0.05),
            (2.0, 4.303, 0.05),
            (4.0, 2.776, 0.05),
            (4.0, 4.604, 0.01),
            (10.0, 2.228, 0.05),
            (30.0, 2.750, 0.01),
            (10_000.0, 1.960, 0.05),
        ] {
            let found = student(t, freedom);
            assert!((found - probability).abs() < 2e-4 * probability.sqrt(), "{freedom}, {t}: {found}");
        }
        assert!((student(0.0, 7.0) - 1.0).abs() < 1e-12);
        assert!(student(1e6, 4.0) < 1e-12);
    }

    #[test]
    fn welchs_test_is_that_of_other_programs() {
        // The example of Rosetta Code, on whose answer programs in many languages agree.
        let a = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4];
        let b = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4];
        let found = welch(&a, &b).unwrap();
        assert!((found - 0.021_378).abs() < 1e-5, "{found}");
        assert_eq!(welch(&[1.0, 1.0], &[1.0, 1.0]), Some(1.0));
        assert_eq!(welch(&[1.0, 1.0], &[2.0, 2.0]), Some(0.0));
        assert_eq!(welch(&[1.0], &[2.0, 3.0]), None);
    }
}
