// y[thread] = the sum over 8 numbers of s, where s = s + (the four bytes of s) . (those of factor), 4 rounds times, from
// thread on: how fast four bytes at a time can be multiplied and added. The numbers do not wait for each other.
//!use shared/fold
override WORKGROUP: u32 = 64u;

struct Params {
    threads: u32,
    rounds: u32, // of four steps
    factor: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<i32>; // (thread)

fn once(s: i32) -> i32 {
    return s + dot4I8Packed(bitcast<u32>(s), params.factor);
}

fn four_times(s: i32) -> i32 {
    return once(once(once(once(s))));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = folded(workgroup) * WORKGROUP + thread;
    if (index >= params.threads) {
        return;
    }
    var s0 = i32(index);
    var s1 = s0 + 1;
    var s2 = s0 + 2;
    var s3 = s0 + 3;
    var s4 = s0 + 4;
    var s5 = s0 + 5;
    var s6 = s0 + 6;
    var s7 = s0 + 7;
    for (var round = 0u; round < params.rounds; round++) {
        s0 = four_times(s0);
        s1 = four_times(s1);
        s2 = four_times(s2);
        s3 = four_times(s3);
        s4 = four_times(s4);
        s5 = four_times(s5);
        s6 = four_times(s6);
        s7 = four_times(s7);
    }
    y[index] = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7));
}
