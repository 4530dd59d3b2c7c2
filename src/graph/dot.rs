//! A plan as a picture, in Graphviz's language.

use super::{Op, Place, Plan};
use std::fmt::Write;

impl Plan {
    /// The plan as Graphviz source: nodes coloured by slot, edges labelled with what flows along them.
    pub fn dot(&self) -> String {
        let mut out = String::from("digraph plan {\n  node [shape=box, style=filled, colorscheme=set312];\n");
        for (index, node) in self.graph.nodes.iter().enumerate() {
            let label = match &node.op {
                Op::Weight(weight) => self.graph.weights[*weight].name.clone(),
                op => op.name().to_owned(),
            };
            let fact = node.fact.as_ref().map_or_else(String::new, |fact| format!("\\n{fact}"));
            let (place, colour) = match self.places[index] {
                Place::Slot(slot) => (format!("\\nslot {slot}"), format!("{}", slot % 12 + 1)),
                _ => (String::new(), "white".to_owned()),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(out, "  n{index} [label=\"{}{fact}{place}\", fillcolor={colour}];", escape(&label));
            for input in &node.inputs {
                let _ = writeln!(out, "  n{} -> n{index};", input.node());
            }
        }
        out.push_str("}\n");
        out
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
