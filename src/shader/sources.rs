//! The shader files, compiled in: a new file under `shaders/` gets a line here.

macro_rules! shaders {
    ($($path:literal,)*) => {
        &[$(($path, include_str!(concat!("../../shaders/", $path, ".wgsl"))),)*]
    };
}

const SOURCES: &[(&str, &str)] = shaders![
    "act/gelu",
    "act/gelu_tanh",
    "act/relu",
    "act/silu",
    "activation",
    "add",
    "argmax",
    "attention",
    "attention_merge",
    "bench/copy",
    "bench/dot",
    "bench/empty",
    "bench/fma",
    "bench/matrix",
    "bench/number/f16",
    "bench/number/f32",
    "bench/read",
    "bench/stretch/4",
    "bench/stretch/64",
    "bench/tile/16x16_f16",
    "bench/tile/8x8_f16",
    "bench/tile/8x8_f32",
    "best/portable",
    "best/subgroup",
    "bias/none",
    "bias/row",
    "columns/own",
    "columns/subgroup",
    "embed",
    "gated",
    "input/plain",
    "input/rms_norm",
    "kv/f16",
    "kv/f32",
    "kv/q8",
    "kv_write",
    "layer_norm",
    "matmul",
    "matmul_coop",
    "matmul_rows",
    "matrix/16",
    "matrix/8",
    "matvec",
    "matvec_rows",
    "output/gated",
    "output/plain",
    "output/qkv",
    "output/residual",
    "pack/bf16",
    "pack/f16",
    "pack/f32",
    "quant/bf16",
    "quant/block",
    "quant/f16",
    "quant/f32",
    "quant/nibbles",
    "quant/q4",
    "quant/q4a",
    "quant/q8",
    "random",
    "reduce/portable",
    "reduce/subgroup",
    "result/partial",
    "result/whole",
    "rms_norm",
    "rope",
    "sample",
    "scale",
    "shared/bins",
    "shared/cached",
    "shared/chunks",
    "shared/dot",
    "shared/draw",
    "shared/fold",
    "shared/half",
    "shared/halves",
    "shared/input",
    "shared/keep",
    "shared/kv_quads",
    "shared/linear",
    "shared/odds",
    "shared/softmax",
];

/// Every file: its path under `shaders/` without `.wgsl`, and its text.
pub fn sources() -> &'static [(&'static str, &'static str)] {
    SOURCES
}

/// The text of one file.
pub fn source(path: &str) -> Option<&'static str> {
    SOURCES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}
