// y[0] = y[0] + term: as little as a dispatch can do that the next one has to wait for.
override WORKGROUP: u32 = 1u;

struct Params {
    term: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<u32>; // (1)

@compute @workgroup_size(WORKGROUP)
fn main() {
    y[0] += params.term;
}
