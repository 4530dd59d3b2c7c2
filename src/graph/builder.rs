//! Writes a model down as a graph, inferring and checking shapes at every line.

use super::{Cache, Graph, Node, Op, StepInput, StepShape, Tensors, Value};
use crate::kernels::activation::Act;
use crate::kernels::linear::Form;
use crate::kernels::{KvFormat, attention, rope};
use crate::tensor::{DType, Fact, PITCH, Shape};
use crate::{Error, Result};
use std::panic::Location;

/// Builds a [`Graph`] for steps of one shape.
///
/// Every method that adds an operation infers its shape, and refuses with [`Error::Shape`] at the caller's line.
///
/// ```
/// use quernel::graph::{Builder, StepShape};
/// use quernel::tensor::Tensor;
/// use std::collections::BTreeMap;
/// let mut tensors = BTreeMap::new();
/// tensors.insert("table".to_owned(), Tensor::from_f32([5, 8], &[0.5; 40]).unwrap());
/// let step = StepShape { tokens: 3, outputs: 1, sequences: 1, table_pitch: 1 };
/// let mut g = Builder::new(step, &tensors, None);
/// let table = g.weight("table", [5, 8])?;
/// let x = g.embed(table)?;
/// assert_eq!(g.fact(x).to_string(), "f32 [3, 8]");
/// let graph = g.finish(vec![x]);
/// assert_eq!(graph.nodes.len(), 3);
/// # Ok::<(), quernel::Error>(())
/// ```
pub struct Builder<'a> {
    pub(super) graph: Graph,
    pub(super) tensors: &'a dyn Tensors,
    pub(super) width: Option<DType>,
    /// What `kv_write` yields, which no `Value` stands for.
    nothing: Fact,
}

impl<'a> Builder<'a> {
    /// A builder of steps of shape `step`, whose weights are read from `tensors`.
    ///
    /// Matrices keep the storage they have there, or take `width` where it is given; vectors become `F32`.
    pub fn new(step: StepShape, tensors: &'a dyn Tensors, width: Option<DType>) -> Self {
        let graph = Graph {
            step,
            nodes: Vec::new(),
            weights: Vec::new(),
            caches: Vec::new(),
            kv: KvFormat::F32,
            outputs: Vec::new(),
        };
        Self { graph, tensors, width, nothing: Fact::new(DType::U32, [0]) }
    }

    /// The graph, keeping `outputs` for the host to read.
    pub fn finish(mut self, outputs: Vec<Value>) -> Graph {
        self.graph.outputs = outputs;
        self.graph
    }

    /// How large the step is.
    pub fn step(&self) -> StepShape {
        self.graph.step
    }

    /// Storage and shape of a value.
    ///
    /// # Panics
    /// Where the value is another builder's.
    pub fn fact(&self, value: Value) -> &Fact {
        self.graph.nodes[value.0].fact.as_ref().unwrap_or(&self.nothing)
    }

    /// A list that the host fills; the same node each time.
    #[track_caller]
    pub fn input(&mut self, input: StepInput) -> Value {
        if let Some(known) = self.graph.nodes.iter().position(|node| node.op == Op::Input(input)) {
            return Value(known);
        }
        let shape = match input {
            StepInput::Pages => Shape::from([self.graph.step.sequences, self.graph.step.table_pitch]),
            _ => Shape::from([self.graph.step.len(input)]),
        };
        self.push(Op::Input(input), vec![], Fact::new(DType::U32, shape), Location::caller())
    }

    /// The rows of `table` that the step's ids name: (tokens, columns).
    ///
    /// # Errors
    /// Where `table` is not a matrix.
    #[track_caller]
    pub fn embed(&mut self, table: Value) -> Result<Value> {
        let ids = self.input(StepInput::Ids);
        self.look_up(ids, table, Location::caller())
    }

    /// The rows of `table` that the step's positions name: (tokens, columns).
    ///
    /// # Errors
    /// Where `table` is not a matrix.
    #[track_caller]
    pub fn embed_positions(&mut self, table: Value) -> Result<Value> {
        let positions = self.input(StepInput::Positions);
        self.look_up(positions, table, Location::caller())
    }

    /// The rows of `x` whose logits are wanted: (outputs, columns).
    ///
    /// # Errors
    /// Where `x` is not a matrix.
    #[track_caller]
    pub fn output_rows(&mut self, x: Value) -> Result<Value> {
        let rows = self.input(StepInput::OutputRows);
        self.look_up(rows, x, Location::caller())
    }

    fn look_up(&mut self, ids: Value, table: Value, at: &'static Location<'static>) -> Result<Value> {
        let [_, columns] = self.matrix("embed", table, at)?;
        let fact = Fact::new(DType::F32, [self.fact(ids).shape.elements(), columns]);
        Ok(self.push(Op::Embed, vec![ids, table], fact, at))
    }

