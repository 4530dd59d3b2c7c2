//! The GPU and the reference side by side, node by node.

use super::reference::{Held, Step, Values};
use super::source::Reader;
use super::{Executor, PlanId, Reference, StepInputs, Ticket};
use crate::error::Divergence;
use crate::graph::{Graph, Node, Op, Plan, Tensors};
use crate::kernels::{KvFormat, Variant};
use crate::quant::decode;
use crate::tensor::{DType, Fact};
use crate::{Error, Result};

/// What weights that the device quantized may differ from the host's: it may take the other of two scales that are nearly
/// as good, once in thousands of groups.
const OTHER_SCALES: f64 = 1e-3;

/// Elements shown of a value that diverges.
const SHOWN: usize = 4;

impl Executor {
    /// Runs one step a node at a time, and compares every value with what `reference` makes of the same inputs.
    ///
    /// The reference is given the GPU's own values, and its own groups of weights, so that an error is found where it is
    /// made and not where it has grown. Afterwards the step's outputs are on the GPU as after [`run`](Self::run), to be read with
    /// [`read`](Self::read).
    ///
    /// # Errors
    /// [`Error::Diverged`] at the first node whose error is larger than its operation's arithmetic explains, and what
    /// [`run`](Self::run) and [`Reference::run`] return.
    pub async fn run_checked(
        &mut self,
        plan: PlanId,
        inputs: &StepInputs,
        tensors: &dyn Tensors,
        reference: &mut Reference,
    ) -> Result<Ticket> {
        let resident = self.resident(plan)?;
        let graph = &resident.plan.graph;
        let mut values = Values::new(graph);
        resident.write_step(self.gpu(), inputs)?;
        for (index, node) in graph.nodes.iter().enumerate() {
            let held = &self.held(plan, (index, node), tensors).await?;
            let expected = reference.node(node, Step { graph, tensors, held, values: &values, inputs })?;
            self.gpu().submit(resident.encode_node(self.gpu(), index)?)?;
            let found = match resident.value(index) {
                Some((fact, slice)) => unpadded(fact, &self.gpu().read(slice).await?),
                None => expected.clone(),
            };
            let dispatch = resident.plan.dispatches.iter().find(|dispatch| dispatch.node == index);
            let variant = dispatch.map(|dispatch| &dispatch.launch.variant);
            let allowed = allowed(&resident.plan, &node.op, variant);
            if let Some(mut divergence) = compare(graph, node, allowed, &found, &expected) {
                divergence.node = index;
                divergence.variant = variant.map_or_else(String::new, ToString::to_string);
                return Err(Error::Diverged(Box::new(divergence)));
            }
            values.put(index, found);
            values.release(node);
        }
        // The whole step once more: it puts the outputs where they are read from, and writes the same keys and values.
        self.run(plan, inputs)
    }

    /// The weights of `node` that are groups, as they lie on the device, each held against what the host makes of it.
    async fn held(&self, plan: PlanId, (index, node): (usize, &Node), tensors: &dyn Tensors) -> Result<Held> {
        let plan = &self.resident(plan)?.plan;
        let mut held = Held::new();
        for value in &node.inputs {
            let Op::Weight(weight) = plan.graph.nodes[value.node()].op else { continue };
            let used = &plan.weights[weight];
            let Fact { dtype, shape } = &used.weight.fact;
            if !dtype.is_grouped() {
                continue;
            }
            let rows = self.weights().read(self.gpu(), plan, used).await?;
            let found: Vec<f64> = decode(*dtype, &rows, shape.columns()).into_iter().map(f64::from).collect();
            let expected = Reader::new(tensors).values(&used.weight, 0..shape.rows())?;
            if let Some(mut divergence) = compare(&plan.graph, node, OTHER_SCALES, &found, &expected) {
                divergence.node = index;
                divergence.op = format!("quantizing {} to {}", used.weight.name, used.weight.fact);
                divergence.variant = "quantize".to_owned();
                return Err(Error::Diverged(Box::new(divergence)));
            }
            held.insert(used.weight.name.clone(), rows);
        }
        Ok(held)
    }
}

/// The largest normalised mean squared error that 32-bit arithmetic explains; what only moves numbers is exact.
///
/// Keys and values that a product puts into the cache by itself are rounded there from either side's own last bits: some
/// come out as neighbouring halves. A variant that rounds what it multiplies says so; keys and values that come of it are as
/// far apart in the two caches.
fn allowed(plan: &Plan, op: &Op, variant: Option<&Variant>) -> f64 {
    let nmse = |variant: &Variant| variant.rounding().map(|rounding| rounding.nmse());
    let own = variant.and_then(nmse);
    match op {
        Op::Attention { .. } => {
            let is_qkv = |node: &Node| matches!(node.op, Op::Qkv { .. });
            let cached = plan.dispatches.iter().filter(|dispatch| is_qkv(&plan.graph.nodes[dispatch.node]));
            let rounded = cached.filter_map(|dispatch| nmse(&dispatch.launch.variant));
            let apart = plan.graph.kv != KvFormat::F32 && plan.graph.nodes.iter().any(is_qkv);
            let exact = if apart { 1e-6 } else { 1e-9 };
            rounded.chain(own).fold(exact, f64::max)
        }
        _ if own.is_some() => own.unwrap_or_default(),
        Op::Linear(_) | Op::Qkv { .. } => 1e-9,
        Op::Argmax | Op::Sample | Op::Input(_) | Op::Weight(_) | Op::Embed | Op::KvWrite { .. } => 0.0,
        _ => 1e-10,
    }
}

fn compare(graph: &Graph, node: &Node, allowed: f64, found: &[f64], expected: &[f64]) -> Option<Divergence> {
    let square = |x: f64| x * x;
    let error: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    let scale: f64 = expected.iter().copied().map(square).sum();
    let nmse = if error == 0.0 { 0.0 } else { error / scale };
    // Not a number is larger than anything allowed.
    if found.len() == expected.len() && nmse <= allowed {
        return None;
    }
    let typical = (scale / expected.len().max(1) as f64).sqrt();
    let close = |a: f64, b: f64| (a - b).abs() <= allowed.sqrt() * typical;
    let differs = |&(_, (a, b)): &(usize, (&f64, &f64))| !close(*a, *b);
    let first = found.iter().zip(expected).enumerate().filter(differs).take(SHOWN);
    let inputs = node.inputs.iter().filter_map(|value| graph.nodes[value.node()].fact.as_ref());
    let inputs: Vec<String> = inputs.map(Fact::to_string).collect();
    Some(Divergence {
        node: 0,
        op: format!("{} of {}", node.op.name(), inputs.join(", ")),
        variant: String::new(),
        nmse,
        allowed,
        first: first.map(|(index, (a, b))| (index, *a, *b)).collect(),
    })
}

/// The numbers of a value as it lies on the GPU.
fn unpadded(fact: &Fact, bytes: &[u8]) -> Vec<f64> {
    let row = fact.dtype.row_bytes(fact.shape.columns());
    let rows = bytes.chunks_exact(fact.row_bytes()).flat_map(|padded| padded[..row].chunks_exact(4));
    let words = rows.map(|word| [word[0], word[1], word[2], word[3]]);
    match fact.dtype {
        DType::U32 => words.map(|word| f64::from(u32::from_le_bytes(word))).collect(),
        _ => words.map(|word| f64::from(f32::from_le_bytes(word))).collect(),
    }
}
