// Rotary position embedding, Su et al. 2021 (arXiv 2104.09864): pair i of every head turns by the angle that the table
// gives for the token's position; dimensions beyond rotary_dim pass through.
// One thread a pair. The pair is (i, i + rotary_dim/2), or (2i, 2i + 1) where INTERLEAVED is 1.
//!use shared/fold
override WORKGROUP: u32 = 64u;
override INTERLEAVED: u32 = 0u;

struct Params {
    tokens: u32,
    heads: u32,
    head_dim: u32,
    rotary_dim: u32,
    table_pitch: u32, // elements from one position's row to the next
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // (token, head, head_dim)
@group(0) @binding(2) var<storage, read> positions: array<u32>; // (token)
@group(0) @binding(3) var<storage, read> table: array<f32>; // (position, cos of each pair then sin of each pair)
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // (token, head, head_dim)

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = folded(workgroup) * WORKGROUP + thread;
    let pairs = params.head_dim / 2u;
    let pair = index % pairs;
    let head = index / pairs; // counted through all tokens
    if (head >= params.tokens * params.heads) {
        return;
    }
    let begin = head * params.head_dim;
    let turning = params.rotary_dim / 2u;
    if (pair >= turning) {
        y[begin + 2u * pair] = x[begin + 2u * pair];
        y[begin + 2u * pair + 1u] = x[begin + 2u * pair + 1u];
        return;
    }
    let first = begin + select(pair, 2u * pair, INTERLEAVED == 1u);
    let second = select(first + turning, first + 1u, INTERLEAVED == 1u);
    let row = positions[head / params.heads] * params.table_pitch;
    let cosine = table[row + pair];
    let sine = table[row + turning + pair];
    y[first] = x[first] * cosine - x[second] * sine;
    y[second] = x[second] * cosine + x[first] * sine;
}
