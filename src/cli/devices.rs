//! `quernel devices`: the adapters there are, and what each can do.

use quernel::gpu::{AdapterInfo, Choice, adapters};
use std::io::Write;

/// Prints every adapter: as a table, or as JSON with its limits.
///
/// # Errors
/// `Error::NoAdapter` when there is none at all, or none that can be used: after the list, which shows why.
pub fn run(json: bool) -> anyhow::Result<()> {
    let list = adapters();
    let default = Choice::default().pick(&list);
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &list)?;
        writeln!(out)?;
    } else if !list.is_empty() {
        out.write_all(table(&list).as_bytes())?;
    }
    let info = &list[default?];
    if !json {
        writeln!(out, "default: {} {} ({})", info.index, info.name, info.backend)?;
    }
    Ok(())
}

const HEAD: [&str; 10] =
    ["#", "name", "backend", "driver", "type", "memory", "f16", "subgroup", "int8 dot", "cooperative matrices"];

fn table(list: &[AdapterInfo]) -> String {
    let rows: Vec<[String; 10]> = list.iter().map(row).collect();
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(HEAD[column].len()))
        .collect();
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let mut text = line(&HEAD.map(str::to_owned));
    for (info, row) in list.iter().zip(&rows) {
        text.push_str(&line(row));
        if let Some(why) = &info.unusable {
            text.push_str(&format!("   cannot be used: {why}\n"));
        }
    }
    text
}

fn row(info: &AdapterInfo) -> [String; 10] {
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let matrices: Vec<String> = info.matrices.iter().map(ToString::to_string).collect();
    [
        info.index.to_string(),
        info.name.clone(),
        info.backend.to_owned(),
        format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        info.kind.to_owned(),
        info.memory.map_or("?".to_owned(), |bytes| format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64)),
        yes(info.f16),
        match info.subgroup {
            None => "no".to_owned(),
            Some((least, most)) if least == most => least.to_string(),
            Some((least, most)) => format!("{least}-{most}"),
        },
        info.int8_dot.map_or("?".to_owned(), yes),
        if matrices.is_empty() { "no".to_owned() } else { matrices.join(", ") },
    ]
}
