//! Where results go.

use super::Arguments;
use quernel::bench::{Record, Report};
use quernel::engine::EngineOptions;
use std::io::Write;

/// The commit, where whoever built the program told it.
pub const COMMIT: &str = match option_env!("QUERNEL_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Records on standard output, and on standard error where that was asked for.
pub struct Output {
    out: Report,
    err: Option<Report>,
    written: bool,
}

impl Output {
    /// In the formats that the flags name; `limits` where the device's are known.
    pub fn new(arguments: &Arguments, limits: bool) -> Self {
        let mut shown = Vec::new();
        if arguments.batch_size.0 != [2048] {
            shown.push("n_batch");
        }
        if arguments.ubatch_size.0 != [512] {
            shown.push("n_ubatch");
        }
        if arguments.kv.iter().any(|kv| *kv != EngineOptions::default().kv) {
            shown.extend(["type_k", "type_v"]);
        }
        let err = arguments.output_err.map(|format| Report::new(format, shown.clone(), limits));
        Self { out: Report::new(arguments.output, shown, limits), err, written: false }
    }

    /// One record.
    pub fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        self.written = true;
        Self::print(&self.out.record(record)?)?;
        if let Some(err) = &mut self.err {
            tell_part!("{}", err.record(record)?);
        }
        Ok(())
    }

    /// What comes after the last record, if there were any.
    pub fn end(&self) -> anyhow::Result<()> {
        if !self.written {
            return Ok(());
        }
        if let Some(err) = &self.err {
            tell_part!("{}", err.end(COMMIT));
        }
        Self::print(&self.out.end(COMMIT))
    }

    /// Text for standard output, at once.
    pub fn print(text: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }
}
