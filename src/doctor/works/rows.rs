//! Kernels that take rows, and ids.

use crate::doctor::data::{Matrix, POISON, Rng};
use crate::doctor::work::{Output, Work};
use crate::kernels::embed::{self, Table};
use crate::kernels::{Policy, Rung, argmax, layer_norm, rms_norm, sample};

/// A sum of squares has no cancellation, so the error is a few roundings, and an inverse square root's.
const RMS_NORM: f64 = 1e-10;
const EACH_RMS_NORM: f64 = 1e-5;

/// The mean is taken away before squaring, and then what rounding has left of it, so what cancels is only what the
/// input itself has rounded away: also where the mean is a hundred times the deviation.
const LAYER_NORM: f64 = 1e-10;

/// `rms_norm` of `x` and its `weight`.
pub fn rms_norm(x: &Matrix, weight: &Matrix, epsilon: f32, rung: Rung) -> Work {
    let y = rms_norm::reference(&x.exact(), &weight.exact(), f64::from(epsilon));
    Work {
        launches: vec![(rms_norm::launch(x.rows(), x.columns, epsilon, rung), vec![])],
        inputs: vec![("x", x.bytes()), ("weight", weight.bytes())],
        outputs: vec![Output::each_near("y", x.columns, y, RMS_NORM, EACH_RMS_NORM)],
    }
}

/// `layer_norm`, with a `bias` or without, of numbers near zero or `far` from it.
pub fn layer_norm(seed: &str, (rows, columns): (usize, usize), bias: bool, far: bool, rung: Rung) -> Work {
    let mut rng = Rng::new(seed);
    let offset = if far { 100.0 } else { 0.5 };
    let values = rng.numbers(rows * columns, 1.0).into_iter().map(|value| value + offset).collect();
    let x = Matrix::new(columns, values);
    let weight = Matrix::random(&mut rng, 1, columns);
    let shift = Matrix::random(&mut rng, 1, columns);
    let exact = shift.exact();
    let y = layer_norm::reference(&x.exact(), &weight.exact(), bias.then_some(&exact[..]), 1e-5);
    let mut inputs = vec![("x", x.bytes()), ("weight", weight.bytes())];
    if bias {
        inputs.push(("bias", shift.bytes()));
    }
    Work {
        launches: vec![(layer_norm::launch(rows, columns, 1e-5, bias, rung), vec![])],
        inputs,
        outputs: vec![Output::near("y", columns, y, LAYER_NORM)],
    }
}

/// `argmax` of each row of `x`.
pub fn argmax(x: &Matrix, rung: Rung) -> Work {
    let y = argmax::reference(&x.exact(), x.columns);
    Work {
        launches: vec![(argmax::launch(x.rows(), x.columns, rung), vec![])],
        inputs: vec![("x", x.bytes())],
        outputs: vec![Output::words("y", y)],
    }
}

/// `embed`: the rows `ids` of `table`, which is divided into shards of so many rows; an id beyond it leaves its row.
pub fn embed(table: &Matrix, ids: &[u32], shard: usize) -> Work {
    let columns = table.columns;
    let mut y: Vec<u32> =
        embed::reference(ids, &table.exact(), columns).iter().map(|&v| (v as f32).to_bits()).collect();
    for (row, _) in ids.iter().enumerate().filter(|(_, id)| **id as usize >= table.rows()) {
        y[row * columns..][..columns].fill(POISON);
    }
    let shards = (0..table.rows()).step_by(shard).filter_map(|first| {
        let part = table.part(first, shard.min(table.rows() - first));
        let shape = Table { dtype: table.dtype, first, rows: part.rows(), columns, w_first: 0 };
        Some((embed::launch(ids.len(), shape)?, vec![("weight", part.bytes())]))
    });
    Work {
        launches: shards.collect(),
        inputs: vec![("ids", bytemuck::cast_slice(ids).to_vec())],
        outputs: vec![Output::bits("y", columns, y)],
    }
}

/// `sample`: a token of each row of `x` by its `draws`.
pub fn sample(x: &Matrix, draws: &[u32], policy: Policy) -> Work {
    let y = sample::reference(&x.exact(), draws, x.columns);
    Work {
        launches: vec![(sample::launch(x.rows(), x.columns, policy), vec![])],
        inputs: vec![("x", x.bytes()), ("draws", bytemuck::cast_slice(draws).to_vec())],
        outputs: vec![Output::words("y", y)],
    }
}
