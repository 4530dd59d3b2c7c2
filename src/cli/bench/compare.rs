//! `quernel bench compare`: two files of results side by side.

use clap::Args;
use quernel::bench::{Entry, Pair, Verdict, compare, stats};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  quernel bench --shape smollm2-135m -r 10 -o json > before.json
  quernel bench compare before.json after.json --threshold 2

A difference counts where it is larger than the threshold and Welch's t-test finds it unlikely to be chance: 5 % over
all tests together. Files may be llama-bench's.

Exit codes: 0 nothing became slower · 1 something did, or a file is at fault · 2 wrong usage";

/// Which files, and what is worth mentioning.
#[derive(Args)]
pub struct Arguments {
    /// Results of before: from `-o json` or `-o jsonl`
    before: PathBuf,
    /// Results of after
    after: PathBuf,
    /// Differences up to so many percent do not count
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    threshold: f64,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err(format!("{text:?} is not a number from 0 to 100")),
    }
}

/// Runs the command; the exit code tells whether anything became slower.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (before, after) = (Entry::open(&arguments.before)?, Entry::open(&arguments.after)?);
    let pairs = compare(&before, &after, arguments.threshold / 100.0);
    if pairs.is_empty() {
        anyhow::bail!("{} and {} have no test in common", arguments.before.display(), arguments.after.display());
    }
    match std::io::stdout().lock().write_all(table(&pairs).as_bytes()) {
        // Whoever reads no further may ask for the exit code all the same.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    let left = before.len() + after.len() - 2 * pairs.len();
    if left > 0 {
        tell!("WARNING: {left} results are in one of the files only");
    }
    for Pair { before, after, .. } in pairs.iter().filter(|pair| pair.before.setting != pair.after.setting) {
        tell!("WARNING: {} was run with other settings: {}; {}", before.test, before.setting, after.setting);
    }
    let slower = pairs.iter().any(|pair| pair.verdict == Verdict::Slower);
    Ok(if slower { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn table(pairs: &[Pair]) -> String {
    let model = |pair: &Pair| match pair.before.model == pair.after.model {
        true => pair.before.model.clone(),
        false => format!("{} > {}", pair.before.model, pair.after.model),
    };
    let width = pairs.iter().map(|pair| model(pair).chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!(
        "| {:<width$} | {:>15} | {:>12} | {:>12} | {:>8} | {:>7} | {:<7} |\n",
        "model", "test", "before t/s", "after t/s", "change", "chance", "verdict"
    );
    let dash = |columns: usize| "-".repeat(columns);
    text += &format!(
        "| {} | {}: | {}: | {}: | {}: | {}: | {} |\n",
        dash(width),
        dash(14),
        dash(11),
        dash(11),
        dash(7),
        dash(6),
        dash(7)
    );
    for pair in pairs {
        let verdict = match pair.verdict {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::Same => "same",
            Verdict::Unknown => "unknown",
        };
        let chance = pair.chance.map_or_else(|| "?".to_owned(), |chance| format!("{chance:.4}"));
        let (first, second) = (stats::mean(&pair.before.rates), stats::mean(&pair.after.rates));
        text += &format!(
            "| {:<width$} | {:>15} | {first:>12.2} | {second:>12.2} | {:>+6.1} % | {chance:>7} | {verdict:<7} |\n",
            model(pair),
            pair.before.test.to_string(),
            100.0 * pair.change,
        );
    }
    text
}
