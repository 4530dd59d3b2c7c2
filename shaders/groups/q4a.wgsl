// A group as 32 unsigned 4-bit numbers with the scale and the minimum that lose least; `quant::q4a` and `quant::scale`
// say how. Otherwise as groups/q8.wgsl.
//!use groups/common
const GROUP_WORDS: u32 = 4u;
const SIDES: u32 = 2u;
const LEAST: vec4<f32> = vec4<f32>(0.0);
const MOST: vec4<f32> = vec4<f32>(15.0);

// A scale, and a minimum.
struct Line {
    scale: f32,
    minimum: f32,
}

// What is lost where the elements, weighed by their squares, are on this line.
fn loss_of(u: array<vec4<f32>, 8>, line: Line) -> f32 {
    let inverse = 1.0 / line.scale;
    var loss = 0.0;
    for (var quad = 0u; quad < 8u; quad++) {
        let quants = round(clamp((u[quad] - line.minimum) * inverse, LEAST, MOST));
        let lost = u[quad] * (u[quad] - (line.minimum + line.scale * quants));
        loss += dot(lost, lost);
    }
    return loss;
}

// The best line of elements over the largest of them, which is `peak`: numbers of about 1 neither vanish nor overflow
// when they are cubed. They lie between `low` and `high`. All is measured from the peak and its quant, since its weight
// may be nearly all the weight, and differences of large sums would lose the rest.
fn searched(u: array<vec4<f32>, 8>, peak: f32, low: f32, high: f32) -> Line {
    var weight = 0.0;
    var value = 0.0;
    for (var quad = 0u; quad < 8u; quad++) {
        weight += dot(u[quad], u[quad]);
        value += dot(u[quad] * u[quad], u[quad] - peak);
    }
    var best = Line((high - low) / MOST.x, low);
    var least = -1.0; // nothing was tried yet
    for (var i = 0u; i < TRIED; i++) {
        let inverse = (MOST.x + tried(i)) / (high - low);
        let middle = round(clamp((peak - low) * inverse, LEAST.x, MOST.x));
        var wq = 0.0;
        var wqq = 0.0;
        var wqx = 0.0;
        for (var quad = 0u; quad < 8u; quad++) {
            let quants = round(clamp((u[quad] - low) * inverse, LEAST, MOST)) - middle;
            let weighed = u[quad] * u[quad] * quants;
            wq += dot(u[quad] * u[quad], quants);
            wqq += dot(weighed, quants);
            wqx += dot(weighed, u[quad] - peak);
        }
        // The line through (quant, element) that loses least.
        let determinant = weight * wqq - wq * wq;
        let slope = weight * wqx - wq * value;
        if (determinant > 0.0 && slope > 0.0) {
            let scale = slope / determinant;
            let line = Line(scale, peak + (value - scale * wq) / weight - scale * middle);
            let loss = loss_of(u, line);
            if (least < 0.0 || loss < least) {
                least = loss;
                best = line;
            }
        }
    }
    return best;
}

fn grouped(x: array<vec4<f32>, 8>) -> Grouped {
    let peak = largest_of(x);
    let largest = abs(peak);
    var low = x[0];
    var high = x[0];
    for (var quad = 1u; quad < 8u; quad++) {
        low = min(low, x[quad]);
        high = max(high, x[quad]);
    }
    let bottom = min(min(low.x, low.y), min(low.z, low.w));
    let top = max(max(high.x, high.y), max(high.z, high.w));
    var line = Line(0.0, bottom);
    // Below, no half is small enough.
    if (bottom < top && largest > 1e-20) {
        var u: array<vec4<f32>, 8>;
        for (var quad = 0u; quad < 8u; quad++) {
            u[quad] = x[quad] / largest;
        }
        line = searched(u, sign(peak), bottom / largest, top / largest);
        line = Line(line.scale * largest, line.minimum * largest);
    }
    let sides = vec2<u32>(half_bits(line.scale), half_bits(line.minimum));
    let inverse = inverse_of(sides.x);
    let minimum = unpack2x16float(sides.y).x;
    var words: array<u32, 8>;
    for (var word = 0u; word < GROUP_WORDS; word++) {
        let low = round(clamp((x[2u * word] - minimum) * inverse, LEAST, MOST));
        let high = round(clamp((x[2u * word + 1u] - minimum) * inverse, LEAST, MOST));
        words[word] = packed_nibbles(low, high);
    }
    return Grouped(words, sides);
}
