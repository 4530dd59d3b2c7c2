// Keys and values as numbers, a quad at a time. The kernel has the slot `kv`, the bindings `pages`, `k_cache` and
// `v_cache`, and `kv_heads` among its parameters.

// Keys [first, last] of a sequence and a head.
struct Keys {
    table: u32, // where the sequence's pages begin
    kv_head: u32,
    first: u32,
    last: u32,
}

fn block_of(keys: Keys, key: u32) -> u32 {
    return pages[keys.table + key / PAGE_TOKENS] * params.kv_heads + keys.kv_head;
}

fn stored_scale(block: u32, place: u32, quad: u32) -> f32 {
    return scale_in(k_cache[key_scale_at(block, place, quad)], quad);
}

// With the scale of its group, which several quads share.
fn stored_key(block: u32, place: u32, quad: u32, scale: f32) -> vec4<f32> {
    let numbers = unpack(k_cache[key_at(block, place, quad)]);
    if (SCALED) {
        return scale * numbers;
    }
    return numbers;
}

fn stored_value(block: u32, place: u32, quad: u32) -> vec4<f32> {
    let numbers = unpack(v_cache[value_at(block, place, quad)]);
    if (SCALED) {
        return scale_in(v_cache[value_scale_at(block, place, quad)], quad) * numbers;
    }
    return numbers;
}
