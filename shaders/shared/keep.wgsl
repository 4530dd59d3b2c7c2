// The elements between a row's last column and its pitch hold nothing, a NaN perhaps: zero takes their place.
fn keep(quad: vec4<f32>, first: u32, columns: u32) -> vec4<f32> {
    let column = vec4<u32>(first, first + 1u, first + 2u, first + 3u);
    return select(vec4<f32>(), quad, column < vec4<u32>(columns));
}
