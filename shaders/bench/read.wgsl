// y[thread] = the sum of the words that a thread reads: how fast memory can be read.
// One workgroup a part of x. Its threads read side by side, or all the same: a processor reads that once for all.
//!use shared/fold
//!slot words
//!slot stretch
override WORKGROUP: u32 = 64u;
override TOGETHER: u32 = 0u; // 1 where all threads of a workgroup read the same
const APART: u32 = 1u - TOGETHER;
const STEP: u32 = APART * WORKGROUP + TOGETHER;

struct Params {
    workgroups: u32,
    rounds: u32, // of as many loads as a stretch has
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Words>; // (workgroup, round, load, thread)
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // (workgroup, thread)

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let group = folded(workgroup);
    if (group >= params.workgroups) {
        return;
    }
    let first = group * params.rounds * LOADS * STEP + APART * thread;
    var sum = Words();
    for (var round = 0u; round < params.rounds; round++) {
        sum += sum_of_loads(first + round * LOADS * STEP, STEP);
    }
    y[group * WORKGROUP + thread] = total_of(sum);
}
