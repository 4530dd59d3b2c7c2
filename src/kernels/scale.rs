//! `scale`: y = factor x, element by element.

use super::{Launch, WORKGROUP, grid, launch as make, params, quads};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// Quads of the whole value, padding included.
        quads: u32,
        /// What every element is multiplied by.
        factor: f32,
    }
}

/// Scales a value of `rows` × `columns`. Binds `x`, `y`.
pub fn launch(rows: usize, columns: usize, factor: f32) -> Launch {
    let quads = rows as u32 * quads(columns);
    make("scale", "scale", vec![], vec![("WORKGROUP", WORKGROUP)], Params { quads, factor }, grid(quads as usize))
}

/// The definition.
pub fn reference(x: &[f64], factor: f64) -> Vec<f64> {
    x.iter().map(|x| factor * x).collect()
}
