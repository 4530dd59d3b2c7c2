// y = act(gate) up, Shazeer 2020 (arXiv 2002.05202), of a W that is the gate's rows and then as many of up's. A unit is
// four rows of the gate and the same four of up. A bias begins each half at a multiple of eight.
//!slot act
const RUNS: u32 = 2u; // of rows that lie together, in units that do

fn row_of(unit: u32, i: u32) -> u32 {
    let row = min(4u * unit + i % 4u, params.rows - 1u);
    return select(row, params.rows + row, i >= 4u);
}

fn emit(unit: u32, token: u32, low: vec4<f32>, high: vec4<f32>) {
    let half_quads = (params.rows + 7u) / 8u * 2u;
    let gate = low + bias_quad(params.bias_first + unit);
    let up = high + bias_quad(params.bias_first + half_quads + unit);
    y[token * params.y_quads + unit] = act(gate) * up;
}
