//! `quernel perplexity`: how well a model foretells a text, beside the same model with wider numbers.

use super::args::{ModelArguments, weights};
use super::{open, text};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pollster::block_on;
use quernel::engine::{Comparison, Engine, EngineOptions, Mean, Perplexity, Windows};
use quernel::kernels::KvFormat;
use quernel::tensor::DType;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  quernel perplexity -m ./Llama-3.2-1B -f wiki.test.raw
  quernel perplexity -m ./Llama-3.2-1B -f wiki.test.raw --weights f16 --against f32
  quernel perplexity -m ./Llama-3.2-1B -f wiki.test.raw --kv q8 --against f32 --json
  quernel perplexity --task story --weights q4

The text is cut into windows as llama.cpp cuts it: of -c tokens (512 where it is not given, or the model's context if
that is shorter), beside each other, and the second half of each is scored; with --stride N they begin N tokens apart, and
the last N of each are scored. A text shorter than a window is scored whole. A rest that fills no window is left out.

With --against, the same checkpoint with weights of that format, a cache in f32 and no other rounding is the reference, on
the same GPU at the same time: both have to fit. KL is the divergence of each token's distribution from the reference's, in nats.

With --task story, the model inside tells stories at temperature 0.8 by fixed seeds, and a program reads each of them: is it
consistent in who has what, where and why, and is it about what was asked? The same on any machine, with no files.";

/// A window where none is asked for, llama.cpp's.
const CONTEXT: usize = 512;

/// Which model on which text.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// A file with the text
    #[arg(short, long, value_name = "FILE", required_unless_present = "task")]
    file: Option<PathBuf>,
    /// Judge what the model does in place of what it foretells: `story` has it tell 200 stories, and 200 on request
    #[cfg(feature = "story")]
    #[arg(long, value_enum, value_name = "TASK", conflicts_with_all = ["file", "against", "stride"])]
    task: Option<super::task::Task>,
    /// Compare with the model with weights of this format and a cache in f32
    #[arg(long, value_name = "FORMAT", value_parser = weights())]
    against: Option<DType>,
    /// Begin windows N tokens apart, and score the last N of each [default: side by side, the second half]
    #[arg(long, value_name = "N")]
    stride: Option<usize>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let model = &arguments.model;
    #[cfg(feature = "story")]
    if let Some(task) = arguments.task {
        return task.run(model, arguments.json);
    }
    let text = arguments.file.as_deref().map(text::of_file).transpose()?.unwrap_or_default();
    let files = open::files_with(model, windowed)?;
    let tokenizer = files.tokenizer()?;
    let tokens = tokenizer.encode(&text)?;
    // The token that the tokenizer puts before a text, if it does.
    let begin = tokens
        .first()
        .copied()
        .filter(|&first| tokenizer.encode_plain(&text).is_ok_and(|plain| plain.first() != Some(&first)));
    let windows = Windows::new(tokens, begin, files.context, arguments.stride)?;
    let reference = arguments.against.map(|against| {
        let exact = |options, trained| EngineOptions {
            dtype: Some(against),
            kv: KvFormat::F32,
            matrices: false,
            int8: false,
            ..windowed(options, trained)
        };
        open::files_with(model, exact)
    });
    let reference = reference.transpose()?;
    let mut engine = files.engine(model)?;
    let gpu = engine.gpu().clone();
    let mut reference = reference.map(|files| files.load(gpu, model)).transpose()?;
    let bar = progress_bar(model.quiet);
    let progress = &mut |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let measured = block_on(engine.perplexity(&windows, reference.as_mut(), progress));
    bar.finish_and_clear();
    let measured = measured?;
    let mut out = std::io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &as_json(arguments, &engine, &windows, &measured))?;
        writeln!(out)?;
    } else {
        out.write_all(as_text(arguments, &windows, &measured).as_bytes())?;
    }
    Ok(())
}

/// A context is a window.
fn windowed(options: EngineOptions, trained: usize) -> EngineOptions {
    EngineOptions { context: options.context.or(Some(CONTEXT.min(trained))), ..options }
}

/// Shown on a terminal only.
fn progress_bar(quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let template = "measuring {bar:40} {pos}/{len} tokens {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(0), target).with_style(style)
}

fn as_text(arguments: &Arguments, windows: &Windows, measured: &Perplexity) -> String {
    let Mean { value, error } = measured.perplexity;
    let weights = arguments.model.weights.map_or("as stored", DType::name);
    let mut text = format!(
        "perplexity  {value:.4} ± {error:.4}, weights {weights}, cache {}\n\
         text        {} tokens scored, {} windows of {}\n",
        arguments.model.kv,
        measured.scored,
        windows.len(),
        windows.context(),
    );
    if let (Some(against), Some(weights)) = (&measured.against, arguments.against) {
        let Comparison { perplexity, divergence, divergence_p99, divergence_max, top1_agreement } = against;
        text.push_str(&format!(
            "reference   {:.4} ± {:.4}, weights {weights}, cache f32\n\
             KL          mean {:.3e} ± {:.1e}, p99 {divergence_p99:.3e}, max {divergence_max:.3e}\n\
             same top    {:.2} %\n",
            perplexity.value,
            perplexity.error,
            divergence.value,
            divergence.error,
            100.0 * top1_agreement,
        ));
    }
    text
}

fn as_json(arguments: &Arguments, engine: &Engine, windows: &Windows, measured: &Perplexity) -> Value {
    let mean = |mean: Mean| json!({ "value": mean.value, "error": mean.error });
    let against = measured.against.as_ref().zip(arguments.against).map(|(against, weights)| {
        json!({
            "weights": weights.name(),
            "kv": KvFormat::F32.name(),
            "perplexity": mean(against.perplexity),
            "kl_mean": mean(against.divergence),
            "kl_p99": against.divergence_p99,
            "kl_max": against.divergence_max,
            "top1_agreement": against.top1_agreement,
        })
    });
    let info = engine.gpu().info();
    json!({
        "model": engine.model().name(),
        "parameters": engine.model().parameters(),
        "weights": arguments.model.weights.map(DType::name),
        "kv": arguments.model.kv.name(),
        "adapter": info.name,
        "backend": info.backend,
        "driver": format!("{} {}", info.driver, info.driver_info),
        "windows": windows.len(),
        "context": windows.context(),
        "stride": arguments.stride,
        "scored": measured.scored,
        "perplexity": mean(measured.perplexity),
        "against": against,
    })
}
