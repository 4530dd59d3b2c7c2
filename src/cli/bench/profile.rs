//! A profile as text.

use quernel::bench::{Format, Profile, Waterfall};

/// The waterfall and the kernels: tables, or one JSON object a line where a format for machines is asked for.
pub fn text(title: &str, profile: &Profile, format: Format) -> anyhow::Result<String> {
    match format {
        Format::Md => Ok(table(title, profile)),
        Format::Json | Format::Jsonl => {
            let object = serde_json::json!({ "title": title, "profile": profile });
            Ok(serde_json::to_string(&object)? + "\n")
        }
        Format::Csv | Format::Sql => anyhow::bail!("--profile is written as md, json or jsonl"),
    }
}

fn table(title: &str, profile: &Profile) -> String {
    let Waterfall { step_ms, kernels_ms, gaps_ms, host_ms, least_ms } = profile.waterfall;
    let mut text = format!("{title}: {step_ms:.3} ms a step, the average of {}\n\n", profile.steps);
    text += "| of a step  |         ms |  share |\n| ---------- | ---------: | -----: |\n";
    let share = |ms: f64| 100.0 * ms / step_ms.max(1e-9);
    for (name, ms) in [("kernels", kernels_ms), ("gaps", gaps_ms), ("host", host_ms)] {
        text += &format!("| {name:<10} | {ms:>10.3} | {:>4.1} % |\n", share(ms));
    }
    if let Some(least) = least_ms {
        text += &format!("\nAt the device's limits the kernels would take {least:.3} ms.\n");
    }
    text += "\n|         ms |  share |  count |     GB/s |  TFLOP/s | of ceiling | kernel\n";
    text += "| ---------: | -----: | -----: | -------: | -------: | ---------: | ------\n";
    for row in &profile.kernels {
        let ceiling = row.share_of_ceiling.map_or_else(String::new, |share| format!("{:.1} %", 100.0 * share));
        let share = 100.0 * row.ms / kernels_ms.max(1e-9);
        text += &format!(
            "| {:>10.3} | {share:>4.1} % | {:>6.1} | {:>8.2} | {:>8.3} | {ceiling:>10} | {}\n",
            row.ms, row.count, row.gbps, row.tflops, row.kernel
        );
    }
    text + "\n"
}
