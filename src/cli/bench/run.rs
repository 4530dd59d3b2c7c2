//! Runs the tests that the flags ask for, and writes what comes of them.

use super::output::Output;
use super::subject::{Setup, Subject, load, setting};
use super::{Arguments, localscore, profile, roofline};
use crate::cli::{doctor, open};
use pollster::block_on;
use quernel::Error;
use quernel::bench::{Format, LOCALSCORE, Measured, Protocol, Roofline, Scored, Setting, Test, Tested};
use quernel::bench::{measure, rfc3339, stats, test_cost};
use quernel::engine::{Engine, EngineOptions};
use quernel::gpu::{AdapterInfo, Gpu};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A standard deviation above this share of the mean is warned of.
const UNSTEADY: f64 = 0.05;

/// Samples of a test: LocalScore's are long.
const REPETITIONS: [u16; 2] = [5, 1];

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let subjects = Subject::named(arguments)?;
    let tests = wanted(arguments);
    if tests.is_empty() && !arguments.roofline {
        return Err(Error::option("-p, -n and -pg", "ask for no test: each is 0").into());
    }
    let context = tests.iter().map(Test::context).max().unwrap_or(1);
    subjects.iter().try_for_each(|subject| subject.expect_room(context))?;
    let gpu = arguments.verdict.open(arguments.adapter.as_deref(), arguments.quiet)?;
    if !arguments.quiet {
        open::introduce(gpu.info());
    }
    if arguments.roofline {
        let roofline = block_on(Roofline::measure(&gpu))?;
        return Output::print(&roofline::text(&roofline, gpu.info(), arguments.output)?);
    }
    gpu.check_shaders(arguments.checked_shaders);
    let limits = limits(arguments, &gpu)?;
    let mut output = Output::new(arguments, limits.is_some());
    let measured = Setup::wanted(arguments, &subjects).into_iter().try_for_each(|setup| {
        let mut bench = Bench::new(arguments, setup, &gpu, context, limits.clone())?;
        match (arguments.profile, arguments.preset) {
            (true, _) => bench.profiles(),
            (false, Some(_)) => bench.scores(),
            (false, None) => bench.rates(&mut output),
        }
    });
    // What was measured until then can be read whatever came after.
    let ended = output.end();
    measured.and(ended)?;
    if arguments.output == Format::Md && !arguments.profile && arguments.preset.is_none() {
        Output::print(&match tested(gpu.info()) {
            Some(Tested { verdict, date, certificate, .. }) => {
                format!("self-test: {verdict} on {date} (certificate {certificate})\n")
            }
            None => "self-test: none here yet: run `quernel doctor`\n".to_owned(),
        })?;
    }
    Ok(())
}

/// What a self-test of the adapter found.
fn tested(adapter: &AdapterInfo) -> Option<Tested> {
    let certificate = doctor::stored(adapter)?;
    Some(Tested {
        verdict: certificate.verdict.to_string(),
        date: certificate.date.clone(),
        worst: certificate.worst(),
        refused: certificate.refused.iter().map(String::as_str).collect::<Vec<_>>().join(","),
        certificate: certificate.id(),
    })
}

/// The device's own limits, where anything is to be compared with them.
fn limits(arguments: &Arguments, gpu: &Gpu) -> anyhow::Result<Option<Roofline>> {
    if arguments.no_roofline || arguments.preset.is_some() {
        return Ok(None);
    }
    if arguments.progress {
        tell!("bench: measuring the device's own limits");
    }
    Ok(Some(block_on(Roofline::measure(gpu))?))
}

/// The tests in llama-bench's order: at each depth the prompts, the answers, then both together.
fn wanted(arguments: &Arguments) -> Vec<Test> {
    if arguments.preset.is_some() {
        return LOCALSCORE.to_vec();
    }
    let mut tests = Vec::new();
    for &depth in &arguments.n_depth.0 {
        tests.extend(arguments.n_prompt.0.iter().map(|&prompt| Test { prompt, generated: 0, depth }));
        tests.extend(arguments.n_gen.0.iter().map(|&generated| Test { prompt: 0, generated, depth }));
        tests.extend(arguments.pg.iter().map(|&(prompt, generated)| Test { prompt, generated, depth }));
    }
    tests.retain(|test| test.tokens() > 0);
    tests
}

