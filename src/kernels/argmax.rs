//! `argmax`: the column of each row's largest element, the first of equals, and how many elements are not finite.

use super::{Launch, Rung, fold, launch as make, params, quads};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// How many rows.
        rows: u32,
        /// Elements of a row.
        columns: u32,
        /// Quads of a row, padding included.
        quads: u32,
    }
}

/// Threads of a workgroup: a row is a vocabulary, long enough for many.
const WORKGROUP: u32 = 256;

/// Searches `rows` rows of `columns`. Binds `x`, `y`; `y` gets two numbers a row.
pub fn launch(rows: usize, columns: usize, rung: Rung) -> Launch {
    let params = Params { rows: rows as u32, columns: columns as u32, quads: quads(columns) };
    make("argmax", "argmax", vec![rung.best()], vec![("WORKGROUP", WORKGROUP)], params, fold(rows))
}

/// The definition: for each row the column, and the number of elements that are not finite.
pub fn reference(x: &[f64], columns: usize) -> Vec<u32> {
    x.chunks(columns.max(1))
        .flat_map(|row| {
            let lowest = f64::from(f32::MIN);
            let value = |x: f64| if x.is_finite() { x } else { lowest };
            let best = row.iter().enumerate().fold((0, f64::NEG_INFINITY), |best, (column, &x)| {
                if value(x) > best.1 { (column, value(x)) } else { best }
            });
            [best.0 as u32, row.iter().filter(|x| !x.is_finite()).count() as u32]
        })
        .collect()
}
