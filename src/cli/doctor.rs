//! `quernel doctor`: what a system lacks, whether its adapter computes correctly, and how fast it reads.

use super::tuning::kept;
use super::{exit, open};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pollster::block_on;
use quernel::Error;
use quernel::bench::{Roofline, rfc3339};
use quernel::doctor::{Certificate, Finding, ModelFinding, System, Verdict, advice, examine, lost};
use quernel::gpu::{AdapterInfo, Gpu, adapters};
use quernel::tune::Device;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  quernel doctor                          what is missing here, and whether the GPU computes correctly
  quernel doctor --adapter 1              the same of another adapter
  quernel doctor --json certificate.json  what was found, for machines

What fails is not used any more, by any command, until the driver or Quernel is another version; what was found is kept
in the cache's folder `doctor`. --no-verdict makes a command use everything all the same.

Exit codes: 0 right, or wrong variants are replaced by right ones · 4 no adapter · 6 wrong with nothing in its place";

/// Which adapter, and where to what is found.
#[derive(Args)]
pub struct Arguments {
    /// The GPU: an index of `quernel devices`, a part of the name, or a PCI id
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,
    /// Write a certificate, to standard output where no file is named
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Runs the command; the exit code tells whether something is wrong that nothing takes the place of.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // Where the certificate goes to standard output, nothing else does.
    let machine = arguments.json.as_ref().is_some_and(|path| path.as_os_str() == "-");
    let mut report = Report { quiet: machine };
    let list = adapters();
    let system = System::here();
    report.line(&format!("system   {}", system.name()))?;
    for info in &list {
        report.line(&format!(
            "adapter  {} {} ({}, {} {}, {})",
            info.index, info.name, info.backend, info.driver, info.driver_info, info.kind
        ))?;
    }
    let kinds: Vec<&str> = list.iter().filter(|info| info.unusable.is_none()).map(|info| info.kind).collect();
    for sentence in advice(&system, &kinds) {
        report.line(&format!("missing  {sentence}"))?;
    }
    let mut gpu = block_on(Gpu::open(&open::choice(arguments.adapter.as_deref())))?;
    report.line(&format!("\nexamining {}: {}\n", gpu.info().index, gpu.info().name))?;
    let certificate = prove(&mut gpu, &mut report)?;
    match &arguments.json {
        Some(_) if machine => writeln!(std::io::stdout().lock(), "{}", certificate.to_json()?)?,
        Some(path) => certificate.write(path)?,
        None => {}
    }
    Ok(match certificate.verdict {
        Verdict::Failed => ExitCode::from(exit::SELF_TEST),
        Verdict::Passed | Verdict::PassedWithout => ExitCode::SUCCESS,
    })
}

/// Runs everything, tells it, and keeps it.
fn prove(gpu: &mut Gpu, report: &mut Report) -> anyhow::Result<Certificate> {
    let begin = Instant::now();
    let bar = progress_bar(report.quiet);
    let findings = block_on(examine(gpu, &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    }));
    bar.finish_and_clear();
    let now = rfc3339(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
    let certificate = Certificate::new(Device::new(gpu.info()), &now, findings?);
    let lost = lost(gpu.caps(), &certificate.refused);
    let mut certificate = certificate.without(lost);
    report.kernels(&certificate.kernels)?;
    for what in &certificate.lost {
        report.line(&format!("✗ {what}: nothing is left that computes it"))?;
    }
    let trusted = gpu.refusing(certificate.refused.clone());
    #[cfg(feature = "storyteller")]
    {
        certificate = certificate.with_model(block_on(quernel::doctor::storyteller(&trusted))?);
    }
    for model in &certificate.models {
        report.model(model)?;
    }
    match block_on(Roofline::read_gbps(&trusted)) {
        Ok(rate) => {
            certificate.read_gbps = Some(rate);
            report.line(&format!("memory   {rate:.1} GB/s read"))?;
        }
        Err(error) => report.line(&format!("memory   not measured: {error}"))?,
    }
    let seconds = begin.elapsed().as_secs_f64();
    let (verdict, id) = (certificate.verdict, certificate.id());
    report.line(&format!("verdict  {verdict}, in {seconds:.1} s (certificate {id})"))?;
    if let Some(path) = kept(gpu.info(), "doctor") {
        match certificate.write(&path) {
            Ok(()) => report.line(&format!("kept in  {}", path.display()))?,
            Err(error) => tell!("WARNING: the verdict was not kept: {error}"),
        }
    }
    Ok(certificate)
}

