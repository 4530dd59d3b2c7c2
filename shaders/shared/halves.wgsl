// Four numbers as halves, rounded as the device does. Finite numbers beyond a half's range become its largest, since an
// infinity would spoil a whole row of sums; what was infinite or no number before stays so, and is noticed.
fn halves(v: vec4<f32>) -> vec4<f16> {
    let finite = (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) < vec4<u32>(0x7f800000u);
    return vec4<f16>(select(v, clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0)), finite));
}
