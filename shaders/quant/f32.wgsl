// Weights as IEEE 754 single precision: 4 in 16 bytes.
// A kernel with the slot `quant` declares `weight: array<Words>`. A pack is what it reads of a row at a time; every
// file in this folder says how many columns that is, how to fetch it, and how to multiply it by as many columns of x,
// whose quads are `prepared` once for all rows; quant/whole.wgsl says what is to be there.
//!use quant/whole
const PACK_QUADS: u32 = 1u; // quads of columns in a pack
alias Packed = vec4<f32>;

// The pack of the row that begins at `row` and has `packs`.
fn fetch(row: u32, pack: u32, packs: u32) -> Packed {
    return bitcast<vec4<f32>>(words_of(weight[row + pack]));
}

fn weights(packed: Packed, quad: u32) -> vec4<f32> {
    return packed;
}
