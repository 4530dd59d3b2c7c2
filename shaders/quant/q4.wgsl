// Weights as groups of 32 signed 4-bit numbers with a scale; `quant::q4` is the definition. Otherwise as
// quant/f32.wgsl.
//!use quant/block
//!use quant/nibbles
const PACK_QUADS: u32 = 8u;

struct Packed {
    words: vec4<u32>,
    scale: f32,
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

fn bytes_of(packed: Packed) -> array<vec4<u32>, 2> {
    return nibbles_as_bytes(packed.words);
}

fn scaled(packed: Packed, dot: i32, total: i32, scale: f32) -> f32 {
    return (packed.scale * scale) * f32(dot - 8 * total);
}

fn unscaled(packed: Packed, quad: u32) -> vec4<f32> {
    return nibbles_in_place(packed.words[quad / 2u], quad % 2u == 1u);
}

fn begun(sum: f32) -> f32 {
    return 0.0;
}

fn ended(packed: Packed, part: f32, total: f32, sum: f32) -> f32 {
    return fma(packed.scale, part - 8.0 * total, sum);
}
