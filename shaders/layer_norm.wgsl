// y = (x - mean) / sqrt(variance + epsilon) * weight + bias over each row, Ba et al. 2016 (arXiv 1607.06450).
// One workgroup a row. The variance is taken of the differences from the mean, in a second pass: the mean of the
// squares less the square of the mean cancels where the mean is large. That pass also finds what rounding has left of
// the mean, which is taken away as well.
//!use shared/fold
//!use shared/keep
//!slot reduce
//!slot bias
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

fn total(thread: u32, value: vec4<f32>) -> vec4<f32> {
    contribute_sum(0u, thread, value);
    workgroupBarrier();
    let sum = collect_sum(0u);
    workgroupBarrier();
    return sum;
}

fn across(value: vec4<f32>) -> f32 {
    return value.x + value.y + value.z + value.w;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = folded(workgroup);
    if (row >= params.rows) {
        return;
    }
    let begin = row * params.quads;

    var sum = vec4<f32>();
    for (var quad = thread; quad < params.quads; quad += WORKGROUP) {
        sum += keep(x[begin + quad], 4u * quad, params.columns);
    }
    let mean = across(total(thread, sum)) / f32(params.columns);

    var differences = vec4<f32>();
    var squares = vec4<f32>();
    for (var quad = thread; quad < params.quads; quad += WORKGROUP) {
        let difference = keep(x[begin + quad] - mean, 4u * quad, params.columns);
        differences += difference;
        squares = fma(difference, difference, squares);
    }
    let moments = total(thread, vec4<f32>(across(differences), across(squares), 0.0, 0.0)) / f32(params.columns);
    let rest = moments.x; // of the mean
    let variance = max(fma(-rest, rest, moments.y), 0.0);
    let inverse = 1.0 / sqrt(variance + params.epsilon);

    for (var quad = thread; quad < params.quads; quad += WORKGROUP) {
        let normal = (x[begin + quad] - mean - rest) * inverse;
        y[begin + quad] = keep(fma(normal, weight[quad], bias_quad(quad)), 4u * quad, params.columns);
    }
}
