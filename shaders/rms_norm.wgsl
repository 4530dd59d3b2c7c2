// y = x / sqrt(mean(x^2) + epsilon) * weight over each row, Zhang and Sennrich 2019 (arXiv 1910.07467).
// One workgroup a row; its threads stride over the row's quads, then add up what they have.
//!use shared/fold
//!use shared/keep
//!slot reduce
override WORKGROUP: u32 = 64u;
const REDUCTIONS: u32 = 1u;

struct Params {
    rows: u32,
    columns: u32,
    quads: u32, // of a row, padding included
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // (row, column / 4)
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>; // (column / 4)
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>; // (row, column / 4)

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = folded(workgroup);
    if (row >= params.rows) {
        return;
    }
    let begin = row * params.quads;

    var squares = vec4<f32>();
    for (var quad = thread; quad < params.quads; quad += WORKGROUP) {
        let value = keep(x[begin + quad], 4u * quad, params.columns);
        squares = fma(value, value, squares);
    }
    contribute_sum(0u, thread, squares);
    workgroupBarrier();
    let total = collect_sum(0u);
    let mean = (total.x + total.y + total.z + total.w) / f32(params.columns);
    let inverse = 1.0 / sqrt(mean + params.epsilon);

    for (var quad = thread; quad < params.quads; quad += WORKGROUP) {
        y[begin + quad] = keep(x[begin + quad] * inverse * weight[quad], 4u * quad, params.columns);
    }
}
