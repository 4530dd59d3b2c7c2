//! `layer_norm`: y = (x − mean) / √(variance + ε) · weight + bias over each row, Ba et al. 2016.

use super::linear::bias_slot;
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
        /// ε, which keeps a row of equal elements from dividing by zero.
        epsilon: f32,
    }
}

/// Normalises `rows` rows of `columns`. Binds `x`, `weight`, `y`, and `bias` where there is one.
pub fn launch(rows: usize, columns: usize, epsilon: f32, bias: bool, rung: Rung) -> Launch {
    let params = Params { rows: rows as u32, columns: columns as u32, quads: quads(columns), epsilon };
    let slots = vec![rung.reduce(), bias_slot(bias)];
    make("layer_norm", "layer_norm", slots, vec![("WORKGROUP", WORKGROUP)], params, fold(rows))
}

/// The definition.
pub fn reference(x: &[f64], weight: &[f64], bias: Option<&[f64]>, epsilon: f64) -> Vec<f64> {
    x.chunks(weight.len().max(1))
        .flat_map(|row| {
            let mean = row.iter().sum::<f64>() / row.len() as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
            let inverse = 1.0 / (variance + epsilon).sqrt();
            row.iter()
                .enumerate()
                .map(move |(i, x)| (x - mean) * inverse * weight[i] + bias.map_or(0.0, |bias| bias[i]))
        })
        .collect()
}