fn progress_bar(quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("kernels {bar:40} {pos}/{len} {eta}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(0), target).with_style(style)
}

/// What is told on standard output.
struct Report {
    quiet: bool,
}

impl Report {
    fn line(&mut self, text: &str) -> anyhow::Result<()> {
        if !self.quiet {
            writeln!(std::io::stdout().lock(), "{text}")?;
        }
        Ok(())
    }

    fn model(&mut self, model: &ModelFinding) -> anyhow::Result<()> {
        let ModelFinding { model: name, error, allowed, right_tokens, tokens, failure } = model;
        let mark = if model.passed() { '✓' } else { '✗' };
        let failure = failure.as_ref().map_or_else(String::new, |failure| format!(": {failure}"));
        self.line(&format!(
            "{mark} model {name}: logits within {error:.1e}, {allowed:.0e} allowed; {right_tokens} of {tokens} tokens{failure}\n"
        ))
    }

    /// A line for each kernel, and one for each kind of it that is wrong.
    fn kernels(&mut self, findings: &[Finding]) -> anyhow::Result<()> {
        self.line(&format!(
            "  {:<16} {:>8} {:>6} {:>12} {:>9} {:>8}",
            "kernel", "variants", "cases", "worst error", "allowed", "time"
        ))?;
        for group in findings.chunk_by(|a, b| a.kernel == b.kernel) {
            let wrong = group.iter().filter(|finding| finding.failure.is_some());
            let worst = group.iter().max_by(|a, b| a.share().unwrap_or(0.0).total_cmp(&b.share().unwrap_or(0.0)));
            let (error, allowed) = match worst {
                Some(finding) if finding.allowed > 0.0 => {
                    (format!("{:.1e}", finding.error), format!("{:.0e}", finding.allowed))
                }
                _ => ("none".to_owned(), "none".to_owned()),
            };
            let mark = if wrong.clone().count() == 0 { '✓' } else { '✗' };
            let cases: usize = group.iter().map(|finding| finding.cases).sum();
            let seconds: f64 = group.iter().map(|finding| finding.seconds).sum();
            let kernel = &group[0].kernel;
            let variants = group.len();
            self.line(&format!(
                "{mark} {kernel:<16} {variants:>8} {cases:>6} {error:>12} {allowed:>9} {seconds:>6.2} s"
            ))?;
            for finding in wrong {
                let reason = finding.failure.as_deref().unwrap_or_default();
                self.line(&format!("  ✗ {} is wrong and is not used any more: {reason}", finding.kind))?;
            }
        }
        self.line("")
    }
}

/// What a self-test of this adapter found, if there was one. A file that says nothing of use is as good as none.
pub fn stored(info: &AdapterInfo) -> Option<Certificate> {
    let path = kept(info, "doctor").filter(|path| path.exists())?;
    match Certificate::read(&path) {
        // One of another version of the shaders says nothing of these.
        Ok(certificate) => Some(certificate).filter(|certificate| certificate.is_of(&Device::new(info))),
        Err(error) => {
            tell!("WARNING: ignored a verdict: {error}");
            None
        }
    }
}

/// Whether what a self-test found counts.
#[derive(Args, Clone, Copy)]
pub struct VerdictArguments {
    /// Use kernel variants that `quernel doctor` found wrong here all the same
    #[arg(long)]
    no_verdict: bool,
}

impl VerdictArguments {
    /// The adapter that was asked for, without the variants that its self-test found wrong.
    pub fn open(self, adapter: Option<&str>, quiet: bool) -> Result<Gpu, Error> {
        let gpu = block_on(Gpu::open(&open::choice(adapter)))?;
        let Some(certificate) = stored(gpu.info()).filter(|_| !self.no_verdict) else { return Ok(gpu) };
        if certificate.refused.is_empty() {
            if certificate.verdict == Verdict::Failed && !quiet {
                tell!("WARNING: `quernel doctor` found that this adapter computes wrongly; do not trust what follows");
            }
            return Ok(gpu);
        }
        if !quiet {
            let refused: Vec<&str> = certificate.refused.iter().map(String::as_str).collect();
            tell!("WARNING: `quernel doctor` found kernels wrong here, which are not used: {}", refused.join(", "));
        }
        Ok(gpu.refusing(certificate.refused))
    }
}
