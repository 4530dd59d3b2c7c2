//! Runs the tests that the flags ask for, and writes what comes of them.

use super::Arguments;
use crate::cli::open;
use pollster::block_on;
use quernel::bench::{Measured, Protocol, Report, Setting, Shape, Synthetic, Test, measure, rfc3339, stats};
use quernel::checkpoint::Checkpoint;
use quernel::engine::{Engine, EngineOptions};
use quernel::gpu::Gpu;
use quernel::graph::{Plan, Source, StepShape};
use quernel::kernels::PAGE_TOKENS;
use quernel::model::Outputs;
use quernel::tensor::DType;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The commit, where whoever built the program told it.
const COMMIT: &str = match option_env!("QUERNEL_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Of synthetic weights.
const SEED: u64 = 42;

/// A standard deviation above this share of the mean is warned of.
const UNSTEADY: f64 = 0.05;

/// What is measured.
enum Subject {
    Folder(PathBuf),
    Shape(&'static Shape),
}

/// One engine's worth of tests.
#[derive(Clone, Copy)]
struct Setup<'a> {
    subject: &'a Subject,
    dtype: Option<DType>,
    batch: usize,
    ubatch: usize,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let shapes = arguments.shape.iter().map(|name| Shape::named(name).map(Subject::Shape));
    let folders = arguments.model.iter().map(|dir| Ok(Subject::Folder(dir.clone())));
    let subjects = folders.chain(shapes).collect::<quernel::Result<Vec<_>>>()?;
    let gpu = block_on(Gpu::open(&open::choice(arguments.adapter.as_deref())))?;
    if !arguments.quiet {
        open::introduce(gpu.info());
    }
    let dtypes: Vec<_> = match &arguments.weights[..] {
        [] => vec![None],
        dtypes => dtypes.iter().copied().map(Some).collect(),
    };
    let mut output = Output::new(arguments);
    for subject in &subjects {
        for &dtype in &dtypes {
            for &batch in &arguments.batch_size.0 {
                for &ubatch in &arguments.ubatch_size.0 {
                    tests(arguments, Setup { subject, dtype, batch, ubatch }, &gpu, &mut output)?;
                }
            }
        }
    }
    output.end()
}

/// The tests in llama-bench's order: at each depth the prompts, the answers, then both together.
fn wanted(arguments: &Arguments) -> Vec<Test> {
    let mut tests = Vec::new();
    for &depth in &arguments.n_depth.0 {
        tests.extend(arguments.n_prompt.0.iter().map(|&prompt| Test { prompt, generated: 0, depth }));
        tests.extend(arguments.n_gen.0.iter().map(|&generated| Test { prompt: 0, generated, depth }));
        tests.extend(arguments.pg.iter().map(|&(prompt, generated)| Test { prompt, generated, depth }));
    }
    tests.retain(|test| test.tokens() > 0);
    tests
}

fn tests(arguments: &Arguments, setup: Setup<'_>, gpu: &Gpu, output: &mut Output) -> anyhow::Result<()> {
    let tests = wanted(arguments);
    let context = tests.iter().map(Test::context).max().unwrap_or(1);
    let options = EngineOptions {
        context: Some(context),
        batch: setup.batch.min(setup.ubatch),
        dtype: setup.dtype,
        ..EngineOptions::default()
    };
    let mut engine = load(arguments, setup.subject, gpu, options)?;
    let mut setting = setting(&engine, setup)?;
    let protocol = Protocol {
        repetitions: arguments.repetitions.into(),
        warmup: !arguments.no_warmup,
        delay: Duration::from_secs(arguments.delay),
    };
    for test in tests {
        let title = format!("{} {}, {test}", setting.model_name, setting.weights);
        let told = &mut |doing: &str| {
            if arguments.progress {
                eprintln!("bench: {title}: {doing}");
            }
        };
        setting.time = rfc3339(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
        let measured = block_on(measure(&mut engine, test, protocol, told))?;
        output.write(&setting, &measured)?;
        warn_if_unsteady(&title, &measured);
    }
    Ok(())
}

fn load(arguments: &Arguments, subject: &Subject, gpu: &Gpu, options: EngineOptions) -> anyhow::Result<Engine> {
    let bar = open::progress_bar("uploading", arguments.quiet);
    let progress = &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let engine = match subject {
        Subject::Folder(dir) => block_on(Engine::load(Checkpoint::open(dir)?, gpu.clone(), options, progress)),
        Subject::Shape(shape) => {
            let config = shape.config()?;
            let tensors = Box::new(Synthetic::new(&config, SEED)?);
            block_on(Engine::from_tensors(&config, tensors, gpu.clone(), options, progress))
        }
    };
    bar.finish_and_clear();
    Ok(engine?)
}

fn setting(engine: &Engine, setup: Setup<'_>) -> anyhow::Result<Setting> {
    let step = StepShape { tokens: 1, outputs: 1, sequences: 1, table_pitch: engine.context().div_ceil(PAGE_TOKENS) };
    let plan = engine.plan(step, Outputs::Argmax)?;
    let (model_bytes, weights) = stored(&plan);
    let (model_file, model_name) = match setup.subject {
        Subject::Folder(dir) => {
            let name = dir.canonicalize()?.file_name().map(|name| name.to_string_lossy().into_owned());
            (dir.display().to_string(), name.unwrap_or_else(|| engine.model().name().to_owned()))
        }
        Subject::Shape(shape) => (format!("(shape {})", shape.name), shape.name.to_owned()),
    };
    Ok(Setting {
        commit: COMMIT.to_owned(),
        cpu: processor(),
        adapter: engine.gpu().info().clone(),
        model_file,
        model_name,
        weights,
        kv: "f32".to_owned(),
        model_bytes,
        parameters: engine.model().parameters(),
        batch: setup.batch,
        ubatch: setup.ubatch,
        time: String::new(),
    })
}

/// Bytes of the model's tensors on the device, and the storage that most of them have.
fn stored(plan: &Plan) -> (u64, String) {
    let mut formats = BTreeMap::new();
    for used in plan.weights.iter().filter(|used| matches!(used.weight.source, Source::Tensor { .. })) {
        *formats.entry(used.weight.fact.dtype.name()).or_insert(0) += used.weight.fact.resident_bytes();
    }
    let most = formats.iter().max_by_key(|(_, bytes)| **bytes);
    (formats.values().sum(), most.map_or_else(String::new, |(name, _)| (*name).to_owned()))
}

/// The processor's name, where the system tells it in a file.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map_or_else(String::new, |(_, name)| name.trim().to_owned())
}

fn warn_if_unsteady(title: &str, measured: &Measured) {
    let rates = measured.rates();
    let share = stats::deviation(&rates) / stats::mean(&rates);
    if share > UNSTEADY {
        eprintln!(
            "WARNING: {title}: the samples' standard deviation is {:.1} % of their mean: the machine is busy, or its \
             clock changes",
            100.0 * share
        );
    }
}

/// Where records go: to standard output, and to standard error where that was asked for.
struct Output {
    out: Report,
    err: Option<Report>,
}

impl Output {
    fn new(arguments: &Arguments) -> Self {
        let mut shown = Vec::new();
        if arguments.batch_size.0 != [2048] {
            shown.push("n_batch");
        }
        if arguments.ubatch_size.0 != [512] {
            shown.push("n_ubatch");
        }
        let err = arguments.output_err.map(|format| Report::new(format, shown.clone()));
        Self { out: Report::new(arguments.output, shown), err }
    }

    fn write(&mut self, setting: &Setting, measured: &Measured) -> anyhow::Result<()> {
        let record = setting.record(measured);
        let mut out = std::io::stdout().lock();
        out.write_all(self.out.record(&record)?.as_bytes())?;
        out.flush()?;
        if let Some(err) = &mut self.err {
            eprint!("{}", err.record(&record)?);
        }
        Ok(())
    }

    fn end(&self) -> anyhow::Result<()> {
        std::io::stdout().lock().write_all(self.out.end(COMMIT).as_bytes())?;
        if let Some(err) = &self.err {
            eprint!("{}", err.end(COMMIT));
        }
        Ok(())
    }
}
