//! `gated`: y = act(gate) up, element by element: the gated linear unit of Shazeer 2020.

use super::activation::Act;
use super::{Launch, WORKGROUP, grid, launch as make, params, quads};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// Quads of the whole value, padding included.
        quads: u32,
    }
}

/// Gates a value of `rows` × `columns`. Binds `gate`, `up`, `y`.
pub fn launch(rows: usize, columns: usize, act: Act) -> Launch {
    let quads = rows as u32 * quads(columns);
    let constants = vec![("WORKGROUP", WORKGROUP)];
    make("gated", "gated", vec![act.slot()], constants, Params { quads }, grid(quads as usize))
}

/// The definition.
pub fn reference(gate: &[f64], up: &[f64], act: Act) -> Vec<f64> {
    gate.iter().zip(up).map(|(&gate, up)| act.apply(gate) * up).collect()
}
