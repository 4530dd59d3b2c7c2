//! A graph made into dispatches on buffers: data, to be printed, compared, and made resident by the runtime.

use super::fuse::fuse;
use super::lower::lower;
use super::memory::{Lifetime, assign};
use super::stack::{WeightBuffer, WeightUse, stack};
use super::{Cache, Graph, Op, StepInput, StepShape, Value};
use crate::kernels::{KvFormat, Launch, Policy, Ways, attention, linear};
use crate::tensor::{Caps, Fact};
use crate::{Error, Result};
use std::fmt;

/// Where a value's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a slot, shared in time with other values.
    Slot(usize),
    /// In a weight's buffers.
    Weight(usize),
    /// In the step's buffer.
    Step(StepInput),
    /// Nowhere: the node writes a cache.
    Nowhere,
}

/// A buffer, or a part of one, that a dispatch binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Buffer {
    /// The bytes of a value in a slot.
    Slot {
        /// The slot.
        slot: usize,
        /// The value's bytes.
        bytes: u64,
    },
    /// One of [`Plan::weight_buffers`].
    Weights(usize),
    /// One list of the step's inputs.
    Step(StepInput),
    /// A layer's keys.
    Keys(usize),
    /// A layer's values.
    Values(usize),
}

/// One dispatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// The node that it computes, or a part of.
    pub node: usize,
    /// The kernel chosen.
    pub launch: Launch,
    /// What it binds, by the shader's names.
    pub bindings: Vec<(&'static str, Buffer)>,
    /// The product that it computes, where it is one: there are several ways to.
    pub call: Option<linear::Call>,
}

/// Everything a step does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How large the step is.
    pub step: StepShape,
    /// The graph that it computes.
    pub graph: Graph,
    /// Where the value of each node is.
    pub places: Vec<Place>,
    /// What a node of several dispatches leaves between them, in a slot that it has to itself meanwhile.
    pub scratch: Vec<Option<Buffer>>,
    /// Bytes of each slot.
    pub slots: Vec<u64>,
    /// The weights.
    pub weights: Vec<WeightUse>,
    /// The buffers that hold them.
    pub weight_buffers: Vec<WeightBuffer>,
    /// What to dispatch, in order.
    pub dispatches: Vec<Dispatch>,
}

impl Plan {
    /// Plans `graph` for an adapter of `caps`.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where a value or a single row of a weight exceeds what can be bound.
    pub fn new(graph: Graph, caps: &Caps, policy: Policy) -> Result<Self> {
        Self::tuned(graph, caps, policy, &Ways::new())
    }

    /// As [`new`](Self::new), with products computed in these ways, where they are known and the policy has them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn tuned(graph: Graph, caps: &Caps, policy: Policy, ways: &Ways) -> Result<Self> {
        // Before anything is fused: every step's plan must find the weights in the same buffers.
        let (weights, weight_buffers) = stack(&graph, caps)?;
        let graph = fuse(graph, &weights, caps, policy);
        let Placed { places, scratch, slots } = place(&graph, caps, policy)?;
        let dispatches = Vec::new();
        let mut plan = Self { step: graph.step, graph, places, scratch, slots, weights, weight_buffers, dispatches };
        plan.dispatches = lower(&plan, caps, policy, ways)?;
        for dispatch in &plan.dispatches {
            let widest = dispatch.launch.grid.iter().copied().max().unwrap_or(0);
            if widest > caps.max_workgroups {
                let reason = format!(
                    "{} needs {widest} workgroups along one axis; {} are allowed",
                    dispatch.launch.variant, caps.max_workgroups
                );
                return Err(Error::Unsupported { adapter: caps.adapter.clone(), reason });
            }
        }
        Ok(plan)
    }

    /// Storage and shape of a value; `None` where its node yields nothing.
    pub fn fact(&self, value: Value) -> Option<&Fact> {
        self.graph.nodes.get(value.node()).and_then(|node| node.fact.as_ref())
    }

    /// The buffer that a value in a slot is bound as.
    pub(super) fn slot(&self, value: Value) -> Option<Buffer> {
        match (self.places.get(value.node()), self.fact(value)) {
            (Some(&Place::Slot(slot)), Some(fact)) => Some(Buffer::Slot { slot, bytes: fact.resident_bytes() }),
            (Some(&Place::Step(input)), _) => Some(Buffer::Step(input)),
            _ => None,
        }
    }

    /// How large the step is to attention.
    pub(super) fn attention_extent(&self) -> attention::Extent {
        extent(self.step)
    }

    /// Bytes of all slots.
    pub fn slot_bytes(&self) -> u64 {
        self.slots.iter().sum()
    }

    /// Bytes of all weights on the GPU.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.iter().map(|used| used.weight.fact.resident_bytes()).sum()
    }

    /// Bytes of all layers' caches of `pages` pages.
    pub fn cache_bytes(&self, pages: usize) -> u64 {
        self.graph.caches.iter().map(|cache| 2 * cache.bytes(pages, self.graph.kv)).sum()
    }
}

