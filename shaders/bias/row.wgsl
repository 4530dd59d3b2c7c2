// One bias for each output column.
@group(0) @binding(7) var<storage, read> bias: array<vec4<f32>>; // (column / 4)

fn bias_quad(quad: u32) -> vec4<f32> {
    return bias[quad];
}
