// y[thread] = the sum over 16 numbers of v, where v = factor v + term, 4 rounds times, from thread % 4 on: how fast
// numbers can be multiplied and added. Number is f32 or f16; a thread's four vectors do not wait for each other.
//!use shared/fold
//!slot number
override WORKGROUP: u32 = 64u;

struct Params {
    threads: u32,
    rounds: u32, // of four steps
    factor: f32,
    term: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // (thread)

fn four_times(v: vec4<Number>, factor: vec4<Number>, term: vec4<Number>) -> vec4<Number> {
    return fma(fma(fma(fma(v, factor, term), factor, term), factor, term), factor, term);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = folded(workgroup) * WORKGROUP + thread;
    if (index >= params.threads) {
        return;
    }
    let factor = vec4<Number>(Number(params.factor));
    let term = vec4<Number>(Number(params.term));
    let first = f32(index % 4u);
    var v0 = vec4<Number>(vec4<f32>(first, first + 1.0, first + 2.0, first + 3.0));
    var v1 = v0 + vec4<Number>(4.0);
    var v2 = v0 + vec4<Number>(8.0);
    var v3 = v0 + vec4<Number>(12.0);
    for (var round = 0u; round < params.rounds; round++) {
        v0 = four_times(v0, factor, term);
        v1 = four_times(v1, factor, term);
        v2 = four_times(v2, factor, term);
        v3 = four_times(v3, factor, term);
    }
    let sum = (vec4<f32>(v0) + vec4<f32>(v1)) + (vec4<f32>(v2) + vec4<f32>(v3));
    y[index] = (sum.x + sum.y) + (sum.z + sum.w);
}
