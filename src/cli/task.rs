//! `quernel perplexity --task`: what a model does, judged by a program.

use super::args::ModelArguments;
use super::open;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pollster::block_on;
use quernel::bench::{Storytelling, Told};
use quernel::engine::{Engine, EngineOptions};
use quernel::tensor::DType;
use quernel::text::ChatTemplate;
use serde_json::{Value, json};
use std::io::Write;

/// Stories that are told at once.
const SESSIONS: usize = 16;

/// Something to do that a program can judge.
#[derive(Clone, Copy, ValueEnum)]
pub enum Task {
    /// Tell stories
    Story,
}

impl Task {
    /// Has the model do it, and prints how it did.
    pub fn run(self, model: &ModelArguments, json: bool) -> anyhow::Result<()> {
        let Self::Story = self;
        let several = |options, _| EngineOptions { sessions: SESSIONS, ..options };
        let files = open::files_with(model, several)?;
        let template = ChatTemplate::open(files.dir(), None)?;
        let mut engine = files.engine(model)?;
        let bar = progress_bar(model.quiet);
        let progress = &mut |done: usize, total: usize| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        };
        let asked = Storytelling::default();
        let told = block_on(asked.run(&mut engine, &template, progress));
        bar.finish_and_clear();
        let told = told?;
        let mut out = std::io::stdout().lock();
        if json {
            serde_json::to_writer_pretty(&mut out, &as_json(model, &engine, &asked, &told))?;
            writeln!(out)?;
        } else {
            out.write_all(as_text(model, &told).as_bytes())?;
        }
        Ok(())
    }
}

/// Shown on a terminal only.
fn progress_bar(quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("telling {bar:40} {pos}/{len} stories {eta}");
    ProgressBar::with_draw_target(Some(0), target).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn as_text(model: &ModelArguments, told: &Told) -> String {
    let share = |(fine, all): (usize, usize)| format!("{fine} of {all} ({:.1} %)", 100.0 * fine as f64 / all as f64);
    let mut text = format!(
        "consistent  {}, weights {}, cache {}\nabout it    {}\nspeed       {:.0} tokens/s, {SESSIONS} stories at once\n",
        share(told.consistent),
        model.weights.map_or("as stored", DType::name),
        model.kv,
        share(told.about),
        told.tokens as f64 / told.time.as_secs_f64(),
    );
    if let Some((request, story, wrong)) = told.failed.first() {
        let asked = if request.is_empty() { String::new() } else { format!(" ({request})") };
        text.push_str(&format!("\nThe first that failed{asked}: {wrong}\n\n{story}\n"));
    }
    text
}

fn as_json(model: &ModelArguments, engine: &Engine, asked: &Storytelling, told: &Told) -> Value {
    let info = engine.gpu().info();
    let failed =
        told.failed.iter().map(|(request, story, wrong)| json!({ "request": request, "story": story, "wrong": wrong }));
    json!({
        "model": engine.model().name(),
        "parameters": engine.model().parameters(),
        "weights": model.weights.map(DType::name),
        "kv": model.kv.name(),
        "adapter": info.name,
        "backend": info.backend,
        "driver": format!("{} {}", info.driver, info.driver_info),
        "temperature": asked.sampler.temperature,
        "seed": asked.seed,
        "stories": told.consistent.1,
        "consistent": told.consistent.0,
        "requests": told.about.1,
        "about": told.about.0,
        "tokens": told.tokens,
        "seconds": told.time.as_secs_f64(),
        "failed": failed.collect::<Vec<_>>(),
    })
}
