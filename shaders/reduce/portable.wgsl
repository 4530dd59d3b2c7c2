// Sums and maxima over a workgroup through its shared memory; needs no feature.
// Every thread contributes, the workgroup meets at a barrier, any thread collects; a second barrier comes before the
// next contribution. The order of additions depends on WORKGROUP alone.
// The kernel declares WORKGROUP, and REDUCTIONS: how many values are reduced side by side.
var<workgroup> partial: array<vec4<f32>, REDUCTIONS * WORKGROUP>; // (reduction, thread)

fn contribute_sum(reduction: u32, thread: u32, value: vec4<f32>) {
    partial[reduction * WORKGROUP + thread] = value;
}

fn collect_sum(reduction: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var i = 0u; i < WORKGROUP; i++) {
        sum += partial[reduction * WORKGROUP + i];
    }
    return sum;
}

fn contribute_max(reduction: u32, thread: u32, value: vec4<f32>) {
    partial[reduction * WORKGROUP + thread] = value;
}

fn collect_max(reduction: u32) -> vec4<f32> {
    var largest = partial[reduction * WORKGROUP];
    for (var i = 1u; i < WORKGROUP; i++) {
        largest = max(largest, partial[reduction * WORKGROUP + i]);
    }
    return largest;
}
