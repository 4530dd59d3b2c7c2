//! Running the conformance set, and what comes of it.

use super::conformance::{products, trials};
use super::stand::run;
use super::work::Work;
use crate::gpu::Gpu;
use crate::kernels::activation::Act;
use crate::kernels::attention::{Chunks, Extent, Heads};
use crate::kernels::linear::{Call, Form, Shape};
use crate::kernels::rope::{self, Pairing};
use crate::kernels::{self, KvFormat, Launch, Policy, Variant, rounds_with};
use crate::shader::{Target, link};
use crate::tensor::{Caps, DType};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What was found of one kind of variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The kernel.
    pub kernel: String,
    /// The kind of its variants, as [`Variant::kind`] names it.
    pub kind: String,
    /// A hash of the text of the shaders that were run: FNV-1a in 64 bits.
    pub shader: String,
    /// Pieces of work that were run.
    pub cases: usize,
    /// The largest error, as a normalised mean squared one, of those that may have one.
    pub error: f64,
    /// What was allowed where it was found; 0 where bits were to be equal.
    pub allowed: f64,
    /// What was wrong first; `None` where nothing was.
    pub failure: Option<String>,
    /// Seconds that it took.
    pub seconds: f64,
}

impl Finding {
    /// The largest error by what is allowed: above 1 is wrong. `None` where bits were to be equal.
    pub fn share(&self) -> Option<f64> {
        (self.allowed > 0.0).then(|| self.error / self.allowed)
    }
}

/// Devices that may be lost before an adapter is given up.
const LOSSES: usize = 8;

/// Runs the conformance set on `gpu` as it is, without regard to what it refuses. `progress` is told the pieces done and
/// the pieces in all.
///
/// What a driver refuses, computes wrongly or breaks down at is a finding and no error: a device that is lost is opened
/// anew, which `gpu` then is, and kinds of variants that lost one are not tried again.
///
/// # Errors
/// [`Error::OutOfMemory`], [`Error::DeviceLost`] where that happens again and again, and those of
/// [`Gpu::open`](crate::gpu::Gpu::open) where the adapter cannot be opened any more.
pub async fn examine(gpu: &mut Gpu, progress: &mut dyn FnMut(usize, usize)) -> Result<Vec<Finding>> {
    let mut bare = gpu.refusing([]);
    let (trials, mut found, mut losses) = (trials(gpu.caps()), Findings::default(), Vec::new());
    for (done, trial) in trials.iter().enumerate() {
        progress(done, trials.len());
        let begin = Instant::now();
        let work = (trial.work)(&format!("doctor/{}/{done}", trial.kernel));
        // What follows on the first launch only merges what it leaves, and is not to blame.
        let kind = work.launches.first().map(|(launch, _)| launch.variant.kind());
        if !found.is_new(&work) || losses.contains(&kind) {
            continue;
        }
        let outcome = match run(&bare, &work).await {
            Ok(written) => written.and_then(|written| compare(&work, &written)),
            Err(error @ Error::DeviceLost { .. }) if losses.len() < LOSSES => {
                losses.push(kind);
                *gpu = gpu.reopen().await?;
                bare = gpu.refusing([]);
                Err(error.to_string())
            }
            Err(error @ (Error::DeviceLost { .. } | Error::OutOfMemory { .. })) => return Err(error),
            Err(error) => Err(error.to_string()),
        };
        found.add(trial.kernel, &work, outcome, begin.elapsed().as_secs_f64());
    }
    progress(trials.len(), trials.len());
    Ok(found.finish())
}

/// The worst of the outputs' errors by what each allows, and that.
fn compare(work: &Work, written: &[Vec<u32>]) -> Result<(f64, f64), String> {
    let mut worst = (0.0, 0.0);
    for (output, words) in work.outputs.iter().zip(written) {
        let (error, allowed) = (output.compare(words)?, output.allowed());
        if allowed > 0.0 && (worst.1 == 0.0 || error / allowed > worst.0 / worst.1) {
            worst = (error, allowed);
        }
    }
    Ok(worst)
}

#[derive(Default)]
struct Findings {
    all: BTreeMap<String, Finding>,
    /// What was run already: rungs share launches.
    launches: Vec<Launch>,
    variants: BTreeMap<String, BTreeSet<Variant>>,
}

impl Findings {
    fn is_new(&mut self, work: &Work) -> bool {
        let Some((launch, _)) = work.launches.first() else { return false };
        let new = !self.launches.contains(launch);
        self.launches.push(launch.clone());
        new
    }

    /// What follows on the first launch only merges what it leaves, and has work of its own.
    fn add(&mut self, kernel: &str, work: &Work, outcome: Result<(f64, f64), String>, seconds: f64) {
        let Some((launch, _)) = work.launches.first() else { return };
        let kind = launch.variant.kind();
        self.variants.entry(kind.clone()).or_default().insert(launch.variant.clone());
        let finding = self.all.entry(kind.clone()).or_insert_with(|| Finding {
            kernel: kernel.to_owned(),
            kind,
            shader: String::new(),
            cases: 0,
            error: 0.0,
            allowed: 0.0,
            failure: None,
            seconds: 0.0,
        });
        finding.cases += 1;
        finding.seconds += seconds;
        match outcome {
            Ok((error, allowed)) if allowed > 0.0 && finding.share().is_none_or(|share| error / allowed > share) => {
                (finding.error, finding.allowed) = (error, allowed);
            }
            Ok(_) => {}
            Err(reason) if finding.failure.is_none() => {
                finding.failure = Some(format!("{}: {reason}", launch.variant));
            }
            Err(_) => {}
        }
    }

