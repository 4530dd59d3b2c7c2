// How a kernel loads its `weight`: 16 bytes as four words.
alias Words = vec4<u32>;

fn words_at(at: u32) -> vec4<u32> {
    return weight[at];
}

// One of the eight halves there.
fn half_at(at: u32, number: u32) -> f32 {
    let word = weight[at][number / 2u];
    return unpack2x16float(word >> (16u * (number % 2u))).x;
}
