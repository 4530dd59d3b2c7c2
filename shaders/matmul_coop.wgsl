// y = W x + bias for many tokens by cooperative matrices: the linear layer of a prompt, where an adapter has them.
// One workgroup a tile of ROWS of W by TOKENS tokens, divided into patches of 4 by 2 matrices, a patch a subgroup. Both
// operands pass through workgroup memory as halves in slices of 32 columns, W unpacked once a slice; sums are singles.
// No figure stands behind the sizes of tile, patch and slice, the stride, or the choice of a single buffer: they follow
// what is published of other kernels, and are to be measured on GPUs.
//!use shared/linear
//!use words/narrow
//!use shared/halves
//!slot matrix
enable f16;
enable subgroups;
enable wgpu_cooperative_matrix;
override ACROSS: u32 = 4u; // patches along the tokens of a tile
override LANES: u32 = 32u; // of the smallest subgroup that the driver may choose

const ROWS: u32 = 8u * SIZE;            // of a tile: two patches
const TOKENS: u32 = 2u * SIZE * ACROSS; // of a tile
const PATCHES: u32 = 2u * ACROSS;
const THREADS: u32 = PATCHES * LANES;
const SLICE: u32 = 8u;                  // quads of columns staged at a time
const STRIDE: u32 = 40u;                // halves from one staged row to the next: whole 16 bytes, and banks apart
const AREA: u32 = SIZE * SIZE;

var<workgroup> w_tile: array<f16, ROWS * STRIDE>;   // (row, column)
var<workgroup> x_tile: array<f16, TOKENS * STRIDE>; // (token, column)
var<workgroup> y_tile: array<f32, PATCHES * AREA>;  // (patch, token, row): one matrix of each patch

fn stage(thread: u32, first_row: u32, first_token: u32, slice: u32) {
    const PACKS: u32 = SLICE / PACK_QUADS;
    for (var i = thread; i < ROWS * PACKS; i += THREADS) {
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
            let h = halves(w);
            let at = (i / PACKS) * STRIDE + 4u * ((i % PACKS) * PACK_QUADS + quad);
            w_tile[at] = h.x;
            w_tile[at + 1u] = h.y;
            w_tile[at + 2u] = h.z;
            w_tile[at + 3u] = h.w;
        }
    }
    for (var i = thread; i < TOKENS * SLICE; i += THREADS) {
        let token = min(first_token + i / SLICE, params.tokens - 1u);
        let quad = slice + i % SLICE;
        var v = vec4<f32>();
        if (quad < params.x_quads) {
            v = x[token * params.x_quads + quad];
            if (TAIL == 1u) {
                v = keep(v, 4u * quad, params.columns);
            }
        }
        let h = halves(v);
        let at = (i / SLICE) * STRIDE + 4u * (i % SLICE);
        x_tile[at] = h.x;
        x_tile[at + 1u] = h.y;
        x_tile[at + 2u] = h.z;
        x_tile[at + 3u] = h.w;
    }
}

// Writes one matrix of sums, through workgroup memory, since its elements lie where the driver likes. The whole workgroup
// meets at the barriers, though a matrix is a subgroup's own: stores of matrices are ordered by nothing less.
fn finish(sums: Sums, patch_index: u32, lane: u32, lanes: u32, first_row: u32, first_token: u32) {
    let begin = patch_index * AREA;
    workgroupBarrier();
    coopStore(sums, &y_tile[begin], SIZE);
    workgroupBarrier();
    for (var i = lane; i < AREA / 4u; i += lanes) {
        let token = first_token + i / (SIZE / 4u);
        let row = first_row + 4u * (i % (SIZE / 4u));
        if (token < params.tokens && row < params.rows) {
            let at = begin + 4u * i;
            let quad = params.y_first + row / 4u;
            let sum = vec4<f32>(y_tile[at], y_tile[at + 1u], y_tile[at + 2u], y_tile[at + 3u]);
            y[token * params.y_quads + quad] = sum + bias_quad(params.bias_first + quad);
        }
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    // A workgroup past the last row, of which a folded grid has some, returns no sooner: matrices want control flow that is
    // seen to be uniform. It reads the last row, and writes nothing.
    let first_row = folded(workgroup) * ROWS;
    let first_token = workgroup.z * TOKENS;
    // Subgroups may be larger than LANES, and fewer then: each computes several patches, one after the other.
    let lanes = subgroupAdd(1u);
    let subgroups = THREADS / lanes;
    for (var done = 0u; done < PATCHES; done += subgroups) {
        let mine = done + thread / lanes;
        let my_row = 4u * SIZE * (mine % 2u);
        let my_token = 2u * SIZE * (mine / 2u);
        // By name and not in arrays: an index that is no constant would put them into memory.
        var s00 = Sums();
        var s10 = Sums();
        var s20 = Sums();
        var s30 = Sums();
        var s01 = Sums();
        var s11 = Sums();
        var s21 = Sums();
        var s31 = Sums();
        for (var slice = 0u; slice < params.x_quads; slice += SLICE) {
            stage(thread, first_row, first_token, slice);
            workgroupBarrier();
            for (var column = 0u; column < 4u * SLICE; column += SIZE) {
                let w = my_row * STRIDE + column;
                let v = my_token * STRIDE + column;
                let v0 = coopLoad<Right>(&x_tile[v], STRIDE);
                let v1 = coopLoad<Right>(&x_tile[v + SIZE * STRIDE], STRIDE);
                let w0 = coopLoadT<Left>(&w_tile[w], STRIDE);
                s00 = coopMultiplyAdd(w0, v0, s00);
                s01 = coopMultiplyAdd(w0, v1, s01);
                let w1 = coopLoadT<Left>(&w_tile[w + SIZE * STRIDE], STRIDE);
                s10 = coopMultiplyAdd(w1, v0, s10);
                s11 = coopMultiplyAdd(w1, v1, s11);
                let w2 = coopLoadT<Left>(&w_tile[w + 2u * SIZE * STRIDE], STRIDE);
                s20 = coopMultiplyAdd(w2, v0, s20);
                s21 = coopMultiplyAdd(w2, v1, s21);
                let w3 = coopLoadT<Left>(&w_tile[w + 3u * SIZE * STRIDE], STRIDE);
                s30 = coopMultiplyAdd(w3, v0, s30);
                s31 = coopMultiplyAdd(w3, v1, s31);
            }
            workgroupBarrier();
        }
        let lane = thread % lanes;
        let row = first_row + my_row;
        let token = first_token + my_token;
        finish(s00, mine, lane, lanes, row, token);
        finish(s10, mine, lane, lanes, row + SIZE, token);
        finish(s20, mine, lane, lanes, row + 2u * SIZE, token);
        finish(s30, mine, lane, lanes, row + 3u * SIZE, token);
        finish(s01, mine, lane, lanes, row, token + SIZE);
        finish(s11, mine, lane, lanes, row + SIZE, token + SIZE);
        finish(s21, mine, lane, lanes, row + 2u * SIZE, token + SIZE);
        finish(s31, mine, lane, lanes, row + 3u * SIZE, token + SIZE);
    }
}