    /// `x / √(mean(x²) + ε) · weight`, in groups as long as the weight: over whole rows, or over each head of a row.
    ///
    /// # Errors
    /// Where the weight's length does not divide the row's.
    #[track_caller]
    pub fn rms_norm(&mut self, x: Value, weight: Value, epsilon: f64) -> Result<Value> {
        let at = Location::caller();
        let [rows, columns] = self.matrix("rms_norm", x, at)?;
        let group = self.fact(weight).shape.elements();
        if group != columns && (group == 0 || !columns.is_multiple_of(group) || !group.is_multiple_of(PITCH)) {
            let reason =
                format!("a weight of {group} does not divide rows of {columns} into groups of multiples of {PITCH}");
            return Err(Error::Shape { op: "rms_norm", reason, at });
        }
        let fact = Fact::new(DType::F32, [rows, columns]);
        Ok(self.push(Op::RmsNorm { epsilon: epsilon as f32 }, vec![x, weight], fact, at))
    }

    /// `(x − mean) / √(variance + ε) · weight + bias` over each row.
    ///
    /// # Errors
    /// Where weight or bias are not as long as the row.
    #[track_caller]
    pub fn layer_norm(&mut self, x: Value, weight: Value, bias: Option<Value>, epsilon: f64) -> Result<Value> {
        let at = Location::caller();
        let [rows, columns] = self.matrix("layer_norm", x, at)?;
        for vector in [Some(weight), bias].into_iter().flatten() {
            self.same("layer_norm", &Shape::from([columns]), vector, at)?;
        }
        let inputs = [Some(x), Some(weight), bias].into_iter().flatten().collect();
        let fact = Fact::new(DType::F32, [rows, columns]);
        Ok(self.push(Op::LayerNorm { epsilon: epsilon as f32 }, inputs, fact, at))
    }

    /// Turns each head of `x`, (tokens, heads · head_dim), by its token's position.
    ///
    /// # Errors
    /// Where the heads do not make up the row, or the table is not for them.
    #[track_caller]
    pub fn rope(&mut self, x: Value, heads: rope::Heads, table: Value) -> Result<Value> {
        let at = Location::caller();
        let [rows, columns] = self.matrix("rope", x, at)?;
        let [_, turning] = self.matrix("rope", table, at)?;
        let wrong = if columns != heads.heads * heads.head_dim {
            Some(format!("{} heads of {} do not make rows of {columns}", heads.heads, heads.head_dim))
        } else if turning != heads.rotary_dim || !turning.is_multiple_of(2) || turning > heads.head_dim || turning == 0
        {
            Some(format!("a table of {turning} angles for {} of {} elements", heads.rotary_dim, heads.head_dim))
        } else if !heads.head_dim.is_multiple_of(PITCH) {
            Some(format!("head_dim is {}, and must be a multiple of {PITCH}", heads.head_dim))
        } else {
            None
        };
        if let Some(reason) = wrong {
            return Err(Error::Shape { op: "rope", reason, at });
        }
        let positions = self.input(StepInput::Positions);
        Ok(self.push(Op::Rope(heads), vec![x, positions, table], Fact::new(DType::F32, [rows, columns]), at))
    }

    /// `x Wᵀ + bias`: (tokens, columns) by (rows, columns) gives (tokens, rows).
    ///
    /// # Errors
    /// Where the columns differ, or the bias is not as long as there are rows.
    #[track_caller]
    pub fn linear(&mut self, x: Value, weight: Value, bias: Option<Value>) -> Result<Value> {
        let at = Location::caller();
        let [tokens, columns] = self.matrix("linear", x, at)?;
        let [rows, inner] = self.matrix("linear", weight, at)?;
        if columns != inner {
            let reason = format!("x is {} and the weight {}: their columns differ", self.fact(x), self.fact(weight));
            return Err(Error::Shape { op: "linear", reason, at });
        }
        if let Some(bias) = bias {
            self.same("linear", &Shape::from([rows]), bias, at)?;
        }
        let form = Form { bias: bias.is_some(), ..Form::PLAIN };
        let inputs = [Some(x), Some(weight), bias].into_iter().flatten().collect();
        Ok(self.push(Op::Linear(form), inputs, Fact::new(DType::F32, [tokens, rows]), at))
    }

    /// Puts keys and values, (tokens, kv_heads · head_dim), into the cache of `layer`.
    ///
    /// # Errors
    /// Where they do not have the cache's shape, or the layers are not written in order.
    #[track_caller]
    pub fn kv_write(&mut self, layer: usize, cache: Cache, k: Value, v: Value) -> Result<()> {
        let at = Location::caller();
        let shape = Shape::from([self.graph.step.tokens, cache.kv_heads * cache.head_dim]);
        for value in [k, v] {
            self.same("kv_write", &shape, value, at)?;
        }
        if layer != self.graph.caches.len() || !cache.head_dim.is_multiple_of(PITCH) {
            let reason = format!(
                "layer {layer} with head_dim {}; the next layer is {}, and head_dim a multiple of {PITCH}",
                cache.head_dim,
                self.graph.caches.len()
            );
            return Err(Error::Shape { op: "kv_write", reason, at });
        }
        self.graph.caches.push(cache);
        let rows = self.input(StepInput::KvRows);
        self.graph.nodes.push(Node { op: Op::KvWrite { layer }, inputs: vec![k, v, rows], fact: None, at });
        Ok(())
    }

