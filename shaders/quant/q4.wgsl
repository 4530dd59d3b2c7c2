// Weights as groups of 32 signed 4-bit numbers with a scale; `quant::q4` is the definition. Otherwise as
// quant/f32.wgsl.
//!use quant/block
//!use quant/nibbles
const PACK_QUADS: u32 = 8u;

struct Packed {
    words: vec4<u32>,
    scale: f32,
}

struct Ready {
    x: array<vec4<f32>, 8>,
    begin: f32, // what the quants' offset of 8 adds to every row's sum
}

fn fetch(row: u32, pack: u32, packs: u32) -> Packed {
    let at = place(row, pack, packs, 1u, 1u);
    return Packed(words_of(weight[at.quants]), side(at, 0u));
}

fn weights(packed: Packed, quad: u32) -> vec4<f32> {
    return packed.scale * (nibbles(packed.words[quad / 2u], quad % 2u == 1u) - 8.0);
}

fn prepared(quad: u32, x: vec4<f32>) -> vec4<f32> {
    return x * nibble_scales(quad);
}

fn ready(x: array<vec4<f32>, PACK_QUADS>, total: f32) -> Ready {
    return Ready(x, -8.0 * total);
}

fn dot_pack(packed: Packed, x: Ready, sum: f32) -> f32 {
    return fma(packed.scale, dot_nibbles(packed.words, x.x, x.begin), sum);
}

fn bytes_of(packed: Packed) -> array<vec4<u32>, 2> {
    return nibbles_as_bytes(packed.words);
}

fn scaled(packed: Packed, dot: i32, total: i32, scale: f32) -> f32 {
    return (packed.scale * scale) * f32(dot - 8 * total);
}
