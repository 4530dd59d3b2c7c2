// Eight numbers below 16 in a word: the low halves of its bytes are the first four, the high halves the other four.
// A number masked in place is itself times a power of two, exactly, so x is divided by that power once for all rows
// and nothing is shifted; but the topmost is shifted down, since it would reach the sign.
const LOW: vec4<f32> = vec4<f32>(1.0, 0.00390625, 0.0000152587890625, 0.000000059604644775390625);
const HIGH: vec4<f32> = vec4<f32>(0.0625, 0.000244140625, 0.00000095367431640625, 1.0);

fn nibbles(word: u32, high: bool) -> vec4<f32> {
    return vec4<f32>(unpack4xI8(select(word, word >> 4u, high) & 0x0f0f0f0fu));
}

// In the order of columns, 16 in each.
fn nibbles_as_bytes(words: vec4<u32>) -> array<vec4<u32>, 2> {
    let high = words >> vec4<u32>(4u);
    let mask = vec4<u32>(0x0f0f0f0fu);
    return array<vec4<u32>, 2>(
        vec4<u32>(words.x, high.x, words.y, high.y) & mask, vec4<u32>(words.z, high.z, words.w, high.w) & mask,
    );
}

// What a quad of x is multiplied by for `nibbles_in_place`.
fn nibble_scales(quad: u32) -> vec4<f32> {
    return select(LOW, HIGH, quad % 2u == 1u);
}

// A quad as `nibble_scales` wants it.
fn nibbles_in_place(word: u32, high: bool) -> vec4<f32> {
    let low_mask = vec4<u32>(0xfu, 0xf00u, 0xf0000u, 0xf000000u);
    let high_mask = vec4<u32>(0xf0u, 0xf000u, 0xf00000u, 0xfu);
    let shifted = select(vec4<u32>(word), vec4<u32>(word, word, word, word >> 28u), high);
    return vec4<f32>(vec4<i32>(shifted & select(low_mask, high_mask, high)));
}
