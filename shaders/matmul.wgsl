// y = W x + bias for many tokens: the linear layer of a prompt.
// One workgroup a tile of 32 rows of W by 32 tokens; 64 threads, each 4 rows by 4 tokens in registers. Both operands
// pass through workgroup memory in slices of 32 columns, W unpacked once a slice.
//!use shared/linear
//!use words/narrow
const TILE: u32 = 32u;    // rows, and tokens, of a tile
const SLICE: u32 = 8u;    // quads of columns staged at a time
const STRIDE: u32 = 9u;   // quads from one staged row to the next: odd, so that rows fall in different banks
const THREADS: u32 = 64u;

var<workgroup> w_tile: array<vec4<f32>, TILE * STRIDE>; // (row, column / 4)
var<workgroup> x_tile: array<vec4<f32>, TILE * STRIDE>; // (token, column / 4)

fn stage(thread: u32, first_row: u32, first_token: u32, slice: u32) {
    const PACKS: u32 = SLICE / PACK_QUADS;
    for (var i = thread; i < TILE * PACKS; i += THREADS) {
        let row = min(first_row + i / PACKS, params.rows - 1u);
        let pack = slice / PACK_QUADS + i % PACKS;
        // A row's packs may end within the slice: zeros stand for what is not there.
        var packed = Packed();
        if (pack < params.packs) {
            packed = fetch((params.w_first + row) * params.row_words, pack, params.packs);
        }
        for (var quad = 0u; quad < PACK_QUADS; quad++) {
            var w = weights(packed, quad);
            if (TAIL == 1u) {
                w = keep(w, 4u * (pack * PACK_QUADS + quad), params.columns);
            }
            w_tile[(i / PACKS) * STRIDE + (i % PACKS) * PACK_QUADS + quad] = w;
        }
    }
    for (var i = thread; i < TILE * SLICE; i += THREADS) {
        let token = min(first_token + i / SLICE, params.tokens - 1u);
        let quad = slice + i % SLICE;
        var v = vec4<f32>();
        if (quad < params.x_quads) {
            v = x[token * params.x_quads + quad];
            if (TAIL == 1u) {
                v = keep(v, 4u * quad, params.columns);
            }
        }
        x_tile[(i / SLICE) * STRIDE + i % SLICE] = v;
    }
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
    for (var slice = 0u; slice < params.x_quads; slice += SLICE) {
        stage(thread, first_row, first_token, slice);
        workgroupBarrier();
        for (var quad = 0u; quad < SLICE; quad++) {
            let w0 = w_tile[my_row * STRIDE + quad];
            let w1 = w_tile[(my_row + 1u) * STRIDE + quad];
            let w2 = w_tile[(my_row + 2u) * STRIDE + quad];
            let w3 = w_tile[(my_row + 3u) * STRIDE + quad];
            for (var t = 0u; t < 4u; t++) {
                let v = x_tile[(my_token + t) * STRIDE + quad];
                sums[t] = vec4<f32>(
                    add_dot(sums[t].x, w0, v),
                    add_dot(sums[t].y, w1, v),
                    add_dot(sums[t].z, w2, v),
                    add_dot(sums[t].w, w3, v),
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
