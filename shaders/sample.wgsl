// One token of each row of logits, by chance among those that top-k, top-p and min-p keep, and how many logits are not
// finite. One workgroup a row.
//
// Nothing is sorted. Each filter searches its edge, the last token that it keeps in the order of likelihood, as a radix
// sort would: it tallies the tokens by some bits of their distance from the likeliest, goes on in the bin that holds the
// edge, and among equals goes by their columns. The draw searches by columns alone. Once few enough tokens are left
// they are listed in workgroup memory. Everything is counted in integers, so that the order of threads is of no account.
//!use shared/fold
//!use shared/odds
//!use shared/draw
//!use shared/bins
//!slot best
override WORKGROUP: u32 = 256u; // bins too
override BITS: u32 = 8u; // that tell a bin

struct Params {
    rows: u32,
    columns: u32,
    quads: u32, // of a row, padding included
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // (row, column / 4)
@group(0) @binding(2) var<storage, read> draws: array<Draw>; // (row)
@group(0) @binding(3) var<storage, read_write> y: array<vec2<u32>>; // (row): column, elements not finite

const EXPONENT: u32 = 0x7f800000u; // all ones in an infinity and in a NaN
const LIST: u32 = 1024u;
const AHEAD: u32 = 4u;
// A key for each logit, in the same order.
struct Best {
    value: u32, // key
    column: u32,
    not_finite: u32,
}

// Tokens that are still kept: those up to the last, in the order of likelihood.
struct Kept {
    distance: u32, // of the last's key from the likeliest's
    column: u32, // the last's among equals
    listed: u32, // how many are in the list; 0 while there is none
}

// A stage of a search: what is looked at, and how.
struct Search {
    goal: u32,
    by_column: bool, // or by distance
    low: u32, // the first place that is looked at
    shift: u32, // a place's bin is (place - low) >> shift
    tied: u32, // the only distance that is looked at, where a filter goes by columns
}

var<workgroup> found: Found;
var<workgroup> shared_best: Best;
var<workgroup> peaks: array<u32, WORKGROUP>; // (thread)
var<workgroup> bound: u32;
var<workgroup> length: atomic<u32>;
var<workgroup> list: array<vec2<u32>, LIST>; // key, column

fn better(a: Best, b: Best) -> Best {
    var best = a;
    if (b.value > a.value || (b.value == a.value && b.column < a.column)) {
        best = b;
    }
    best.not_finite = a.not_finite + b.not_finite;
    return best;
}

// Keys are in the logits' order, 0 and -0 alike.
fn key_of(logit: f32) -> u32 {
    let bits = bitcast<u32>(logit);
    let sign = 0x80000000u;
    return select(select(bits | sign, ~bits, bits > sign), sign, bits == sign);
}

fn logit_of(key: u32) -> f32 {
    let sign = 0x80000000u;
    return bitcast<f32>(select(~key, key ^ sign, key >= sign));
}

// Quads of a row that a thread wants, a workgroup apart: all are loaded before it looks at the first, so that it waits for
// memory once. Beyond the row the last stands for them.
fn quads_from(row: u32, first: u32) -> array<vec4<f32>, AHEAD> {
    var quads: array<vec4<f32>, AHEAD>;
    for (var j = 0u; j < AHEAD; j++) {
        quads[j] = x[row * params.quads + min(first + j * WORKGROUP, params.quads - 1u)];
    }
    return quads;
}

fn keeps(kept: Kept, distance: u32, column: u32) -> bool {
    return distance < kept.distance || (distance == kept.distance && column <= kept.column);
}

// Sorts what is kept into bins.
fn tally_bins(thread: u32, row: u32, best: u32, draw: Draw, kept: Kept, search: Search) {
    var all = select(params.columns, kept.listed, kept.listed > 0u);
    var first = thread;
    if (search.by_column && kept.listed == 0u) {
        first += search.low / 4u;
        all = min(all, search.low + (WORKGROUP << search.shift));
    }
    // Tokens of one bin in a row are added up first.
    var bin = 0u;
    var run = Tally();
    for (var quad = first; quad < (all + 3u) / 4u; quad += WORKGROUP) {
        var logits = vec4<f32>();
        if (kept.listed == 0u) {
            logits = x[row * params.quads + quad];
        }
        for (var i = 0u; i < 4u; i++) {
            if (4u * quad + i >= all) {
                continue;
            }
            var one = vec2<u32>(key_of(logits[i]), 4u * quad + i);
            if (kept.listed > 0u) {
                one = list[4u * quad + i];
            }
            let distance = best - one.x;
            let place = select(distance, one.y, search.by_column);
            let own = (place - search.low) >> search.shift;
            let other_tie = search.by_column && search.goal != TOKEN && distance != search.tied;
            if (place < search.low || own >= WORKGROUP || other_tie || !keeps(kept, distance, one.y)) {
                continue;
            }
            if (own != bin) {
                add(bin, run);
                bin = own;
                run = Tally();
            }
            run.count += 1u;
            run.amount = plus(run.amount, vec2<u32>(amount(search.goal, draw, logit_of(best), logit_of(one.x)), 0u));
        }
    }
    if (run.count > 0u) {
        add(bin, run);
    }
}

// Lists what is kept; gives how many that are, or 0 where they are too many.
fn gather(thread: u32, row: u32, best: u32, kept: Kept) -> u32 {
    for (var first = thread; first < params.quads; first += AHEAD * WORKGROUP) {
        let logits = quads_from(row, first);
        for (var j = 0u; j < AHEAD; j++) {
            for (var i = 0u; i < 4u; i++) {
                let column = 4u * (first + j * WORKGROUP) + i;
                let key = key_of(logits[j][i]);
                if (column < params.columns && keeps(kept, best - key, column)) {
                    let place = atomicAdd(&length, 1u);
                    if (place < LIST) {
                        list[place] = vec2<u32>(key, column);
                    }
                }
            }
        }
    }
    workgroupBarrier();
    if (thread == 0u) {
        let count = atomicLoad(&length);
        bound = select(count, 0u, count > LIST);
        atomicStore(&length, 0u);
    }
    return workgroupUniformLoad(&bound);
}

// The last that is kept of those up to `distance`.
fn narrowed(kept: Kept, distance: u32) -> Kept {
    if (distance < kept.distance) {
        return Kept(distance, ALL, kept.listed);
    }
    return kept;
}

fn bits_of(number: u32) -> u32 {
    return 32u - countLeadingZeros(number);
}

// The edge of a filter, or, with the goal TOKEN, the token that is drawn as the last column.
fn searched(thread: u32, row: u32, best: u32, draw: Draw, goal: u32, start: Kept) -> Kept {
    var kept = start;
    var search = Search(goal, goal == TOKEN, 0u, 0u, ALL);
    var bits = bits_of(select(kept.distance, params.columns - 1u, search.by_column));
    var need = vec2<u32>();
    var first = true;
    var passed = 0u; // tokens before the first place
    loop {
        search.shift = max(bits, BITS) - BITS;
        clear(thread);
        workgroupBarrier();
        tally_bins(thread, row, best, draw, kept, search);
        workgroupBarrier();
        add_groups(thread);
        workgroupBarrier();
        if (thread == 0u) {
            if (first) {
                need = needed(goal, draw, whole_amount());
            }
            found = find(need);
        }
        let now = workgroupUniformLoad(&found);
        first = false;
        need = now.need;
        bits = search.shift;
        search.low += now.bin << bits;
        let last = search.low + ((1u << bits) - 1u);
        if (search.by_column) {
            if (bits == 0u || (now.whole == 1u && goal != TOKEN)) {
                kept.distance = min(search.tied, kept.distance);
                kept.column = last;
                break;
            }
            continue;
        }
        passed += now.before;
        kept = narrowed(kept, last);
        if (kept.listed == 0u && passed + now.count <= LIST) {
            kept.listed = gather(thread, row, best, kept);
        }
        if (now.whole == 1u) {
            break;
        }
        if (bits == 0u) {
            search = Search(goal, true, 0u, 0u, last);
            bits = bits_of(params.columns - 1u);
        }
    }
    return kept;
}

// Whether a filter has an effect; a token is drawn in any case.
fn filters(goal: u32, draw: Draw) -> bool {
    let top_k = draw.top_k > 0u && draw.top_k < params.columns;
    return goal == TOKEN || (goal == TOP_K && top_k) || (goal == TOP_P && draw.top_p != ALL);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = folded(workgroup);
    if (row >= params.rows) {
        return;
    }
    let draw = draws[row];
    var own = Best(0u, ALL, 0u);
    for (var first = thread; first < params.quads; first += AHEAD * WORKGROUP) {
        let logits = quads_from(row, first);
        for (var j = 0u; j < AHEAD; j++) {
            for (var i = 0u; i < 4u; i++) {
                let column = 4u * (first + j * WORKGROUP) + i;
                if (column < params.columns) {
                    let finite = (bitcast<u32>(logits[j][i]) & EXPONENT) != EXPONENT;
                    let key = select(1u, key_of(logits[j][i]), finite);
                    own = better(own, Best(key, column, select(1u, 0u, finite)));
                }
            }
        }
    }
    peaks[thread] = own.value;
    let winner = best_of_all(thread, own);
    if (thread == 0u) {
        shared_best = winner;
        y[row] = vec2<u32>(winner.column, winner.not_finite);
        atomicStore(&length, 0u);
    }
    let best = workgroupUniformLoad(&shared_best);
    if (draw.top_k == 1u || best.not_finite > 0u) {
        return;
    }
    var kept = Kept(ALL, ALL, 0u);
    if (draw.top_k > 0u && draw.top_k <= WORKGROUP) {
        // As many tokens as there are threads ahead of it are at least as likely as a thread's likeliest.
        var ahead = 0u;
        for (var other = 0u; other < WORKGROUP; other++) {
            let peak = peaks[other];
            ahead += select(0u, 1u, peak > own.value || (peak == own.value && other < thread));
        }
        if (ahead == draw.top_k - 1u) {
            bound = best.value - own.value;
        }
        kept.distance = workgroupUniformLoad(&bound);
        kept.listed = gather(thread, row, best.value, kept);
    }
    for (var goal = TOP_K; goal <= TOKEN; goal++) {
        if (filters(goal, draw)) {
            kept = searched(thread, row, best.value, draw, goal, kept);
        }
    }
    if (thread == 0u) {
        y[row] = vec2<u32>(kept.column, 0u);
    }
}
