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
    "best/portable",
    "best/subgroup",
    "bias/none",
    "bias/row",
    "embed",
    "gated",
    "kv/f16",
    "kv/f32",
    "kv/q8",
    "kv_write",
    "layer_norm",
    "matmul",
    "matvec",
    "quant/bf16",
    "quant/f16",
    "quant/f32",
    "reduce/portable",
    "reduce/subgroup",
    "rms_norm",
    "rope",
    "scale",
    "shared/fold",
    "shared/half",
    "shared/keep",
    "shared/kv_quads",
];

/// Every file: its path under `shaders/` without `.wgsl`, and its text.
pub fn sources() -> &'static [(&'static str, &'static str)] {
    SOURCES
}

/// The text of one file.
pub fn source(path: &str) -> Option<&'static str> {
    SOURCES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}
