//! Records as text, in llama-bench's five formats.

use super::record::{Field, Record};
use crate::{Error, Result};
use std::fmt::Write;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A table in Markdown: llama-bench's columns, then ours.
    Md,
    /// Comma-separated values with a head, all quoted.
    Csv,
    /// One list of objects.
    Json,
    /// One object a line.
    Jsonl,
    /// Statements that make a table and fill it.
    Sql,
}

impl std::str::FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "md" => Ok(Self::Md),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "jsonl" => Ok(Self::Jsonl),
            "sql" => Ok(Self::Sql),
            _ => Err(Error::option("--output", format!("{text:?} is not one of md, csv, json, jsonl and sql"))),
        }
    }
}

/// Writes records down one after the other, so that each is there when its test is done.
pub struct Report {
    format: Format,
    /// Fields that the Markdown table shows because they are not the default.
    shown: Vec<&'static str>,
    /// Whether the device's limits are known.
    limits: bool,
    written: usize,
}

impl Report {
    /// A report in `format`. A Markdown table gets columns for the settings `shown` too, and for how close a result is
    /// to the device's `limits`, where they are known.
    pub fn new(format: Format, shown: Vec<&'static str>, limits: bool) -> Self {
        Self { format, shown, limits, written: 0 }
    }

    /// The text of one more record, with the head before the first.
    ///
    /// # Errors
    /// [`Error::Option`] where a number cannot be written in the format.
    pub fn record(&mut self, record: &Record) -> Result<String> {
        let first = self.written == 0;
        self.written += 1;
        let head = |head: String| if first { head } else { String::new() };
        Ok(match self.format {
            Format::Md => head(self.markdown_head()) + &self.markdown(record),
            Format::Csv => head(names(record, ",") + "\n") + &csv(record),
            Format::Json => {
                let text = json(serde_json::to_string_pretty(record))?.replace('\n', "\n  ");
                format!("{}  {text}", if first { "[\n" } else { ",\n" })
            }
            Format::Jsonl => json(serde_json::to_string(record))? + "\n",
            Format::Sql => head(table(record)) + &insert(record),
        })
    }

    /// The text after the last record.
    pub fn end(&self, commit: &str) -> String {
        match self.format {
            Format::Json if self.written == 0 => "[]\n".to_owned(),
            Format::Json => "\n]\n".to_owned(),
            Format::Md => format!("\nbuild: {commit} (quernel {})\n", env!("CARGO_PKG_VERSION")),
            _ => String::new(),
        }
    }

    /// Names, heads and widths of the table's columns; below zero to the left.
    fn columns(&self) -> Vec<(&'static str, String, i32)> {
        let own = |name: &'static str, head: &str, width| (name, head.to_owned(), width);
        let mut columns = vec![
            own("model_type", "model", -30),
            own("model_size", "size", 10),
            own("model_n_params", "params", 10),
            own("backends", "backend", -10),
            own("n_gpu_layers", "ngl", 3),
        ];
        for &name in &self.shown {
            let width = match name {
                "n_batch" => 7,
                "n_ubatch" => 8,
                "type_k" | "type_v" => 6,
                _ => name.len().max(10) as i32,
            };
            columns.push(own(name, name, width));
        }
        columns.extend([own("test", "test", 15), own("avg_ts", "t/s", 20)]);
        columns.extend([own("gbps", "GB/s", 8), own("tflops", "TFLOP/s", 8)]);
        if self.limits {
            columns.push(own("share_of_ceiling", "of ceiling", 10));
        }
        columns
    }

    fn markdown_head(&self) -> String {
        let (mut head, mut rule) = ("|".to_owned(), "|".to_owned());
        for (_, name, width) in self.columns() {
            head += &format!(" {} |", aligned(&name, width));
            let dashes = "-".repeat(width.unsigned_abs() as usize - 1);
            rule += &format!(" {dashes}{} |", if width > 0 { ':' } else { '-' });
        }
        format!("{head}\n{rule}\n")
    }

