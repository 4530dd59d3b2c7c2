// Sums and maxima over a workgroup: over each subgroup by its own operations, over the subgroups through shared memory.
// Used as reduce/portable.wgsl is. The subgroup's size is counted rather than taken from a builtin, so that a kernel's
// entry point is the same for both; lanes of a subgroup are neighbouring threads.
enable subgroups;
var<workgroup> partial: array<vec4<f32>, REDUCTIONS * WORKGROUP>; // (reduction, subgroup)

fn contribute_sum(reduction: u32, thread: u32, value: vec4<f32>) {
    let sum = subgroupAdd(value);
    let lanes = subgroupAdd(1u);
    if (thread % lanes == 0u) {
        partial[reduction * WORKGROUP + thread / lanes] = sum;
    }
}

fn collect_sum(reduction: u32) -> vec4<f32> {
    let subgroups = WORKGROUP / subgroupAdd(1u);
    var sum = vec4<f32>();
    for (var i = 0u; i < subgroups; i++) {
        sum += partial[reduction * WORKGROUP + i];
    }
    return sum;
}

fn contribute_max(reduction: u32, thread: u32, value: vec4<f32>) {
    let largest = subgroupMax(value);
    let lanes = subgroupAdd(1u);
    if (thread % lanes == 0u) {
        partial[reduction * WORKGROUP + thread / lanes] = largest;
    }
}

fn collect_max(reduction: u32) -> vec4<f32> {
    let subgroups = WORKGROUP / subgroupAdd(1u);
    var largest = partial[reduction * WORKGROUP];
    for (var i = 1u; i < subgroups; i++) {
        largest = max(largest, partial[reduction * WORKGROUP + i]);
    }
    return largest;
}