    /// Attends `q`, (tokens, heads · head_dim), to what the cache of `layer` holds.
    ///
    /// # Errors
    /// Where `q` does not have these heads, the cache has others, or `head_dim` is not supported.
    #[track_caller]
    pub fn attention(&mut self, layer: usize, q: Value, heads: attention::Heads) -> Result<Value> {
        let at = Location::caller();
        let attention::Heads { heads: query_heads, kv_heads, head_dim, .. } = heads;
        self.same("attention", &Shape::from([self.graph.step.tokens, query_heads * head_dim]), q, at)?;
        let cache = self.graph.caches.get(layer).copied();
        let reason = if head_dim == 0 || !head_dim.is_multiple_of(PITCH) || head_dim > attention::MAX_HEAD_DIM {
            Some(format!(
                "head_dim is {head_dim}: a multiple of {PITCH} up to {} is supported",
                attention::MAX_HEAD_DIM
            ))
        } else if kv_heads == 0 || !query_heads.is_multiple_of(kv_heads) {
            Some(format!("{query_heads} query heads cannot share {kv_heads} key-value heads evenly"))
        } else if cache != Some(Cache { kv_heads, head_dim }) {
            Some(format!("layer {layer} holds {cache:?}, not {kv_heads} heads of {head_dim}"))
        } else {
            None
        };
        if let Some(reason) = reason {
            return Err(Error::Shape { op: "attention", reason, at });
        }
        let fact = self.fact(q).clone();
        let inputs = [StepInput::Positions, StepInput::Sequences, StepInput::Pages].map(|input| self.input(input));
        let inputs = [q].into_iter().chain(inputs).collect();
        Ok(self.push(Op::Attention { layer, heads }, inputs, fact, at))
    }

    /// `act(gate) · up`.
    ///
    /// # Errors
    /// Where the shapes differ.
    #[track_caller]
    pub fn gated(&mut self, act: Act, gate: Value, up: Value) -> Result<Value> {
        let at = Location::caller();
        let fact = self.fact(gate).clone();
        self.same("gated", &fact.shape, up, at)?;
        Ok(self.push(Op::Gated(act), vec![gate, up], fact, at))
    }

    /// `act(x)`.
    #[track_caller]
    pub fn activation(&mut self, act: Act, x: Value) -> Value {
        let fact = self.fact(x).clone();
        self.push(Op::Activation(act), vec![x], fact, Location::caller())
    }

    /// `a + b`.
    ///
    /// # Errors
    /// Where the shapes differ.
    #[track_caller]
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value> {
        let at = Location::caller();
        let fact = self.fact(a).clone();
        self.same("add", &fact.shape, b, at)?;
        Ok(self.push(Op::Add, vec![a, b], fact, at))
    }

    /// `factor · x`.
    #[track_caller]
    pub fn scale(&mut self, x: Value, factor: f64) -> Value {
        let fact = self.fact(x).clone();
        self.push(Op::Scale(factor as f32), vec![x], fact, Location::caller())
    }

    /// For each row the column of its largest element, then the number of elements that are not finite: (2 · rows).
    ///
    /// # Errors
    /// Where `x` is not a matrix.
    #[track_caller]
    pub fn argmax(&mut self, x: Value) -> Result<Value> {
        let at = Location::caller();
        let [rows, _] = self.matrix("argmax", x, at)?;
        Ok(self.push(Op::Argmax, vec![x], Fact::new(DType::U32, [2 * rows]), at))
    }

    /// For each row a column, drawn as the step's input says, then the number of elements that are not finite: (2 · rows).
    ///
    /// # Errors
    /// Where `x` is not a matrix of a row for each of the step's outputs.
    #[track_caller]
    pub fn sample(&mut self, x: Value) -> Result<Value> {
        let at = Location::caller();
        let [rows, _] = self.matrix("sample", x, at)?;
        if rows != self.graph.step.outputs {
            let reason = format!("{} for {} outputs", self.fact(x), self.graph.step.outputs);
            return Err(Error::Shape { op: "sample", reason, at });
        }
        let draws = self.input(StepInput::Draws);
        Ok(self.push(Op::Sample, vec![x, draws], Fact::new(DType::U32, [2 * rows]), at))
    }

    pub(super) fn push(&mut self, op: Op, inputs: Vec<Value>, fact: Fact, at: &'static Location<'static>) -> Value {
        self.graph.nodes.push(Node { op, inputs, fact: Some(fact), at });
        Value(self.graph.nodes.len() - 1)
    }

    fn matrix(&self, op: &'static str, value: Value, at: &'static Location<'static>) -> Result<[usize; 2]> {
        match *self.fact(value).shape.axes() {
            [rows, columns] => Ok([rows, columns]),
            _ => Err(Error::Shape { op, reason: format!("{} is not a matrix", self.fact(value)), at }),
        }
    }

    fn same(&self, op: &'static str, shape: &Shape, value: Value, at: &'static Location<'static>) -> Result<()> {
        let found = &self.fact(value).shape;
        if found == shape {
            return Ok(());
        }
        Err(Error::Shape { op, reason: format!("{found} stands where {shape} is needed"), at })
    }
}
