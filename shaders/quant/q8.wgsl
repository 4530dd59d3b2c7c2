// Weights as groups of 32 signed bytes with a scale; `quant::q8` is the definition. Otherwise as quant/f32.wgsl.
//!use quant/block
const PACK_QUADS: u32 = 8u;

struct Packed {
    words: array<vec4<u32>, 2>,
    scale: f32,
}

fn fetch(row: u32, pack: u32, packs: u32) -> Packed {
    let at = place(row, pack, packs, 2u, 1u);
    return Packed(array<vec4<u32>, 2>(words_of(weight[at.quants]), words_of(weight[at.quants + 1u])), side(at, 0u));
}

fn bytes(packed: Packed, quad: u32) -> vec4<f32> {
    return vec4<f32>(unpack4xI8(packed.words[quad / 4u][quad % 4u]));
}

fn weights(packed: Packed, quad: u32) -> vec4<f32> {
    return packed.scale * bytes(packed, quad);
}

fn prepared(quad: u32, x: vec4<f32>) -> vec4<f32> {
    return x;
}

fn unscaled(packed: Packed, quad: u32) -> vec4<f32> {
    return bytes(packed, quad);
}

fn begun(sum: f32) -> f32 {
    return 0.0;
}

fn ended(packed: Packed, part: f32, total: f32, sum: f32) -> f32 {
    return fma(packed.scale, part, sum);
}
