//! On whatever adapter there is; a machine without one fails these tests, and rightly so.

use super::*;
use crate::kernels::{Rung, Variant, add};
use crate::shader::{Recipe, sources};
use crate::tensor::Caps;
use crate::{Error, Result};
use pollster::block_on;
use std::fmt::Debug;

fn open(ceiling: Option<Caps>) -> Gpu {
    block_on(Gpu::open_with(&Choice::default(), ceiling)).expect("these tests need an adapter, a software one will do")
}

fn filled(gpu: &Gpu, label: &str, values: &[f32]) -> Buffer {
    let buffer = gpu.buffer(label, 4 * values.len() as u64, Usage::Activation).expect("fits");
    gpu.write(&buffer.whole(), bytemuck::cast_slice(values)).expect("writes");
    buffer
}

fn floats(gpu: &Gpu, slice: BufferSlice) -> Vec<f32> {
    let bytes = block_on(gpu.read(slice)).expect("reads");
    bytes.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().expect("four bytes"))).collect()
}

fn said<T: Debug>(result: Result<T>) -> String {
    match result {
        Err(Error::Gpu { message }) => message,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[track_caller]
fn lost<T: Debug>(result: Result<T>) {
    assert!(matches!(result, Err(Error::DeviceLost { .. })), "{result:?}");
}

/// Everything that one launch of `add` needs, made ahead.
struct Step {
    pipeline: Pipeline,
    bind_group: BindGroup,
    grid: [u32; 3],
    y: Buffer,
}

impl Step {
    fn new(gpu: &Gpu, rows: usize) -> Self {
        let launch = add::launch(rows, 4);
        let a: Vec<f32> = (0..4 * rows).map(|i| i as f32).collect();
        let (left, right) = (filled(gpu, "a", &a), filled(gpu, "b", &vec![0.5; a.len()]));
        let params = gpu.buffer("params", launch.params.len() as u64, Usage::Params).expect("fits");
        gpu.write(&params.whole(), &launch.params).expect("writes");
        let y = gpu.buffer("y", left.bytes(), Usage::Activation).expect("fits");
        let pipeline = gpu.pipeline(&launch.variant).expect("compiles");
        let bindings = [("params", params.whole()), ("a", left.whole()), ("b", right.whole()), ("y", y.whole())];
        let bind_group = gpu.bind(&pipeline, &bindings).expect("binds");
        Self { pipeline, bind_group, grid: launch.grid, y }
    }

    fn record(&self, gpu: &Gpu) -> Commands {
        let mut commands = gpu.encoder();
        commands.pass([(&self.pipeline, &self.bind_group, self.grid)]).expect("records");
        commands
    }
}

#[test]
fn a_kernel_matches_its_definition_at_the_baseline_and_at_full_caps() {
    for ceiling in [Some(Caps::baseline()), None] {
        let gpu = open(ceiling);
        let (rows, columns) = (3, 64);
        let a: Vec<f32> = (0..rows * columns).map(|i| i as f32 * 0.5 - 7.0).collect();
        let b: Vec<f32> = (0..rows * columns).map(|i| (i * i % 97) as f32).collect();
        let (left, right) = (filled(&gpu, "a", &a), filled(&gpu, "b", &b));
        let y = gpu.buffer("y", left.bytes(), Usage::Activation).expect("fits");
        let bindings = [("a", left.whole()), ("b", right.whole()), ("y", y.whole())];
        block_on(gpu.run(&add::launch(rows, columns), &bindings)).expect("runs");
        let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
        assert_eq!(wide(&floats(&gpu, y.whole())), add::reference(&wide(&a), &wide(&b)));
        gpu.health().expect("nothing was reported");
    }
}

#[test]
fn a_ceiling_holds_the_device_down_to_it() {
    let (gpu, least) = (open(Some(Caps::baseline())), Caps::baseline());
    let caps = gpu.caps();
    assert_eq!(caps.adapter, gpu.info().name);
    assert_eq!(Caps { adapter: least.adapter.clone(), ..caps.clone() }, least);
    let half = Caps { max_binding: 64 << 20, ..Caps::baseline() };
    assert_eq!(open(Some(half)).caps().max_binding, 64 << 20);
    let best = open(None);
    assert!(best.caps().max_buffer >= least.max_buffer && best.caps().binding_alignment <= least.binding_alignment);
    assert_eq!((best.caps().f16, best.caps().subgroup), (best.info().f16, best.info().subgroup));
}

#[test]
fn a_kernel_beyond_the_ceiling_is_refused() {
    let gpu = open(Some(Caps::baseline()));
    let wide = Recipe { shader: "add", slots: vec![], constants: vec![("WORKGROUP", 512)] };
    let refused = gpu.pipeline(&Variant { kernel: "add", recipe: wide });
    assert!(matches!(&refused, Err(Error::Unsupported { reason, .. }) if reason.contains("512")), "{refused:?}");
    let lanes = Recipe { shader: "rms_norm", slots: vec![("reduce", "reduce/subgroup")], constants: vec![] };
    let lanes = Variant { kernel: "rms_norm", recipe: lanes };
    said(gpu.pipeline(&lanes));
    let best = open(None);
    assert_eq!(best.pipeline(&lanes).is_ok(), best.caps().subgroup.is_some(), "{:?}", Rung::available(best.caps()));
    gpu.health().expect("what was returned is not told again");
}

#[test]
fn a_buffer_beyond_the_limits_does_not_fit() {
    let gpu = open(Some(Caps::baseline()));
    for bytes in [(256 << 20) + 1, u64::MAX - 15, u64::MAX] {
        match gpu.buffer("huge", bytes, Usage::Weights) {
            Err(Error::DoesNotFit { need, have, .. }) => assert_eq!((need, have), (bytes, 256 << 20)),
            other => panic!("{other:?}"),
        }
    }
    let step = Step::new(&gpu, 1);
    let large = gpu.buffer("large", (128 << 20) + 16, Usage::Weights).expect("a buffer may have 256 MiB");
    let params = gpu.buffer("params", 4, Usage::Params).expect("fits");
    let bindings = |a: BufferSlice| [("params", params.whole()), ("a", a.clone()), ("b", a), ("y", step.y.whole())];
    let bound = gpu.bind(&step.pipeline, &bindings(large.whole()));
    assert!(matches!(bound, Err(Error::DoesNotFit { have, .. }) if have == 128 << 20), "{bound:?}");
    gpu.bind(&step.pipeline, &bindings(large.slice(0, 128 << 20))).expect("exactly the largest binding");
}

#[test]
fn memory_that_runs_out_is_an_error_and_comes_back() {
    let gpu = open(None);
    let bytes = gpu.caps().max_buffer / 16 * 16;
    // GL hands out memory that is touched already, and a machine has only so much of that.
    let tries = if gpu.info().backend == "gl" { 1 } else { 8 };
    let mut held = Vec::new();
    for _ in 0..tries {
        match gpu.buffer("greedy", bytes, Usage::Weights) {
            Ok(buffer) => held.push(buffer),
            Err(Error::OutOfMemory { .. }) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(gpu.allocated(), bytes * held.len() as u64);
    drop(held);
    assert_eq!(gpu.allocated(), 0);
    block_on(gpu.finished()).expect("the device lives on");
    gpu.buffer("modest", 1 << 10, Usage::Weights).expect("there is memory again");
}

#[test]
fn bindings_go_by_name() {
    let gpu = open(None);
    let step = Step::new(&gpu, 16);
    let params = gpu.buffer("params", 4, Usage::Params).expect("fits");
    let x = gpu.buffer("x", 1024, Usage::Weights).expect("fits");
    let good = [("params", params.whole()), ("a", x.whole()), ("b", x.whole()), ("y", step.y.whole())];
    gpu.bind(&step.pipeline, &good).expect("binds");
    let with = |place: usize, name: &'static str, slice: BufferSlice| {
        let mut bindings = good.to_vec();
        bindings[place] = (name, slice);
        said(gpu.bind(&step.pipeline, &bindings))
    };
    assert!(said(gpu.bind(&step.pipeline, &good[..3])).contains("no buffer is given for \"y\""));
    assert!(with(1, "b", x.whole()).contains("no buffer is given for \"a\""));
    assert!(said(gpu.bind(&step.pipeline, &[&good[..], &good[1..2]].concat())).contains("\"a\" is given twice"));
    let unknown = [&good[..], &[("bias", x.whole())]].concat();
    assert!(said(gpu.bind(&step.pipeline, &unknown)).contains("no binding \"bias\"; it has params, a, b, y"));
    assert!(with(3, "y", x.whole()).contains("\"y\" is written and \"a\" is read in the same buffer"));
    assert!(with(1, "a", x.slice(4, 16)).contains("a multiple of"));
    assert!(with(1, "a", x.slice(0, 0)).contains("0 bytes"));
    assert!(with(1, "a", x.slice(1024, 16)).contains("within its buffer"));
    assert!(with(1, "a", x.slice(u64::MAX - 3, 16)).contains("within its buffer"));
    assert!(with(1, "a", params.whole()).contains("weights, activations or a step"));
    assert!(with(0, "params", x.whole()).contains("parameters"));
    gpu.health().expect("nothing reached the driver");
}

#[test]
fn writes_and_reads_any_range_of_words() {
    let gpu = open(None);
    let buffer = gpu.buffer("bytes", 10, Usage::Activation).expect("fits");
    gpu.write(&buffer.whole(), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).expect("the last word may be written in part");
    gpu.write(&buffer.slice(4, 4), &[50, 60, 70, 80]).expect("writes");
    gpu.write(&buffer.whole(), &[]).expect("nothing to do");
    assert_eq!(block_on(gpu.read(buffer.whole())).expect("reads"), [1, 2, 3, 4, 50, 60, 70, 80, 9, 10]);
    assert_eq!(block_on(gpu.read(buffer.slice(8, 1))).expect("reads"), [9]);
    said(gpu.write(&buffer.whole(), &[0; 5]));
    said(gpu.write(&buffer.slice(0, 4), &[0; 8]));
    said(gpu.write(&buffer.slice(8, 4), &[0; 4]));
    said(block_on(gpu.read(buffer.slice(2, 4))));
    said(block_on(gpu.read(buffer.slice(0, 0))));
    let readback = Readback::new(&gpu, 16).expect("fits");
    said(gpu.write(&readback.buffer().whole(), &[0; 4]));
    said(gpu.encoder().copy(readback.buffer().whole(), buffer.whole()));
    said(gpu.encoder().copy(buffer.slice(0, 4), buffer.slice(4, 4)));
    said(gpu.encoder().copy(buffer.whole(), readback.buffer().slice(0, 4)));
    said(block_on(readback.read_into(&mut Vec::new(), 17)));
    gpu.buffer("empty", 0, Usage::Weights).expect("an empty buffer is no mistake");
    gpu.health().expect("nothing reached the driver");
}

#[test]
fn a_large_upload_arrives_whole() {
    let gpu = open(None);
    let words: Vec<u32> = (0..25 << 20).collect();
    let bytes: &[u8] = bytemuck::cast_slice(&words);
    let buffer = gpu.buffer("large", bytes.len() as u64, Usage::Weights).expect("fits");
    gpu.write(&buffer.whole(), bytes).expect("writes");
    assert!(block_on(gpu.read(buffer.whole())).expect("reads") == bytes);
}

#[test]
fn replaying_a_step_makes_nothing() {
    let gpu = open(None);
    let (step, readback) = (Step::new(&gpu, 2), Readback::new(&gpu, 32).expect("fits"));
    let before = gpu.counts();
    assert_eq!(before, Counts { buffers: 5, bind_groups: 1, pipelines: 1 });
    let mut out = Vec::new();
    for _ in 0..3 {
        let mut commands = step.record(&gpu);
        commands.copy(step.y.whole(), readback.buffer().whole()).expect("records");
        gpu.submit(commands).expect("submits");
        block_on(readback.read_into(&mut out, 32)).expect("reads");
        assert_eq!(bytemuck::cast_slice::<u8, f32>(&out), [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]);
    }
    gpu.pipeline(&add::launch(9, 9).variant).expect("known already");
    assert_eq!(gpu.counts(), before);
}

#[test]
fn a_buffer_counts_until_the_last_bind_group_on_it_is_gone() {
    let gpu = open(None);
    let step = Step::new(&gpu, 4);
    assert_eq!(gpu.allocated(), 3 * 64 + 16);
    let Step { bind_group, y, .. } = step;
    drop(y);
    assert_eq!(gpu.allocated(), 3 * 64 + 16);
    drop(bind_group);
    assert_eq!(gpu.allocated(), 0);
}

#[test]
fn a_refused_command_is_an_error_and_the_device_lives_on() {
    let gpu = open(None);
    let step = Step::new(&gpu, 2);
    let scale = Recipe { shader: "scale", slots: vec![], constants: vec![("WORKGROUP", 64)] };
    let other = gpu.pipeline(&Variant { kernel: "scale", recipe: scale }).expect("compiles");
    let mut commands = gpu.encoder();
    commands.pass([(&other, &step.bind_group, [1, 1, 1])]).expect("the interface finds out later");
    assert!(!said(gpu.submit(commands)).is_empty());
    said(gpu.encoder().pass([(&step.pipeline, &step.bind_group, [u32::MAX, 1, 1])]));
    let done = gpu.submit(step.record(&gpu)).expect("submits");
    block_on(gpu.wait(&done)).expect("runs");
    assert_eq!(floats(&gpu, step.y.slice(0, 8)), [0.5, 1.5]);
}

#[test]
fn a_destroyed_device_is_lost_to_every_call() {
    let gpu = open(None);
    let (step, readback) = (Step::new(&gpu, 2), Readback::new(&gpu, 32).expect("fits"));
    let (commands, done) = (step.record(&gpu), gpu.submit(step.record(&gpu)).expect("submits"));
    gpu.destroy();
    gpu.destroy();
    lost(gpu.health());
    lost(gpu.submit(commands));
    lost(gpu.submit(step.record(&gpu)));
    lost(block_on(gpu.wait(&done)));
    lost(block_on(gpu.finished()));
    lost(gpu.buffer("b", 16, Usage::Weights));
    lost(gpu.write(&step.y.whole(), &[0; 4]));
    lost(block_on(gpu.read(step.y.whole())));
    lost(block_on(readback.read_into(&mut Vec::new(), 32)));
    lost(gpu.pipeline(&add::launch(1, 4).variant));
    lost(gpu.bind(&step.pipeline, &[]));
    lost(block_on(gpu.run(&add::launch(1, 4), &[])));
}

#[test]
fn a_program_may_hand_in_its_own_device_and_take_it_away() {
    let (_, adapter) = block_on(adapter::found()).into_iter().next().expect("these tests need an adapter");
    let request = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
    let (device, queue) = block_on(adapter.request_device(&request)).expect("opens");
    let gpu = Gpu::from_wgpu(&adapter, device.clone(), queue).expect("can run kernels");
    let (step, readback) = (Step::new(&gpu, 2), Readback::new(&gpu, 32).expect("fits"));
    block_on(gpu.wait(&gpu.submit(step.record(&gpu)).expect("submits"))).expect("runs");
    assert_eq!(gpu.caps().subgroup, None, "it was not asked for");
    let mut commands = step.record(&gpu);
    commands.copy(step.y.whole(), readback.buffer().whole()).expect("records");
    gpu.submit(commands).expect("submits");
    device.destroy();
    lost(block_on(readback.read_into(&mut Vec::new(), 32)).and_then(|()| block_on(gpu.finished())));
    lost(gpu.submit(step.record(&gpu)));
}

#[test]
fn several_threads_share_a_device() {
    fn shared<T: Send + Sync + Clone>(value: &T) -> T {
        value.clone()
    }
    let gpu = open(None);
    std::thread::scope(|scope| {
        for rows in 1..5 {
            let gpu = shared(&gpu);
            scope.spawn(move || {
                for _ in 0..4 {
                    let step = Step::new(&gpu, rows);
                    gpu.submit(step.record(&gpu)).expect("submits");
                    let expected: Vec<f32> = (0..4 * rows).map(|i| i as f32 + 0.5).collect();
                    assert_eq!(floats(&gpu, step.y.whole()), expected);
                }
            });
        }
    });
    assert_eq!(gpu.counts().pipelines, 1);
}

#[test]
fn an_adapter_that_is_not_there_is_named_with_those_that_are() {
    let error = block_on(Gpu::open(&Choice::adapter("no such adapter"))).expect_err("there is none");
    assert!(matches!(error, Error::NoAdapter { .. }));
    let text = error.to_string();
    assert!(text.contains("no such adapter") && adapters().iter().all(|info| text.contains(&info.name)), "{text}");
}

#[test]
fn no_kernel_reads_the_length_of_a_binding() {
    // The last quad of a slice is bound whole, so a length would not be the slice's own.
    for (path, text) in sources() {
        assert!(!text.contains("arrayLength"), "shaders/{path}.wgsl");
    }
}

#[test]
fn a_timer_tells_how_long_passes_took() {
    let gpu = open(None);
    let step = Step::new(&gpu, 1000);
    let passes = 2050; // more than one set of queries has room for
    let timer = match Timer::new(&gpu, passes) {
        Err(Error::Unsupported { reason, .. }) => return assert!(reason.contains("time"), "{reason}"),
        timer => timer.expect("fits"),
    };
    let mut commands = gpu.encoder();
    let launch = || (&step.pipeline, &step.bind_group, step.grid);
    for index in 0..passes {
        // One of them has a thousand times as much to do, in the second set.
        let launches = if index == 2048 { 1000 } else { 1 };
        commands.timed_pass(&timer, index, (0..launches).map(|_| launch())).expect("records");
    }
    commands.keep_times(&timer, passes).expect("records");
    let begin = std::time::Instant::now();
    gpu.submit(commands).expect("submits");
    let times = block_on(timer.read(passes)).expect("reads");
    let whole = begin.elapsed();
    assert_eq!(times.len(), passes);
    let sum: std::time::Duration = times.iter().sum();
    assert!(sum <= whole && sum > std::time::Duration::ZERO, "{sum:?} of {whole:?}");
    let mut sorted = times.clone();
    sorted.sort();
    assert!(times[2048] > 10 * sorted[passes / 2], "{:?} beside {:?}", times[2048], sorted[passes / 2]);
    said(gpu.encoder().timed_pass(&timer, passes, [launch()]));
    said(gpu.encoder().keep_times(&timer, passes + 1));
    assert!(Timer::new(&open(Some(Caps::baseline())), 1).is_err(), "it was not asked for");
}
