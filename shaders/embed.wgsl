// y[i] = W[ids[i]]: one row of a table for each id.
// One thread a quad. A table too large for one binding comes in shards of rows, one dispatch each; a dispatch writes
// only the rows whose ids its shard holds.
//!use shared/fold
//!use shared/dot
//!use words/narrow
//!slot quant
override WORKGROUP: u32 = 64u;

struct Params {
    ids: u32,       // how many
    quads: u32,     // of a row, padding included
    first: u32,     // the shard's first row
    rows: u32,      // the shard's rows
    packs: u32,     // of a row of W, padding included
    row_words: u32, // 16 bytes from one row of W to the next
    w_first: u32,   // W's first row in its buffer
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>; // (i)
@group(0) @binding(2) var<storage, read> weight: array<Words>; // (row - first, 16 bytes of it)
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>; // (i, column / 4)

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = folded(workgroup) * WORKGROUP + thread;
    let i = index / params.quads;
    let quad = index % params.quads;
    if (i >= params.ids) {
        return;
    }
    let row = ids[i] - params.first; // wraps to a huge number below the shard
    if (row >= params.rows) {
        return;
    }
    let begin = (params.w_first + row) * params.row_words;
    y[index] = weights(fetch(begin, quad / PACK_QUADS, params.packs), quad % PACK_QUADS);
}
