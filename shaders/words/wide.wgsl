// As words/narrow.wgsl, two words in one: where lanes load from as many places, a processor takes as long for 8 bytes of
// each as for 4.
alias Words = vec2<u64>;

fn words_at(at: u32) -> vec4<u32> {
    let words = weight[at];
    return vec4<u32>(u32(words.x), u32(words.x >> 32u), u32(words.y), u32(words.y >> 32u));
}

fn half_at(at: u32, number: u32) -> f32 {
    let word = weight[at][number / 4u];
    return unpack2x16float(u32(word >> (16u * (number % 4u)))).x;
}
