//! `add`: y = a + b, element by element.

use super::{Launch, WORKGROUP, grid, launch as make, params, quads};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// Quads of the whole value, padding included.
        quads: u32,
    }
}

/// Adds two values of `rows` × `columns`. Binds `a`, `b`, `y`.
pub fn launch(rows: usize, columns: usize) -> Launch {
    let quads = rows as u32 * quads(columns);
    make("add", "add", vec![], vec![("WORKGROUP", WORKGROUP)], Params { quads }, grid(quads as usize))
}

/// The definition.
pub fn reference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}
