// The products themselves. A unit is eight rows in a row.
const RUNS: u32 = 1u; // of rows that lie together, in units that do

fn row_of(unit: u32, i: u32) -> u32 {
    return min(8u * unit + i, params.rows - 1u);
}

fn emit(unit: u32, token: u32, low: vec4<f32>, high: vec4<f32>) {
    let quad = params.y_first + 2u * unit;
    let to = token * params.y_quads + quad;
    y[to] = low + bias_quad(params.bias_first + quad);
    y[to + 1u] = high + bias_quad(params.bias_first + quad + 1u);
}
