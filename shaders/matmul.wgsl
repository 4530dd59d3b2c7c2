// y = W x + bias for many tokens: the linear layer of a prompt.
// One workgroup a tile of 32 rows of W by 32 tokens; 64 threads, each 4 rows by 4 tokens in registers. Both operands
// pass through workgroup memory in slices of 32 columns, W unpacked once a slice.
//!use shared/linear
//!use words/narrow
const TILE: u32 = 32u;    // rows, and tokens, of a tile
const SLICE: u32 = 8u;    // quads of columns staged at a time
const THREADS: u32 = 64u;
const PACKS: u32 = SLICE / PACK_QUADS; // of a row, in a slice
const W_ROUNDS: u32 = (TILE * PACKS + THREADS - 1u) / THREADS; // in which all threads stage W
const X_ROUNDS: u32 = TILE * SLICE / THREADS;

var<workgroup> w_tile: array<vec4<f32>, TILE * SLICE>; // (row, column / 4) as `staged_at` says
var<workgroup> x_tile: array<vec4<f32>, TILE * SLICE>; // (token, column / 4) likewise

// Where a quad of a staged row is. Threads side by side read the same column of rows four apart, which would share banks
// if every row were laid out alike.
fn staged_at(row: u32, quad: u32) -> u32 {
    return row * SLICE + (quad ^ (row / 4u % SLICE));
}

// All loads come before the first of them is used, so that a thread waits for memory once.
fn stage(thread: u32, first_row: u32, first_token: u32, slice: u32) {
    var packed: array<Packed, W_ROUNDS>;
    for (var j = 0u; j < W_ROUNDS; j++) {
        let i = min(thread + j * THREADS, TILE * PACKS - 1u);
        let row = min(first_row + i / PACKS, params.rows - 1u);
        let pack = min(slice / PACK_QUADS + i % PACKS, params.packs - 1u);
        packed[j] = fetch((params.w_first + row) * params.row_words, pack, params.packs);
    }
    var columns: array<vec4<f32>, X_ROUNDS>;
    for (var j = 0u; j < X_ROUNDS; j++) {
        let i = thread + j * THREADS;
        let token = min(first_token + i / SLICE, params.tokens - 1u);
        columns[j] = x[token * params.x_quads + min(slice + i % SLICE, params.x_quads - 1u)];
    }
    // A row may end within the slice: zeros stand for what is not there.
    for (var j = 0u; j < W_ROUNDS; j++) {
        let i = thread + j * THREADS;
        let pack = slice / PACK_QUADS + i % PACKS;
        for (var quad = 0u; quad < PACK_QUADS && i < TILE * PACKS; quad++) {
            var w = select(vec4<f32>(), weights(packed[j], quad), pack < params.packs);
            if (TAIL == 1u) {
                w = keep(w, 4u * (pack * PACK_QUADS + quad), params.columns);
            }
            w_tile[staged_at(i / PACKS, i % PACKS * PACK_QUADS + quad)] = w;
        }
    }
    for (var j = 0u; j < X_ROUNDS; j++) {
        let i = thread + j * THREADS;
        let quad = slice + i % SLICE;
        var v = select(vec4<f32>(), columns[j], quad < params.x_quads);
        if (TAIL == 1u) {
            v = keep(v, 4u * quad, params.columns);
        }
        x_tile[staged_at(i / SLICE, i % SLICE)] = v;
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
            let w0 = w_tile[staged_at(my_row, quad)];
            let w1 = w_tile[staged_at(my_row + 1u, quad)];
            let w2 = w_tile[staged_at(my_row + 2u, quad)];
            let w3 = w_tile[staged_at(my_row + 3u, quad)];
            for (var t = 0u; t < 4u; t++) {
                let v = x_tile[staged_at(my_token + t, quad)];
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
