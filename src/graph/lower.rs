//! From what a node means to the dispatches that compute it.

use super::plan::{Buffer, Dispatch, Place, Plan};
use super::{Node, Op, StepInput, Value};
use crate::kernels::{self, Launch, Policy, embed, linear};
use crate::tensor::Fact;
use crate::{Error, Result};

/// The dispatches of every node, in order.
pub(super) fn lower(plan: &Plan, policy: Policy) -> Result<Vec<Dispatch>> {
    let mut lowering = Lowering { plan, policy, dispatches: Vec::new() };
    for (index, node) in plan.graph.nodes.iter().enumerate() {
        lowering.node(index, node)?;
    }
    Ok(lowering.dispatches)
}

struct Lowering<'a> {
    plan: &'a Plan,
    policy: Policy,
    dispatches: Vec<Dispatch>,
}

impl Lowering<'_> {
    fn node(&mut self, index: usize, node: &Node) -> Result<()> {
        let rung = self.policy.rung;
        let (rows, columns) = self.extent(node.inputs.first().copied());
        match &node.op {
            Op::Input(_) | Op::Weight(_) => Ok(()),
            Op::Embed => self.embed(index, node),
            Op::RmsNorm { epsilon } => {
                let group = self.fact(node, node.inputs[1])?.shape.elements();
                let launch = kernels::rms_norm::launch(rows * columns / group.max(1), group, *epsilon, rung);
                self.simple(index, node, launch, &["x", "weight"])
            }
            Op::LayerNorm { epsilon } => {
                let launch = kernels::layer_norm::launch(rows, columns, *epsilon, node.inputs.len() == 3, rung);
                self.simple(index, node, launch, &["x", "weight", "bias"])
            }
            Op::Rope(heads) => {
                self.simple(index, node, kernels::rope::launch(rows, *heads), &["x", "positions", "table"])
            }
            Op::Linear => self.linear(index, node),
            Op::KvWrite { layer } => self.kv_write(index, node, *layer),
            Op::Attention { layer, heads } => {
                let pitch = self.plan.step.table_pitch;
                let launch = kernels::attention::launch(rows, *heads, pitch, self.plan.graph.kv, rung);
                self.simple(index, node, launch, &["q", "positions", "sequences", "pages"])?;
                self.also(&[("k_cache", Buffer::Keys(*layer)), ("v_cache", Buffer::Values(*layer))]);
                Ok(())
            }
            Op::Gated(act) => self.simple(index, node, kernels::gated::launch(rows, columns, *act), &["gate", "up"]),
            Op::Activation(act) => self.simple(index, node, kernels::activation::launch(rows, columns, *act), &["x"]),
            Op::Add => self.simple(index, node, kernels::add::launch(rows, columns), &["a", "b"]),
            Op::Scale(factor) => self.simple(index, node, kernels::scale::launch(rows, columns, *factor), &["x"]),
            Op::Argmax => self.simple(index, node, kernels::argmax::launch(rows, columns, rung), &["x"]),
        }
    }

    /// One dispatch that binds the inputs under `names`, and the value as `y`.
    fn simple(&mut self, index: usize, node: &Node, launch: Launch, names: &[&'static str]) -> Result<()> {
        let mut bindings = Vec::with_capacity(names.len() + 1);
        for (name, &input) in names.iter().zip(&node.inputs) {
            bindings.push((*name, self.whole(node, input)?));
        }
        bindings.push(("y", self.whole(node, Value(index))?));
        self.dispatches.push(Dispatch { node: index, launch, bindings });
        Ok(())
    }

    /// Adds bindings to the last dispatch.
    fn also(&mut self, bindings: &[(&'static str, Buffer)]) {
        if let Some(dispatch) = self.dispatches.last_mut() {
            dispatch.bindings.extend_from_slice(bindings);
        }
    }

    fn kv_write(&mut self, index: usize, node: &Node, layer: usize) -> Result<()> {
        let cache = self.plan.graph.caches[layer];
        let kv = self.plan.graph.kv;
        let launch = kernels::kv_write::launch(self.plan.step.tokens, cache.kv_heads, cache.head_dim, kv);
        let bindings = vec![
            ("k", self.whole(node, node.inputs[0])?),
            ("v", self.whole(node, node.inputs[1])?),
            ("kv_rows", Buffer::Step(StepInput::KvRows)),
            ("k_cache", Buffer::Keys(layer)),
            ("v_cache", Buffer::Values(layer)),
        ];
        self.dispatches.push(Dispatch { node: index, launch, bindings });
        Ok(())
    }

    fn embed(&mut self, index: usize, node: &Node) -> Result<()> {
        let (ids, table) = (node.inputs[0], node.inputs[1]);
        let count = self.fact(node, ids)?.shape.elements();
        let fact = self.fact(node, table)?.clone();
        let ids = self.whole(node, ids)?;
        let y = self.whole(node, Value(index))?;
        for (first, rows, buffer) in self.shards(node, table)? {
            let table = embed::Table { dtype: fact.dtype, first, rows, columns: fact.shape.columns() };
            let launch = embed::launch(count, table).ok_or_else(|| no_codec(node, &fact))?;
            let bindings = vec![("ids", ids), ("table", buffer), ("y", y)];
            self.dispatches.push(Dispatch { node: index, launch, bindings });
        }
        Ok(())
    }

    fn linear(&mut self, index: usize, node: &Node) -> Result<()> {
        let (x, weight) = (node.inputs[0], node.inputs[1]);
        let fact = self.fact(node, weight)?.clone();
        let tokens = self.fact(node, x)?.shape.rows();
        let bias = node.inputs.get(2).map(|&bias| self.whole(node, bias)).transpose()?;
        let (x, y) = (self.whole(node, x)?, self.whole(node, Value(index))?);
        let (all_rows, columns) = (fact.shape.rows(), fact.shape.columns());
        for (first_row, rows, buffer) in self.shards(node, weight)? {
            let shape = linear::Shape { tokens, columns, first_row, rows, all_rows };
            let launch = linear::launch(shape, fact.dtype, bias.is_some(), self.policy);
            let launch = launch.ok_or_else(|| no_codec(node, &fact))?;
            let bindings = [("x", x), ("weight", buffer), ("y", y)].into_iter().chain(bias.map(|bias| ("bias", bias)));
            self.dispatches.push(Dispatch { node: index, launch, bindings: bindings.collect() });
        }
        Ok(())
    }

    /// First row, rows and buffer of each shard; a value in a slot is one.
    fn shards(&self, node: &Node, value: Value) -> Result<Vec<(usize, usize, Buffer)>> {
        if let Place::Weight(weight) = self.plan.places[value.node()] {
            let shards = self.plan.weights[weight].shards.iter().enumerate();
            return Ok(shards.map(|(shard, rows)| (rows.start, rows.len(), Buffer::Shard { weight, shard })).collect());
        }
        Ok(vec![(0, self.fact(node, value)?.shape.rows(), self.whole(node, value)?)])
    }

    /// The one buffer of a value.
    fn whole(&self, node: &Node, value: Value) -> Result<Buffer> {
        match self.plan.places[value.node()] {
            Place::Weight(weight) if self.plan.weights[weight].shards.len() == 1 => {
                Ok(Buffer::Shard { weight, shard: 0 })
            }
            _ => self.plan.slot(value).ok_or_else(|| refuse(node, "an input has no buffer of its own".to_owned())),
        }
    }

    fn fact(&self, node: &Node, value: Value) -> Result<&Fact> {
        self.plan.fact(value).ok_or_else(|| refuse(node, "an input yields nothing".to_owned()))
    }

    fn extent(&self, value: Option<Value>) -> (usize, usize) {
        let fact = value.and_then(|value| self.plan.fact(value));
        fact.map_or((0, 0), |fact| (fact.shape.rows(), fact.shape.columns()))
    }
}

fn no_codec(node: &Node, fact: &Fact) -> Error {
    refuse(node, format!("no kernel reads a {fact} weight"))
}

fn refuse(node: &Node, reason: String) -> Error {
    Error::Shape { op: node.op.name(), reason, at: node.at }
}
