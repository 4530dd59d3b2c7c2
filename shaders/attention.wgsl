// y = softmax(scale q K^T) V: causal, grouped-query attention over the paged cache, with an optional sliding window.
// Dao et al. 2022 (arXiv 2205.14135); in chunks of keys as of 2023.
//
// A query head of a token is a row. One workgroup takes ROWS rows: HEADS query heads of one key head, of TOKENS
// neighbouring tokens, so that each key and value is read once for all of them; or of one token and one chunk of its keys.
// It walks the keys in blocks. First a thread scores KEYS keys of a block against every row, then it weighs the block's
// values for a quad of the head, or for STRIPES of them; threads that are left over share a quad's places. Blocks begin at
// multiples of their size, so a row gets what it gets alone. Neighbours of another sequence part. A token of no sequence
// gets zeros.
//!use shared/fold
//!use shared/chunks
//!use shared/cached
//!use shared/softmax
//!slot reduce
//!slot kv
//!slot result
override WORKGROUP: u32 = 64u;
override KEYS: u32 = 4u; // 1 or 4, and a block is a whole number of pages
override HEADS: u32 = 1u;
override TOKENS: u32 = 1u;
override HEAD_QUADS: u32 = 16u; // head_dim / 4, twice the threads at most
override PAGE_TOKENS: u32 = 32u;
const ROWS: u32 = HEADS * TOKENS; // eight at most
const FOURS: u32 = (ROWS + 3u) / 4u;
const REDUCTIONS: u32 = FOURS;
const BLOCK: u32 = KEYS * WORKGROUP;
const STRIPES: u32 = (HEAD_QUADS + WORKGROUP - 1u) / WORKGROUP;
const SPARE: u32 = WORKGROUP / HEAD_QUADS;
const SHARES: u32 = select(select(select(1u, 2u, SPARE >= 2u), 4u, SPARE >= 4u), 8u, SPARE >= 8u);
const TURN: u32 = 4u * SHARES; // places that the sharing threads take at a time; a page is a whole number of turns
const NO_SEQUENCE: u32 = 0xffffffffu;

