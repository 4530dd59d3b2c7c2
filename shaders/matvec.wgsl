// y = W x + bias for a few tokens: the linear layer while decoding.
// One workgroup four rows of W and TOKENS tokens. Its threads stride over a row's packs, so that a weight is read once
// for all the tokens, and their partial sums are added at the end. The order of additions for one output depends on
// columns and WORKGROUP alone, never on how many tokens there are.
//!use shared/fold
//!use shared/keep
//!slot quant
//!slot reduce
//!slot bias
override WORKGROUP: u32 = 64u;
override TOKENS: u32 = 1u;
override TAIL: u32 = 1u; // 0 where the columns fill whole packs
const REDUCTIONS: u32 = TOKENS;

struct Params {
    tokens: u32,
    rows: u32,    // of this shard
    columns: u32,
    packs: u32,   // of a row of W, padding included
    x_quads: u32, // of a row of x
    y_quads: u32, // of a row of y
    y_first: u32, // the shard's first quad in a row of y
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // (token, column / 4)
@group(0) @binding(2) var<storage, read> weight: array<Packed>; // (row, column / 4 / QUADS)
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>; // (token, row / 4)

// fma in a fixed order, so that every rung and every TOKENS rounds alike.
fn add_dot(sum: f32, w: vec4<f32>, v: vec4<f32>) -> f32 {
    return fma(w.w, v.w, fma(w.z, v.z, fma(w.y, v.y, fma(w.x, v.x, sum))));
}

fn weights(packed: Packed, quad: u32, column_quad: u32) -> vec4<f32> {
    let w = unpack(packed, quad);
    if (TAIL == 1u) {
        return keep(w, 4u * column_quad, params.columns);
    }
    return w;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row_quad = folded(workgroup);
    if (4u * row_quad >= params.rows) {
        return;
    }
    // Rows and tokens beyond the end repeat the last one; what they yield is not kept.
    let last_row = params.rows - 1u;
    let row0 = min(4u * row_quad, last_row) * params.packs;
    let row1 = min(4u * row_quad + 1u, last_row) * params.packs;
    let row2 = min(4u * row_quad + 2u, last_row) * params.packs;
    let row3 = min(4u * row_quad + 3u, last_row) * params.packs;
    let first_token = workgroup.z * TOKENS;

    var sums: array<vec4<f32>, TOKENS>;
    for (var pack = thread; pack < params.packs; pack += WORKGROUP) {
        let packed0 = weight[row0 + pack];
        let packed1 = weight[row1 + pack];
        let packed2 = weight[row2 + pack];
        let packed3 = weight[row3 + pack];
        for (var quad = 0u; quad < QUADS; quad++) {
            let column_quad = pack * QUADS + quad;
            let w0 = weights(packed0, quad, column_quad);
            let w1 = weights(packed1, quad, column_quad);
            let w2 = weights(packed2, quad, column_quad);
            let w3 = weights(packed3, quad, column_quad);
            for (var t = 0u; t < TOKENS; t++) {
                let token = min(first_token + t, params.tokens - 1u);
                var v = x[token * params.x_quads + column_quad];
                if (TAIL == 1u) {
                    v = keep(v, 4u * column_quad, params.columns);
                }
                sums[t] = vec4<f32>(
                    add_dot(sums[t].x, w0, v),
                    add_dot(sums[t].y, w1, v),
                    add_dot(sums[t].z, w2, v),
                    add_dot(sums[t].w, w3, v),
                );
            }
        }
    }
    for (var t = 0u; t < TOKENS; t++) {
        contribute_sum(t, thread, sums[t]);
    }
    workgroupBarrier();
    for (var t = 0u; t < TOKENS; t++) {
        let token = first_token + t;
        let sum = collect_sum(t);
        if (thread == t && token < params.tokens) {
            let quad = params.y_first + row_quad;
            y[token * params.y_quads + quad] = sum + bias_quad(quad);
        }
    }
}
