// y = a + b, element by element.
// One thread a quad of four elements; a row's padding is computed too and never read.
//!use shared/fold
override WORKGROUP: u32 = 64u;

struct Params {
    quads: u32, // of the whole value, padding included
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>; // (row, column / 4)
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>; // (row, column / 4)
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>; // (row, column / 4)

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let quad = folded(workgroup) * WORKGROUP + thread;
    if (quad >= params.quads) {
        return;
    }
    y[quad] = a[quad] + b[quad];
}
