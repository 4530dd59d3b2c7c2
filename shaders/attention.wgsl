// y = softmax(scale q K^T) V: causal, grouped-query attention over the paged cache, with an optional sliding window.
// Online softmax, Milakov and Gimelshein 2018 (arXiv 1805.02867), as in Dao et al. 2022 (arXiv 2205.14135).
//
// One workgroup one query head of QUERIES neighbouring tokens. It walks the keys in blocks of WORKGROUP: first each
// thread scores one key against every query, then the threads divide the head's quads and the block's keys among them
// to weigh the values. Neighbours of one sequence read each key and value once; at a change of sequence they part.
// Blocks begin at multiples of WORKGROUP, so what a token gets does not depend on the tokens beside it. A token of no
// sequence gets zeros.
//!use shared/fold
//!slot reduce
//!slot kv
override WORKGROUP: u32 = 64u;
override QUERIES: u32 = 1u;
override HEAD_QUADS: u32 = 16u; // head_dim / 4
override PAGE_TOKENS: u32 = 32u;
const REDUCTIONS: u32 = QUERIES;
const SHARES: u32 = WORKGROUP / HEAD_QUADS; // of threads, each with some of a block's keys
const NO_SEQUENCE: u32 = 0xffffffffu;
const MASKED: f32 = -1e30; // not an infinity: a shader may assume that there is none