    fn markdown(&self, record: &Record) -> String {
        let mut line = "|".to_owned();
        for (name, _, width) in self.columns() {
            line += &format!(" {} |", aligned(&cell(record, name), width));
        }
        line + "\n"
    }
}

fn aligned(text: &str, width: i32) -> String {
    let columns = width.unsigned_abs() as usize;
    if width < 0 { format!("{text:<columns$}") } else { format!("{text:>columns$}") }
}

fn cell(record: &Record, name: &str) -> String {
    match (name, record.get(name)) {
        ("model_size", Some(Field::Integer(bytes))) => {
            let mebibytes = *bytes as f64 / f64::from(1 << 20);
            if mebibytes < 1024.0 { format!("{mebibytes:.2} MiB") } else { format!("{:.2} GiB", mebibytes / 1024.0) }
        }
        ("model_n_params", Some(Field::Integer(count))) => {
            let millions = *count as f64 / 1e6;
            if millions < 1000.0 { format!("{millions:.2} M") } else { format!("{:.2} B", millions / 1e3) }
        }
        ("avg_ts", Some(Field::Real(Some(rate)))) => match record.get("stddev_ts") {
            Some(Field::Real(Some(deviation))) => format!("{rate:.2} ± {deviation:.2}"),
            _ => format!("{rate:.2}"),
        },
        ("gbps", Some(Field::Real(Some(rate)))) => format!("{rate:.2}"),
        ("tflops", Some(Field::Real(Some(rate)))) => format!("{rate:.3}"),
        ("share_of_ceiling", Some(Field::Real(Some(share)))) => format!("{:.1} %", 100.0 * share),
        (_, Some(field)) => plain(field).unwrap_or_default(),
        (_, None) => String::new(),
    }
}

/// A scalar as tables have it; `None` for a number that there is none of.
fn plain(field: &Field) -> Option<String> {
    match field {
        Field::Text(text) => Some(text.clone()),
        Field::Integer(number) => Some(number.to_string()),
        Field::Real(number) => number.map(|number| number.to_string()),
        Field::Flag(yes) => Some(u8::from(*yes).to_string()),
        Field::Integers(_) | Field::Reals(_) => None,
    }
}

fn scalars(record: &Record) -> impl Iterator<Item = (&'static str, &Field)> {
    record.fields().filter(|(_, field)| !matches!(field, Field::Integers(_) | Field::Reals(_)))
}

fn names(record: &Record, between: &str) -> String {
    scalars(record).map(|(name, _)| name).collect::<Vec<_>>().join(between)
}

fn csv(record: &Record) -> String {
    let quoted = |field| format!("\"{}\"", plain(field).unwrap_or_default().replace('"', "\"\""));
    scalars(record).map(|(_, field)| quoted(field)).collect::<Vec<_>>().join(",") + "\n"
}

fn table(record: &Record) -> String {
    let kind = |field: &Field| match field {
        Field::Text(_) => "TEXT",
        Field::Real(_) => "REAL",
        _ => "INTEGER",
    };
    let columns: Vec<_> = scalars(record).map(|(name, field)| format!("  {name} {}", kind(field))).collect();
    format!("CREATE TABLE IF NOT EXISTS llama_bench (\n{}\n);\n\n", columns.join(",\n"))
}

fn insert(record: &Record) -> String {
    let mut values = String::new();
    for (index, (_, field)) in scalars(record).enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let text = plain(field).map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")));
        // Writing to a string does not fail.
        let _ = write!(values, "{comma}{text}");
    }
    format!("INSERT INTO llama_bench ({}) VALUES ({values});\n", names(record, ", "))
}

fn json(text: serde_json::Result<String>) -> Result<String> {
    text.map_err(|error| Error::option("--output", format!("a record cannot be written as JSON: {error}")))
}
