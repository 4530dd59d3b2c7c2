// How a kernel loads 16 bytes: as four words.
alias Word = u32;
alias Words = vec4<Word>;
alias Numbers = vec4<f32>;
const HALVES: u32 = 2u; // of a word

fn words_of(words: Words) -> vec4<u32> {
    return words;
}

fn numbers_of(numbers: Numbers) -> vec4<f32> {
    return numbers;
}

fn total_of(words: Words) -> u32 {
    return (words.x + words.y) + (words.z + words.w);
}

// One of the halves in a word, as a single.
fn half_of(word: Word, half: u32) -> f32 {
    return unpack2x16float(word >> (16u * half)).x;
}
