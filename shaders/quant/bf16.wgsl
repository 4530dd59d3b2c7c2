// Weights as the upper halves of single precision: 8 in 16 bytes. Otherwise as quant/f32.wgsl.
//!use quant/whole
const PACK_QUADS: u32 = 2u;
alias Packed = vec4<u32>;

fn fetch(row: u32, pack: u32, packs: u32) -> Packed {
    return words_of(weight[row + pack]);
}

fn weights(packed: Packed, quad: u32) -> vec4<f32> {
    let words = select(packed.xy, packed.zw, quad == 1u);
    let low = bitcast<vec2<f32>>(words << vec2<u32>(16u));
    let high = bitcast<vec2<f32>>(words & vec2<u32>(0xffff0000u));
    return vec4<f32>(low.x, high.x, low.y, high.y);
}
