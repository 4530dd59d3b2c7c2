//! Every kernel on the GPU present, against its definition in double precision.
//!
//! One file a kernel beside this one holds its cases and its tolerance with the reason for it. A case's inputs follow
//! from its name, so a failure comes back when the name is given as a filter; `QUERNEL_TEST_SEED=n` gives other inputs.
//! `QUERNEL_SOAK=n` repeats the cases that look for races n times. `QUERNEL_CHECKED_SHADERS=1` runs the shaders with the interface's own checks in them.
//! Everything runs on the adapter with all it has, and what needs nothing on one held to WebGPU's default limits too.

mod activation;
mod add;
mod argmax;
mod attention;
mod attention_merge;
mod bench;
mod case;
mod data;
mod device;
mod embed;
mod gated;
mod int8;
mod kv_write;
mod layer_norm;
mod linear;
mod matmul_coop;
mod qkv;
mod quantize;
mod random;
mod rms_norm;
mod rope;
mod sample;
mod scale;

use case::Case;
use device::Device;
use libtest_mimic::{Arguments, Failed, Trial};
use quernel::doctor::works::Runs;
use quernel::kernels::Rung;
use quernel::tensor::Caps;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// One in so many portable cases runs at WebGPU's default limits too.
const AT_BASELINE: usize = 4;

/// Cases run, failures, and the worst error, for each kernel.
type Tally = BTreeMap<&'static str, (usize, usize, f64)>;

fn cases(caps: &Caps) -> Vec<Case> {
    // To all kernels but one, the other rungs are one more adapter with subgroups.
    let common = |rung: &Rung| matches!(rung, Rung::Portable | Rung::Subgroup);
    let (rungs, others): (Vec<_>, Vec<_>) = Rung::available(caps).into_iter().partition(common);
    let (eight, matrices): (Vec<_>, Vec<_>) = others.into_iter().partition(|rung| *rung == Rung::Eight);
    let rungs = &rungs[..];
    let runners: Vec<_> = rungs.iter().map(|&rung| Runs::On(rung)).chain([Runs::Processor(Rung::Portable)]).collect();
    let runners: Vec<_> = runners.into_iter().chain(eight.into_iter().map(Runs::Processor)).collect();
    let families = [
        activation::cases(),
        add::cases(),
        argmax::cases(rungs),
        attention::cases(rungs),
        attention_merge::cases(rungs),
        bench::cases(caps),
        embed::cases(),
        gated::cases(),
        int8::cases(rungs),
        kv_write::cases(),
        layer_norm::cases(rungs),
        linear::cases(rungs, &runners),
        matmul_coop::cases(&matrices),
        qkv::cases(&runners),
        quantize::cases(),
        random::cases(),
        rms_norm::cases(rungs),
        rope::cases(),
        sample::cases(rungs),
        scale::cases(),
    ];
    families.into_iter().flatten().collect()
}

fn trial(case: &Arc<Case>, device: &Arc<Device>, suffix: &str, tally: &Arc<Mutex<Tally>>) -> Trial {
    let (case, device, tally) = (case.clone(), device.clone(), tally.clone());
    Trial::test(format!("{}/{}{suffix}", case.kernel, case.name), move || {
        let result = (case.test)(&device);
        let mut tally = tally.lock().map_err(|_| Failed::from("another case panicked"))?;
        let (cases, failures, worst) = tally.entry(case.kernel).or_default();
        *cases += 1;
        *failures += usize::from(result.is_err());
        *worst = worst.max(*result.as_ref().unwrap_or(&0.0));
        result.map(|_| ()).map_err(Failed::from)
    })
}

fn open(ceiling: Option<Caps>) -> Arc<Device> {
    Arc::new(Device::open(ceiling).unwrap_or_else(|error| {
        eprintln!("{error}\nKernel tests need a GPU, or a software driver: `make test` sets one up.");
        std::process::exit(1);
    }))
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // A device runs one dispatch at a time; a second thread overlaps the next case's reference with it.
    arguments.test_threads.get_or_insert(2);
    let full = open(None);
    let baseline = open(Some(Caps::baseline()));
    let tally = Arc::new(Mutex::new(Tally::default()));
    let mut trials = Vec::new();
    let mut portable = 0;
    for case in cases(full.caps()).into_iter().map(Arc::new) {
        trials.push(trial(&case, &full, "", &tally));
        portable += usize::from(case.portable);
        if case.portable && portable.is_multiple_of(AT_BASELINE) {
            trials.push(trial(&case, &baseline, "/at-baseline", &tally));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let tally = tally.lock().map(|tally| tally.clone()).unwrap_or_default();
    println!("{}, seed {}", full.title(), data::number());
    println!("{:<14} {:>6} {:>9} {:>11}", "kernel", "cases", "failures", "worst NMSE");
    for (kernel, (cases, failures, worst)) in &tally {
        println!("{kernel:<14} {cases:>6} {failures:>9} {worst:>11.1e}");
    }
    let total: usize = tally.values().map(|(cases, ..)| cases).sum();
    println!("{total} cases in all");
    // Returned rather than exited with, so that drivers are left by devices that are gone.
    conclusion.exit_code()
}
