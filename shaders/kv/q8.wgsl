// Keys and values as whole numbers from -127 to 127 and a half-precision scale for each 32 elements of a head.
// Used as kv/f32.wgsl is. After the quads of a block come its scales, two in a word. `kernels::KvFormat` is the
// definition; rounding follows it to the last bit, whatever a driver makes of a quotient.
//!use shared/half
alias Stored = u32; // a quad, or the scales of two groups
const SCALED: bool = true;
const GROUP: u32 = 8u; // quads that share a scale
const OWNED: u32 = 16u; // quads whose scales share a word: one thread writes them
const PAIRS: u32 = (HEAD_QUADS + OWNED - 1u) / OWNED;
const BLOCK_WORDS: u32 = PAGE_TOKENS * (HEAD_QUADS + PAIRS);
const BLOCK_QUADS: u32 = PAGE_TOKENS * HEAD_QUADS;
const SCALE_OF_NO_NUMBER: u32 = 0x7e00u; // a NaN

fn key_at(block: u32, place: u32, quad: u32) -> u32 {
    return block * BLOCK_WORDS + quad * PAGE_TOKENS + place;
}

fn value_at(block: u32, place: u32, quad: u32) -> u32 {
    return block * BLOCK_WORDS + place * HEAD_QUADS + quad;
}

fn key_scale_at(block: u32, place: u32, quad: u32) -> u32 {
    return block * BLOCK_WORDS + BLOCK_QUADS + quad / OWNED * PAGE_TOKENS + place;
}

fn value_scale_at(block: u32, place: u32, quad: u32) -> u32 {
    return block * BLOCK_WORDS + BLOCK_QUADS + place * PAIRS + quad / OWNED;
}

fn unpack(stored: Stored) -> vec4<f32> {
    return vec4<f32>(unpack4xI8(stored));
}

// The scale of the group that `quad` is in.
fn scale_in(stored: Stored, quad: u32) -> f32 {
    let scales = unpack2x16float(stored);
    return select(scales.x, scales.y, quad / GROUP % 2u == 1u);
}

// The scale, as a half, of a group whose largest absolute value has the bits `largest`: those of numbers are in the
// order of the numbers, and a NaN's come last.
fn scale_bits(largest: u32) -> u32 {
    if (largest >= 0x7f800000u) {
        return SCALE_OF_NO_NUMBER;
    }
    return half_bits(bitcast<f32>(largest) * 0.0078740157);
}

fn pack(quad: vec4<f32>, scale: u32) -> Stored {
    if (scale == 0u || scale == SCALE_OF_NO_NUMBER) {
        return 0u;
    }
    let step = vec4<f32>(unpack2x16float(scale).x);
    let guess = clamp(round(quad * (1.0 / step.x)), vec4<f32>(-127.0), vec4<f32>(127.0));
    // The product is exact in 18 bits and the difference of neighbours is, so this tells what the guess may have missed.
    let twice = 2.0 * (quad - guess * step);
    let odd = (vec4<i32>(guess) & vec4<i32>(1)) == vec4<i32>(1);
    let more = vec4<i32>((twice > step) | ((twice == step) & odd));
    let less = vec4<i32>((-twice > step) | ((-twice == step) & odd));
    let whole = clamp(vec4<i32>(guess) + more - less, vec4<i32>(-127), vec4<i32>(127));
    return pack4xI8(whole);
}

fn pack_scales(scales: vec2<u32>) -> Stored {
    return scales.x | (scales.y << 16u);
}
