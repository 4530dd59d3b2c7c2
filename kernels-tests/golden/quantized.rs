//! Checkpoints that were quantized once, beside the same done at load.

use crate::fixtures::golden;
use crate::{engine, logits, on_gpu};
use pollster::block_on;
use quernel::checkpoint::Checkpoint;
use quernel::engine::{Engine, EngineOptions};
use quernel::quantize::Quantized;
use quernel::tensor::DType;

/// A device that quantizes may take the other of two scales that are nearly as good, once in thousands of groups. What
/// four bits lose themselves is ten times as much and more.
const OTHER_SCALES: f64 = 1e-3;

#[test]
fn a_quantized_checkpoint_gives_the_logits_of_quantizing_at_load() {
    on_gpu(|gpu| {
        for golden in golden() {
            for dtype in [DType::Q8, DType::Q4, DType::Q4A] {
                let dir = tempfile::tempdir().unwrap();
                let checkpoint = Checkpoint::open(&golden.dir).unwrap();
                Quantized::new(&checkpoint, dtype).unwrap().write(dir.path(), &mut |_, _| ()).unwrap();
                let mut at_load =
                    engine(gpu, &golden, EngineOptions { dtype: Some(dtype), ..EngineOptions::default() });
                let tokens = golden.ids("tokens");
                let expected = logits(&mut at_load, &tokens).0;
                // To ask for what it has changes nothing.
                for dtype in [None, Some(dtype)] {
                    let options = EngineOptions { dtype, ..EngineOptions::default() };
                    let mut opened = block_on(Engine::open(dir.path(), gpu.clone(), options, &mut |_, _| ())).unwrap();
                    let found = logits(&mut opened, &tokens).0;
                    let square = |x: f32| f64::from(x).powi(2);
                    let error: f64 = found.iter().zip(&expected).map(|(a, b)| square(a - b)).sum();
                    let error = error / expected.iter().copied().map(square).sum::<f64>();
                    assert!(error <= OTHER_SCALES, "{} {dtype:?}: {error:.1e}", golden.name);
                }
            }
        }
    });
}

/// The bytes that grow on the device as a model is loaded, beside what its formats take.
#[test]
fn weights_take_the_bytes_of_their_formats() {
    on_gpu(|gpu| {
        for golden in golden() {
            for dtype in DType::WEIGHTS {
                let before = gpu.allocated();
                let options = EngineOptions { dtype: Some(dtype), context: Some(32), ..EngineOptions::default() };
                let engine = engine(gpu, &golden, options);
                let grown = gpu.allocated() - before - engine.need().cache;
                let checkpoint = Checkpoint::open(&golden.dir).unwrap();
                let step = quernel::graph::StepShape { tokens: 1, outputs: 1, sequences: 1, table_pitch: 1 };
                let outputs = quernel::model::Outputs::Logits;
                let graph = engine.model().graph(step, 32, outputs, &checkpoint, Some(dtype)).unwrap();
                let formats: usize = graph.weights.iter().map(|weight| weight.fact.bytes()).sum();
                // Rows begin at multiples of 8 elements, buffers have whole quads of words.
                let rows: usize = graph.weights.iter().map(|weight| weight.fact.shape.rows()).sum();
                let slack = rows * dtype.row_bytes(7).min(28) + 16 * graph.weights.len();
                let bounds = formats as u64..=(formats + slack) as u64;
                assert!(bounds.contains(&grown), "{} {dtype}: {grown} is not in {bounds:?}", golden.name);
                let asked = engine.formats().iter().any(|(found, ..)| found == dtype || found == DType::F16);
                assert!(asked, "{} {dtype}: {}", golden.name, engine.formats());
            }
        }
    });
}
