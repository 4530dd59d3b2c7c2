// Weights as IEEE 754 single precision: 4 in 16 bytes.
// A kernel with the slot `quant` declares `weight: array<vec4<u32>>`. A pack is what it reads of a row at a time; every
// file in this folder says how many columns that is, how to fetch it, and how to multiply it by as many columns of x,
// whose quads are `prepared`, and then made `ready`, once for all rows.
const PACK_QUADS: u32 = 1u; // quads of columns in a pack
alias Packed = vec4<f32>;
alias Ready = vec4<f32>;

// The pack of the row that begins at `row` and has `packs`.
fn fetch(row: u32, pack: u32, packs: u32) -> Packed {
    return bitcast<vec4<f32>>(words_of(weight[row + pack]));
}

fn weights(packed: Packed, quad: u32) -> vec4<f32> {
    return packed;
}

// A quad of a pack's columns of x as `dot_pack` wants it.
fn prepared(quad: u32, x: vec4<f32>) -> vec4<f32> {
    return x;
}

// A pack's columns of x, prepared, and their sum as they were.
fn ready(x: array<vec4<f32>, PACK_QUADS>, total: f32) -> Ready {
    return x[0];
}

fn dot_pack(packed: Packed, x: Ready, sum: f32) -> f32 {
    return add_dot(sum, packed, x);
}
