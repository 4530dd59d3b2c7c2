//! On whatever adapter there is; a machine without one fails these tests, and rightly so.

use super::*;
use crate::kernels::add;
use crate::tensor::Caps;
use crate::{Error, Result};
use pollster::block_on;

fn open(ceiling: Option<Caps>) -> Gpu {
    block_on(Gpu::open_with(&Choice::default(), ceiling)).expect("these tests need an adapter, a software one will do")
}

fn filled(gpu: &Gpu, label: &str, values: &[f32]) -> Buffer {
    let buffer = gpu.buffer(label, 4 * values.len() as u64, Usage::Activation).expect("fits");
    gpu.write(&buffer.whole(), bytemuck::cast_slice(values)).expect("writes");
    buffer
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().expect("four bytes"))).collect()
}

fn said<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Err(Error::Gpu { message }) => message,
        other => panic!("expected a refusal, got {other:?}"),
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
        let expected = add::reference(&wide(&a), &wide(&b));
        assert_eq!(wide(&floats(&block_on(gpu.read(y.whole())).expect("reads"))), expected);
        gpu.health().expect("nothing was reported");
    }
}
