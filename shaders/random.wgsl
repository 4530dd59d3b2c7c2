// W[row, column] = 2^-e (2b - 255), b a random byte: weights for a model's shape where there is no model.
// One thread 16 bytes of a row; four neighbours share one hash of their row, their quad and the seed.
//!use shared/fold
//!slot pack
override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    packs: u32,     // of a row, padding included
    first_row: u32, // in the whole matrix
    seed: u32,
    scale: f32,     // 2^-e
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>; // (row, column / 4 / QUADS)

// PCG in three dimensions: Jarzynski and Olano 2020.
fn hash(place: vec3<u32>) -> u32 {
    var v = place * 1664525u + 1013904223u;
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v ^= v >> vec3<u32>(16u);
    v.x += v.y * v.z;
    return v.x;
}

fn numbers(row: u32, quad: u32) -> vec4<f32> {
    let bits = hash(vec3<u32>(row, quad, params.seed));
    let bytes = (vec4<u32>(bits) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
    return params.scale * vec4<f32>(2 * vec4<i32>(bytes) - 255);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let pack = folded(workgroup) * WORKGROUP + thread;
    if (pack >= params.rows * params.packs) {
        return;
    }
    let row = params.first_row + pack / params.packs;
    let quad = (pack % params.packs) * QUADS;
    y[pack] = packed(numbers(row, quad), numbers(row, quad + 1u));
}
