// A group as 32 signed 4-bit numbers with the scale that loses least; `quant::q4` and `quant::scale` say how.
// Otherwise as groups/q8.wgsl.
//!use groups/common
const GROUP_WORDS: u32 = 4u;
const SIDES: u32 = 1u;
const LEAST: vec4<f32> = vec4<f32>(-8.0);
const MOST: vec4<f32> = vec4<f32>(7.0);

// The best scale of elements over their largest: numbers of about 1 neither vanish nor overflow when they are cubed.
fn searched(u: array<vec4<f32>, 8>) -> f32 {
    var scale = -0.125;
    var gained = 0.0; // what the loss is less than the sum of all
    for (var i = 0u; i < TRIED; i++) {
        let inverse = -(8.0 + tried(i));
        var xq = 0.0;
        var qq = 0.0;
        for (var quad = 0u; quad < 8u; quad++) {
            let quants = round(clamp(u[quad] * inverse, LEAST, MOST));
            let weighed = u[quad] * u[quad];
            xq += dot(weighed * u[quad], quants);
            qq += dot(weighed * quants, quants);
        }
        if (qq > 0.0 && xq * xq > gained * qq) {
            gained = xq * xq / qq;
            scale = xq / qq;
        }
    }
    return scale;
}

fn grouped(x: array<vec4<f32>, 8>) -> Grouped {
    let largest = largest_of(x);
    var scale = 0u;
    // Below, no half is small enough.
    if (abs(largest) > 1e-20) {
        var u: array<vec4<f32>, 8>;
        for (var quad = 0u; quad < 8u; quad++) {
            u[quad] = x[quad] / largest;
        }
        scale = half_bits(largest * searched(u));
    }
    let inverse = inverse_of(scale);
    var words: array<u32, 8>;
    for (var word = 0u; word < GROUP_WORDS; word++) {
        let low = round(clamp(x[2u * word] * inverse, LEAST, MOST));
        let high = round(clamp(x[2u * word + 1u] * inverse, LEAST, MOST));
        words[word] = packed_nibbles(low - LEAST, high - LEAST);
    }
    return Grouped(words, vec2<u32>(scale, 0u));
}
