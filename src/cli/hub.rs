//! `quernel pull`, `quernel ls` and `quernel rm`: models of the hub in the cache.

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use quernel::Error;
use quernel::hub::{Hub, Progress, Settings, Snapshot, Spec};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

/// For `--help` of `pull`.
pub const PULL_EXAMPLES: &str = "\
Examples:
  quernel pull Qwen/Qwen3-0.6B
  quernel pull Qwen/Qwen3-0.6B@main && HF_HUB_OFFLINE=1 quernel generate -m Qwen/Qwen3-0.6B -p \"Hi\"
  cd \"$(quernel pull Qwen/Qwen3-0.6B)\"

The folder is printed. Only settings, tokenizer and safetensors are fetched. Ctrl-C at any time: the same command goes on
from there.

Environment, as Python's huggingface_hub has it; both share one cache:
  HF_TOKEN, HF_TOKEN_PATH       a token, for models that need one
  HF_HOME, HF_HUB_CACHE         where models are kept [default: ~/.cache/huggingface/hub]
  HF_ENDPOINT                   another hub [default: https://huggingface.co]
  HF_HUB_OFFLINE                1: connect to nothing
  HF_HUB_DOWNLOAD_TIMEOUT       seconds of silence after which a connection is lost [default: 10]
  HF_HUB_DISABLE_PROGRESS_BARS  1: draw no bars
  SSL_CERT_FILE, SSL_CERT_DIR   certificates to trust, where a proxy has one of its own; HTTPS_PROXY names it";

/// For `--help` of `ls`.
pub const LS_EXAMPLES: &str = "\
Examples:
  quernel ls
  quernel ls --json | jq -r '.[].path'

Revisions are shown by the names that they were fetched by, and by their commit where there is none. Files that two
revisions share are counted in both.";

/// For `--help` of `rm`.
pub const RM_EXAMPLES: &str = "\
Examples:
  quernel rm Qwen/Qwen3-0.6B         all that the cache holds of it
  quernel rm -y Qwen/Qwen3-0.6B@v1   one revision; what another one has as well stays";

/// Which model is fetched.
#[derive(Args)]
pub struct PullArguments {
    /// The model: org/name or org/name@revision
    #[arg(value_name = "MODEL", value_parser = spec)]
    model: Spec,
    /// Say nothing on standard error but errors
    #[arg(short, long)]
    quiet: bool,
}

/// How the list looks.
#[derive(Args)]
pub struct LsArguments {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Which model goes.
#[derive(Args)]
pub struct RmArguments {
    /// The model: org/name for all of it, org/name@revision for one revision
    #[arg(value_name = "MODEL", value_parser = spec)]
    model: Spec,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

fn spec(text: &str) -> Result<Spec, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

fn hub() -> quernel::Result<Hub> {
    Settings::from_env().map(Hub::new)
}

/// Fetches what the hub has now, and prints its folder.
pub fn pull(arguments: &PullArguments) -> anyhow::Result<()> {
    let folder = fetch(&hub()?, &arguments.model, arguments.quiet, true)?;
    writeln!(std::io::stdout(), "{}", folder.display())?;
    Ok(())
}

/// The model's folder, with a bar while it is fetched: the cache's where it is whole, unless the `newest` is wanted.
pub fn fetch(hub: &Hub, spec: &Spec, quiet: bool, newest: bool) -> quernel::Result<PathBuf> {
    if let Some(folder) = hub.cached(spec).filter(|_| !newest) {
        return Ok(folder);
    }
    if !quiet && !hub.settings().offline {
        tell!("fetching {spec} from {}", hub.settings().endpoint);
    }
    let hidden = quiet || Settings::no_progress_bars();
    let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let template = "{msg} {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
    let progress = &mut |progress: Progress<'_>| {
        if bar.message() != progress.file {
            bar.set_length(progress.total);
            bar.set_message(progress.file.to_owned());
        }
        bar.set_position(progress.done);
    };
    let folder = hub.pull(spec, progress);
    bar.finish_and_clear();
    folder
}

/// Prints what the cache holds.
pub fn ls(arguments: &LsArguments) -> anyhow::Result<()> {
    let list = hub()?.list()?;
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let list: Vec<_> = list.iter().map(as_json).collect();
        serde_json::to_writer_pretty(&mut out, &list)?;
        writeln!(out)?;
        return Ok(());
    }
    let rows: Vec<[String; 3]> = list.iter().map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (repo, revision, size) = (width(0), width(1), width(2));
    for (row, snapshot) in rows.iter().zip(&list) {
        let state = if snapshot.missing.is_empty() { "" } else { "  (not whole: quernel pull fetches the rest)" };
        let path = snapshot.path.display();
        writeln!(out, "{:<repo$}  {:<revision$}  {:>size$}  {path}{state}", row[0], row[1], row[2])?;
    }
    Ok(())
}

fn row(snapshot: &Snapshot) -> [String; 3] {
    let revision = match &snapshot.revisions[..] {
        [] => snapshot.commit.clone(),
        names => names.join(","),
    };
    [snapshot.repo.clone(), revision, HumanBytes(snapshot.bytes).to_string()]
}

fn as_json(snapshot: &Snapshot) -> serde_json::Value {
    json!({
        "repo": snapshot.repo,
        "commit": snapshot.commit,
        "revisions": snapshot.revisions,
        "bytes": snapshot.bytes,
        "path": snapshot.path,
        "missing": snapshot.missing,
    })
}

/// Takes a model out of the cache, and prints how many bytes that freed.
pub fn rm(arguments: &RmArguments) -> anyhow::Result<()> {
    let hub = hub()?;
    let spec = &arguments.model;
    if !arguments.yes && !agreed(&hub, spec)? {
        bail!("nothing was removed");
    }
    let freed = hub.remove(spec)?;
    writeln!(std::io::stdout(), "{freed} bytes freed")?;
    Ok(())
}

/// Asks on the terminal; where there is none, nobody can agree.
fn agreed(hub: &Hub, spec: &Spec) -> anyhow::Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Error::option("--yes", "there is no terminal to ask on: give -y to remove it").into());
    }
    tell_part!("remove {spec} from {}? [y/N] ", hub.settings().cache.display());
    let mut answer = String::new();
    input.read_line(&mut answer).context("standard input")?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
