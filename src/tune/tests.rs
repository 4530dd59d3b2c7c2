//! What is chosen is tried with times that are made up; the device's own are tried once, on a small model.

use super::search::{Measure, Subject, search, subjects};
use super::{BUDGET, Device, Tuning, tune};
use crate::bench::{Shape, Synthetic};
use crate::gpu::{Choice, Gpu};
use crate::graph::{Plan, StepShape};
use crate::kernels::{Launch, Policy, Rung, Way, Ways};
use crate::model::{Model, Outputs};
use crate::tensor::Caps;
use crate::{Error, Result};
use pollster::block_on;
use std::time::Duration;

fn plan(tokens: usize, deterministic: bool) -> Plan {
    let config = Shape::named("tiny").unwrap().config().unwrap();
    let tensors = Synthetic::new(&config, 1).unwrap();
    let step = StepShape { tokens, outputs: 1, sequences: 1, table_pitch: 4 };
    let graph = Model::open(&config, &tensors).unwrap().graph(step, 128, Outputs::Argmax, &tensors, None).unwrap();
    let policy = Policy { rung: Rung::Subgroup, deterministic, processor: false, int8: false };
    Plan::new(graph, &Caps { subgroup: Some((32, 32)), max_storage_buffers: 10, ..Caps::baseline() }, policy).unwrap()
}

/// Times by the variant's name, and how often it was timed before; each measurement costs a tenth of a second.
struct Fake<F> {
    seconds: F,
    timed: Vec<String>,
    begun: usize,
}

impl<F: FnMut(&str, usize) -> Option<f64>> Measure for Fake<F> {
    async fn begin(&mut self, _: &Subject<'_>) -> Result<()> {
        self.begun += 1;
        Ok(())
    }

    async fn seconds(&mut self, launch: &Launch, _: f64) -> Result<Option<f64>> {
        let name = launch.variant.to_string();
        let before = self.timed.iter().filter(|other| **other == name).count();
        self.timed.push(name.clone());
        Ok((self.seconds)(&name, before))
    }

    fn spent(&self) -> Duration {
        Duration::from_millis(100 * self.timed.len() as u64)
    }
}

/// What is found for the step of one token, and how many measurements it took.
fn found(budget: Duration, seconds: impl FnMut(&str, usize) -> Option<f64>) -> (Ways, usize) {
    let (plan, mut ways) = (plan(1, false), Ways::new());
    let mut fake = Fake { seconds, timed: Vec::new(), begun: 0 };
    block_on(search(&mut fake, &[&plan], budget, &mut ways, &mut |_, _| ())).unwrap();
    (ways, fake.timed.len())
}

const LONG: Duration = Duration::from_secs(1000);

const DEFAULT: Way = Way::Matvec { threads: 64, tokens: 1, subgroups: true };

#[test]
fn the_fastest_way_is_kept_where_it_is_clearly_faster() {
    let named = |name: &str| name.contains("WORKGROUP=128") && name.contains("subgroup");
    let with = |fast: f64| found(LONG, move |name, _| Some(if named(name) { fast } else { 1.0 })).0;
    let faster = with(0.96);
    assert!(faster.len() >= 5, "{faster:?}");
    assert!(faster.values().all(|way| *way == Way::Matvec { threads: 128, tokens: 1, subgroups: true }), "{faster:?}");
    let within_chance = with(0.98);
    assert_eq!(within_chance.len(), faster.len());
    assert!(within_chance.values().all(|way| *way == DEFAULT), "{within_chance:?}");
    let (refused, _) = found(LONG, |name, _| (!named(name)).then_some(1.0));
    assert_eq!(refused, within_chance, "what cannot run is no way");
    let (lucky, _) = found(LONG, |name, before| Some(if named(name) && before == 0 { 0.5 } else { 1.0 }));
    assert!(lucky.values().all(|way| *way == DEFAULT), "{lucky:?}");
    assert!(found(LONG, |_, _| None).0.is_empty());
}

#[test]
fn the_best_of_several_wins() {
    let seconds = |name: &str, _| {
        let which = |threads: &str| name.contains(threads) && name.contains("matvec/");
        Some(if which("WORKGROUP=256") { 0.7 } else { [1.0, 0.9][usize::from(which("WORKGROUP=32"))] })
    };
    let (ways, _) = found(LONG, seconds);
    assert!(ways.values().all(|way| matches!(way, Way::Matvec { threads: 256, .. })), "{ways:?}");
}

