// Weights as IEEE 754 half precision: 8 in 16 bytes. Unpacking needs no f16 feature. Otherwise as quant/f32.wgsl.
const PACK_QUADS: u32 = 2u;
alias Packed = vec4<u32>;
alias Ready = array<vec4<f32>, 2>;

fn fetch(row: u32, pack: u32, packs: u32) -> Packed {
    return words_of(weight[row + pack]);
}

fn weights(packed: Packed, quad: u32) -> vec4<f32> {
    let words = select(packed.xy, packed.zw, quad == 1u);
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn prepared(quad: u32, x: vec4<f32>) -> vec4<f32> {
    return x;
}

fn ready(x: array<vec4<f32>, PACK_QUADS>, total: f32) -> Ready {
    return x;
}

fn dot_pack(packed: Packed, x: Ready, sum: f32) -> f32 {
    return add_dot(add_dot(sum, weights(packed, 0u), x[0]), weights(packed, 1u), x[1]);
}
