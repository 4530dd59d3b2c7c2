// As words/narrow.wgsl, in words of 64 bits: a processor takes as long to load 8 bytes for each lane as to load 4.
alias Word = u64;
alias Words = vec2<Word>;
alias Numbers = Words;
const HALVES: u32 = 4u; // of a word

fn words_of(words: Words) -> vec4<u32> {
    return vec4<u32>(u32(words.x), u32(words.x >> 32u), u32(words.y), u32(words.y >> 32u));
}

fn numbers_of(numbers: Numbers) -> vec4<f32> {
    return bitcast<vec4<f32>>(words_of(numbers));
}

fn total_of(words: Words) -> u32 {
    let total = words.x + words.y;
    return u32(total) + u32(total >> 32u);
}

fn half_of(word: Word, half: u32) -> f32 {
    return unpack2x16float(u32(word >> (16u * half))).x;
}