struct Params {
    tokens: u32,
    heads: u32,
    kv_heads: u32,
    window: u32, // keys that a token sees, itself included; 0 for all
    table_pitch: u32, // pages from one sequence's table to the next
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>; // (token, head, head_dim / 4)
@group(0) @binding(2) var<storage, read> positions: array<u32>; // (token)
@group(0) @binding(3) var<storage, read> sequences: array<u32>; // (token), NO_SEQUENCE where a bucket is filled up
@group(0) @binding(4) var<storage, read> pages: array<u32>; // (sequence, position / PAGE_TOKENS)
@group(0) @binding(5) var<storage, read> k_cache: array<Stored>; // (page, kv_head, head_dim / 4, place)
@group(0) @binding(6) var<storage, read> v_cache: array<Stored>; // (page, kv_head, place, head_dim / 4)
@group(0) @binding(7) var<storage, read_write> y: array<vec4<f32>>; // (token, head, head_dim / 4)

var<workgroup> query: array<vec4<f32>, QUERIES * HEAD_QUADS>; // (query, head_dim / 4), scaled
var<workgroup> chance: array<f32, QUERIES * WORKGROUP>; // (query, key): e^(score - largest)
var<workgroup> key_block: array<u32, WORKGROUP>; // (key): page * kv_heads + kv_head
var<workgroup> merged: array<vec4<f32>, WORKGROUP>; // (share, head_dim / 4)

fn first_key(position: u32) -> u32 {
    if (params.window == 0u || position < params.window) {
        return 0u;
    }
    return position + 1u - params.window;
}

fn stored_key(block: u32, place: u32, quad: u32) -> vec4<f32> {
    let numbers = unpack(k_cache[key_at(block, place, quad)]);
    if (SCALED) {
        return numbers * scale_in(k_cache[key_scale_at(block, place, quad)], quad);
    }
    return numbers;
}

fn stored_value(block: u32, place: u32, quad: u32) -> vec4<f32> {
    let numbers = unpack(v_cache[value_at(block, place, quad)]);
    if (SCALED) {
        return numbers * scale_in(v_cache[value_scale_at(block, place, quad)], quad);
    }
    return numbers;
}

// Tokens [begin, end) are of one sequence.
fn attend(thread: u32, head: u32, begin: u32, end: u32) {
    let sequence = sequences[begin];
    let kv_head = head / (params.heads / params.kv_heads);
    var position: array<u32, QUERIES>;
    var first = 0xffffffffu;
    var last = 0u;
    for (var i = 0u; i < QUERIES; i++) {
        position[i] = positions[min(begin + i, end - 1u)];
        first = min(first, first_key(position[i]));
        last = max(last, position[i]);
    }
    for (var i = thread; i < QUERIES * HEAD_QUADS; i += WORKGROUP) {
        let token = min(begin + i / HEAD_QUADS, end - 1u);
        query[i] = params.scale * q[(token * params.heads + head) * HEAD_QUADS + i % HEAD_QUADS];
    }
    workgroupBarrier();

    var largest: array<f32, QUERIES>;
    var total: array<f32, QUERIES>; // of this thread's keys
    var sum: array<vec4<f32>, QUERIES>; // of this share's keys, for one quad of the head
    for (var i = 0u; i < QUERIES; i++) {
        largest[i] = MASKED;
    }
    let share = thread / HEAD_QUADS;
    let quad = thread % HEAD_QUADS;

    for (var begin_key = first - first % WORKGROUP; begin_key <= last; begin_key += WORKGROUP) {
        let key = begin_key + thread;
        var scores: array<f32, QUERIES>;
        var block = 0u;
        if (key >= first && key <= last) {
            let page = pages[sequence * params.table_pitch + key / PAGE_TOKENS];
            block = page * params.kv_heads + kv_head;
            for (var i = 0u; i < HEAD_QUADS; i++) {
                let k = stored_key(block, key % PAGE_TOKENS, i);
                for (var j = 0u; j < QUERIES; j++) {
                    let a = query[j * HEAD_QUADS + i];
                    scores[j] = fma(a.w, k.w, fma(a.z, k.z, fma(a.y, k.y, fma(a.x, k.x, scores[j]))));
                }
            }
        }
        key_block[thread] = block;
        for (var i = 0u; i < QUERIES; i++) {
            let seen = key >= first_key(position[i]) && key <= position[i];
            scores[i] = select(MASKED, scores[i], seen);
            contribute_max(i, thread, scores[i]);
        }
        workgroupBarrier();
        for (var i = 0u; i < QUERIES; i++) {
            let now = max(largest[i], collect_max(i));
            // One exactly, where a driver's e^0 may not be: a block that a token does not see must leave no trace.
            let shrink = select(exp(largest[i] - now), 1.0, largest[i] == now);
            let c = select(exp(scores[i] - now), 0.0, scores[i] == MASKED);
            largest[i] = now;
            total[i] = fma(total[i], shrink, c);
            sum[i] *= shrink;
            chance[i * WORKGROUP + thread] = c;
        }
        workgroupBarrier();
        if (share < SHARES) {
            // Keys before the first and after the last have no page: they are not read.
            let lower = max(begin_key, first) - begin_key;
            let upper = min(last + 1u - begin_key, WORKGROUP);
            for (var i = lower + (share + SHARES - lower % SHARES) % SHARES; i < upper; i += SHARES) {
                let v = stored_value(key_block[i], (begin_key + i) % PAGE_TOKENS, quad);
                for (var j = 0u; j < QUERIES; j++) {
                    sum[j] = fma(vec4<f32>(chance[j * WORKGROUP + i]), v, sum[j]);
                }
            }
        }
        workgroupBarrier();
    }

    for (var i = 0u; i < QUERIES; i++) {
        contribute_sum(i, thread, vec4<f32>(total[i], 0.0, 0.0, 0.0));
        merged[thread] = sum[i];
        workgroupBarrier();
        let all = collect_sum(i).x;
        if (thread < HEAD_QUADS && begin + i < end) {
            var value = merged[thread];
            for (var g = 1u; g < SHARES; g++) {
                value += merged[g * HEAD_QUADS + thread];
            }
            y[((begin + i) * params.heads + head) * HEAD_QUADS + thread] = value / all;
        }
        workgroupBarrier();
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let item = folded(workgroup);
    let head = item % params.heads;
    let first = item / params.heads * QUERIES;
    let limit = min(first + QUERIES, params.tokens);
    for (var begin = first; begin < limit;) {
        var end = begin + 1u;
        while (end < limit && sequences[end] == sequences[begin]) {
            end++;
        }
        if (sequences[begin] != NO_SEQUENCE) {
            attend(thread, head, begin, end);
        } else {
            for (var i = thread; i < (end - begin) * HEAD_QUADS; i += WORKGROUP) {
                let token = begin + i / HEAD_QUADS;
                y[(token * params.heads + head) * HEAD_QUADS + i % HEAD_QUADS] = vec4<f32>();
            }
        }
        begin = end;
    }
}
