//! What a model needs, told before it is loaded, beside what is then there.

use crate::fixtures::{Golden, golden};
use crate::on_gpu;
use pollster::block_on;
use quernel::Error;
use quernel::engine::{Engine, EngineOptions, SamplerOptions};
use quernel::gpu::Gpu;
use quernel::kernels::KvFormat;
use quernel::tensor::DType;

fn open(gpu: &Gpu, golden: &Golden, options: &EngineOptions) -> quernel::Result<Engine> {
    block_on(Engine::open(&golden.dir, gpu.clone(), options.clone(), &mut |_, _| ()))
}

#[test]
fn the_estimate_is_within_a_twentieth_of_what_is_then_allocated() {
    on_gpu(|gpu| {
        for golden in golden() {
            for (dtype, kv) in
                [(None, KvFormat::F32), (Some(DType::F16), KvFormat::F16), (Some(DType::Q4), KvFormat::Q8)]
            {
                for batch in [16, 512] {
                    let before = gpu.allocated();
                    let options = EngineOptions { dtype, kv, batch, ..EngineOptions::default() };
                    let mut engine = open(gpu, &golden, &options).unwrap();
                    // The largest step that there can be, and one of one token.
                    let mut session = engine.session(SamplerOptions::greedy(), 0).unwrap();
                    session.keep_logits(true);
                    session.push(&vec![1; (engine.context() - 2).min(batch)]).unwrap();
                    block_on(engine.step(&mut [&mut session])).unwrap();
                    session.keep_logits(false);
                    block_on(engine.step(&mut [&mut session])).unwrap();
                    let (grown, need) = ((gpu.allocated() - before) as f64, engine.need().total() as f64);
                    println!("{:<20} {need:>9} estimated, {grown:>9} allocated", golden.name);
                    assert!((need / grown - 1.0).abs() <= 0.05, "{}: {need}, {grown}", golden.name);
                }
            }
        }
    });
}

/// The value after `flag` in a message.
fn suggested<'a>(message: &'a str, flag: &str) -> Option<&'a str> {
    message.split_once(flag)?.1.split([' ', ',']).next()
}

#[test]
fn a_model_that_does_not_fit_says_so_before_anything_is_made_and_what_would() {
    on_gpu(|gpu| {
        let golden = golden().into_iter().find(|golden| golden.name == "qwen3").unwrap();
        let need = |options: &EngineOptions| open(gpu, &golden, options).unwrap().need();
        let whole = need(&EngineOptions::default());
        let with = |memory: u64| EngineOptions { memory: Some(gpu.allocated() + memory), ..EngineOptions::default() };
        assert!(open(gpu, &golden, &with(whole.total())).is_ok());
        let narrow = need(&EngineOptions { dtype: Some(DType::Q4), context: Some(32), ..EngineOptions::default() });
        for memory in [whole.total() - 1, whole.total() - whole.cache / 2, narrow.total(), narrow.total() / 2] {
            let before = gpu.counts();
            let Some(error) = open(gpu, &golden, &with(memory)).err() else { panic!("{memory} bytes are enough") };
            assert_eq!(gpu.counts(), before, "nothing was made");
            let Error::DoesNotFit { need, have, .. } = &error else { panic!("{error}") };
            assert_eq!((*need, *have), (whole.total(), memory));
            let message = error.to_string();
            println!("{message}");
            let context = suggested(&message, "-c ").map(|context| context.parse().unwrap());
            let dtype = suggested(&message, "--weights ").map(|dtype| dtype.parse::<DType>().unwrap());
            assert_eq!(context.is_none() && dtype.is_none(), memory < narrow.total(), "{message}");
            // Each by itself where each fits, else both together.
            let both = [EngineOptions { context, dtype, ..with(memory) }];
            let each = [EngineOptions { context, ..with(memory) }, EngineOptions { dtype, ..with(memory) }];
            let tried = if message.contains("so does") { &each[..] } else { &both };
            for options in tried.iter().filter(|_| memory >= narrow.total()) {
                assert!(open(gpu, &golden, options).is_ok(), "{message}");
            }
        }
    });
}
