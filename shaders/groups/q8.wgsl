// A group as 32 signed 8-bit numbers with a scale; `quant::q8` says how.
// A kernel with the slot `groups` gets from these files how many words a group's quants take, how many numbers stand
// beside them, and both for a group's elements.
//!use groups/common
const GROUP_WORDS: u32 = 8u;
const SIDES: u32 = 1u;

fn grouped(x: array<vec4<f32>, 8>) -> Grouped {
    let scale = half_bits(abs(largest_of(x)) * 0.0078740157);
    let inverse = inverse_of(scale);
    var words: array<u32, 8>;
    for (var quad = 0u; quad < 8u; quad++) {
        words[quad] = pack4xI8(vec4<i32>(round(clamp(x[quad] * inverse, vec4<f32>(-127.0), vec4<f32>(127.0)))));
    }
    return Grouped(words, vec2<u32>(scale, 0u));
}
