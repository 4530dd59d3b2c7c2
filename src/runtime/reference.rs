//! The reference executor: a graph computed on the CPU from the kernels' definitions, in `f64`.

use super::StepInputs;
use super::source::{BLOCK, Reader};
use crate::graph::{Cache, Graph, Linear, Node, Op, StepInput, Tensors, Value, Weight};
use crate::kernels::linear::{Form, Output};
use crate::kernels::{self, PAGE_TOKENS, attention, rope};
use crate::quant::decode;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::ops::Range;

/// Computes graphs of one model, keeping keys and values from step to step, rounded to the graph's format of the cache.
///
/// It reads weights from the checkpoint at every use, a block at a time, so it needs little memory and is slow: it is
/// for checking, not for running.
///
/// ```
/// use quernel::graph::{Builder, StepInput, StepShape};
/// use quernel::runtime::{Reference, StepInputs};
/// use quernel::tensor::Tensor;
/// use std::collections::BTreeMap;
/// let mut tensors = BTreeMap::new();
/// tensors.insert("table".to_owned(), Tensor::from_f32([2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap());
/// let step = StepShape { tokens: 1, outputs: 1, sequences: 1, table_pitch: 1 };
/// let mut g = Builder::new(step, &tensors, None);
/// let table = g.weight("table", [2, 2])?;
/// let x = g.embed(table)?;
/// let y = g.scale(x, 0.5);
/// let graph = g.finish(vec![y]);
/// let mut inputs = StepInputs::new(step, 4);
/// inputs.list_mut(StepInput::Ids)[0] = 1;
/// let outputs = Reference::new(&graph.caches, 0).run(&graph, &tensors, &inputs)?;
/// assert_eq!(outputs, [vec![1.5, 2.0]]);
/// # Ok::<(), quernel::Error>(())
/// ```
pub struct Reference {
    caches: Vec<Layer>,
}

/// One layer's keys and values, as [`kernels::kv_write::place`] says.
struct Layer {
    keys: Vec<f64>,
    values: Vec<f64>,
}

/// The values of a graph's nodes, as far as they are computed and still needed.
pub(super) struct Values {
    numbers: Vec<Vec<f64>>,
    users: Vec<usize>,
}

impl Values {
    pub(super) fn new(graph: &Graph) -> Self {
        let mut users = vec![0; graph.nodes.len()];
        let taken = graph.nodes.iter().flat_map(|node| &node.inputs).chain(&graph.outputs);
        taken.for_each(|value| users[value.node()] += 1);
        Self { numbers: vec![Vec::new(); graph.nodes.len()], users }
    }

    pub(super) fn put(&mut self, node: usize, numbers: Vec<f64>) {
        self.numbers[node] = numbers;
    }

    fn get(&self, value: Value) -> &[f64] {
        &self.numbers[value.node()]
    }

    /// Lets go of what nobody takes after `node`.
    pub(super) fn release(&mut self, node: &Node) {
        for value in &node.inputs {
            self.users[value.node()] -= 1;
            if self.users[value.node()] == 0 {
                self.numbers[value.node()] = Vec::new();
            }
        }
    }
}

impl Reference {
    /// A reference for a model with `caches`, of `pages` pages each.
    pub fn new(caches: &[Cache], pages: usize) -> Self {
        let elements = |cache: &Cache| pages * PAGE_TOKENS * cache.kv_heads * cache.head_dim;
        let layer = |cache| Layer { keys: vec![0.0; elements(cache)], values: vec![0.0; elements(cache)] };
        Self { caches: caches.iter().map(layer).collect() }
    }

    /// Computes a whole step: the graph's outputs, without padding.
    ///
    /// # Errors
    /// [`Error::BadTensor`] or [`Error::Io`] where a weight cannot be read.
    pub fn run(&mut self, graph: &Graph, tensors: &dyn Tensors, inputs: &StepInputs) -> Result<Vec<Vec<f64>>> {
        let mut values = Values::new(graph);
        for (index, node) in graph.nodes.iter().enumerate() {
            let held = &Held::new();
            let numbers = self.node(node, Step { graph, tensors, held, values: &values, inputs })?;
            values.put(index, numbers);
            values.release(node);
        }
        Ok(graph.outputs.iter().map(|&output| values.get(output).to_vec()).collect())
    }

