// What encoding a group takes, whatever the format.
const TRIED: u32 = 11u; // steps around the plain one

// Quants in as many words as the format has, and the bits of the halves beside them.
struct Grouped {
    words: array<u32, 8>,
    sides: vec2<u32>,
}

// The element that is largest without its sign; of equals the first.
fn largest_of(x: array<vec4<f32>, 8>) -> f32 {
    var largest = 0.0;
    for (var quad = 0u; quad < 8u; quad++) {
        for (var i = 0u; i < 4u; i++) {
            largest = select(largest, x[quad][i], abs(x[quad][i]) > abs(largest));
        }
    }
    return largest;
}

// 1 / the scale that these bits are; 0 where it is none.
fn inverse_of(scale: u32) -> f32 {
    let step = unpack2x16float(scale).x;
    let size = scale & 0x7fffu;
    return select(0.0, 1.0 / step, size > 0u && size < 0x7c00u && step != 0.0);
}

// The steps tried: 0, -1, 1, -2, 2 and so on times a share of a quant, of which no whole number is a half.
fn tried(i: u32) -> f32 {
    return f32((i + 1u) / 2u) * select(0.27, -0.27, i % 2u == 1u);
}

// Two quads of numbers from 0 to 15 in a word, as the codecs of 4 bits want them.
// Each is packed by itself: in OpenGL's language naga writes a packing without brackets, whatever is done with it.
fn packed_nibbles(low: vec4<f32>, high: vec4<f32>) -> u32 {
    let lower = pack4xU8(vec4<u32>(low));
    let upper = pack4xU8(vec4<u32>(high));
    return lower | (upper << 4u);
}
