// Puts the keys and values of a step's tokens into the pages of the cache, rounded to its format.
// One thread OWNED quads of one head of a token: whole groups with their scales, so that no two threads write a word.
// A token whose row is NO_ROW fills a bucket up and is written nowhere.
//!use shared/fold
//!slot kv
override WORKGROUP: u32 = 64u;
override PAGE_TOKENS: u32 = 32u;
override HEAD_QUADS: u32 = 16u; // head_dim / 4
const NO_ROW: u32 = 0xffffffffu;
const OWNERS: u32 = (HEAD_QUADS + OWNED - 1u) / OWNED; // threads for a head

struct Params {
    tokens: u32,
    kv_heads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>; // (token, kv_head, head_dim / 4)
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>; // (token, kv_head, head_dim / 4)
@group(0) @binding(3) var<storage, read> kv_rows: array<u32>; // (token): page * PAGE_TOKENS + place in the page
@group(0) @binding(4) var<storage, read_write> k_cache: array<Stored>; // (page, kv_head, head_dim / 4, place)
@group(0) @binding(5) var<storage, read_write> v_cache: array<Stored>; // (page, kv_head, place, head_dim / 4)

// The bits of absolute values.
fn sizes(quad: vec4<f32>) -> vec4<u32> {
    return bitcast<vec4<u32>>(quad) & vec4<u32>(0x7fffffffu);
}

fn largest(sizes: vec4<u32>) -> u32 {
    return max(max(sizes.x, sizes.y), max(sizes.z, sizes.w));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = folded(workgroup) * WORKGROUP + thread;
    let token = index / (params.kv_heads * OWNERS);
    if (token >= params.tokens) {
        return;
    }
    let row = kv_rows[token];
    if (row == NO_ROW) {
        return;
    }
    let head = index / OWNERS % params.kv_heads;
    let block = row / PAGE_TOKENS * params.kv_heads + head;
    let place = row % PAGE_TOKENS;
    let begin = (token * params.kv_heads + head) * HEAD_QUADS;
    let first = index % OWNERS * OWNED;
    let end = min(first + OWNED, HEAD_QUADS);

    var k_scales = vec2<u32>();
    var v_scales = vec2<u32>();
    for (var group = first; group < end; group += GROUP) {
        let last = min(group + GROUP, end);
        var k_scale = 0u;
        var v_scale = 0u;
        if (SCALED) {
            var k_sizes = vec4<u32>();
            var v_sizes = vec4<u32>();
            for (var quad = group; quad < last; quad++) {
                k_sizes = max(k_sizes, sizes(k[begin + quad]));
                v_sizes = max(v_sizes, sizes(v[begin + quad]));
            }
            k_scale = scale_bits(largest(k_sizes));
            v_scale = scale_bits(largest(v_sizes));
        }
        for (var quad = group; quad < last; quad++) {
            k_cache[key_at(block, place, quad)] = pack(k[begin + quad], k_scale);
            v_cache[value_at(block, place, quad)] = pack(v[begin + quad], v_scale);
        }
        // Two by name: an older compiler of DirectX knows no store to a vector's part that a loop chooses.
        if (group == first) {
            k_scales.x = k_scale;
            v_scales.x = v_scale;
        } else {
            k_scales.y = k_scale;
            v_scales.y = v_scale;
        }
    }
    if (SCALED) {
        k_cache[key_scale_at(block, place, first)] = pack_scales(k_scales);
        v_cache[value_scale_at(block, place, first)] = pack_scales(v_scales);
    }
}
