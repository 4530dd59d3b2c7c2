// The bits of the half that is nearest to x, ties to even: WGSL's own packing may round either way. Finite numbers beyond
// a half's range become its largest.
fn half_bits(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let sign = (bits >> 16u) & 0x8000u;
    let size = bits & 0x7fffffffu;
    if (size >= 0x7f800000u) {
        return sign | select(0x7c00u, 0x7e00u, size > 0x7f800000u);
    }
    let exponent = size >> 23u;
    // Below 2^-14 halves lie 2^-24 apart; above, a half is a single with 13 bits less and another bias.
    var mantissa = size - (112u << 23u);
    var shift = 13u;
    if (exponent < 113u) {
        mantissa = (size & 0x7fffffu) | 0x800000u;
        shift = min(126u - exponent, 25u);
    }
    let nearest = (mantissa + (1u << (shift - 1u)) - 1u + ((mantissa >> shift) & 1u)) >> shift;
    return sign | min(nearest, 0x7bffu);
}
