//! What a step has to read and to compute at least, from its plan.
//!
//! A dispatch reads each of its weights once, and each value and each key that it needs; and it multiplies and adds
//! what a product of matrices or attention takes. Other arithmetic is not counted: it is little beside those.

use super::{Buffer, Dispatch, Op, Plan, Source};
use crate::kernels::PAGE_TOKENS;
use std::ops::{Add, AddAssign};

/// Bytes that are read or written, and multiplications and additions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Bytes.
    pub bytes: f64,
    /// Multiplications and additions, each counted.
    pub flops: f64,
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, flops: self.flops + other.flops }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}

/// What each dispatch of a plan costs, for the tokens of one sequence at positions from any on.
#[derive(Debug, Clone)]
pub struct Costs {
    tokens: usize,
    /// In the plan's order: what does not depend on the positions, and the attention of a dispatch that has some.
    dispatches: Vec<(Cost, Option<Attention>)>,
}

#[derive(Debug, Clone, Copy)]
struct Attention {
    /// Bytes of one position's key and value.
    bytes: f64,
    /// Multiplications and additions of one token with one position.
    flops: f64,
    window: Option<usize>,
}

impl Attention {
    /// Tokens at positions from `first` on: keys and values that any of them sees are read once.
    fn cost(self, first: usize, tokens: usize) -> Cost {
        let seen = |position: usize| self.window.unwrap_or(usize::MAX).min(position + 1);
        let pairs: f64 = (first..first + tokens).map(|position| seen(position) as f64).sum();
        let keys = seen(first) + tokens.saturating_sub(1);
        Cost { bytes: self.bytes * keys as f64, flops: self.flops * pairs }
    }
}

impl Costs {
    /// The costs of `plan`'s dispatches.
    pub fn new(plan: &Plan) -> Self {
        let dispatches = plan.dispatches.iter().map(|dispatch| (fixed(plan, dispatch), attention(plan, dispatch)));
        Self { tokens: plan.step.tokens, dispatches: dispatches.collect() }
    }

    /// Each dispatch, with the step's tokens at positions from `first` on.
    pub fn each(&self, first: usize) -> impl Iterator<Item = Cost> + '_ {
        let attend = move |attention: Attention| attention.cost(first, self.tokens);
        self.dispatches.iter().map(move |(fixed, attention)| *fixed + attention.map(attend).unwrap_or_default())
    }

    /// The whole step.
    pub fn step(&self, first: usize) -> Cost {
        self.each(first).sum()
    }
}

fn fixed(plan: &Plan, dispatch: &Dispatch) -> Cost {
    let node = &plan.graph.nodes[dispatch.node];
    let rows = |value: Option<_>| value.and_then(|value| plan.fact(value)).map_or(0, |fact| fact.shape.rows());
    let looks_up = node.op == Op::Embed;
    let mut cost = Cost::default();
    for &(name, buffer) in &dispatch.bindings {
        match buffer {
            // Of a table the rows asked for are read.
            Buffer::Slot { bytes, .. } if looks_up && name == "weight" => {
                let (ids, all) = (ids(plan, dispatch), rows(node.inputs.get(1).copied()));
                cost.bytes += bytes as f64 * ids as f64 / all.max(1) as f64;
            }
            Buffer::Slot { bytes, .. } => cost.bytes += bytes as f64,
            Buffer::Weights(index) => cost += weights(plan, dispatch, index),
            Buffer::Step(input) => cost.bytes += 4.0 * plan.step.len(input) as f64,
            // Written by some operations, for the step's tokens; what attention reads depends on the position.
            Buffer::Keys(layer) | Buffer::Values(layer) if attention(plan, dispatch).is_none() => {
                cost.bytes += plan.step.tokens as f64 * position_bytes(plan, layer);
            }
            Buffer::Keys(_) | Buffer::Values(_) => {}
        }
    }
    cost
}

/// What a dispatch reads and multiplies of the weights that its node takes and that lie in one buffer.
fn weights(plan: &Plan, dispatch: &Dispatch, buffer: usize) -> Cost {
    let node = &plan.graph.nodes[dispatch.node];
    let taken = node.inputs.iter().filter_map(|value| match plan.graph.nodes[value.node()].op {
        Op::Weight(weight) => Some(&plan.weights[weight]),
        _ => None,
    });
    let tokens = node.inputs.first().and_then(|&value| plan.fact(value)).map_or(0, |fact| fact.shape.rows());
    let mut cost = Cost::default();
    for used in taken {
        let fact = &used.weight.fact;
        let angles = matches!(used.weight.source, Source::Angles { .. });
        for shard in used.shards.iter().filter(|shard| shard.buffer == buffer) {
            let rows = match node.op {
                _ if angles => plan.step.tokens,
                Op::Embed => ids(plan, dispatch),
                _ => shard.rows.len(),
            };
            cost.bytes += (rows * fact.row_bytes()) as f64;
            if matches!(node.op, Op::Linear(_) | Op::Qkv { .. }) && fact.shape.axes().len() == 2 && !angles {
                cost.flops += 2.0 * (tokens * rows) as f64 * fact.shape.columns() as f64;
            }
        }
    }
    cost
}

/// Rows that a look-up yields.
fn ids(plan: &Plan, dispatch: &Dispatch) -> usize {
    plan.graph.nodes[dispatch.node].fact.as_ref().map_or(0, |fact| fact.shape.rows())
}

/// Bytes of one position's key, or value, in a cache.
fn position_bytes(plan: &Plan, layer: usize) -> f64 {
    let cache = plan.graph.caches.get(layer);
    cache.map_or(0.0, |cache| cache.bytes(1, plan.graph.kv) as f64 / PAGE_TOKENS as f64)
}

fn attention(plan: &Plan, dispatch: &Dispatch) -> Option<Attention> {
    let Op::Attention { layer, heads } = &plan.graph.nodes[dispatch.node].op else { return None };
    // Where several dispatches attend, one of them reads the cache.
    dispatch.bindings.iter().find(|(_, buffer)| matches!(buffer, Buffer::Keys(_)))?;
    let flops = 4.0 * (heads.heads * heads.head_dim) as f64;
    Some(Attention { bytes: 2.0 * position_bytes(plan, *layer), flops, window: heads.window })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_bounds_what_is_seen() {
        let attention = |window| Attention { bytes: 1.0, flops: 1.0, window };
        assert_eq!(attention(None).cost(10, 2), Cost { bytes: 12.0, flops: 11.0 + 12.0 });
        assert_eq!(attention(Some(4)).cost(10, 2), Cost { bytes: 5.0, flops: 8.0 });
        assert_eq!(attention(Some(4)).cost(1, 2), Cost { bytes: 3.0, flops: 5.0 });
        assert_eq!(attention(Some(100)).cost(0, 3), Cost { bytes: 3.0, flops: 6.0 });
    }
}
