// y = x as groups of 32 small integers with a scale, as `quant` of the host stores them.
// One thread two groups of a row, whose scales share a word; what is beyond a row's last group has scales of zero.
//!use shared/dot
//!use shared/fold
//!use shared/half
//!use words/narrow
//!slot quant
//!slot groups
override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,
    groups: u32,    // of a row
    packs: u32,     // 16 bytes each, of a row of x
    row_words: u32, // from one row of y to the next
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<Words>; // (row, 16 bytes of it): x
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // (row, word)

const BLOCK: u32 = 8u; // groups that lie together, their scales after them

fn group_of(row: u32, group: u32) -> array<vec4<f32>, 8> {
    var x: array<vec4<f32>, 8>;
    for (var quad = 0u; quad < 8u; quad++) {
        let pack = (8u * group + quad) / PACK_QUADS;
        x[quad] = weights(fetch(row * params.packs, pack, params.packs), quad % PACK_QUADS);
    }
    return x;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = folded(workgroup) * WORKGROUP + thread;
    let pairs = (params.groups + BLOCK - 1u) / BLOCK * (BLOCK / 2u);
    let row = index / pairs;
    if (row >= params.rows) {
        return;
    }
    let pair = index % pairs % (BLOCK / 2u);
    let block = index % pairs / (BLOCK / 2u);
    let begin = row * params.row_words + block * (BLOCK * GROUP_WORDS + SIDES * (BLOCK / 2u));
    var sides = vec2<u32>(0u);
    for (var side = 0u; side < 2u; side++) {
        let within = 2u * pair + side;
        let group = block * BLOCK + within;
        if (group < params.groups) {
            let made = grouped(group_of(row, group));
            for (var word = 0u; word < GROUP_WORDS; word++) {
                y[begin + within * GROUP_WORDS + word] = made.words[word];
            }
            sides |= made.sides << vec2<u32>(16u * side);
        }
    }
    let at = begin + min(BLOCK, params.groups - block * BLOCK) * GROUP_WORDS + pair;
    y[at] = sides.x;
    if (SIDES == 2u) {
        y[at + BLOCK / 2u] = sides.y;
    }
}
