// What the shaders of `linear` share: W x for tokens x, eight rows of W (a unit) at a time.
// Slot `quant` says how a row is stored, slot `input` whether x is normalised first, slot `output` which rows make a
// unit and what becomes of their products, slot `bias` what is added to them.
//!use shared/fold
//!use shared/keep
//!use shared/dot
//!slot quant
//!slot bias
override TAIL: u32 = 1u; // 0 where the columns fill whole packs

struct Params {
    tokens: u32,
    units: u32,      // of eight rows
    rows: u32,       // of this shard of W
    columns: u32,
    packs: u32,      // of a row of W, padding included
    row_words: u32,  // 16 bytes from one row of W to the next
    x_quads: u32,    // of a row of x
    y_quads: u32,    // of a row of y
    y_first: u32,    // the shard's first quad in a row of y
    w_first: u32,    // W's first row in its buffer
    bias_first: u32, // the first quad of W's bias in its buffer
    epsilon: f32,    // of the norm
    heads: u32,      // query heads
    kv_heads: u32,   // key heads, and value heads
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Numbers>; // (token, column / 4)
@group(0) @binding(2) var<storage, read> weight: array<Words>; // (row, 16 bytes of it)
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>; // (token, row / 4)
