// Softmax of four rows at once, block of scores by block: Milakov and Gimelshein 2018 (arXiv 1805.02867).
//
// Rows lie in the components of vectors; `four` says which four of ROWS they are, and what would depend on rows beyond is
// zero, so that the compiler leaves it out. A thread has KEYS scores of a block, 1 or 4, WORKGROUP apart, and the sums of
// one quad of values, or of STRIPES. The kernel declares these, BLOCK, the slot `reduce`, and `chance`.
const MASKED: f32 = -1e30; // not an infinity: a shader may assume that there is none

struct Softmax {
    largest: vec4<f32>, // score so far
    total: vec4<f32>, // of the chances of this thread's keys
    sums: mat4x4<f32>, // (row, element): of the values
    stripe: mat4x4<f32>, // of the second quad's
}

fn real(four: u32, v: vec4<f32>) -> vec4<f32> {
    let row = 4u * four;
    let y = select(0.0, v.y, row + 1u < ROWS);
    let z = select(0.0, v.z, row + 2u < ROWS);
    return vec4<f32>(v.x, y, z, select(0.0, v.w, row + 3u < ROWS));
}

// The same scores where rows see their key, and MASKED where not.
fn shown(four: u32, key: u32, position: vec4<u32>, scores: vec4<f32>) -> vec4<f32> {
    let here = vec4<u32>(key);
    let near = (vec4<u32>(params.window) == vec4<u32>()) | (position - here < vec4<u32>(params.window));
    return real(four, select(vec4<f32>(MASKED), scores, (here <= position) & near));
}

// Masks scores, a column for each of the thread's keys, and contributes the largest. Then comes a barrier.
fn mask(four: u32, thread: u32, key: vec4<u32>, position: vec4<u32>, scores: mat4x4<f32>) -> mat4x4<f32> {
    var found = scores;
    found[0] = shown(four, key.x, position, scores[0]);
    var largest = found[0];
    if (KEYS > 1u) {
        found[1] = shown(four, key.y, position, scores[1]);
        found[2] = shown(four, key.z, position, scores[2]);
        found[3] = shown(four, key.w, position, scores[3]);
        largest = max(max(found[0], found[1]), max(found[2], found[3]));
    }
    contribute_max(four, thread, largest);
    return found;
}

fn take_chance(four: u32, thread: u32, i: u32, scores: vec4<f32>, largest: vec4<f32>) -> vec4<f32> {
    let masked = scores == vec4<f32>(MASKED);
    let c = real(four, select(exp(scores - largest), vec4<f32>(), masked));
    chance[four * BLOCK + i * WORKGROUP + thread] = c;
    return c;
}

fn shrunk(sums: mat4x4<f32>, by: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(by.x * sums[0], by.y * sums[1], by.z * sums[2], by.w * sums[3]);
}

// Takes masked scores in: their chances lie in `chance` after the next barrier.
fn soften(softmax: Softmax, four: u32, thread: u32, scores: mat4x4<f32>) -> Softmax {
    var now = softmax;
    now.largest = max(softmax.largest, collect_max(four));
    // One exactly, where a driver's e^0 may not be: a block that a row does not see must leave no trace.
    let same = softmax.largest == now.largest;
    let shrink = select(exp(softmax.largest - now.largest), vec4<f32>(1.0), same);
    var more = take_chance(four, thread, 0u, scores[0], now.largest);
    if (KEYS > 1u) {
        more += take_chance(four, thread, 1u, scores[1], now.largest);
        more += take_chance(four, thread, 2u, scores[2], now.largest);
        more += take_chance(four, thread, 3u, scores[3], now.largest);
    }
    now.total = fma(softmax.total, shrink, more);
    now.sums = shrunk(softmax.sums, shrink);
    if (STRIPES > 1u) {
        now.stripe = shrunk(softmax.stripe, shrink);
    }
    return now;
}

// Adds a quad of a value, at the chances of four rows.
fn weigh(sums: mat4x4<f32>, four: u32, c: vec4<f32>, v: vec4<f32>) -> mat4x4<f32> {
    var more = sums;
    more[0] = fma(vec4<f32>(c.x), v, sums[0]);
    if (4u * four + 1u < ROWS) {
        more[1] = fma(vec4<f32>(c.y), v, sums[1]);
    }
    if (4u * four + 2u < ROWS) {
        more[2] = fma(vec4<f32>(c.z), v, sums[2]);
    }
    if (4u * four + 3u < ROWS) {
        more[3] = fma(vec4<f32>(c.w), v, sums[3]);
    }
    return more;
}
