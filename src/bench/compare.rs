//! Two runs side by side: which differences are real, and which are noise.
//!
//! A file is what a [`Report`](super::Report) writes as JSON or as lines of JSON, or what llama-bench does.

use super::measure::Test;
use super::stats::{mean, welch};
use crate::{Error, Result, files};
use serde_json::Value;
use std::path::Path;

/// Bytes that a file of results may have.
const MAX_FILE: u64 = 256 << 20;

/// How unlikely a difference must be as mere chance, over all tests together, to be called one.
pub const SIGNIFICANCE: f64 = 0.05;

/// What two results of a test must share, beside the model, to be of one thing.
const SETTING: [&str; 5] = ["type_k", "type_v", "n_batch", "n_ubatch", "activations"];

/// One test's result as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The model and the storage of its weights.
    pub model: String,
    /// The test.
    pub test: Test,
    /// What else it was run with, as far as that is told: the cache's storage, the tokens of a step, the rounding.
    pub setting: String,
    /// Tokens per second of each sample.
    pub rates: Vec<f64>,
}

impl Entry {
    /// Every result in the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::BadFile`] where it holds anything else.
    pub fn open(path: impl AsRef<Path>) -> Result<Vec<Self>> {
        let path = path.as_ref();
        Self::parse(path, &files::read_text(path, MAX_FILE)?)
    }

    /// Every result in `text`; `path` is the file that errors name.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it holds anything else.
    pub fn parse(path: impl AsRef<Path>, text: &str) -> Result<Vec<Self>> {
        let bad = |reason: String| Error::bad_file(path.as_ref(), reason);
        let whole = match serde_json::from_str(text) {
            Ok(Value::Array(records)) => Ok(records),
            Ok(other) => Ok(vec![other]),
            Err(error) => Err(error),
        };
        let lines = || text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str).collect();
        let records: Vec<Value> = whole.or_else(|_| lines()).map_err(|error| bad(format!("is not JSON: {error}")))?;
        if records.is_empty() {
            return Err(bad("holds no results".to_owned()));
        }
        let entry = |(index, record): (usize, &Value)| Self::read(record).map_err(|key| missing(index, key));
        records.iter().enumerate().map(entry).collect::<Result<_, _>>().map_err(bad)
    }

    /// One record, or the key that is not as it should be.
    fn read(record: &Value) -> Result<Self, &'static str> {
        let count = |key: &'static str| {
            record.get(key).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok()).ok_or(key)
        };
        let rates = record.get("samples_ts").and_then(Value::as_array).ok_or("samples_ts")?;
        let rate = |rate: &Value| rate.as_f64().filter(|rate| rate.is_finite()).ok_or("samples_ts");
        let told = SETTING.iter().filter_map(|key| Some(format!("{key} {}", record.get(key)?)));
        Ok(Self {
            model: record.get("model_type").and_then(Value::as_str).ok_or("model_type")?.to_owned(),
            test: Test { prompt: count("n_prompt")?, generated: count("n_gen")?, depth: count("n_depth")? },
            setting: told.collect::<Vec<_>>().join(", ").replace('"', ""),
            rates: rates.iter().map(rate).collect::<Result<_, _>>()?,
        })
    }
}

fn missing(index: usize, key: &str) -> String {
    format!("its result {} has no \"{key}\" as llama-bench and quernel bench write it", index + 1)
}

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The second is faster, and not by chance.
    Faster,
    /// The second is slower, and not by chance.
    Slower,
    /// The difference is small, or may well be chance.
    Same,
    /// There are too few samples to tell.
    Unknown,
}

/// The same test in two files.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// In the first file.
    pub before: Entry,
    /// In the second.
    pub after: Entry,
    /// How much faster the second is, as a share of the first; below zero where it is slower.
    pub change: f64,
    /// How likely a difference so large is where there is none: Welch's test. `None` of fewer than two samples.
    pub chance: Option<f64>,
    /// What follows.
    pub verdict: Verdict,
}

/// Pairs the results of two files by model, test and setting, in the first one's order. Of those left over, by model and
/// test where each file has one such, and then by the test alone where each file has one of it, so that two settings, two
/// models or two formats can be compared.
///
/// A difference counts where it is larger than `threshold`, a share of the first, and unlikely enough to be chance. The
/// more tests there are the less likely it has to be, so that many tests do not find differences where there are none
/// (Bonferroni's correction).
pub fn compare(before: &[Entry], after: &[Entry], threshold: f64) -> Vec<Pair> {
    let mut rest: Vec<&Entry> = after.iter().collect();
    let mut partners: Vec<Option<&Entry>> = before
        .iter()
        .map(|entry| {
            let same = |other: &&Entry| same_model(other, entry) && other.setting == entry.setting;
            rest.iter().position(same).map(|place| rest.remove(place))
        })
        .collect();
    for same in [same_model as fn(&Entry, &Entry) -> bool, same_test] {
        for (index, entry) in before.iter().enumerate() {
            let alone = |list: &[Entry]| list.iter().filter(|other| same(other, entry)).count() == 1;
            if partners[index].is_none() && alone(before) && alone(after) {
                let place = rest.iter().position(|other| same(other, entry));
                partners[index] = place.map(|place| rest.remove(place));
            }
        }
    }
    let pairs: Vec<_> = before.iter().zip(partners).filter_map(|(entry, partner)| Some((entry, partner?))).collect();
    let chance = SIGNIFICANCE / pairs.len().max(1) as f64;
    pairs.into_iter().map(|(before, after)| pair(before, after, threshold, chance)).collect()
}

fn same_test(a: &Entry, b: &Entry) -> bool {
    a.test == b.test
}

fn same_model(a: &Entry, b: &Entry) -> bool {
    same_test(a, b) && a.model == b.model
}

