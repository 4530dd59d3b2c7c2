// y = W x for one token at a time, a unit of eight rows a thread: the linear layer while decoding, where a processor runs
// the shaders. Its lanes are few, and what is dear there are additions across lanes and barriers; this has neither. On a
// GPU neighbouring threads would read far apart.
//!use shared/linear
//!use shared/input
//!use shared/rows
//!slot words
//!slot columns
//!slot output
override WORKGROUP: u32 = 8u;
override STREAM: u32 = 1u; // 1 where a workgroup's rows fit in a processor's cache
const LINES: u32 = 16u; // of 64 bytes, streamed in at a time

// Reads a word of every 64 bytes of the workgroup's rows once, in the order in which they lie. Later each thread reads along
// rows of its own, which is too many places at once for a processor to see what comes next. All threads read the same word
// here: that is one plain load, and plain loads alone tell a processor where the next ones will be. What it gives is always
// 0, which a compiler cannot know.
fn stream_in(first: u32, last: u32) -> u32 {
    var seen = 0u;
    for (var run = 0u; run < RUNS; run++) {
        let begin = (params.w_first + row_of(first, 8u / RUNS * run)) * params.row_words;
        let end = (params.w_first + row_of(last, 8u / RUNS * (run + 1u) - 1u) + 1u) * params.row_words;
        for (var at = begin; at < end; at += 4u * LINES) {
            for (var line = 0u; line < LINES; line++) {
                seen |= u32(weight[min(at + 4u * line, end - 1u)].x);
            }
        }
    }
    return seen & (params.packs >> 31u);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = folded(workgroup) * WORKGROUP;
    let token = workgroup.z;
    // Threads beyond the last unit do the same, since others may want their columns; they only keep it to themselves.
    let last = params.units - 1u;
    let unit = min(first + thread, last);
    var none = 0u;
    if (STREAM == 1u) {
        none = stream_in(min(first, last), min(first + WORKGROUP - 1u, last));
    }
    var rows: array<u32, 8>;
    for (var i = 0u; i < 8u; i++) {
        rows[i] = (params.w_first + row_of(unit, i)) * params.row_words + none;
    }
    var sums: array<f32, 8>;
    var squares = vec4<f32>();
    for (var pack = 0u; pack < params.packs; pack += PACKS) {
        let columns = columns_of(token, pack * PACK_QUADS, thread, &squares);
        for (var p = 0u; p < PACKS; p++) {
            for (var i = 0u; i < 8u; i++) {
                let packed = fetch(rows[i], pack + p, params.packs);
                var part = begun(sums[i]);
                for (var quad = 0u; quad < PACK_QUADS; quad++) {
                    part = add_dot(part, weight_quad(packed, pack + p, quad), columns.packs[p][quad]);
                }
                sums[i] = ended(packed, part, columns.total, sums[i]);
            }
        }
    }
    let factor = factor_of(all_squares(squares));
    if (first + thread < params.units) {
        let low = factor * vec4<f32>(sums[0], sums[1], sums[2], sums[3]);
        let high = factor * vec4<f32>(sums[4], sums[5], sums[6], sums[7]);
        emit(unit, token, low, high);
    }
}
