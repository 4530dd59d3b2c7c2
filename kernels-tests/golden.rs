//! The golden checkpoints on the GPU present, through the engine, against the logits and the text of transformers.
//!
//! Where `models` passes and this fails, a shader, the executor or the driver is wrong.

#[path = "golden/ahead.rs"]
mod ahead;
#[path = "golden/deterministic.rs"]
mod deterministic;
#[path = "golden/doctor.rs"]
mod doctor;
#[path = "golden/fit.rs"]
mod fit;
mod fixtures;
#[path = "golden/pace.rs"]
mod pace;
#[path = "golden/quantized.rs"]
mod quantized;
#[path = "golden/sessions.rs"]
mod sessions;
#[path = "golden/tuned.rs"]
mod tuned;

use fixtures::{Golden, golden};
use pollster::block_on;
use quernel::engine::{Engine, EngineOptions, GenerateOptions, SamplerOptions};
use quernel::gpu::{Choice, Gpu};
use quernel::kernels::KvFormat;
use quernel::tensor::{Caps, DType};
use std::sync::{Mutex, PoisonError};

/// Sums of 32-bit numbers in another order than transformers'.
const ALLOWED: f64 = 1e-4;

/// Weights rounded to 11 bits.
const ALLOWED_F16: f64 = 2e-2;

/// Weights rounded to 8 bits, eight times as coarsely.
const ALLOWED_BF16: f64 = 8.0 * ALLOWED_F16;

/// The device, for one test at a time: the interface to OpenGL gives up on a thread that waits for another's.
static GPU: Mutex<Option<Gpu>> = Mutex::new(None);

/// Runs a test that has the GPU to itself.
fn on_gpu(test: impl FnOnce(&Gpu)) {
    let mut turn = GPU.lock().unwrap_or_else(PoisonError::into_inner);
    let gpu = turn.get_or_insert_with(|| block_on(Gpu::open(&Choice::default())).unwrap());
    test(gpu);
}

/// As [`on_gpu`], with the GPU as a graphics card is used.
fn on_card(test: impl FnOnce(&Gpu)) {
    on_gpu(|gpu| {
        let own = gpu.caps().clone();
        let card = Caps { processor: false, params_alignment: own.params_alignment.max(256), ..own };
        test(&block_on(Gpu::open_with(&Choice::default(), Some(card))).unwrap());
    });
}

/// `golden` on `gpu`.
fn engine(gpu: &Gpu, golden: &Golden, options: EngineOptions) -> Engine {
    block_on(Engine::open(&golden.dir, gpu.clone(), options, &mut |_, _| ())).unwrap()
}

/// The logits of every position of `tokens`, and how many positions came at once.
fn logits(engine: &mut Engine, tokens: &[u32]) -> (Vec<f32>, usize) {
    let (mut all, mut most, vocab) = (Vec::new(), 0, engine.model().vocab());
    let mut each = |first: usize, rows: &[f32]| {
        assert_eq!(first, all.len() / vocab);
        most = most.max(rows.len() / vocab);
        all.extend_from_slice(rows);
        Ok(())
    };
    block_on(engine.logits(tokens, &mut each)).unwrap();
    (all, most)
}

fn error(gpu: &Gpu, golden: &Golden, dtype: Option<DType>) -> f64 {
    let mut engine = engine(gpu, golden, EngineOptions { dtype, kv: KvFormat::F32, ..EngineOptions::default() });
    let (logits, most) = logits(&mut engine, &golden.ids("tokens"));
    assert!(most > 1);
    golden.error(logits.into_iter().map(f64::from))
}

#[test]
fn logits_are_those_of_transformers() {
    on_gpu(|gpu| {
        println!("largest error of a logit, by the logits' deviation, on {}:", gpu.info().name);
        println!("{:<20} {:>9} {:>9} {:>9} {:>9}", "", "as stored", "f32", "f16", "bf16");
        for golden in golden() {
            let formats = [None, Some(DType::F32), Some(DType::F16), Some(DType::BF16)];
            let [stored, f32, f16, bf16] = formats.map(|dtype| error(gpu, &golden, dtype));
            println!("{:<20} {stored:>9.1e} {f32:>9.1e} {f16:>9.1e} {bf16:>9.1e}", golden.name);
            assert!(stored <= ALLOWED && f32 <= ALLOWED, "{}", golden.name);
            assert!(f16 <= ALLOWED_F16 && bf16 <= ALLOWED_BF16, "{}", golden.name);
        }
    });
}

