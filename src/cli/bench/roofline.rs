//! A device's limits as text.

use quernel::bench::{Format, Roofline};
use quernel::gpu::AdapterInfo;

/// Every limit: a table, or JSON where a format for machines is asked for.
pub fn text(roofline: &Roofline, adapter: &AdapterInfo, format: Format) -> anyhow::Result<String> {
    let all = serde_json::json!({
        "adapter_name": adapter.name,
        "wgpu_backend": adapter.backend,
        "driver": format!("{} {}", adapter.driver, adapter.driver_info),
        "roofline": roofline,
    });
    Ok(match format {
        Format::Md => table(roofline),
        Format::Json => serde_json::to_string_pretty(&all)? + "\n",
        Format::Jsonl => serde_json::to_string(&all)? + "\n",
        Format::Csv | Format::Sql => anyhow::bail!("--roofline is written as md, json or jsonl"),
    })
}

fn table(roofline: &Roofline) -> String {
    let mut rows = vec![
        ("memory read".to_owned(), roofline.read_gbps, "GB/s"),
        ("memory copied, both ways".to_owned(), roofline.copy_gbps, "GB/s"),
        ("multiply and add f32".to_owned(), roofline.f32_tflops, "TFLOP/s"),
    ];
    rows.extend(roofline.f16_tflops.map(|rate| ("multiply and add f16".to_owned(), rate, "TFLOP/s")));
    rows.push(("multiply and add int8".to_owned(), roofline.int8_tops, "TOP/s"));
    for peak in &roofline.matrices {
        rows.push((format!("cooperative matrices {}", peak.shape), peak.tflops, "TFLOP/s"));
    }
    rows.push(("dispatch after dispatch".to_owned(), roofline.dependent_dispatch_us, "us"));
    rows.push(("dispatch beside dispatch".to_owned(), roofline.independent_dispatch_us, "us"));
    rows.push(("encoding a dispatch".to_owned(), roofline.encode_us, "us"));
    rows.push(("submit until read back".to_owned(), roofline.latency_us, "us"));
    let mut text = format!(
        "| {:<32} | {:>12} | {:<7} |\n| {:-<32} | {:->11}: | {:-<7} |\n",
        "limit", "measured", "unit", "", "", ""
    );
    for (name, value, unit) in rows {
        text += &format!("| {name:<32} | {value:>12.3} | {unit:<7} |\n");
    }
    text
}