    /// Computes one node from `values`; a weight yields nothing until it is used.
    pub(super) fn node(&mut self, node: &Node, step: Step<'_>) -> Result<Vec<f64>> {
        let Step { values, inputs, .. } = step;
        let x = || values.get(node.inputs[0]);
        match &node.op {
            Op::Weight(_) => Ok(Vec::new()),
            Op::Input(input) => Ok(inputs.list(*input).iter().map(|&number| f64::from(number)).collect()),
            Op::Embed => step.embed(node),
            Op::Linear(form) => step.linear(node, *form),
            Op::Qkv { layer, form } => {
                let [q, k, v] = step.qkv(node, *form)?;
                self.keep(step, *layer, &k, &v);
                Ok(q)
            }
            Op::RmsNorm { epsilon } => {
                let weight = step.operand(node.inputs[1])?;
                Ok(kernels::rms_norm::reference(x(), &weight, f64::from(*epsilon)))
            }
            Op::LayerNorm { epsilon } => {
                let weight = step.operand(node.inputs[1])?;
                let bias = node.inputs.get(2).map(|&bias| step.operand(bias)).transpose()?;
                Ok(kernels::layer_norm::reference(x(), &weight, bias.as_deref(), f64::from(*epsilon)))
            }
            Op::Rope(heads) => step.turn(x(), node.inputs[1], node.inputs[2], *heads),
            Op::KvWrite { layer } => {
                self.keep(step, *layer, values.get(node.inputs[0]), values.get(node.inputs[1]));
                Ok(Vec::new())
            }
            Op::Attention { layer, heads } => {
                let tokens = attention::Step {
                    positions: inputs.list(StepInput::Positions),
                    sequences: inputs.list(StepInput::Sequences),
                    pages: inputs.list(StepInput::Pages),
                    table_pitch: inputs.shape().table_pitch,
                };
                let cache = &self.caches[*layer];
                Ok(attention::reference(x(), &cache.keys, &cache.values, tokens, *heads))
            }
            Op::Gated(act) => Ok(kernels::gated::reference(x(), values.get(node.inputs[1]), *act)),
            Op::Activation(act) => Ok(kernels::activation::reference(x(), *act)),
            Op::Add => Ok(kernels::add::reference(x(), values.get(node.inputs[1]))),
            Op::Scale(factor) => Ok(kernels::scale::reference(x(), f64::from(*factor))),
            Op::Argmax => Ok(numbers(kernels::argmax::reference(x(), step.columns(node)))),
            Op::Sample => {
                let draws = inputs.list(StepInput::Draws);
                Ok(numbers(kernels::sample::reference(x(), draws, step.columns(node))))
            }
        }
    }
}

impl Reference {
    /// Puts keys and values into a layer's cache.
    fn keep(&mut self, step: Step<'_>, layer: usize, k: &[f64], v: &[f64]) {
        let Cache { kv_heads, head_dim } = step.graph.caches[layer];
        let rows = step.inputs.list(StepInput::KvRows);
        let cache = &mut self.caches[layer];
        kernels::kv_write::reference(k, rows, &mut cache.keys, kv_heads, head_dim, step.graph.kv);
        kernels::kv_write::reference(v, rows, &mut cache.values, kv_heads, head_dim, step.graph.kv);
    }
}

/// Rows of weights in their own storage, by the weights' names: those that are not to be read from tensors.
pub(super) type Held = BTreeMap<String, Vec<u8>>;

/// What a node is computed from.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) graph: &'a Graph,
    pub(super) tensors: &'a dyn Tensors,
    pub(super) held: &'a Held,
    pub(super) values: &'a Values,
    pub(super) inputs: &'a StepInputs,
}

