// y = sum of e^(m - largest m) s / sum of e^(m - largest m) t over the chunks of a token's keys: what attention has made of
// each of them, with the largest score m, the total t and the sums s of its own.
// One workgroup one head of a token: threads share the chunks, then each takes a quad, or those that are left over share
// a quad's chunks. A token of no sequence gets zeros.
//!use shared/fold
//!use shared/chunks
//!slot reduce
override WORKGROUP: u32 = 64u;
override HEAD_QUADS: u32 = 16u; // head_dim / 4
const REDUCTIONS: u32 = 1u;
const SHARES: u32 = max(1u, WORKGROUP / HEAD_QUADS);
const NO_SEQUENCE: u32 = 0xffffffffu;
const LOWEST: f32 = -1e30; // below every score

struct Params {
    tokens: u32,
    heads: u32,
    window: u32, // keys that a token sees, itself included; 0 for all
    chunks: u32, // of a head of a token that there is room for
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<vec4<f32>>; // (token, head, chunk, head_dim / 4 + 1)
@group(0) @binding(2) var<storage, read> positions: array<u32>; // (token)
@group(0) @binding(3) var<storage, read> sequences: array<u32>; // (token), NO_SEQUENCE where a bucket is filled up
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>; // (token, head, head_dim / 4)

var<workgroup> weight: array<f32, MOST>; // (chunk)
var<workgroup> shared_sums: array<vec4<f32>, WORKGROUP>; // (share, head_dim / 4)

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let item = folded(workgroup);
    let token = item / params.heads;
    if (token >= params.tokens) {
        return;
    }
    if (sequences[token] == NO_SEQUENCE) {
        for (var quad = thread; quad < HEAD_QUADS; quad += WORKGROUP) {
            y[item * HEAD_QUADS + quad] = vec4<f32>();
        }
        return;
    }
    let count = chunks_of(positions[token]).count;
    let begin = item * params.chunks * (HEAD_QUADS + 1u);

    var largest = LOWEST;
    for (var chunk = thread; chunk < count; chunk += WORKGROUP) {
        largest = max(largest, partials[begin + chunk * (HEAD_QUADS + 1u) + HEAD_QUADS].x);
    }
    contribute_max(0u, thread, vec4<f32>(largest));
    workgroupBarrier();
    largest = collect_max(0u).x;
    workgroupBarrier();
    var total = 0.0;
    for (var chunk = thread; chunk < count; chunk += WORKGROUP) {
        let softmax = partials[begin + chunk * (HEAD_QUADS + 1u) + HEAD_QUADS];
        // One exactly, where a driver's e^0 may not be: a chunk alone is to stay as it is.
        let w = select(exp(softmax.x - largest), 1.0, softmax.x == largest);
        weight[chunk] = w;
        total = fma(w, softmax.y, total);
    }
    contribute_sum(0u, thread, vec4<f32>(total, 0.0, 0.0, 0.0));
    workgroupBarrier();
    total = collect_sum(0u).x;

    let share = thread / HEAD_QUADS;
    for (var first = 0u; first < HEAD_QUADS; first += WORKGROUP) {
        let quad = first + thread % HEAD_QUADS;
        var sum = vec4<f32>();
        if (quad < HEAD_QUADS) {
            for (var chunk = share; chunk < count; chunk += SHARES) {
                sum = fma(vec4<f32>(weight[chunk]), partials[begin + chunk * (HEAD_QUADS + 1u) + quad], sum);
            }
        }
        if (SHARES > 1u) {
            shared_sums[thread] = sum;
            workgroupBarrier();
            for (var i = 1u; i < SHARES; i++) {
                sum += shared_sums[i * HEAD_QUADS + thread % HEAD_QUADS];
            }
        }
        if (quad < HEAD_QUADS && thread < HEAD_QUADS) {
            y[item * HEAD_QUADS + quad] = sum / total;
        }
    }
}
