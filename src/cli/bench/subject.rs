//! What is measured: a folder or a shape, made an engine, and described.

use super::Arguments;
use super::output::COMMIT;
use crate::cli::{model, open};
use pollster::block_on;
use quernel::Error;
use quernel::bench::{Roofline, Setting, Shape, Synthetic, Tested};
use quernel::checkpoint::Checkpoint;
use quernel::engine::{Engine, EngineOptions, Pace};
use quernel::gpu::Gpu;
use quernel::graph::{Plan, Source, StepShape};
use quernel::kernels::{KvFormat, PAGE_TOKENS, Rounding};
use quernel::model::{Model, Outputs};
use quernel::tensor::DType;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Of synthetic weights.
const SEED: u64 = 42;

/// What is measured.
pub enum Subject {
    /// A model's folder.
    Folder(PathBuf),
    /// A shape without files.
    Shape(&'static Shape),
}

impl Subject {
    /// All that the flags name.
    pub fn named(arguments: &Arguments) -> anyhow::Result<Vec<Self>> {
        let shapes = arguments.shape.iter().map(|name| Ok(Self::Shape(Shape::named(name)?)));
        let folder = |dir: &PathBuf| model::resolve(dir, arguments.quiet).map(Self::Folder);
        arguments.model.iter().map(folder).chain(shapes).collect()
    }

    /// Refuses tests of more tokens than the model was made for. Needs no GPU.
    pub fn expect_room(&self, tokens: usize) -> quernel::Result<()> {
        let model = match self {
            Self::Folder(dir) => {
                let checkpoint = Checkpoint::open(dir)?;
                Model::open(&checkpoint.config()?, &checkpoint)?
            }
            Self::Shape(shape) => {
                let config = shape.config()?;
                Model::open(&config, &Synthetic::new(&config, SEED)?)?
            }
        };
        if tokens <= model.context() {
            return Ok(());
        }
        let reason = format!("a test takes {tokens} tokens, and the model was made for {}", model.context());
        Err(Error::option("-p, -n and -d", reason))
    }
}

/// One engine's worth of tests.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    pub subject: &'a Subject,
    pub dtype: Option<DType>,
    pub kv: KvFormat,
    pub batch: usize,
    pub ubatch: usize,
}

impl<'a> Setup<'a> {
    /// Every one that the flags ask for, the model slowest to change.
    pub fn wanted(arguments: &Arguments, subjects: &'a [Subject]) -> Vec<Self> {
        let dtypes: Vec<_> = match &arguments.weights[..] {
            [] => vec![None],
            dtypes => dtypes.iter().copied().map(Some).collect(),
        };
        // llama-bench names the format of keys and that of values, which are one here.
        let mut kvs: Vec<KvFormat> = Vec::new();
        for kv in &arguments.kv {
            if !kvs.contains(kv) {
                kvs.push(*kv);
            }
        }
        let mut all = Vec::new();
        for subject in subjects {
            for &dtype in &dtypes {
                for &kv in &kvs {
                    for &batch in &arguments.batch_size.0 {
                        all.extend(arguments.ubatch_size.0.iter().map(|&ubatch| Self {
                            subject,
                            dtype,
                            kv,
                            batch,
                            ubatch,
                        }));
                    }
                }
            }
        }
        all
    }
}

/// The model on the GPU.
pub fn load(arguments: &Arguments, subject: &Subject, gpu: &Gpu, options: EngineOptions) -> anyhow::Result<Engine> {
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
    let mut engine = engine?;
    // What is measured is how prompts are taken once the kernels are built, in the first run as in the last.
    engine.set_pace(Pace::of(gpu.caps()).eager());
    Ok(engine)
}

/// What records say of the model and the device.
pub fn setting(
    engine: &Engine,
    setup: Setup<'_>,
    roofline: Option<Roofline>,
    tested: Option<Tested>,
) -> anyhow::Result<Setting> {
    let step = StepShape { tokens: 1, outputs: 1, sequences: 1, table_pitch: engine.context().div_ceil(PAGE_TOKENS) };
    let plan = engine.plan(step, Outputs::Argmax)?;
    // The kernels of prompts are the same for as many as these and for more.
    let tokens = setup.batch.min(setup.ubatch).min(engine.context()).min(Pace::FIRST);
    let prompt = engine.plan(StepShape { tokens, ..step }, Outputs::Argmax)?;
    let (model_bytes, weights) = stored(&plan, setup.dtype);
    let (model_file, model_name) = match setup.subject {
        Subject::Folder(dir) => {
            let name = model::name(&dir.canonicalize()?);
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
        kv: plan.graph.kv.name().to_owned(),
        activations: activations([&plan, &prompt]).to_owned(),
        model_bytes,
        parameters: engine.model().parameters(),
        batch: setup.batch,
        ubatch: setup.ubatch,
        roofline,
        tested,
    })
}

/// What activations are rounded to before they are multiplied by weights: by the kernels that were chosen, whatever was
/// asked for. Where some round to bytes, others may round less.
fn activations(plans: [&Plan; 2]) -> &'static str {
    let dispatches = plans.into_iter().flat_map(|plan| &plan.dispatches);
    let rounding = dispatches.filter_map(|dispatch| dispatch.launch.variant.rounding()).max();
    rounding.map_or(DType::F32.name(), Rounding::name)
}

/// Bytes of the model's tensors on the device, and their storage: what was asked for, where any has it, and else what
/// most of them have.
fn stored(plan: &Plan, wanted: Option<DType>) -> (u64, String) {
    let mut formats = BTreeMap::new();
    for used in plan.weights.iter().filter(|used| matches!(used.weight.source, Source::Tensor { .. })) {
        *formats.entry(used.weight.fact.dtype).or_insert(0) += used.weight.fact.resident_bytes();
    }
    let most = formats.iter().max_by_key(|(_, bytes)| **bytes).map(|(dtype, _)| *dtype);
    let storage = wanted.filter(|wanted| formats.contains_key(wanted)).or(most);
    (formats.values().sum(), storage.map_or_else(String::new, |dtype| dtype.name().to_owned()))
}

/// The processor's name, where the system tells it in a file.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map_or_else(String::new, |(_, name)| name.trim().to_owned())
}