/// A model on the GPU with the tests that it is for.
struct Bench<'a> {
    arguments: &'a Arguments,
    engine: Engine,
    setting: Setting,
    tests: Vec<Test>,
    /// Tokens of a step at most.
    batch: usize,
}

impl<'a> Bench<'a> {
    fn new(
        arguments: &'a Arguments,
        setup: Setup<'_>,
        gpu: &Gpu,
        context: usize,
        limits: Option<Roofline>,
    ) -> anyhow::Result<Self> {
        let batch = setup.batch.min(setup.ubatch);
        let options = EngineOptions {
            context: Some(context),
            batch: setup.batch,
            ubatch: Some(setup.ubatch),
            dtype: setup.dtype,
            kv: setup.kv,
            matrices: arguments.matrices,
            int8: arguments.int8,
            ..EngineOptions::default()
        };
        let options = EngineOptions { tuning: arguments.tuning.stored(gpu), ..options };
        let mut engine = load(arguments, setup.subject, gpu, options)?;
        arguments.tuning.tune(&mut engine, arguments.tune, arguments.quiet)?;
        let setting = setting(&engine, setup, limits, tested(gpu.info()))?;
        Ok(Self { arguments, engine, setting, tests: wanted(arguments), batch })
    }

    fn title(&self, test: Test) -> String {
        format!("{} {}, {test}", self.setting.model_name, self.setting.weights)
    }

    /// Runs a test, and tells when it began.
    fn measure(&mut self, test: Test) -> anyhow::Result<(Measured, String)> {
        let title = self.title(test);
        let [long, short] = REPETITIONS;
        let protocol = Protocol {
            repetitions: self
                .arguments
                .repetitions
                .unwrap_or(if self.arguments.preset.is_some() { short } else { long })
                .into(),
            warmup: !self.arguments.no_warmup,
            delay: Duration::from_secs(self.arguments.delay),
        };
        let progress = self.arguments.progress;
        let mut told = |doing: &str| {
            if progress {
                tell!("bench: {title}: {doing}");
            }
        };
        let time = rfc3339(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
        let measured = block_on(measure(&mut self.engine, test, protocol, &mut told))?;
        warn_if_unsteady(&title, &measured);
        Ok((measured, time))
    }

    /// Every test's rate, one after the other.
    fn rates(&mut self, output: &mut Output) -> anyhow::Result<()> {
        for test in self.tests.clone() {
            let (measured, time) = self.measure(test)?;
            let cost = test_cost(&self.engine, test, self.batch)?;
            output.write(&self.setting.record(&measured, cost, &time))?;
        }
        Ok(())
    }

    /// Where each test's time goes.
    fn profiles(&mut self) -> anyhow::Result<()> {
        for test in self.tests.clone() {
            let title = self.title(test);
            let limits = self.setting.roofline.as_ref();
            let found = block_on(quernel::bench::profile(&mut self.engine, test, limits))?;
            Output::print(&profile::text(&title, &found, self.arguments.output)?)?;
        }
        Ok(())
    }

    /// LocalScore's tests, and its score once all of them are done.
    fn scores(&mut self) -> anyhow::Result<()> {
        let (mut scored, mut records) = (Vec::new(), Vec::new());
        for test in self.tests.clone() {
            let (measured, time) = self.measure(test)?;
            let one = Scored::new(&measured);
            records.push(one.record(&self.setting, &time));
            scored.push(one);
        }
        Output::print(&localscore::text(&scored, &records, self.arguments.output)?)
    }
}

fn warn_if_unsteady(title: &str, measured: &Measured) {
    let rates = measured.rates();
    let share = stats::deviation(&rates) / stats::mean(&rates);
    if share > UNSTEADY {
        tell!(
            "WARNING: {title}: the samples' standard deviation is {:.1} % of their mean: the machine is busy, or its \
             clock changes",
            100.0 * share
        );
    }
}
