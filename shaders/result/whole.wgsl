// What attention writes where a workgroup sees all keys of its rows: the result.
@group(0) @binding(7) var<storage, read_write> y: array<vec4<f32>>; // (token, head, head_dim / 4)

// The chunks that a token's keys are divided into.
fn division(position: u32) -> Chunks {
    return Chunks(0u, 0xffffffffu, 1u);
}

// A quad of the sums of a row, item = (token, head).
fn put(item: u32, chunk: u32, quad: u32, sum: vec4<f32>, total: f32) {
    y[item * HEAD_QUADS + quad] = sum / total;
}

fn put_softmax(item: u32, chunk: u32, largest: f32, total: f32) {}

// For a row of no sequence.
fn put_nothing(item: u32, quad: u32) {
    y[item * HEAD_QUADS + quad] = vec4<f32>();
}
