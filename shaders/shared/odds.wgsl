// Odds: a token's probability by that of the likeliest, e^((x - best) / temperature), in units of 2^-31.
//
// In integers from the logits on, so that every device gets the same bits, and sums of odds depend on no order. The same
// steps are `kernels::sample::odds`. A rate is log2(e) / temperature, normalised to 32 bits and a shift.
const ONE: u32 = 0x80000000u;

// The upper 32 bits of a product.
fn upper(a: u32, b: u32) -> u32 {
    let middle = (a >> 16u) * (b & 0xffffu) + (((a & 0xffffu) * (b & 0xffffu)) >> 16u);
    let lower = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (lower >> 16u);
}

// A whole product: lower word, upper word.
fn wide(a: u32, b: u32) -> vec2<u32> {
    return vec2<u32>(a * b, upper(a, b));
}

// The sum of two numbers of two words.
fn plus(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let lower = a.x + b.x;
    return vec2<u32>(lower, a.y + b.y + select(0u, 1u, lower < b.x));
}

// 2^-f in units of 2^-31, for f in units of 2^-32: a polynomial of least largest error.
fn power(f: u32) -> u32 {
    var sum = 63216u - upper(f, 4185u);
    sum = 659687u - upper(f, sum);
    sum = 5725847u - upper(f, sum);
    sum = 41309330u - upper(f, sum);
    sum = 238388304u - upper(f, sum);
    sum = 1031764990u - upper(f, sum);
    sum = 2977044472u - upper(f, sum);
    return ONE - ((upper(f, sum) + 1u) >> 1u);
}

fn odds(best: f32, x: f32, rate: u32, shift: u32) -> u32 {
    // Half the difference, which does not overflow; numbers below the least normal one count as zero.
    let bits = bitcast<u32>(0.5 * best - 0.5 * x);
    let exponent = (bits >> 23u) & 0xffu;
    let down = i32(shift) - i32(exponent);
    if (exponent == 0u || down >= 64) {
        return ONE;
    }
    if (down <= 0) {
        return 0u;
    }
    let product = wide((bits & 0x7fffffu) | 0x800000u, rate);
    var halvings = 0u;
    var fraction = 0u;
    if (down < 32) {
        halvings = product.y >> u32(down);
        fraction = (product.x >> u32(down)) | (product.y << u32(32 - down));
    } else {
        fraction = product.y >> u32(down - 32);
    }
    if (halvings >= 32u) {
        return 0u;
    }
    return (power(fraction) + ((1u << halvings) >> 1u)) >> halvings;
}
