// Queries to y, keys and values to their pages of the cache; queries and keys turned by their positions as in rope.wgsl.
// W is the rows of all query heads, then of all key heads, then of all value heads. A unit is four rows of a head's
// first half and the four that make pairs with them.
//!slot kv
override HEAD_QUADS: u32 = 16u; // head_dim / 4
override PAGE_TOKENS: u32 = 32u;
const NO_ROW: u32 = 0xffffffffu;
@group(0) @binding(8) var<storage, read> angles: array<vec4<f32>>; // (position, cos of each pair then sin of each pair)
@group(0) @binding(9) var<storage, read> positions: array<u32>; // (token)
@group(0) @binding(10) var<storage, read> kv_rows: array<u32>; // (token): page * PAGE_TOKENS + place in the page
@group(0) @binding(11) var<storage, read_write> k_cache: array<Stored>; // laid out by the slot `kv`
@group(0) @binding(12) var<storage, read_write> v_cache: array<Stored>; // laid out by the slot `kv`

const HALF_QUADS: u32 = HEAD_QUADS / 2u;

const RUNS: u32 = 2u; // of rows that lie together, in units that do

fn row_of(unit: u32, i: u32) -> u32 {
    let head = unit / HALF_QUADS;
    let quad = unit % HALF_QUADS;
    return 4u * (head * HEAD_QUADS + quad + select(0u, HALF_QUADS, i >= 4u)) + i % 4u;
}

fn emit(unit: u32, token: u32, low: vec4<f32>, high: vec4<f32>) {
    let head = unit / HALF_QUADS;
    let quad = unit % HALF_QUADS;
    let first = head * HEAD_QUADS + quad;
    var a = low + bias_quad(params.bias_first + first);
    var b = high + bias_quad(params.bias_first + first + HALF_QUADS);
    if (head < params.heads + params.kv_heads) {
        let begin = positions[token] * HEAD_QUADS + quad;
        let cosine = angles[begin];
        let sine = angles[begin + HALF_QUADS];
        let turned = a * cosine - b * sine;
        b = b * cosine + a * sine;
        a = turned;
    }
    if (head < params.heads) {
        let to = token * params.y_quads + first;
        y[to] = a;
        y[to + HALF_QUADS] = b;
        return;
    }
    let row = kv_rows[token];
    if (row == NO_ROW) {
        return;
    }
    let kv_head = (head - params.heads) % params.kv_heads;
    let block = row / PAGE_TOKENS * params.kv_heads + kv_head;
    let at = row % PAGE_TOKENS;
    if (head < params.heads + params.kv_heads) {
        k_cache[key_at(block, at, quad)] = pack(a, 0u);
        k_cache[key_at(block, at, quad + HALF_QUADS)] = pack(b, 0u);
    } else {
        v_cache[value_at(block, at, quad)] = pack(a, 0u);
        v_cache[value_at(block, at, quad + HALF_QUADS)] = pack(b, 0u);
    }
}
