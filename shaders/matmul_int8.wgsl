// y = W x + bias for many tokens with x rounded to bytes, where W is stored in groups: the linear layer of a prompt, by
// products of four bytes at a time. As in matmul.wgsl, one workgroup a tile of 32 rows of W by 32 tokens; 64 threads, each
// 4 rows by 4 tokens in registers. Two groups of columns at a time pass through workgroup memory, x rounded once a tile.
//!use shared/linear
//!use words/narrow
//!use shared/int8
const TILE: u32 = 32u;   // rows, and tokens, of a tile
const STAGED: u32 = 2u;  // groups at a time
const THREADS: u32 = 64u;

var<workgroup> w_tile: array<Packed, TILE * STAGED>; // (group, row)
var<workgroup> x_tile: array<Group, TILE * STAGED>;  // (group, token)

// A thread stages a group of one row and a group of one token.
fn stage(thread: u32, first_row: u32, first_token: u32, first: u32) {
    let group = first + thread / TILE;
    if (group >= params.packs) {
        return;
    }
    let row = min(first_row + thread % TILE, params.rows - 1u);
    w_tile[thread] = fetch((params.w_first + row) * params.row_words, group, params.packs);
    let token = min(first_token + thread % TILE, params.tokens - 1u);
    var quads: array<vec4<f32>, 8>;
    for (var i = 0u; i < 8u; i++) {
        quads[i] = x[token * params.x_quads + 8u * group + i];
    }
    x_tile[thread] = group_of(quads);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first_row = folded(workgroup) * TILE;
    if (first_row >= params.rows) {
        return;
    }
    let first_token = workgroup.z * TILE;
    let my_row = 4u * (thread % 8u);
    let my_token = 4u * (thread / 8u);

    var sums: array<vec4<f32>, 4>; // (token), four rows each
    for (var first = 0u; first < params.packs; first += STAGED) {
        stage(thread, first_row, first_token, first);
        workgroupBarrier();
        for (var i = 0u; i < min(STAGED, params.packs - first); i++) {
            let w0 = w_tile[i * TILE + my_row];
            let w1 = w_tile[i * TILE + my_row + 1u];
            let w2 = w_tile[i * TILE + my_row + 2u];
            let w3 = w_tile[i * TILE + my_row + 3u];
            for (var t = 0u; t < 4u; t++) {
                let group = x_tile[i * TILE + my_token + t];
                sums[t] += vec4<f32>(
                    dot_group(w0, group), dot_group(w1, group), dot_group(w2, group), dot_group(w3, group),
                );
            }
        }
        workgroupBarrier();
    }
    if (first_row + my_row < params.rows) {
        let quad = params.y_first + (first_row + my_row) / 4u;
        for (var t = 0u; t < 4u; t++) {
            let token = first_token + my_token + t;
            if (token < params.tokens) {
                y[token * params.y_quads + quad] = sums[t] + bias_quad(params.bias_first + quad);
            }
        }
    }
}
