//! Rewrites a graph so that fewer dispatches compute it.
//!
//! A rule looks at one node and the nodes that its inputs come from, and returns a patch: a node that means the same as
//! several. Values that nobody takes any more are dropped at the end. No rule changes what is computed.
//!
//! - a norm goes into every product that takes it, where nothing else does;
//! - an activation of two products of the same vector becomes one product with a gate;
//! - a sum with a product becomes a product with a residual;
//! - queries, keys and values of one vector become one product that also turns them and fills the cache.

use super::stack::{WeightUse, adjoin};
use super::{Graph, Linear, Node, Op, Value};
use crate::kernels::linear::{Form, MATVEC_TOKENS, Output, Qkv};
use crate::kernels::rope::{self, Pairing};
use crate::kernels::{KvFormat, Policy};
use crate::tensor::Caps;

/// The graph with every rule applied, as far as there are kernels for what comes out.
pub(super) fn fuse(mut graph: Graph, weights: &[WeightUse], caps: &Caps, policy: Policy) -> Graph {
    // `matmul` and its like multiply and nothing else.
    let tiles = !policy.processor || policy.int8;
    if graph.step.tokens > MATVEC_TOKENS && !policy.deterministic && tiles {
        return graph;
    }
    for index in 0..graph.nodes.len() {
        if let Some((node, queries)) = qkv(&graph, index, weights, caps) {
            graph.nodes[index] = node;
            let inputs = graph.nodes.iter_mut().flat_map(|node| &mut node.inputs);
            inputs.filter(|input| **input == queries).for_each(|input| *input = Value(index));
            continue;
        }
        let patch = match graph.nodes[index].op {
            Op::Linear(form) => normed(&graph, index, form),
            Op::Gated(_) => gated(&graph, index, weights),
            Op::Add => residual(&graph, index, weights),
            _ => None,
        };
        if let Some((op, inputs)) = patch {
            graph.nodes[index].op = op;
            graph.nodes[index].inputs = inputs;
        }
    }
    without_unused(graph)
}

/// What a node becomes: its operation and inputs.
type Patch = Option<(Op, Vec<Value>)>;

/// A product of a norm becomes a product with a norm.
fn normed(graph: &Graph, index: usize, form: Form) -> Patch {
    let linear = Linear::of(form, &graph.nodes[index].inputs)?;
    let norm = &graph.nodes[linear.x.node()];
    let &Op::RmsNorm { epsilon } = &norm.op else { return None };
    let (&x, &weight) = (norm.inputs.first()?, norm.inputs.get(1)?);
    // Over whole rows, and of a whole step: a row taken from many for the head comes with its norm apart.
    let columns = |value: Value| graph.nodes[value.node()].fact.as_ref().map(|fact| fact.shape.columns());
    let only_products = users(graph, linear.x).all(|user| match user.op {
        Op::Linear(form) => Linear::of(form, &user.inputs).is_some_and(|user| user.x == linear.x),
        _ => false,
    });
    if columns(x) != columns(weight) || !only_products {
        return None;
    }
    let form = Form { norm: Some(epsilon), ..form };
    Some((Op::Linear(form), Linear { x, norm: Some(weight), ..linear }.inputs()))
}

/// act(W x) · V x becomes one product, where V lies right behind W.
fn gated(graph: &Graph, index: usize, weights: &[WeightUse]) -> Patch {
    let node = &graph.nodes[index];
    let &Op::Gated(act) = &node.op else { return None };
    let ((form, gate), (up_form, up)) = (product(graph, *node.inputs.first()?)?, product(graph, *node.inputs.get(1)?)?);
    let parts = [gate.weights[0], up.weights[0]];
    let biases: Vec<Value> = gate.biases.iter().chain(up.biases).copied().collect();
    let alike = form == up_form && form.output == Output::Plain && gate.x == up.x && gate.norm == up.norm;
    if !alike || !together(graph, weights, &parts) || !together(graph, weights, &biases) {
        return None;
    }
    let form = Form { output: Output::Gated(act), ..form };
    Some((Op::Linear(form), Linear { weights: &parts, biases: &biases, ..gate }.inputs()))
}

/// r + W x becomes a product with a residual.
fn residual(graph: &Graph, index: usize, weights: &[WeightUse]) -> Patch {
    let inputs = &graph.nodes[index].inputs;
    let (&a, &b) = (inputs.first()?, inputs.get(1)?);
    [(a, b), (b, a)].into_iter().find_map(|(residual, sum)| {
        let (form, linear) = product(graph, sum)?;
        let whole = together(graph, weights, linear.weights);
        if form.output != Output::Plain || !whole {
            return None;
        }
        let form = Form { output: Output::Residual, ..form };
        Some((Op::Linear(form), Linear { rest: &[residual], ..linear }.inputs()))
    })
}

