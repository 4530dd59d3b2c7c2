// Eight numbers as half precision in 16 bytes. Packing needs no f16 feature.
const QUADS: u32 = 2u; // quads of four numbers in 16 bytes

fn packed(first: vec4<f32>, second: vec4<f32>) -> vec4<u32> {
    return vec4<u32>(
        pack2x16float(first.xy),
        pack2x16float(first.zw),
        pack2x16float(second.xy),
        pack2x16float(second.zw),
    );
}
