//! From what a node means to the dispatches that compute it.

use super::plan::{Buffer, Dispatch, Place, Plan};
use super::{Linear, Node, Op, Shard, StepInput, Value};
use crate::kernels::linear::{Call, Form};
use crate::kernels::{self, Launch, Policy, Ways, attention, embed, linear};
use crate::tensor::{Caps, Fact};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::ops::Range;

/// The dispatches of every node, in order.
pub(super) fn lower(plan: &Plan, caps: &Caps, policy: Policy, ways: &Ways) -> Result<Vec<Dispatch>> {
    let mut lowering = Lowering { plan, caps, policy, ways, dispatches: Vec::new() };
    for (index, node) in plan.graph.nodes.iter().enumerate() {
        lowering.node(index, node)?;
    }
    Ok(lowering.dispatches)
}

struct Lowering<'a> {
    plan: &'a Plan,
    caps: &'a Caps,
    policy: Policy,
    ways: &'a Ways,
    dispatches: Vec<Dispatch>,
}

impl Lowering<'_> {
    fn node(&mut self, index: usize, node: &Node) -> Result<()> {
        let (rows, columns) = self.extent(node.inputs.first().copied());
        match &node.op {
            Op::Input(_) | Op::Weight(_) => Ok(()),
            Op::Embed => self.embed(index, node),
            Op::RmsNorm { epsilon } => {
                let group = self.fact(node, node.inputs[1])?.shape.elements();
                let rows = rows * columns / group.max(1);
                let launch = |policy: Policy| kernels::rms_norm::launch(rows, group, *epsilon, policy.rung);
                self.simple(index, node, launch, &["x", "weight"])
            }
            Op::LayerNorm { epsilon } => {
                let bias = node.inputs.len() == 3;
                let launch = |policy: Policy| kernels::layer_norm::launch(rows, columns, *epsilon, bias, policy.rung);
                self.simple(index, node, launch, &["x", "weight", "bias"])
            }
            Op::Rope(heads) => {
                self.simple(index, node, |_| kernels::rope::launch(rows, *heads), &["x", "positions", "table"])
            }
            Op::Linear(form) => self.linear(index, node, *form),
            Op::Qkv { layer, form } => {
                self.linear(index, node, *form)?;
                self.also(&[("k_cache", Buffer::Keys(*layer)), ("v_cache", Buffer::Values(*layer))]);
                Ok(())
            }
            Op::KvWrite { layer } => self.kv_write(index, node, *layer),
            Op::Attention { layer, heads } => self.attention(index, node, *layer, *heads),
            Op::Gated(act) => {
                self.simple(index, node, |_| kernels::gated::launch(rows, columns, *act), &["gate", "up"])
            }
            Op::Activation(act) => {
                self.simple(index, node, |_| kernels::activation::launch(rows, columns, *act), &["x"])
            }
            Op::Add => self.simple(index, node, |_| kernels::add::launch(rows, columns), &["a", "b"]),
            Op::Scale(factor) => self.simple(index, node, |_| kernels::scale::launch(rows, columns, *factor), &["x"]),
            Op::Sample => {
                self.simple(index, node, |policy| kernels::sample::launch(rows, columns, policy), &["x", "draws"])
            }
            Op::Argmax => {
                let launch = |policy: Policy| kernels::argmax::launch(rows, columns, policy.rung);
                self.simple(index, node, launch, &["x"])
            }
        }
    }

    /// One dispatch that binds the inputs under `names`, and the value as `y`.
    fn simple(
        &mut self,
        index: usize,
        node: &Node,
        launch: impl Fn(Policy) -> Launch,
        names: &[&'static str],
    ) -> Result<()> {
        let launch = self.pick(launch)?;
        let mut bindings = Vec::with_capacity(names.len() + 1);
        for (name, &input) in names.iter().zip(&node.inputs) {
            bindings.push((*name, self.whole(node, input)?));
        }
        bindings.push(("y", self.whole(node, Value(index))?));
        self.dispatches.push(Dispatch { node: index, launch, bindings, call: None });
        Ok(())
    }

    /// The launch on the highest rung that is not refused.
    fn pick(&self, launch: impl Fn(Policy) -> Launch) -> Result<Launch> {
        let mut rungs = self.policy.ladder().map(&launch);
        let picked = rungs.find(|launch| !self.caps.refused.contains(&launch.variant.kind()));
        picked.ok_or_else(|| self.refused(&launch(self.policy)))
    }

    /// Nothing is left that computes what this would.
    fn refused(&self, launch: &Launch) -> Error {
        Error::SelfTest { adapter: self.caps.adapter.clone(), what: launch.variant.kind() }
    }

    /// Adds bindings to the last dispatch.
    fn also(&mut self, bindings: &[(&'static str, Buffer)]) {
        if let Some(dispatch) = self.dispatches.last_mut() {
            dispatch.bindings.extend_from_slice(bindings);
        }
    }

    fn attention(&mut self, index: usize, node: &Node, layer: usize, heads: attention::Heads) -> Result<()> {
        let extent = self.plan.attention_extent();
        let launch = |policy| attention::launch(extent, heads, self.plan.graph.kv, policy);
        let y = self.whole(node, Value(index))?;
        self.simple(index, node, launch, &["q", "positions", "sequences", "pages"])?;
        self.also(&[("k_cache", Buffer::Keys(layer)), ("v_cache", Buffer::Values(layer))]);
        let Some(partials) = self.plan.scratch[index] else { return Ok(()) };
        if let Some(dispatch) = self.dispatches.last_mut() {
            let written = dispatch.bindings.iter_mut().find(|(name, _)| *name == "y");
            written.into_iter().for_each(|binding| *binding = ("partials", partials));
        }
        let chunks = attention::Chunks::new(extent, heads, self.policy);
        let launch = |policy| kernels::attention_merge::launch(extent.tokens, heads, chunks, policy);
        let launch = self.pick(launch)?;
        let step = [StepInput::Positions, StepInput::Sequences].map(|input| (input.name(), Buffer::Step(input)));
        let bindings = step.into_iter().chain([("partials", partials), ("y", y)]).collect();
        self.dispatches.push(Dispatch { node: index, launch, bindings, call: None });
        Ok(())
    }

    fn kv_write(&mut self, index: usize, node: &Node, layer: usize) -> Result<()> {
        let cache = self.plan.graph.caches[layer];
        let kv = self.plan.graph.kv;
        let tokens = self.plan.step.tokens;
        let launch = self.pick(|_| kernels::kv_write::launch(tokens, cache.kv_heads, cache.head_dim, kv))?;
        let bindings = vec![
            ("k", self.whole(node, node.inputs[0])?),
            ("v", self.whole(node, node.inputs[1])?),
            ("kv_rows", Buffer::Step(StepInput::KvRows)),
            ("k_cache", Buffer::Keys(layer)),
            ("v_cache", Buffer::Values(layer)),
        ];
        self.dispatches.push(Dispatch { node: index, launch, bindings, call: None });
        Ok(())
    }

    fn embed(&mut self, index: usize, node: &Node) -> Result<()> {
        let (ids, table) = (node.inputs[0], node.inputs[1]);
        let count = self.fact(node, ids)?.shape.elements();
        let fact = self.fact(node, table)?.clone();
        let ids = self.whole(node, ids)?;
        let y = self.whole(node, Value(index))?;
        for Part { rows, w_first, buffer } in self.parts(node, table)? {
            let (first, rows, columns) = (rows.start, rows.len(), fact.shape.columns());
            let table = embed::Table { dtype: fact.dtype, first, rows, columns, w_first };
            let launch = embed::launch(count, table).ok_or_else(|| no_kernel(node, &fact))?;
            let launch = self.pick(|_| launch.clone())?;
            let bindings = vec![("ids", ids), ("weight", buffer), ("y", y)];
            self.dispatches.push(Dispatch { node: index, launch, bindings, call: None });
        }
        Ok(())
    }

    fn linear(&mut self, index: usize, node: &Node, form: Form) -> Result<()> {
        let linear = Linear::of(form, &node.inputs).ok_or_else(|| refuse(node, "too few inputs".to_owned()))?;
        let fact = self.fact(node, linear.weights[0])?.clone();
        let tokens = self.fact(node, linear.x)?.shape.rows();
        let mut common = vec![("x", self.whole(node, linear.x)?), ("y", self.whole(node, Value(index))?)];
        let mut bias_first = 0;
        if let Some(&bias) = linear.biases.first() {
            let part = self.parts(node, bias)?.swap_remove(0);
            common.push(("bias", part.buffer));
            bias_first = part.w_first;
        }
        let names: &[_] =
            if let Op::Qkv { .. } = node.op { &["angles", "positions", "kv_rows"] } else { &["residual"] };
        for (&name, &value) in names.iter().zip(linear.rest).chain(linear.norm.iter().map(|norm| (&"norm", norm))) {
            common.push((name, self.whole(node, value)?));
        }
        let all_rows = self.fact(node, Value(index))?.shape.columns();
        for Part { rows, w_first, buffer } in self.parts(node, linear.weights[0])? {
            let (first_row, columns) = (rows.start, fact.shape.columns());
            let shape = linear::Shape { tokens, columns, first_row, rows: rows.len(), all_rows, w_first, bias_first };
            let call = Call { shape, form, weight: fact.dtype, policy: self.policy };
            let tuned = self.ways.get(&call.product()).copied();
            let launch = call.choose(tuned, &self.caps.refused).ok_or_else(|| {
                // None at all is no matter of what is refused.
                let there = call.choose(tuned, &BTreeSet::new()).map(|launch| self.refused(&launch));
                there.unwrap_or_else(|| no_kernel(node, &fact))
            })?;
            let bindings = common.iter().copied().chain([("weight", buffer)]).collect();
            self.dispatches.push(Dispatch { node: index, launch, bindings, call: Some(call) });
        }
        Ok(())
    }

    /// The shards of a weight; a value in a slot is one. A vector's first row is its first element.
    fn parts(&self, node: &Node, value: Value) -> Result<Vec<Part>> {
        let fact = self.fact(node, value)?;
        let Place::Weight(weight) = self.plan.places[value.node()] else {
            return Ok(vec![Part { rows: 0..fact.shape.rows(), w_first: 0, buffer: self.whole(node, value)? }]);
        };
        let pitch = if fact.shape.axes().len() < 2 { fact.dtype.row_bytes(1) } else { fact.row_bytes() } as u64;
        let shards = self.plan.weights[weight].shards.iter();
        let part = |shard: &Shard| Part {
            rows: shard.rows.clone(),
            w_first: (shard.offset / pitch) as usize,
            buffer: Buffer::Weights(shard.buffer),
        };
        Ok(shards.map(part).collect())
    }

    /// The one buffer of a value, which begins where the buffer does.
    fn whole(&self, node: &Node, value: Value) -> Result<Buffer> {
        let weight = match self.plan.places[value.node()] {
            Place::Weight(weight) => self.plan.weights[weight].whole().filter(|shard| shard.offset == 0),
            _ => None,
        };
        let buffer = weight.map(|shard| Buffer::Weights(shard.buffer)).or_else(|| self.plan.slot(value));
        buffer.ok_or_else(|| refuse(node, "an input has no buffer of its own".to_owned()))
    }

    fn fact(&self, node: &Node, value: Value) -> Result<&Fact> {
        self.plan.fact(value).ok_or_else(|| refuse(node, "an input yields nothing".to_owned()))
    }

    fn extent(&self, value: Option<Value>) -> (usize, usize) {
        let fact = value.and_then(|value| self.plan.fact(value));
        fact.map_or((0, 0), |fact| (fact.shape.rows(), fact.shape.columns()))
    }
}

/// Rows of a weight, the first of them in its buffer, and that.
struct Part {
    rows: Range<usize>,
    w_first: usize,
    buffer: Buffer,
}

fn no_kernel(node: &Node, fact: &Fact) -> Error {
    refuse(node, format!("no kernel computes {:?} with a {fact} weight", node.op))
}

fn refuse(node: &Node, reason: String) -> Error {
    Error::Shape { op: node.op.name(), reason, at: node.at }
}
