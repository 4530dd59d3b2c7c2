//! `rms_norm`: y = x / √(mean(x²) + ε) · weight over each row, Zhang and Sennrich 2019.

use super::{Launch, Rung, WORKGROUP, fold, launch as make, params, quads};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// How many rows.
        rows: u32,
        /// Elements of a row.
        columns: u32,
        /// Quads of a row, padding included.
        quads: u32,
        /// ε, which keeps a row of zeros from dividing by zero.
        epsilon: f32,
    }
}

/// Normalises `rows` rows of `columns`. Binds `x`, `weight`, `y`.
pub fn launch(rows: usize, columns: usize, epsilon: f32, rung: Rung) -> Launch {
    let params = Params { rows: rows as u32, columns: columns as u32, quads: quads(columns), epsilon };
    make("rms_norm", "rms_norm", vec![rung.reduce()], vec![("WORKGROUP", WORKGROUP)], params, fold(rows))
}

/// The definition.
pub fn reference(x: &[f64], weight: &[f64], epsilon: f64) -> Vec<f64> {
    x.chunks(weight.len().max(1))
        .flat_map(|row| {
            let mean = row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
            let inverse = 1.0 / (mean + epsilon).sqrt();
            row.iter().zip(weight).map(move |(x, weight)| x * inverse * weight)
        })
        .collect()
}
