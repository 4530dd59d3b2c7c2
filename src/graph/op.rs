//! Operations and the graph they make.

use super::{Source, StepInput, StepShape, Why};
use crate::kernels::activation::Act;
use crate::kernels::linear::{Form, Output};
use crate::kernels::{KvFormat, attention, rope};
use crate::tensor::Fact;
use std::panic::Location;

/// A handle to what a node yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub(super) usize);

impl Value {
    /// The node that yields it, counted from 0.
    pub fn node(self) -> usize {
        self.0
    }
}

/// What a node means. How it is computed is the kernels' matter.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// A list that the host fills.
    Input(StepInput),
    /// A weight: an index into [`Graph::weights`].
    Weight(usize),
    /// Rows of a table, by ids: (ids, table).
    Embed,
    /// Root mean square norm in groups as long as the weight: (x, weight).
    RmsNorm {
        /// ε.
        epsilon: f32,
    },
    /// Layer norm: (x, weight) or (x, weight, bias).
    LayerNorm {
        /// ε.
        epsilon: f32,
    },
    /// Rotary position embedding: (x, positions, table).
    Rope(rope::Heads),
    /// Product with weights, and what surrounds it: (x, weights, then as the form has them the norm's weight, a bias for
    /// each weight, the residual). [`Linear`] tells them apart.
    Linear(Form),
    /// A [`Linear`](Self::Linear) whose products are queries, keys and values: (as there, angles, positions, kv_rows).
    Qkv {
        /// Whose cache gets the keys and values.
        layer: usize,
        /// What surrounds the product.
        form: Form,
    },
    /// Keys and values into a layer's cache: (k, v, kv_rows).
    KvWrite {
        /// The layer.
        layer: usize,
    },
    /// Attention over a layer's cache: (q, positions, sequences, pages).
    Attention {
        /// The layer.
        layer: usize,
        /// Heads, scale and window.
        heads: attention::Heads,
    },
    /// Gated activation: (gate, up).
    Gated(Act),
    /// Activation: (x).
    Activation(Act),
    /// Sum: (a, b).
    Add,
    /// Product with a number: (x).
    Scale(f32),
    /// The column of each row's largest element: (x).
    Argmax,
    /// A column of each row, drawn by chance: (x, draws).
    Sample,
}

impl Op {
    /// The kernel's word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input(input) => input.name(),
            Self::Weight(_) => "weight",
            Self::Embed => "embed",
            Self::RmsNorm { .. } => "rms_norm",
            Self::LayerNorm { .. } => "layer_norm",
            Self::Rope(_) => "rope",
            Self::Linear(_) => "linear",
            Self::Qkv { .. } => "qkv",
            Self::KvWrite { .. } => "kv_write",
            Self::Attention { .. } => "attention",
            Self::Gated(_) => "gated",
            Self::Activation(_) => "activation",
            Self::Add => "add",
            Self::Scale(_) => "scale",
            Self::Argmax => "argmax",
            Self::Sample => "sample",
        }
    }
}

/// The inputs of an [`Op::Linear`] or an [`Op::Qkv`], told apart.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'a> {
    /// What is multiplied.
    pub x: Value,
    /// The weights, which lie one after the other.
    pub weights: &'a [Value],
    /// The norm's weight.
    pub norm: Option<Value>,
    /// A bias for each weight, or none.
    pub biases: &'a [Value],
    /// What the products are added to; or what queries and keys are turned by, and where keys and values go.
    pub rest: &'a [Value],
}

impl<'a> Linear<'a> {
    /// The inputs of a node whose operation has `form`; `None` where they are too few.
    pub fn of(form: Form, inputs: &'a [Value]) -> Option<Self> {
        let (&x, rest) = inputs.split_first()?;
        let (weights, rest) = rest.split_at_checked(form.weights())?;
        let (norm, rest) = rest.split_at_checked(usize::from(form.norm.is_some()))?;
        let (biases, rest) = rest.split_at_checked(if form.bias { form.weights() } else { 0 })?;
        let wanted = match form.output {
            Output::Plain | Output::Gated(_) => 0,
            Output::Residual => 1,
            Output::Qkv(_) => 3,
        };
        (rest.len() == wanted).then(|| Self { x, weights, norm: norm.first().copied(), biases, rest })
    }

    /// The inputs in the node's order.
    pub(super) fn inputs(&self) -> Vec<Value> {
        let lists = [&[self.x], self.weights, self.norm.as_slice(), self.biases, self.rest];
        lists.concat()
    }
}

/// One operation in a graph.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it means.
    pub op: Op,
    /// What it takes, in the operation's order.
    pub inputs: Vec<Value>,
    /// What it yields; `None` where it only writes a cache.
    pub fact: Option<Fact>,
    /// The model author's line.
    pub at: &'static Location<'static>,
}

/// A weight that a graph uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// A name that tells it from every other weight of its model.
    pub name: String,
    /// What it is made from.
    pub source: Source,
    /// Storage and shape on the GPU.
    pub fact: Fact,
    /// Why a matrix is stored so.
    pub why: Why,
}

/// One layer's keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cache {
    /// Key and value heads.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
}

/// Operations in an order in which they can be computed.
#[derive(Debug, Clone)]
pub struct Graph {
    /// How large the step is.
    pub step: StepShape,
    /// The operations.
    pub nodes: Vec<Node>,
    /// The weights.
    pub weights: Vec<Weight>,
    /// The layers' caches, by layer.
    pub caches: Vec<Cache>,
    /// How the caches store keys and values; as they are, unless [`with_kv`](Self::with_kv) says otherwise.
    pub kv: KvFormat,
    /// What is kept for the host to read.
    pub outputs: Vec<Value>,
}

impl Graph {
    /// The same graph over caches of another format.
    pub fn with_kv(self, kv: KvFormat) -> Self {
        Self { kv, ..self }
    }
}
