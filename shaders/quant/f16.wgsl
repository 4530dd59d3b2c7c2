// Weights as IEEE 754 half precision: 8 in 16 bytes. Unpacking needs no f16 feature. Otherwise as quant/f32.wgsl.
//!use quant/whole
const PACK_QUADS: u32 = 2u;
alias Packed = vec4<u32>;

fn fetch(row: u32, pack: u32, packs: u32) -> Packed {
    return words_of(weight[row + pack]);
}

fn weights(packed: Packed, quad: u32) -> vec4<f32> {
    let words = select(packed.xy, packed.zw, quad == 1u);
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
