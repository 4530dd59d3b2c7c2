// Puts the keys and values of a step's tokens into the pages of the cache.
// One thread a quad of a token's key and value. A token whose row is NO_ROW fills a bucket up and is written nowhere.
//!use shared/fold
override WORKGROUP: u32 = 64u;
override PAGE_TOKENS: u32 = 32u;
const NO_ROW: u32 = 0xffffffffu;

struct Params {
    tokens: u32,
    kv_heads: u32,
    head_quads: u32, // head_dim / 4
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>; // (token, kv_head, head_dim / 4)
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>; // (token, kv_head, head_dim / 4)
@group(0) @binding(3) var<storage, read> kv_rows: array<u32>; // (token): page * PAGE_TOKENS + place in the page
@group(0) @binding(4) var<storage, read_write> k_cache: array<vec4<f32>>; // (page, kv_head, place, head_dim / 4)
@group(0) @binding(5) var<storage, read_write> v_cache: array<vec4<f32>>; // (page, kv_head, place, head_dim / 4)

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = folded(workgroup) * WORKGROUP + thread;
    let token_quads = params.kv_heads * params.head_quads;
    let token = index / token_quads;
    if (token >= params.tokens) {
        return;
    }
    let row = kv_rows[token];
    if (row == NO_ROW) {
        return;
    }
    let head = (index % token_quads) / params.head_quads;
    let quad = index % params.head_quads;
    let place = ((row / PAGE_TOKENS) * params.kv_heads + head) * PAGE_TOKENS + row % PAGE_TOKENS;
    k_cache[place * params.head_quads + quad] = k[index];
    v_cache[place * params.head_quads + quad] = v[index];
}
