//! Opening a model on a GPU, telling what happens.

use super::args::ModelArguments;
use super::model;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pollster::block_on;
use quernel::Error;
use quernel::checkpoint::Checkpoint;
use quernel::engine::{Engine, EngineOptions};
use quernel::gpu::{AdapterInfo, Choice, Gpu};
use quernel::kernels::rounds_with;
use quernel::model::Model;
use quernel::text::Tokenizer;
use std::path::Path;

/// The adapter that was asked for.
pub fn choice(adapter: Option<&str>) -> Choice {
    adapter.map_or_else(Choice::default, Choice::adapter)
}

/// A model's files, looked at before any GPU: what is wrong with them, or with the options, needs none to be told.
pub struct Files {
    checkpoint: Checkpoint,
    options: EngineOptions,
    /// Tokens that a session will hold.
    pub context: usize,
}

/// Looks at the model's files.
pub fn files(arguments: &ModelArguments) -> anyhow::Result<Files> {
    files_with(arguments, |options, _| options)
}

/// As [`files`], with options that `change` makes of the arguments', knowing the context that the model was trained for.
pub fn files_with(
    arguments: &ModelArguments,
    change: impl FnOnce(EngineOptions, usize) -> EngineOptions,
) -> anyhow::Result<Files> {
    let checkpoint = Checkpoint::open(model::resolve(&arguments.model, arguments.quiet)?)?;
    let model = Model::open(&checkpoint.config()?, &checkpoint)?;
    let options = change(arguments.options(model.context()), model.context());
    options.validate()?;
    let context = options.context(model.context())?;
    Ok(Files { checkpoint, options, context })
}

impl Files {
    /// The model's tokenizer.
    pub fn tokenizer(&self) -> anyhow::Result<Tokenizer> {
        Ok(Tokenizer::open(self.checkpoint.dir())?)
    }

    /// The folder that the model's files are in.
    pub fn dir(&self) -> &Path {
        self.checkpoint.dir()
    }

    /// Refuses a prompt that the context cannot hold.
    pub fn expect_room(&self, tokens: &[u32]) -> anyhow::Result<()> {
        if tokens.len() > self.context {
            return Err(Error::ContextFull { tokens: tokens.len(), context: self.context }.into());
        }
        Ok(())
    }

    /// Opens the adapter, and uploads the model to it.
    pub fn engine(self, arguments: &ModelArguments) -> anyhow::Result<Engine> {
        let gpu = arguments.verdict.open(arguments.adapter.as_deref(), arguments.quiet)?;
        gpu.check_shaders(arguments.checked_shaders);
        if !arguments.quiet {
            introduce(gpu.info());
        }
        self.load(gpu, arguments)
    }

    /// Uploads the model to an adapter that is open.
    pub fn load(self, gpu: Gpu, arguments: &ModelArguments) -> anyhow::Result<Engine> {
        let options = EngineOptions { tuning: arguments.tuning.stored(&gpu), ..self.options };
        let int8 = options.int8;
        let bar = progress_bar("uploading", arguments.quiet);
        let progress = &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let engine = block_on(Engine::load(self.checkpoint, gpu, options, progress));
        bar.finish_and_clear();
        let mut engine = engine?;
        if !arguments.quiet {
            tell!("weights: {}", engine.formats());
            if int8 && !engine.formats().iter().any(|(dtype, ..)| rounds_with(dtype)) {
                tell!("WARNING: --int8 changes nothing: it is for weights in q4 and q4a, and there are none");
            }
        }
        arguments.tuning.tune(&mut engine, false, arguments.quiet)?;
        Ok(engine)
    }
}

/// Says which adapter it is, and warns where it is no GPU.
pub fn introduce(info: &AdapterInfo) {
    let memory = info.memory.map_or_else(String::new, |bytes| format!(", {}", HumanBytes(bytes)));
    tell!("adapter: {} ({}, {}{memory})", info.name, info.backend, info.kind);
    if info.kind == "cpu" {
        tell!("WARNING: this is a CPU driver, not a GPU: expect it to be slow. `quernel devices` lists what there is.");
    }
}

/// Shown on a terminal only.
pub fn progress_bar(doing: &'static str, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let template = "{prefix} {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(0), target).with_style(style).with_prefix(doing)
}