struct Params {
    tokens: u32,
    heads: u32,
    kv_heads: u32,
    window: u32, // keys that a token sees, itself included; 0 for all
    table_pitch: u32, // pages from one sequence's table to the next
    scale: f32,
    chunks: u32, // of a row that there is room for
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>; // (token, head, head_dim / 4)
@group(0) @binding(2) var<storage, read> positions: array<u32>; // (token)
@group(0) @binding(3) var<storage, read> sequences: array<u32>; // (token), NO_SEQUENCE where a bucket is filled up
@group(0) @binding(4) var<storage, read> pages: array<u32>; // (sequence, position / PAGE_TOKENS)
@group(0) @binding(5) var<storage, read> k_cache: array<Stored>; // (page, kv_head, head_dim / 4, place)
@group(0) @binding(6) var<storage, read> v_cache: array<Stored>; // (page, kv_head, place, head_dim / 4)

var<workgroup> query: array<vec4<f32>, FOURS * 4u * HEAD_QUADS>; // (four, element of the head): of each row, scaled
var<workgroup> chance: array<vec4<f32>, FOURS * 4u * WORKGROUP>; // (four, key): e^(score - largest) of each row

// HEADS heads from `head` on, of tokens [begin, end), which are of one sequence.
struct Rows {
    begin: u32,
    end: u32,
    head: u32,
    chunk: u32,
}

// Of the first four rows, and of the others.
struct Scores {
    low: mat4x4<f32>, // (key, row)
    high: mat4x4<f32>,
}

struct Softmaxes {
    low: Softmax,
    high: Softmax,
}

// The place of a row among all (token, head); rows beyond the last repeat it.
fn item_of(rows: Rows, row: u32) -> u32 {
    let near = min(row, ROWS - 1u);
    return min(rows.begin + near / HEADS, rows.end - 1u) * params.heads + rows.head + near % HEADS;
}

// Puts the queries where every thread reads them.
fn take_queries(thread: u32, rows: Rows) {
    for (var i = thread; i < FOURS * HEAD_QUADS; i += WORKGROUP) {
        let row = i / HEAD_QUADS * 4u;
        let quad = i % HEAD_QUADS;
        let four = params.scale * mat4x4<f32>(
            q[item_of(rows, row) * HEAD_QUADS + quad],
            q[item_of(rows, row + 1u) * HEAD_QUADS + quad],
            q[item_of(rows, row + 2u) * HEAD_QUADS + quad],
            q[item_of(rows, row + 3u) * HEAD_QUADS + quad],
        );
        let elements = transpose(four);
        query[4u * i] = elements[0];
        query[4u * i + 1u] = elements[1];
        query[4u * i + 2u] = elements[2];
        query[4u * i + 3u] = elements[3];
    }
}

fn positions_of(rows: Rows, row: u32) -> vec4<u32> {
    return vec4<u32>(
        positions[item_of(rows, row) / params.heads],
        positions[item_of(rows, row + 1u) / params.heads],
        positions[item_of(rows, row + 2u) / params.heads],
        positions[item_of(rows, row + 3u) / params.heads],
    );
}

// Adds the products of a key's quad with the queries' to the scores of four rows.
fn score(sum: vec4<f32>, four: u32, quad: u32, k: vec4<f32>) -> vec4<f32> {
    let at = 4u * (four * HEAD_QUADS + quad);
    let x = fma(vec4<f32>(k.x), query[at], sum);
    let y = fma(vec4<f32>(k.y), query[at + 1u], x);
    let z = fma(vec4<f32>(k.z), query[at + 2u], y);
    return fma(vec4<f32>(k.w), query[at + 3u], z);
}

// The scores of the thread's keys of a block. Keys outside have no page: the nearest take their place, to be masked.
fn score_block(keys: Keys, key: vec4<u32>) -> Scores {
    let near = clamp(key, vec4<u32>(keys.first), vec4<u32>(keys.last));
    let place = near % PAGE_TOKENS;
    var block = vec4<u32>(block_of(keys, near.x));
    if (KEYS > 1u) {
        block = vec4<u32>(block.x, block_of(keys, near.y), block_of(keys, near.z), block_of(keys, near.w));
    }
    var scores: Scores;
    var scale = vec4<f32>(1.0);
    for (var i = 0u; i < HEAD_QUADS; i++) {
        if (SCALED && i % GROUP == 0u) {
            scale.x = stored_scale(block.x, place.x, i);
            if (KEYS > 1u) {
                scale.y = stored_scale(block.y, place.y, i);
                scale.z = stored_scale(block.z, place.z, i);
                scale.w = stored_scale(block.w, place.w, i);
            }
        }
        let k0 = stored_key(block.x, place.x, i, scale.x);
        scores.low[0] = score(scores.low[0], 0u, i, k0);
        if (FOURS > 1u) {
            scores.high[0] = score(scores.high[0], 1u, i, k0);
        }
        if (KEYS > 1u) {
            let k1 = stored_key(block.y, place.y, i, scale.y);
            let k2 = stored_key(block.z, place.z, i, scale.z);
            let k3 = stored_key(block.w, place.w, i, scale.w);
            scores.low[1] = score(scores.low[1], 0u, i, k1);
            scores.low[2] = score(scores.low[2], 0u, i, k2);
            scores.low[3] = score(scores.low[3], 0u, i, k3);
            if (FOURS > 1u) {
                scores.high[1] = score(scores.high[1], 1u, i, k1);
                scores.high[2] = score(scores.high[2], 1u, i, k2);
                scores.high[3] = score(scores.high[3], 1u, i, k3);
            }
        }
    }
    return scores;
}

// Weighs the values of the keys of the block at `base`.
fn weigh_block(softmaxes: Softmaxes, keys: Keys, base: u32, thread: u32) -> Softmaxes {
    let quad = thread % HEAD_QUADS;
    let second = min(thread + WORKGROUP, HEAD_QUADS - 1u);
    var share = 0u;
    if (SHARES > 1u) {
        share = min(thread / HEAD_QUADS, SHARES - 1u);
    }
    var now = softmaxes;
    let end = min(base + BLOCK, keys.last + 1u);
    for (var key = max(base, keys.first); key < end; key = (key / PAGE_TOKENS + 1u) * PAGE_TOKENS) {
        let block = block_of(keys, key);
        let least = key % PAGE_TOKENS;
        let page = key - least;
        let most = min(end - page, PAGE_TOKENS) - 1u;
        // Turns begin at multiples of their size. Places outside repeat the nearest, at no chance.
        for (var turn = least / TURN * TURN; turn <= most; turn += TURN) {
            for (var i = 0u; i < 4u; i++) {
                let place = turn + i * SHARES + share;
                let near = clamp(place, least, most);
                let at = page - base + place;
                let v = stored_value(block, near, quad);
                now.low.sums = weigh(now.low.sums, 0u, chance[at], v);
                if (FOURS > 1u) {
                    now.high.sums = weigh(now.high.sums, 1u, chance[BLOCK + at], v);
                }
                if (STRIPES > 1u) {
                    let w = stored_value(block, near, second);
                    now.low.stripe = weigh(now.low.stripe, 0u, chance[at], w);
                    if (FOURS > 1u) {
                        now.high.stripe = weigh(now.high.stripe, 1u, chance[BLOCK + at], w);
                    }
                }
            }
        }
    }
    return now;
}

// Writes one row, which all threads come to.
fn put_row(thread: u32, rows: Rows, row: u32, sum: vec4<f32>, stripe: vec4<f32>, largest: f32, total: f32) {
    if (row >= ROWS || rows.begin + row / HEADS >= rows.end) {
        return;
    }
    var value = sum;
    if (SHARES > 1u) {
        workgroupBarrier();
        chance[thread] = sum;
        workgroupBarrier();
        value = chance[thread % HEAD_QUADS];
        for (var share = 1u; share < SHARES; share++) {
            value += chance[share * HEAD_QUADS + thread % HEAD_QUADS];
        }
    }
    let item = item_of(rows, row);
    if (thread < HEAD_QUADS) {
        put(item, rows.chunk, thread, value, total);
    }
    if (STRIPES > 1u && thread + WORKGROUP < HEAD_QUADS) {
        put(item, rows.chunk, thread + WORKGROUP, stripe, total);
    }
    if (thread == 0u) {
        put_softmax(item, rows.chunk, largest, total);
    }
}

fn put_four(thread: u32, rows: Rows, four: u32, softmax: Softmax) {
    let total = collect_sum(four);
    let row = 4u * four;
    put_row(thread, rows, row, softmax.sums[0], softmax.stripe[0], softmax.largest.x, total.x);
    put_row(thread, rows, row + 1u, softmax.sums[1], softmax.stripe[1], softmax.largest.y, total.y);
    put_row(thread, rows, row + 2u, softmax.sums[2], softmax.stripe[2], softmax.largest.z, total.z);
    put_row(thread, rows, row + 3u, softmax.sums[3], softmax.stripe[3], softmax.largest.w, total.w);
}

fn attend(thread: u32, rows: Rows, keys: Keys) {
    let low = positions_of(rows, 0u);
    let high = positions_of(rows, 4u);
    take_queries(thread, rows);
    workgroupBarrier();
    var now: Softmaxes;
    now.low.largest = vec4<f32>(MASKED);
    now.high.largest = vec4<f32>(MASKED);
    for (var base = keys.first / BLOCK * BLOCK; base <= keys.last; base += BLOCK) {
        let key = base + thread + WORKGROUP * vec4<u32>(0u, 1u, 2u, 3u);
        var scores = score_block(keys, key);
        scores.low = mask(0u, thread, key, low, scores.low);
        if (FOURS > 1u) {
            scores.high = mask(1u, thread, key, high, scores.high);
        }
        workgroupBarrier();
        now.low = soften(now.low, 0u, thread, scores.low);
        if (FOURS > 1u) {
            now.high = soften(now.high, 1u, thread, scores.high);
        }
        workgroupBarrier();
        now = weigh_block(now, keys, base, thread);
    }
    contribute_sum(0u, thread, now.low.total);
    if (FOURS > 1u) {
        contribute_sum(1u, thread, now.high.total);
    }
    workgroupBarrier();
    put_four(thread, rows, 0u, now.low);
    if (FOURS > 1u) {
        put_four(thread, rows, 1u, now.high);
    }
    workgroupBarrier();
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let item = folded(workgroup);
    let tiles = params.heads / HEADS;
    var rows = Rows(item / tiles * TOKENS, 0u, item % tiles * HEADS, workgroup.z);
    let limit = min(rows.begin + TOKENS, params.tokens);
    for (; rows.begin < limit; rows.begin = rows.end) {
        rows.end = rows.begin + 1u;
        while (rows.end < limit && sequences[rows.end] == sequences[rows.begin]) {
            rows.end++;
        }
        if (sequences[rows.begin] == NO_SEQUENCE) {
            for (var i = thread; i < (rows.end - rows.begin) * HEADS * HEAD_QUADS; i += WORKGROUP) {
                put_nothing(item_of(rows, i / HEAD_QUADS), i % HEAD_QUADS);
            }
            continue;
        }
        let kv_head = rows.head / (params.heads / params.kv_heads);
        var keys = Keys(sequences[rows.begin] * params.table_pitch, kv_head, 0xffffffffu, 0u);
        for (var token = rows.begin; token < rows.end; token++) {
            keys.first = min(keys.first, first_key(positions[token]));
            keys.last = max(keys.last, positions[token]);
        }
        // Where keys are divided, there is one token.
        let chunks = division(keys.last);
        if (rows.chunk < chunks.count) {
            let first = chunks.first + rows.chunk * chunks.keys;
            keys.first = max(keys.first, first);
            keys.last = min(keys.last, first + (chunks.keys - 1u));
            attend(thread, rows, keys);
        }
    }
}
