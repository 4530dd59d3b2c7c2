// Weights as IEEE 754 single precision: 4 in 16 bytes.
// A kernel with the slot `quant` declares `weight: array<vec4<u32>>`. A pack is what it reads of a row at a time; every
// file in this folder says how many columns that is, how to fetch it, and how to multiply it by as many columns of x,
// whose quads are `prepared` once for all rows.
const PACK_QUADS: u32 = 1u; // quads of columns in a pack
alias Packed = vec4<f32>;

// The pack of the row that begins at `row` and has `packs`.
fn fetch(row: u32, pack: u32, packs: u32) -> Packed {
    return bitcast<vec4<f32>>(words_of(weight[row + pack]));
}

fn weights(packed: Packed, quad: u32) -> vec4<f32> {
    return packed;
}

// A quad of a pack's columns of x as `unscaled` weights want it.
fn prepared(quad: u32, x: vec4<f32>) -> vec4<f32> {
    return x;
}

// A quad of a pack's weights that prepared columns are multiplied by; a scale may be missing.
fn unscaled(packed: Packed, quad: u32) -> vec4<f32> {
    return weights(packed, quad);
}

// Where the sum of a pack's products begins, on top of a row's sum.
fn begun(sum: f32) -> f32 {
    return sum;
}

// The row's sum with that of a pack's products; `total` is of its columns as they were.
fn ended(packed: Packed, part: f32, total: f32, sum: f32) -> f32 {
    return part;
}
