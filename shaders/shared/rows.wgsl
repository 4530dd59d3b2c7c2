// What a thread with rows of its own multiplies columns of x by. The kernel declares what shared/linear does.

// A quad of a pack, as the codec prepares columns for it; nothing beyond the last column.
fn weight_quad(packed: Packed, pack: u32, i: u32) -> vec4<f32> {
    let w = unscaled(packed, i);
    if (TAIL == 1u) {
        return keep(w, 4u * (pack * PACK_QUADS + i), params.columns);
    }
    return w;
}