/// WebGPU's default limits, no `f16` and no subgroups are enough.
#[test]
fn the_least_device_gives_these_logits_too() {
    on_gpu(|_| {
        let gpu = block_on(Gpu::open_with(&Choice::default(), Some(Caps::baseline()))).unwrap();
        for golden in golden() {
            let error = error(&gpu, &golden, None);
            assert!(error <= ALLOWED, "{}: {error:e} of the logits' deviation", golden.name);
        }
    });
}

/// The kernels that graphics cards get, with all that this driver can do, and parameters that begin where DirectX and Metal
/// want them.
#[test]
fn a_graphics_card_gives_these_logits_and_this_text_too() {
    on_card(|gpu| {
        assert!(!gpu.caps().processor);
        for golden in golden() {
            let error = error(gpu, &golden, None);
            assert!(error <= ALLOWED, "{}: {error:e} of the logits' deviation", golden.name);
        }
        expect_greedy_text(gpu);
    });
}

/// By the GPU's own search of the largest logit, by the host's, and as text.
#[test]
fn greedy_text_is_that_of_transformers() {
    on_gpu(expect_greedy_text);
}

fn expect_greedy_text(gpu: &Gpu) {
    for golden in golden() {
        let options = EngineOptions { kv: KvFormat::F32, ..EngineOptions::default() };
        let mut engine = engine(gpu, &golden, options);
        let greedy = golden.ids("greedy");
        for keep_logits in [false, true] {
            let mut session = engine.session(SamplerOptions::greedy(), 0).unwrap();
            session.keep_logits(keep_logits);
            let prompt = engine.tokenizer().unwrap().encode(golden.expected["prompt_text"].as_str().unwrap());
            session.push(&prompt.unwrap()).unwrap();
            assert_eq!(session.tokens(), golden.ids("prompt"), "{}", golden.name);
            let options =
                GenerateOptions { max_tokens: Some(greedy.len()), ignore_eos: true, ..GenerateOptions::default() };
            let mut answer = engine.generate(&mut session, options).unwrap();
            let text: String = answer.by_ref().map(Result::unwrap).collect();
            assert_eq!(answer.generated(), greedy, "{}", golden.name);
            assert_eq!(text, golden.expected["greedy_text"].as_str().unwrap(), "{}", golden.name);
            assert_eq!(session.logits().is_empty(), !keep_logits);
        }
    }
}

/// Every operation of a prompt and of single tokens beside its definition, in every format of weights.
#[test]
fn no_operation_diverges_from_its_definition() {
    on_gpu(|gpu| {
        for golden in golden() {
            let formats =
                [None, Some(DType::F16), Some(DType::BF16), Some(DType::Q8), Some(DType::Q4), Some(DType::Q4A)];
            let exact =
                formats.into_iter().zip(KvFormat::ALL.into_iter().cycle()).map(|(dtype, kv)| (dtype, kv, false));
            let rounded = KvFormat::ALL.map(|kv| (Some(DType::Q4), kv, true));
            for (dtype, kv, int8) in exact.chain(rounded) {
                let options = EngineOptions { check: true, dtype, kv, int8, ..EngineOptions::default() };
                let mut engine = engine(gpu, &golden, options);
                let mut session = engine.session(SamplerOptions::greedy(), 0).unwrap();
                session.push(&golden.ids("tokens")).unwrap();
                for _ in 0..3 {
                    let next = block_on(engine.step(&mut [&mut session]));
                    assert!(matches!(next, Ok(ref next) if next[0].is_some()), "{}: {next:?}", golden.name);
                }
            }
        }
    });
}
