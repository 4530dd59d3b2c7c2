//! LocalScore's tests as text.

use quernel::bench::{Format, Record, Report, Scored, localscore, stats};

/// Whose numbers they are.
const LABEL: &str =
    concat!("computed by quernel ", env!("CARGO_PKG_VERSION"), " by LocalScore's formula; not uploaded");

/// All tests and the score.
pub fn text(tests: &[Scored], records: &[Record], format: Format) -> anyhow::Result<String> {
    let score = localscore(tests);
    match format {
        Format::Md => Ok(table(tests, score)),
        Format::Json => {
            let all = serde_json::json!({ "results": records, "score": score, "score_label": LABEL });
            Ok(serde_json::to_string_pretty(&all)? + "\n")
        }
        Format::Jsonl | Format::Csv | Format::Sql => {
            tell!("score: {score:.0}, {LABEL}");
            let mut report = Report::new(format, Vec::new(), false);
            let texts = records.iter().map(|record| report.record(record));
            Ok(texts.collect::<quernel::Result<String>>()?)
        }
    }
}

fn table(tests: &[Scored], score: f64) -> String {
    let mut text = "|          test | runs |    avg time | tokens processed |    pp t/s |    tg t/s |        ttft |\n\
                    | ------------: | ---: | ----------: | ---------------: | --------: | --------: | ----------: |\n"
        .to_owned();
    for scored in tests {
        text += &format!(
            "| {:>13} | {:>4} | {:>8.2} ms | {:>16} | {:>9.2} | {:>9.2} | {:>8.2} ms |\n",
            scored.test.to_string(),
            scored.times_ms.len(),
            stats::mean(&scored.times_ms),
            scored.test.tokens(),
            stats::mean(&scored.prompt_rates),
            stats::mean(&scored.answer_rates),
            scored.first_ms,
        );
    }
    text + &format!("\nscore: {score:.0}, {LABEL}\n")
}
