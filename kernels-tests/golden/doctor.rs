//! A kernel that computes wrongly is found, left alone, and the output is right all the same.

use crate::fixtures::{Golden, golden};
use crate::{ALLOWED, engine, on_gpu};
use pollster::block_on;
use quernel::Error;
use quernel::doctor::{self, Certificate, ModelFinding, Verdict, examine, lost, model_check};
use quernel::engine::{Engine, EngineOptions};
use quernel::gpu::{Choice, Gpu};
use quernel::graph::StepShape;
use quernel::kernels::KvFormat;
use quernel::model::Outputs;
use quernel::tune::Device;

fn llama_3() -> Golden {
    golden().into_iter().find(|golden| golden.name == "llama-3").unwrap()
}

fn options() -> EngineOptions {
    EngineOptions { kv: KvFormat::F32, ..EngineOptions::default() }
}

fn check(engine: &mut Engine, golden: &Golden) -> ModelFinding {
    let (tokens, prompt, greedy) = (golden.ids("tokens"), golden.ids("prompt"), golden.ids("greedy"));
    let (tokens, prompt, greedy) = (&tokens[..], &prompt[..], &greedy[..]);
    let (name, logits) = (&*golden.name, &golden.logits[..]);
    let golden = doctor::Golden { name, tokens, logits, allowed: ALLOWED, prompt, greedy };
    block_on(model_check(engine, golden)).unwrap()
}

/// The kinds of products that a step of one token is computed by.
fn kinds(engine: &Engine) -> Vec<String> {
    let shape = StepShape { tokens: 1, outputs: 1, sequences: 1, table_pitch: 2 };
    let plan = engine.plan(shape, Outputs::Argmax).unwrap();
    let products = plan.dispatches.iter().filter(|dispatch| dispatch.call.is_some());
    products.map(|dispatch| dispatch.launch.variant.kind()).collect()
}

fn certificate(gpu: &Gpu) -> Certificate {
    let mut gpu = gpu.clone();
    let findings = block_on(examine(&mut gpu, &mut |_, _| ())).unwrap();
    Certificate::new(Device::new(gpu.info()), "2026-11-25T12:00:00Z", findings)
}

#[test]
fn a_variant_that_loses_the_device_is_left_alone_and_the_others_are_examined() {
    on_gpu(|gpu| {
        let first = block_on(Gpu::open(&Choice::default())).unwrap();
        let mut examined = first.clone();
        let findings = block_on(examine(&mut examined, &mut |done, _| {
            if done == 5 {
                first.destroy();
            }
        }));
        let found = Certificate::new(Device::new(gpu.info()), "2026-11-25T12:00:00Z", findings.unwrap());
        let failed: Vec<_> = found.kernels.iter().filter_map(|finding| finding.failure.as_deref()).collect();
        assert!(matches!(failed[..], [failure] if failure.contains("it was destroyed")), "{failed:?}");
        assert_eq!((found.verdict, found.refused.len()), (Verdict::PassedWithout, 1));
        assert!(found.kernels.len() > 20, "{}", found.kernels.len());
        // What comes after the examination goes on with the device that was opened then.
        assert!(first.health().is_err() && examined.health().is_ok());
        assert_eq!(examined.caps(), gpu.caps());
    });
}

#[test]
fn this_adapter_is_right() {
    on_gpu(|gpu| {
        let found = certificate(gpu);
        let wrong: Vec<_> = found.kernels.iter().filter(|finding| finding.failure.is_some()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!((found.verdict, lost(gpu.caps(), &found.refused)), (Verdict::Passed, vec![]));
        assert!(found.worst() > 0.0 && found.worst() <= 1.0, "{}", found.worst());
        let golden = llama_3();
        let mut engine = engine(gpu, &golden, options());
        let model = check(&mut engine, &golden);
        println!("{model:?}");
        assert!(model.passed(), "{model:?}");
        // Everything that the model used was examined.
        for kind in kinds(&engine) {
            assert!(found.kernels.iter().any(|finding| finding.kind == kind), "{kind}");
        }
    });
}

#[test]
fn a_wrong_variant_is_found_and_another_takes_its_place() {
    on_gpu(|gpu| {
        let golden = llama_3();
        let used = kinds(&engine(gpu, &golden, options()));
        let kind = &used[0];
        // A device of its own: every variant of the kind reads the row after the one that it ought to.
        let spoilt = block_on(Gpu::open(&Choice::default())).unwrap();
        spoilt.spoil(kind, "params.w_first + ", "params.w_first + 1u + ");
        let wrong = check(&mut engine(&spoilt, &golden, options()), &golden);
        assert!(!wrong.passed() && wrong.right_tokens < wrong.tokens / 2, "{wrong:?}");

        let found = certificate(&spoilt);
        assert_eq!(found.refused.iter().collect::<Vec<_>>(), [kind]);
        assert_eq!((found.verdict, lost(gpu.caps(), &found.refused)), (Verdict::PassedWithout, vec![]));

        let trusted = spoilt.refusing(found.refused);
        let mut engine = engine(&trusted, &golden, options());
        let replaced = kinds(&engine);
        assert!(!replaced.is_empty() && !replaced.contains(kind), "{replaced:?}");
        let right = check(&mut engine, &golden);
        println!("without {kind}: {right:?}, by {}", replaced[0]);
        assert!(right.passed(), "{right:?}");
        // So is a step that must be the same whatever its size.
        let deterministic = EngineOptions { deterministic: true, ..options() };
        assert!(check(&mut crate::engine(&trusted, &golden, deterministic), &golden).passed());
    });
}

#[test]
fn where_every_variant_is_wrong_the_model_is_refused() {
    on_gpu(|gpu| {
        let golden = llama_3();
        let found = certificate(gpu);
        let all = found.kernels.iter().filter(|finding| finding.kernel == "linear");
        let none = gpu.refusing(all.map(|finding| finding.kind.clone()));
        assert!(lost(gpu.caps(), &none.caps().refused).contains(&"linear (f32)".to_owned()));
        // That the model inside computes nothing is a finding, which a certificate has.
        let model = block_on(doctor::storyteller(&none)).unwrap();
        assert!(model.failure.as_ref().is_some_and(|reason| reason.contains("nothing takes its place")), "{model:?}");
        assert_eq!(found.clone().with_model(model).verdict, Verdict::Failed);
        let refused = block_on(Engine::open(&golden.dir, none, options(), &mut |_, _| ())).err().unwrap();
        assert!(matches!(&refused, Error::SelfTest { .. }), "{refused}");
        // As one that has a single rung.
        let none = gpu.refusing(["rope".to_owned(), "embed/f32".to_owned()]);
        assert_eq!(lost(gpu.caps(), &none.caps().refused), ["rope", "embed (f32)"]);
    });
}
