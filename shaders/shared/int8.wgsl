// Groups of 32 columns of x as signed bytes with a scale, Dettmers et al. 2022 (arXiv 2208.07339), in workgroup memory:
// what dot4I8Packed multiplies by the bytes of a packed weight. Rounding depends on the group alone.

const LEAST: f32 = 1e-30;

struct Group {
    low: vec4<u32>,  // columns 0 to 15 of the group, four to a word
    high: vec4<u32>, // columns 16 to 31
    scale: f32,
    total: i32,      // of the bytes
}

fn largest_of(v: vec4<f32>) -> f32 {
    let a = abs(v);
    return max(max(a.x, a.y), max(a.z, a.w));
}

fn rounded(v: vec4<f32>, inverse: f32) -> u32 {
    return pack4xI8(vec4<i32>(round(inverse * v)));
}

fn group_of(v: array<vec4<f32>, 8>) -> Group {
    let largest = max(
        max(max(largest_of(v[0]), largest_of(v[1])), max(largest_of(v[2]), largest_of(v[3]))),
        max(max(largest_of(v[4]), largest_of(v[5])), max(largest_of(v[6]), largest_of(v[7]))),
    );
    // A group of next to nothing has no scale to divide by.
    let inverse = select(0.0, 127.0 / largest, largest > LEAST);
    var group: Group;
    group.low = vec4<u32>(
        rounded(v[0], inverse), rounded(v[1], inverse), rounded(v[2], inverse), rounded(v[3], inverse),
    );
    group.high = vec4<u32>(
        rounded(v[4], inverse), rounded(v[5], inverse), rounded(v[6], inverse), rounded(v[7], inverse),
    );
    group.scale = largest / 127.0;
    let ones = vec4<u32>(0x01010101u);
    group.total = dot_words(group.low, ones, dot_words(group.high, ones, 0));
    return group;
}

fn dot_words(a: vec4<u32>, b: vec4<u32>, sum: i32) -> i32 {
    return sum + ((dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y)) + (dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w)));
}

// A group of a row times a group of x.
fn dot_group(packed: Packed, group: Group) -> f32 {
    let bytes = bytes_of(packed);
    let dot = dot_words(bytes[0], group.low, dot_words(bytes[1], group.high, 0));
    return scaled(packed, dot, group.total, group.scale);
}