fn pair(before: &Entry, after: &Entry, threshold: f64, allowed: f64) -> Pair {
    let (first, second) = (mean(&before.rates), mean(&after.rates));
    let change = if first > 0.0 { second / first - 1.0 } else { 0.0 };
    let chance = welch(&before.rates, &after.rates);
    let verdict = match chance {
        None => Verdict::Unknown,
        Some(chance) if chance >= allowed || change.abs() <= threshold => Verdict::Same,
        Some(_) if change > 0.0 => Verdict::Faster,
        Some(_) => Verdict::Slower,
    };
    Pair { before: before.clone(), after: after.clone(), change, chance, verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(model: &str, prompt: usize, rates: &[f64]) -> Entry {
        let test = Test { prompt, generated: 0, depth: 0 };
        Entry { model: model.to_owned(), test, setting: String::new(), rates: rates.to_vec() }
    }

    fn verdicts(before: &[Entry], after: &[Entry], threshold: f64) -> Vec<Verdict> {
        compare(before, after, threshold).into_iter().map(|pair| pair.verdict).collect()
    }

    #[test]
    fn a_difference_counts_where_it_is_large_and_unlikely() {
        let rates = |around: f64| [0.99, 1.0, 1.01, 1.0, 1.0].map(|factor| factor * around);
        let before = [entry("a", 1, &rates(100.0))];
        let against = |rates: &[f64], threshold| verdicts(&before, &[entry("a", 1, rates)], threshold)[0];
        assert_eq!(against(&rates(100.2), 0.0), Verdict::Same);
        assert_eq!(against(&rates(105.0), 0.0), Verdict::Faster);
        assert_eq!(against(&rates(95.0), 0.0), Verdict::Slower);
        assert_eq!(against(&rates(95.0), 0.06), Verdict::Same);
        assert_eq!(against(&[60.0, 80.0, 140.0, 90.0, 105.0], 0.0), Verdict::Same, "as far off, but noisy");
        assert_eq!(against(&[95.0], 0.0), Verdict::Unknown);
        let found = &compare(&before, &[entry("a", 1, &rates(110.0))], 0.0)[0];
        assert!((found.change - 0.1).abs() < 1e-12 && found.chance.unwrap() < 1e-6);
    }

    #[test]
    fn many_tests_find_no_differences_where_there_are_none() {
        let (one, other) = ([100.0, 101.0, 99.0], [103.0, 104.0, 102.0, 103.2]);
        let pairs = |count| {
            let before: Vec<Entry> = (0..count).map(|test| entry("a", test + 1, &one)).collect();
            let after: Vec<Entry> = (0..count).map(|test| entry("a", test + 1, &other)).collect();
            verdicts(&before, &after, 0.0)
        };
        assert_eq!(pairs(1)[0], Verdict::Faster);
        assert!(pairs(100).iter().all(|verdict| *verdict == Verdict::Same));
    }

    #[test]
    fn results_pair_by_model_and_test_and_else_by_test_alone() {
        let before = [entry("f16", 1, &[1.0]), entry("f16", 2, &[1.0]), entry("f16", 3, &[1.0])];
        let after = [entry("q4", 2, &[2.0]), entry("f16", 1, &[3.0]), entry("q4", 1, &[4.0]), entry("q4", 4, &[5.0])];
        let pairs = compare(&before, &after, 0.0);
        let plain: Vec<_> = pairs.iter().map(|pair| (pair.before.test.prompt, pair.after.rates[0])).collect();
        assert_eq!(plain, [(1, 3.0), (2, 2.0)]);
    }

    #[test]
    fn settings_are_paired_with_their_like_whatever_their_order() {
        let set = |kv: &str, rate| Entry { setting: format!("type_k {kv}"), ..entry("m q4", 8, &[rate]) };
        let rates = |before: &[Entry], after: &[Entry]| -> Vec<_> {
            compare(before, after, 0.0).iter().map(|pair| (pair.before.rates[0], pair.after.rates[0])).collect()
        };
        assert_eq!(
            rates(&[set("q8", 1.0), set("f16", 2.0)], &[set("f16", 3.0), set("q8", 4.0)]),
            [(1.0, 4.0), (2.0, 3.0)]
        );
        assert_eq!(rates(&[set("q8", 1.0)], &[set("f16", 3.0)]), [(1.0, 3.0)]);
        assert_eq!(rates(&[set("q8", 1.0)], &[set("f16", 3.0), set("f32", 4.0)]), []);
    }

    #[test]
    fn files_are_lists_or_lines_and_errors_name_them() {
        let record =
            r#"{"model_type": "a f16", "n_prompt": 512, "n_gen": 0, "n_depth": 0, "samples_ts": [1.5, 2], "x": 1}"#;
        let expected = [entry("a f16", 512, &[1.5, 2.0])];
        for text in [format!("[{record}]"), format!("{record}\n"), record.to_owned()] {
            assert_eq!(Entry::parse("a.json", &text).unwrap(), expected);
        }
        let two = format!("{record}\n\n{record}\n");
        assert_eq!(Entry::parse("a.jsonl", &two).unwrap().len(), 2);
        for (text, part) in [
            ("x".to_owned(), "not JSON"),
            ("[]".to_owned(), "no results"),
            (format!("[{record}, {{}}]"), "result 2 has no \"samples_ts\""),
            (record.replace("512", "-1"), "\"n_prompt\""),
            (record.replace("[1.5, 2]", "[null]"), "\"samples_ts\""),
        ] {
            let error = Entry::parse("a.json", &text).unwrap_err().to_string();
            assert!(error.starts_with("a.json: ") && error.contains(part), "{error}");
        }
        assert!(Entry::open("no/such.json").is_err());
    }
}