    fn finish(mut self) -> Vec<Finding> {
        for (kind, finding) in &mut self.all {
            let variants = self.variants.get(kind).into_iter().flatten();
            let texts = variants.filter_map(|variant| link(&variant.recipe, Target::Naga).ok());
            finding.shader = format!("{:016x}", hash(texts.flat_map(|linked| linked.source.into_bytes())));
        }
        let mut all: Vec<_> = self.all.into_values().collect();
        all.sort_by(|a, b| (&a.kernel, &a.kind).cmp(&(&b.kernel, &b.kind)));
        all
    }
}

/// FNV-1a of Fowler, Noll and Vo.
pub fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// Of what models need, that which no variant computes where `refused` ones are not used: names of kernels, with the
/// storage that they are for.
pub fn lost(caps: &Caps, refused: &BTreeSet<String>) -> Vec<String> {
    let runs = |launch: &Launch| !refused.contains(&launch.variant.kind());
    let policy = Policy::new(caps, false);
    let mut lost = Vec::new();
    for (name, launch) in ladders() {
        if !policy.ladder().filter_map(launch).any(|launch| runs(&launch)) {
            lost.push(name);
        }
    }
    let shape = Shape { tokens: 1, columns: 544, first_row: 0, rows: 80, all_rows: 80, w_first: 0, bias_first: 0 };
    for dtype in DType::WEIGHTS {
        let computed = |policy: Policy, tokens| {
            let call = Call { shape: Shape { tokens, ..shape }, form: Form::PLAIN, weight: dtype, policy };
            call.choose(None, refused).is_some()
        };
        let policies = products(caps).into_iter().filter(|policy| !policy.int8 || rounds_with(dtype));
        if !policies.into_iter().all(|policy| [1, 3, 33].into_iter().all(|tokens| computed(policy, tokens))) {
            lost.push(format!("linear ({dtype})"));
        }
    }
    lost
}

type Ladder = (String, Box<dyn Fn(Policy) -> Option<Launch>>);

/// A launch of every kernel but `linear`, by how it is to be chosen.
fn ladders() -> Vec<Ladder> {
    let heads = Heads { heads: 2, kv_heads: 1, head_dim: 64, scale: 0.1, window: None };
    let turned = rope::Heads { heads: 2, head_dim: 64, rotary_dim: 64, pairing: Pairing::Halves };
    let one = |name: &str, launch: Box<dyn Fn(Policy) -> Option<Launch>>| (name.to_owned(), launch);
    let mut all: Vec<Ladder> = vec![
        one("add", Box::new(|_| Some(kernels::add::launch(1, 8)))),
        one("scale", Box::new(|_| Some(kernels::scale::launch(1, 8, 2.0)))),
        one("rope", Box::new(move |_| Some(kernels::rope::launch(1, turned)))),
        one("rms_norm", Box::new(|policy| Some(kernels::rms_norm::launch(1, 8, 1e-5, policy.rung)))),
        one("layer_norm", Box::new(|policy| Some(kernels::layer_norm::launch(1, 8, 1e-5, true, policy.rung)))),
        one("argmax", Box::new(|policy| Some(kernels::argmax::launch(1, 8, policy.rung)))),
        one("sample", Box::new(|policy| Some(kernels::sample::launch(1, 8, policy)))),
        one(
            "attention_merge",
            Box::new(move |policy| {
                let chunks = Chunks { least: 128, most: 2, room: 2 };
                Some(kernels::attention_merge::launch(1, heads, chunks, policy))
            }),
        ),
    ];
    for act in Act::ALL {
        let name = format!("{act:?}").to_lowercase();
        all.push((format!("activation ({name})"), Box::new(move |_| Some(kernels::activation::launch(1, 8, act)))));
        all.push((format!("gated ({name})"), Box::new(move |_| Some(kernels::gated::launch(1, 8, act)))));
    }
    for kv in KvFormat::ALL {
        let extent = Extent { tokens: 1, sequences: 1, table_pitch: 1 };
        let attend = move |policy| Some(kernels::attention::launch(extent, heads, kv, policy));
        all.push((format!("attention ({kv})"), Box::new(attend)));
        all.push((format!("kv_write ({kv})"), Box::new(move |_| Some(kernels::kv_write::launch(1, 1, 64, kv)))));
    }
    for dtype in DType::WEIGHTS {
        let table = kernels::embed::Table { dtype, first: 0, rows: 1, columns: 32, w_first: 0 };
        all.push((format!("embed ({dtype})"), Box::new(move |_| kernels::embed::launch(1, table))));
    }
    all
}
