// y = x: how fast memory can be read and written.
// One workgroup a stretch of x, its threads side by side, four loads on their way at once.
//!use shared/fold
override WORKGROUP: u32 = 64u;

struct Params {
    workgroups: u32,
    rounds: u32, // of four loads a thread
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>; // (workgroup, round, load, thread)
@group(0) @binding(2) var<storage, read_write> y: array<vec4<u32>>; // as x

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let group = folded(workgroup);
    if (group >= params.workgroups) {
        return;
    }
    var at = group * params.rounds * 4u * WORKGROUP + thread;
    for (var round = 0u; round < params.rounds; round++) {
        let x0 = x[at];
        let x1 = x[at + WORKGROUP];
        let x2 = x[at + 2u * WORKGROUP];
        let x3 = x[at + 3u * WORKGROUP];
        y[at] = x0;
        y[at + WORKGROUP] = x1;
        y[at + 2u * WORKGROUP] = x2;
        y[at + 3u * WORKGROUP] = x3;
        at += 4u * WORKGROUP;
    }
}
