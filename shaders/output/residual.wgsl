// The products added to what x was made from. A unit is eight rows in a row.
@group(0) @binding(8) var<storage, read> residual: array<vec4<f32>>; // (token, row / 4)

const RUNS: u32 = 1u; // of rows that lie together, in units that do

fn row_of(unit: u32, i: u32) -> u32 {
    return min(8u * unit + i, params.rows - 1u);
}

fn emit(unit: u32, token: u32, low: vec4<f32>, high: vec4<f32>) {
    let quad = params.y_first + 2u * unit;
    let to = token * params.y_quads + quad;
    y[to] = residual[to] + (low + bias_quad(params.bias_first + quad));
    y[to + 1u] = residual[to + 1u] + (high + bias_quad(params.bias_first + quad + 1u));
}
