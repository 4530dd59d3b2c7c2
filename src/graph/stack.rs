//! Gives every weight its place in a buffer.
//!
//! A weight that exceeds what can be bound is divided by rows. Weights that multiply the same vector, such as those of
//! queries, keys and values, lie one after the other in one buffer where it can be bound as a whole, so that one kernel
//! can take them for one weight. Where a weight lies depends on what a model's graphs have in common, never on the step.

use super::{Graph, Linear, Op, Source, Value, Weight};
use crate::kernels::linear::SHARD_ROWS;
use crate::tensor::Caps;
use crate::{Error, Result};
use std::ops::Range;

/// A weight with its division into shards that fit a binding.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightUse {
    /// The weight.
    pub weight: Weight,
    /// Its shards, in the order of their rows.
    pub shards: Vec<Shard>,
}

/// Rows of a weight, and where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The rows.
    pub rows: Range<usize>,
    /// Which of the plan's weight buffers.
    pub buffer: usize,
    /// Where they begin in it, in bytes.
    pub offset: u64,
}

/// A buffer of weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightBuffer {
    /// A name that tells it from every other of its model: the names of the weights in it.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
}

impl WeightUse {
    /// The place of the whole weight; `None` where it is divided.
    pub fn whole(&self) -> Option<&Shard> {
        match &self.shards[..] {
            [shard] => Some(shard),
            _ => None,
        }
    }

    /// Where the weight ends in its buffer, in bytes; `None` where it is divided.
    fn end(&self) -> Option<u64> {
        self.whole().map(|shard| shard.offset + self.weight.fact.resident_bytes())
    }
}

/// Whether `weights` lie one after the other in one buffer, stored alike.
pub(super) fn adjoin(weights: &[&WeightUse]) -> bool {
    weights.windows(2).all(|pair| {
        let (first, second) = (pair[0], pair[1]);
        let buffers = (first.whole().map(|shard| shard.buffer), second.whole().map(|shard| shard.buffer));
        let alike = first.weight.fact.dtype == second.weight.fact.dtype;
        alike
            && buffers.0.is_some()
            && buffers.0 == buffers.1
            && first.end() == second.whole().map(|shard| shard.offset)
    })
}

/// Places every weight of `graph`, in which nothing is fused yet.
pub(super) fn stack(graph: &Graph, caps: &Caps) -> Result<(Vec<WeightUse>, Vec<WeightBuffer>)> {
    let limit = caps.max_binding.min(caps.max_buffer);
    let mut uses: Vec<Option<WeightUse>> = vec![None; graph.weights.len()];
    let mut buffers = Vec::new();
    for group in groups(graph) {
        let bytes: u64 = group.iter().map(|&weight| graph.weights[weight].fact.resident_bytes()).sum();
        if bytes > limit || group.iter().any(|&weight| uses[weight].is_some()) {
            continue;
        }
        let names: Vec<&str> = group.iter().map(|&weight| graph.weights[weight].name.as_str()).collect();
        let (buffer, mut offset) = (buffers.len(), 0);
        buffers.push(WeightBuffer { name: names.join(" + "), bytes });
        for index in group {
            let weight = graph.weights[index].clone();
            let bytes = weight.fact.resident_bytes();
            let shard = Shard { rows: 0..weight.fact.shape.rows(), buffer, offset };
            uses[index] = Some(WeightUse { weight, shards: vec![shard] });
            offset += bytes;
        }
    }
    let mut alone = |weight: &Weight| {
        let shards = divide(weight, caps, limit)?.into_iter().map(|rows| {
            let bytes = rows.len() as u64 * weight.fact.row_bytes() as u64;
            let name = if rows.start == 0 { weight.name.clone() } else { format!("{}[{}..]", weight.name, rows.start) };
            buffers.push(WeightBuffer { name, bytes });
            Shard { rows, buffer: buffers.len() - 1, offset: 0 }
        });
        Ok(WeightUse { weight: weight.clone(), shards: shards.collect() })
    };
    let placed = uses.into_iter().zip(&graph.weights).map(|(used, weight)| used.map_or_else(|| alone(weight), Ok));
    let weights = placed.collect::<Result<Vec<_>>>()?;
    Ok((weights, buffers))
}

/// Weights that multiply the same vector, and their biases: each group of two or more.
fn groups(graph: &Graph) -> Vec<Vec<usize>> {
    let mut by_input: Vec<(Value, Vec<usize>, Vec<usize>)> = Vec::new();
    let weight = |value: &Value| match graph.nodes[value.node()].op {
        Op::Weight(weight) => Some(weight),
        _ => None,
    };
    for node in &graph.nodes {
        let Op::Linear(form) = node.op else { continue };
        let Some(linear) = Linear::of(form, &node.inputs) else { continue };
        let known = by_input.iter().position(|(x, ..)| *x == linear.x);
        let place = known.unwrap_or_else(|| {
            by_input.push((linear.x, Vec::new(), Vec::new()));
            by_input.len() - 1
        });
        by_input[place].1.extend(linear.weights.iter().filter_map(weight));
        by_input[place].2.extend(linear.biases.iter().filter_map(weight));
    }
    let alike = |group: &Vec<usize>| {
        let fact = |index: usize| &graph.weights[group[index]].fact;
        group.len() > 1 && (1..group.len()).all(|i| fact(i).dtype == fact(0).dtype)
    };
    by_input.into_iter().flat_map(|(_, weights, biases)| [weights, biases]).filter(alike).collect()
}

/// Divides a weight's rows so that every shard fits a binding and a buffer.
fn divide(weight: &Weight, caps: &Caps, limit: u64) -> Result<Vec<Range<usize>>> {
    let fact = &weight.fact;
    let rows = fact.shape.rows();
    if fact.resident_bytes() <= limit {
        return Ok(std::iter::once(0..rows).collect());
    }
    let per_shard = (limit / fact.row_bytes() as u64) as usize / SHARD_ROWS * SHARD_ROWS;
    // Angles and vectors are bound whole.
    if per_shard == 0 || fact.shape.axes().len() < 2 || matches!(weight.source, Source::Angles { .. }) {
        return Err(Error::DoesNotFit {
            what: format!("the weight {:?}", weight.name),
            need: fact.resident_bytes(),
            have: limit,
            limit_name: format!("the largest binding of {:?}", caps.adapter),
            way_out: "; a shorter context (-c) may help".to_owned(),
        });
    }
    Ok((0..rows).step_by(per_shard).map(|first| first..rows.min(first + per_shard)).collect())
}