#[test]
fn the_budget_is_kept_and_what_matters_most_comes_first() {
    let (all, measured) = found(LONG, |_, _| Some(1.0));
    let (some, cut) = found(Duration::from_millis(100 * measured as u64 / 3), |_, _| Some(1.0));
    // What has not had its turn has it the next time.
    assert!(!some.is_empty() && some.len() < all.len(), "{some:?}");
    assert!(cut <= measured / 3 + 1, "{cut} of {measured}");
    assert!(found(Duration::ZERO, |_, _| Some(1.0)) == (Ways::new(), 0));
    let plan = plan(1, false);
    let shares: Vec<f64> = subjects(&[&plan], &Ways::new()).iter().map(|subject| subject.share).collect();
    assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
}

#[test]
fn what_is_known_and_what_has_one_way_is_not_timed() {
    let (single, prompt) = (plan(1, false), plan(64, false));
    let plans = [&single, &prompt];
    let all = subjects(&plans, &Ways::new());
    assert!(all.iter().any(|subject| subject.plan == 1));
    let mut known: Ways = all.iter().map(|subject| (subject.call.product(), DEFAULT)).collect();
    assert_eq!(known.len(), all.len(), "each product is there once");
    assert!(subjects(&plans, &known).is_empty());
    known.pop_first();
    assert_eq!(subjects(&plans, &known).len(), 1);
    assert!(subjects(&[&plan(1, true), &plan(64, true)], &Ways::new()).is_empty());
}

fn device() -> Device {
    let text = |text: &str| text.to_owned();
    Device {
        adapter: text("A GPU (of sorts)/2"),
        id: [1, 2],
        backend: text("vulkan"),
        driver: text("d"),
        driver_info: text("1.0"),
        engine: text("0.1.0"),
    }
}

#[test]
fn files_come_back_and_others_are_refused() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b").join(device().file_name());
    let tuning = Tuning { ways: found(LONG, |_, _| Some(1.0)).0, ..Tuning::new(device()) };
    assert!(!tuning.ways.is_empty());
    for _ in 0..2 {
        tuning.write(&path)?;
        assert_eq!(Tuning::read(&path)?, tuning);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        match Tuning::read(&path) {
            Err(Error::BadFile { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    };
    let other = refused(&text.replace("\"format\": 1", "\"format\": 2"));
    assert!(other.contains("format 2") && other.contains("reads format 1"), "{other}");
    for text in
        ["", "{}", "[1]", &text[..text.len() / 2], &text.replace("matvec", "matvex"), &text.replace("rung", "r")]
    {
        refused(text);
    }
    assert!(matches!(Tuning::read(folder.path().join("none")), Err(Error::Io { .. })));
    Ok(())
}

#[test]
fn file_names_are_plain_and_each_devices_own() {
    let name = device().file_name();
    assert!(name.starts_with("a-gpu--of-sorts--2-vulkan-") && name.ends_with(".json"), "{name}");
    for other in [
        Device { driver_info: "1.1".to_owned(), ..device() },
        Device { engine: "0.2.0".to_owned(), ..device() },
        Device { id: [1, 3], ..device() },
    ] {
        assert_ne!(other.file_name(), name);
    }
}

#[test]
fn a_small_model_is_tuned_on_the_device_within_the_budget() -> Result<()> {
    let gpu = block_on(Gpu::open(&Choice::default()))?;
    let config = Shape::named("tiny")?.config()?;
    let tensors = Synthetic::new(&config, 1)?;
    let step = StepShape { tokens: 1, outputs: 1, sequences: 1, table_pitch: 4 };
    let graph = Model::open(&config, &tensors)?.graph(step, 128, Outputs::Argmax, &tensors, None)?;
    let plan = Plan::new(graph.clone(), gpu.caps(), Policy::new(gpu.caps(), false))?;
    let (mut ways, begin, mut told) = (Ways::new(), std::time::Instant::now(), Vec::new());
    let mut progress = |done, all| told.push((done, all));
    block_on(tune(&gpu, &[&plan], BUDGET, &mut ways, &mut progress))?;
    // The last measurement may take a moment more.
    assert!(begin.elapsed() < BUDGET + BUDGET / 2, "{:?}", begin.elapsed());
    assert_eq!(told[0].0, 0);
    assert!(!ways.is_empty());
    let tuned = Plan::tuned(graph, gpu.caps(), Policy::new(gpu.caps(), false), &ways)?;
    for dispatch in &tuned.dispatches {
        let Some(way) = dispatch.call.and_then(|call| ways.get(&call.product())) else { continue };
        assert_eq!(dispatch.call.and_then(|call| call.launch(*way)).as_ref(), Some(&dispatch.launch));
    }
    Ok(())
}