impl Cache {
    /// Bytes of the keys, or of the values, of `pages` pages in `format`.
    pub fn bytes(&self, pages: usize, format: KvFormat) -> u64 {
        pages as u64 * (self.kv_heads * format.block_bytes(self.head_dim)) as u64
    }
}

/// Where each node's value and scratch go, and the slots' sizes.
struct Placed {
    places: Vec<Place>,
    scratch: Vec<Option<Buffer>>,
    slots: Vec<u64>,
}

fn extent(step: StepShape) -> attention::Extent {
    attention::Extent { tokens: step.tokens, sequences: step.sequences, table_pitch: step.table_pitch }
}

/// Bytes that a node's dispatches leave for each other.
fn scratch_bytes(graph: &Graph, op: &Op, policy: Policy) -> Option<u64> {
    let Op::Attention { heads, .. } = op else { return None };
    let chunks = attention::Chunks::new(extent(graph.step), *heads, policy);
    chunks.split().then(|| chunks.bytes(graph.step.tokens, *heads))
}

fn place(graph: &Graph, caps: &Caps, policy: Policy) -> Result<Placed> {
    let limit = caps.max_binding.min(caps.max_buffer);
    let mut places = vec![Place::Nowhere; graph.nodes.len()];
    let (mut owners, mut lives) = (Vec::new(), Vec::new());
    for (index, node) in graph.nodes.iter().enumerate() {
        match (&node.op, &node.fact) {
            (&Op::Input(input), _) => places[index] = Place::Step(input),
            (&Op::Weight(weight), _) => places[index] = Place::Weight(weight),
            (_, None) => {}
            (_, Some(fact)) => {
                let bytes = fact.resident_bytes();
                if bytes > limit {
                    return Err(Error::DoesNotFit {
                        what: format!("the {fact} of {} for {} tokens", node.op.name(), graph.step.tokens),
                        need: bytes,
                        have: limit,
                        limit_name: format!("the largest binding of {:?}", caps.adapter),
                        way_out: "; smaller steps (-b) need less".to_owned(),
                    });
                }
                owners.push((index, None));
                lives.push(Lifetime { first: index, last: last_use(graph, index), bytes });
                if let Some(bytes) = scratch_bytes(graph, &node.op, policy) {
                    owners.push((index, Some(bytes)));
                    lives.push(Lifetime { first: index, last: index, bytes });
                }
            }
        }
    }
    let memory = assign(&lives);
    let mut scratch = vec![None; graph.nodes.len()];
    for ((owner, bytes), slot) in owners.into_iter().zip(memory.slot_of) {
        match bytes {
            None => places[owner] = Place::Slot(slot),
            Some(bytes) => scratch[owner] = Some(Buffer::Slot { slot, bytes }),
        }
    }
    Ok(Placed { places, scratch, slots: memory.slots })
}

/// The last node that takes the value of `node`; the graph's end where the host reads it.
fn last_use(graph: &Graph, node: usize) -> usize {
    if graph.outputs.contains(&Value(node)) {
        return graph.nodes.len();
    }
    let uses = graph.nodes.iter().enumerate().filter(|(_, user)| user.inputs.contains(&Value(node)));
    uses.map(|(index, _)| index).max().unwrap_or(node)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>4}  {:<11} {:<16} {:<8} {:<11} variant", "node", "op", "yields", "in", "grid")?;
        for dispatch in &self.dispatches {
            let node = &self.graph.nodes[dispatch.node];
            let yields = node.fact.as_ref().map_or_else(String::new, ToString::to_string);
            let place = match self.places[dispatch.node] {
                Place::Slot(slot) => format!("slot {slot}"),
                _ => "cache".to_owned(),
            };
            let [x, y, z] = dispatch.launch.grid;
            let grid = format!("{x}x{y}x{z}");
            let variant = &dispatch.launch.variant;
            writeln!(f, "{:>4}  {:<11} {yields:<16} {place:<8} {grid:<11} {variant}", dispatch.node, node.op.name())?;
        }
        writeln!(f)?;
        writeln!(f, "dispatches  {}", self.dispatches.len())?;
        let (weights, buffers) = (self.weights.len(), self.weight_buffers.len());
        writeln!(f, "weights     {weights} in {buffers} buffers, {} bytes", self.weight_bytes())?;
        writeln!(f, "slots       {} of {:?} bytes, {} in all", self.slots.len(), self.slots, self.slot_bytes())
    }
}
