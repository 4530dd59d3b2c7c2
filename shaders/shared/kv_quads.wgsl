// Where the quads of a block lie, and no scales: for formats that keep each element by itself.
const SCALED: bool = false;
const OWNED: u32 = 1u; // quads that one thread writes
const GROUP: u32 = 1u; // those of them that share a scale

fn key_at(block: u32, place: u32, quad: u32) -> u32 {
    return (block * HEAD_QUADS + quad) * PAGE_TOKENS + place;
}

fn value_at(block: u32, place: u32, quad: u32) -> u32 {
    return (block * PAGE_TOKENS + place) * HEAD_QUADS + quad;
}

fn key_scale_at(block: u32, place: u32, quad: u32) -> u32 {
    return 0u;
}

fn value_scale_at(block: u32, place: u32, quad: u32) -> u32 {
    return 0u;
}

fn scale_in(stored: Stored, quad: u32) -> f32 {
    return 1.0;
}

fn scale_bits(largest: u32) -> u32 {
    return 0u;
}

fn pack_scales(scales: vec2<u32>) -> Stored {
    return Stored();
}