/// Keys and values that are written to the cache, with the queries of the same vector: the node that yields the queries
/// and writes the others, and the value that it takes the place of.
fn qkv(graph: &Graph, index: usize, weights: &[WeightUse], caps: &Caps) -> Option<(Node, Value)> {
    let node = &graph.nodes[index];
    let &Op::KvWrite { layer } = &node.op else { return None };
    let &[k, v, kv_rows] = &node.inputs[..] else { return None };
    let (k, k_heads) = turned(graph, k)?;
    let (v_form, v) = product(graph, v)?;
    // Queries were turned before, and attention takes them after.
    let queries = graph.nodes[..index].iter().enumerate().find_map(|(at, _)| {
        let (q, heads) = turned(graph, Value(at))?;
        (q.linear.x == k.linear.x && at != node.inputs[0].node()).then_some((Value(at), q, heads))
    });
    let (queries, q, heads) = queries?;
    let parts = [q.linear.weights[0], k.linear.weights[0], v.weights[0]];
    let biases = [q.linear.biases, k.linear.biases, v.biases].concat();
    let alike = q.form == k.form && k.form == v_form && v_form.output == Output::Plain;
    let one = k.linear.x == v.x && q.linear.norm == k.linear.norm && k.linear.norm == v.norm;
    let turns = (q.angles, q.positions) == (k.angles, k.positions) && heads.head_dim == k_heads.head_dim;
    let kept = graph.kv != KvFormat::Q8 && caps.max_storage_buffers >= Qkv::buffers(v_form.bias);
    let adjoin = together(graph, weights, &parts) && together(graph, weights, &biases);
    if !(alike && one && turns && kept && adjoin) {
        return None;
    }
    let qkv = Qkv { heads: heads.heads, kv_heads: k_heads.heads, head_dim: heads.head_dim, kv: graph.kv };
    let form = Form { output: Output::Qkv(qkv), ..v_form };
    let rest = [q.angles, q.positions, kv_rows];
    let inputs = Linear { weights: &parts, biases: &biases, rest: &rest, ..q.linear }.inputs();
    let fact = graph.nodes[queries.node()].fact.clone();
    Some((Node { op: Op::Qkv { layer, form }, inputs, fact, at: node.at }, queries))
}

/// A product turned by positions.
struct Turned<'a> {
    form: Form,
    linear: Linear<'a>,
    positions: Value,
    angles: Value,
}

/// The product behind `value`, where it is turned whole, halves of a head in pairs.
fn turned(graph: &Graph, value: Value) -> Option<(Turned<'_>, rope::Heads)> {
    let node = &graph.nodes[value.node()];
    let (Op::Rope(heads), &[x, positions, angles]) = (&node.op, &node.inputs[..]) else { return None };
    let (form, linear) = product(graph, x)?;
    let whole = heads.rotary_dim == heads.head_dim && heads.pairing == Pairing::Halves;
    let once = users(graph, value).count() == 1 && !graph.outputs.contains(&value);
    (whole && once).then_some((Turned { form, linear, positions, angles }, *heads))
}

/// The product that yields `value`, where it has a single user.
fn product(graph: &Graph, value: Value) -> Option<(Form, Linear<'_>)> {
    let node = &graph.nodes[value.node()];
    let Op::Linear(form) = node.op else { return None };
    let once = users(graph, value).count() == 1 && !graph.outputs.contains(&value);
    Some((form, Linear::of(form, &node.inputs)?)).filter(|_| once)
}

/// Whether these weights lie one after the other, none of them divided.
fn together(graph: &Graph, weights: &[WeightUse], values: &[Value]) -> bool {
    let used: Option<Vec<&WeightUse>> = values
        .iter()
        .map(|value| match graph.nodes[value.node()].op {
            Op::Weight(weight) => weights.get(weight).filter(|used| used.whole().is_some()),
            _ => None,
        })
        .collect();
    used.is_some_and(|used| adjoin(&used))
}

fn users(graph: &Graph, value: Value) -> impl Iterator<Item = &Node> {
    graph.nodes.iter().filter(move |node| node.inputs.contains(&value))
}

/// The graph without the nodes whose values nobody takes.
fn without_unused(mut graph: Graph) -> Graph {
    let mut used = vec![false; graph.nodes.len()];
    graph.outputs.iter().for_each(|output| used[output.node()] = true);
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        used[index] |= node.fact.is_none();
        if used[index] {
            node.inputs.iter().for_each(|input| used[input.node()] = true);
        }
    }
    let mut places = Vec::with_capacity(used.len());
    let mut count = 0;
    for &used in &used {
        places.push(Value(count));
        count += usize::from(used);
    }
    let mut keep = used.iter();
    graph.nodes.retain(|_| keep.next().is_some_and(|&used| used));
    let values = graph.nodes.iter_mut().flat_map(|node| &mut node.inputs).chain(&mut graph.outputs);
    values.for_each(|value| *value = places[value.node()]);
    graph
}
