//! LocalScore's nine tests and its score, computed here: nothing is uploaded, and nobody but this program vouches for it.

use super::measure::{Measured, Test};
use super::record::{Field, Record, Setting};
use super::stats::{deviation, mean};

/// The tests of LocalScore, in its order.
pub const LOCALSCORE: [Test; 9] = [
    test(1024, 16),
    test(4096, 256),
    test(2048, 256),
    test(2048, 768),
    test(1024, 1024),
    test(1280, 3072),
    test(384, 1152),
    test(64, 1024),
    test(16, 1536),
];

const fn test(prompt: usize, generated: usize) -> Test {
    Test { prompt, generated, depth: 0 }
}

/// What LocalScore looks at in one of its tests. The prompt's time ends with the first new token.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The test.
    pub test: Test,
    /// Milliseconds of each run.
    pub times_ms: Vec<f64>,
    /// The prompt's tokens per second in each run.
    pub prompt_rates: Vec<f64>,
    /// The answer's tokens per second in each run.
    pub answer_rates: Vec<f64>,
    /// Milliseconds until the first new token, on the average.
    pub first_ms: f64,
}

impl Scored {
    /// What was measured, seen as LocalScore does.
    pub fn new(measured: &Measured) -> Self {
        let Test { prompt, generated, .. } = measured.test;
        let all = || measured.samples.iter();
        let rate = |tokens: usize, seconds: f64| tokens as f64 / seconds.max(1e-9);
        Self {
            test: measured.test,
            times_ms: all().map(|sample| 1e3 * sample.whole.as_secs_f64()).collect(),
            prompt_rates: all().map(|sample| rate(prompt, sample.first.as_secs_f64())).collect(),
            answer_rates: all().map(|sample| rate(generated, (sample.whole - sample.first).as_secs_f64())).collect(),
            first_ms: mean(&all().map(|sample| 1e3 * sample.first.as_secs_f64()).collect::<Vec<_>>()),
        }
    }

    /// The result under LocalScore's names and in its order; what needs a power meter is empty.
    pub fn record(&self, setting: &Setting, time: &str) -> Record {
        let mut record = Record::default();
        let text = |text: &str| Field::Text(text.to_owned());
        let real = |number: f64| Field::Real(Some(number));
        let fields = [
            ("build_commit", text(&setting.commit)),
            ("build_number", Field::Integer(0)),
            ("model_name", text(&setting.model_name)),
            ("model_quant_str", text(&setting.weights)),
            ("model_params_str", Field::Text(format!("{:.2}B", setting.parameters as f64 / 1e9))),
            ("model_filename", text(&setting.model_file)),
            ("model_type", Field::Text(format!("{} {}", setting.model_name, setting.weights))),
            ("model_size", Field::Integer(setting.model_bytes)),
            ("model_n_params", Field::Integer(setting.parameters)),
            ("n_prompt", Field::Integer(self.test.prompt as u64)),
            ("n_gen", Field::Integer(self.test.generated as u64)),
            ("test_time", text(time)),
            ("avg_time_ms", real(mean(&self.times_ms))),
            ("stddev_time_ms", real(deviation(&self.times_ms))),
            ("prompt_tps", real(mean(&self.prompt_rates))),
            ("prompt_tps_watt", Field::Real(None)),
            ("prompt_tps_stddev", real(deviation(&self.prompt_rates))),
            ("gen_tps", real(mean(&self.answer_rates))),
            ("gen_tps_watt", Field::Real(None)),
            ("gen_tps_stddev", real(deviation(&self.answer_rates))),
            ("name", Field::Text(self.test.to_string())),
            ("power_watts", Field::Real(None)),
            ("ttft_ms", real(self.first_ms)),
            ("main_gpu", Field::Integer(setting.adapter.index as u64)),
        ];
        fields.into_iter().for_each(|(name, field)| record.add(name, field));
        record
    }
}

/// LocalScore's score: ten times the geometric mean of a prompt's rate, an answer's rate, and first tokens in a second,
/// each the average of all tests. 0 of none.
///
/// ```
/// use quernel::bench::{Scored, Test, localscore};
/// let test = Test { prompt: 1000, generated: 10, depth: 0 };
/// let rates = |rate| vec![rate];
/// let scored =
///     Scored { test, times_ms: rates(3e3), prompt_rates: rates(1e3), answer_rates: rates(5.0), first_ms: 5e3 };
/// assert!((localscore(&[scored]) - 100.0).abs() < 1e-9);
/// ```
pub fn localscore(tests: &[Scored]) -> f64 {
    let average = |of: fn(&Scored) -> f64| mean(&tests.iter().map(of).collect::<Vec<_>>());
    let prompt = average(|test| mean(&test.prompt_rates));
    let answer = average(|test| mean(&test.answer_rates));
    let first = average(|test| test.first_ms);
    if first > 0.0 { 10.0 * (prompt * answer * 1e3 / first).cbrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Sample;
    use std::time::Duration;

    #[test]
    fn a_run_divides_at_the_first_token() {
        let sample = |first, whole| {
            let (first, whole) = (Duration::from_millis(first), Duration::from_millis(whole));
            Sample { whole, first, ..Sample::default() }
        };
        let measured =
            Measured { test: test(1024, 16), samples: vec![sample(500, 900), sample(250, 650)], gpu_bytes: 0 };
        let scored = Scored::new(&measured);
        assert_eq!(scored.prompt_rates, [2048.0, 4096.0]);
        assert!(scored.answer_rates.iter().all(|rate| (rate - 40.0).abs() < 1e-9), "{scored:?}");
        assert_eq!((scored.first_ms, &scored.times_ms[..]), (375.0, &[900.0, 650.0][..]));
        // The mean of both tests' rates and times, and the cube root of 3072 · 40 · 1000 / 375.
        assert!((localscore(&[scored]) - 10.0 * 327_680f64.cbrt()).abs() < 1e-9);
        assert_eq!(localscore(&[]), 0.0);
    }
}