impl Step<'_> {
    fn embed(self, node: &Node) -> Result<Vec<f64>> {
        let mut reader = Reader::new(self.tensors);
        let mut y = Vec::new();
        for &id in self.values.get(node.inputs[0]) {
            y.extend(self.row(&mut reader, node.inputs[1], id as usize)?);
        }
        Ok(y)
    }

    /// x turned by the angles of its tokens' positions.
    fn turn(self, x: &[f64], positions: Value, angles: Value, heads: rope::Heads) -> Result<Vec<f64>> {
        let positions = self.values.get(positions);
        let mut reader = Reader::new(self.tensors);
        let mut table = Vec::new();
        for &position in positions {
            table.extend(self.row(&mut reader, angles, position as usize)?);
        }
        let rows: Vec<u32> = (0..positions.len() as u32).collect();
        Ok(rope::reference(x, &rows, &table, heads))
    }

    /// The products with the norm before them and the biases after, from the definitions of each.
    fn products(self, node: &Node, form: Form, linear: Linear<'_>) -> Result<Vec<Vec<f64>>> {
        let mut x = self.values.get(linear.x).to_vec();
        if let (Some(weight), Some(epsilon)) = (linear.norm, form.norm) {
            x = kernels::rms_norm::reference(&x, &self.operand(weight)?, f64::from(epsilon));
        }
        let parts = linear.weights.iter().enumerate();
        parts.map(|(part, &weight)| self.product(node, &x, weight, linear.biases.get(part))).collect()
    }

    /// The product with what surrounds it.
    fn linear(self, node: &Node, form: Form) -> Result<Vec<f64>> {
        let linear = Linear::of(form, &node.inputs).ok_or_else(|| refuse(node, "has other inputs than its form"))?;
        let mut products = self.products(node, form, linear)?.into_iter();
        let y = products.next().unwrap_or_default();
        match (form.output, products.next()) {
            (Output::Plain, None) => Ok(y),
            (Output::Residual, None) => Ok(kernels::add::reference(self.values.get(linear.rest[0]), &y)),
            (Output::Gated(act), Some(up)) => Ok(kernels::gated::reference(&y, &up, act)),
            _ => Err(refuse(node, "has other weights than its form")),
        }
    }

    /// Queries and keys, turned, and values.
    fn qkv(self, node: &Node, form: Form) -> Result<[Vec<f64>; 3]> {
        let linear = Linear::of(form, &node.inputs);
        let (Output::Qkv(qkv), Some(linear)) = (form.output, linear) else {
            return Err(refuse(node, "has other inputs than its form"));
        };
        let products: Result<[Vec<f64>; 3], _> = self.products(node, form, linear)?.try_into();
        let [q, k, v] = products.map_err(|_| refuse(node, "has other weights than its form"))?;
        let heads = |heads| rope::Heads {
            heads,
            head_dim: qkv.head_dim,
            rotary_dim: qkv.head_dim,
            pairing: rope::Pairing::Halves,
        };
        let turn = |x: &[f64], count| self.turn(x, linear.rest[1], linear.rest[0], heads(count));
        Ok([turn(&q, qkv.heads)?, turn(&k, qkv.kv_heads)?, v])
    }

    fn product(self, node: &Node, x: &[f64], weight: Value, bias: Option<&Value>) -> Result<Vec<f64>> {
        let weight = self.weight(weight).ok_or_else(|| refuse(node, "multiplies by a weight only"))?;
        let bias = bias.map(|&bias| self.operand(bias)).transpose()?;
        let (rows, columns) = (weight.fact.shape.rows(), weight.fact.shape.columns());
        let tokens = x.len() / columns.max(1);
        let mut reader = Reader::new(self.tensors);
        let mut y = vec![0.0; tokens * rows];
        let block = (BLOCK / (4 * columns).max(1)).max(1);
        for first in (0..rows).step_by(block) {
            let last = rows.min(first + block);
            let part = self.rows(&mut reader, weight, first..last)?;
            let bias = bias.as_ref().map(|bias| &bias[first..last]);
            let part = kernels::linear::reference(x, &part, bias, columns);
            for (token, part) in part.chunks(last - first).enumerate() {
                y[token * rows + first..token * rows + last].copy_from_slice(part);
            }
        }
        Ok(y)
    }

    /// The numbers of a vector that is a weight, or of a value.
    fn operand(self, value: Value) -> Result<Vec<f64>> {
        match self.weight(value) {
            Some(weight) => self.rows(&mut Reader::new(self.tensors), weight, 0..weight.fact.shape.rows()),
            None => Ok(self.values.get(value).to_vec()),
        }
    }

    /// One row of a table that is a weight or a value; zeros beyond its end.
    fn row(self, reader: &mut Reader<'_>, table: Value, row: usize) -> Result<Vec<f64>> {
        let Some(fact) = &self.graph.nodes[table.node()].fact else { return Ok(Vec::new()) };
        let columns = fact.shape.columns();
        if row >= fact.shape.rows() {
            return Ok(vec![0.0; columns]);
        }
        match self.weight(table) {
            Some(weight) => self.rows(reader, weight, row..row + 1),
            None => Ok(self.values.get(table)[row * columns..(row + 1) * columns].to_vec()),
        }
    }

    /// The numbers of rows of a weight.
    fn rows(self, reader: &mut Reader<'_>, weight: &Weight, rows: Range<usize>) -> Result<Vec<f64>> {
        let Some(held) = self.held.get(&weight.name) else { return reader.values(weight, rows) };
        let (row, columns) = (weight.fact.row_bytes(), weight.fact.shape.columns());
        let values = decode(weight.fact.dtype, &held[rows.start * row..rows.end * row], columns);
        Ok(values.into_iter().map(f64::from).collect())
    }

    /// Columns of a node's first input.
    fn columns(self, node: &Node) -> usize {
        let fact = node.inputs.first().and_then(|value| self.graph.nodes[value.node()].fact.as_ref());
        fact.map_or(0, |fact| fact.shape.columns())
    }

    fn weight(&self, value: Value) -> Option<&Weight> {
        match self.graph.nodes[value.node()].op {
            Op::Weight(index) => self.graph.weights.get(index),
            _ => None,
        }
    }
}

fn numbers(words: Vec<u32>) -> Vec<f64> {
    words.into_iter().map(f64::from).collect()
}

fn refuse(node: &Node, reason: &str) -> Error {
    Error::Shape { op: node.op.name(), reason: reason.to_owned(), at: node.at }
}
