// What attention writes where a workgroup sees a chunk of its rows' keys: the sums, and their largest score and total.
// attention_merge makes the result of them; it does not look at rows of no sequence.
@group(0) @binding(7) var<storage, read_write> partials: array<vec4<f32>>; // (token, head, chunk, head_dim / 4 + 1)

// The chunks that a token's keys are divided into.
fn division(position: u32) -> Chunks {
    return chunks_of(position);
}

// A quad of the sums of a row, item = (token, head).
fn put(item: u32, chunk: u32, quad: u32, sum: vec4<f32>, total: f32) {
    partials[(item * params.chunks + chunk) * (HEAD_QUADS + 1u) + quad] = sum;
}

fn put_softmax(item: u32, chunk: u32, largest: f32, total: f32) {
    partials[(item * params.chunks + chunk) * (HEAD_QUADS + 1u) + HEAD_QUADS] = vec4<f32>(largest, total, 0.0, 0.0);
}

// For a row of no sequence.
fn put_nothing(item: u32, quad: u32) {}
