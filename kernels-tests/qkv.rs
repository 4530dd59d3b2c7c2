//! Cases of `linear` whose products are queries, keys and values: what becomes of each, and where it goes.

use crate::case::Case;
use crate::data::Rng;
use quernel::doctor::works::{self, Runs};
use quernel::kernels::KvFormat;
use quernel::kernels::linear::{self, Form, MATVEC_TOKENS, Qkv};
use quernel::tensor::DType;

const EPSILON: f32 = 1e-6;
/// Tokens, columns, query heads, key-value heads, head_dim.
const SHAPES: [(usize, usize, usize, usize, usize); 12] = [
    (1, 8, 1, 1, 8),
    (1, 64, 8, 4, 8),
    (2, 72, 3, 1, 24),
    (1, 576, 9, 3, 64),
    (3, 100, 4, 2, 16),
    (4, 128, 2, 2, 128),
    (5, 96, 6, 2, 40),
    (8, 64, 1, 1, 256),
    (7, 200, 5, 5, 32),
    (9, 96, 4, 4, 8),
    (33, 64, 8, 2, 16),
    (40, 31, 3, 3, 48),
];

pub fn cases(runners: &[Runs]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &runs in runners {
        for (index, (tokens, columns, heads, kv_heads, head_dim)) in SHAPES.into_iter().enumerate() {
            for kv in [KvFormat::F32, KvFormat::F16] {
                let dtype = [DType::F32, DType::F16, DType::Q4][index % 3];
                let dtype = if columns % 32 == 0 || !dtype.is_grouped() { dtype } else { DType::BF16 };
                let (norm, bias) = ((index % 2 == 0).then_some(EPSILON), index % 4 > 1);
                let qkv = Qkv { heads, kv_heads, head_dim, kv };
                let form = Form { norm, bias, output: linear::Output::Qkv(qkv) };
                if tokens > MATVEC_TOKENS && !runs.processor() {
                    continue;
                }
                let about = [("/norm", norm.is_some()), ("/bias", bias)];
                let about: String = about.into_iter().filter(|(_, has)| *has).map(|(word, _)| word).collect();
                let name = format!(
                    "qkv/{}/{dtype}/{kv}/{tokens}x{columns}->{heads}+2x{kv_heads}x{head_dim}{about}",
                    runs.name()
                );
                // It binds more buffers than WebGPU guarantees.
                cases.push(Case::new("linear", false, name, move |seed| {
                    works::qkv(&mut Rng::new(seed), (tokens, columns), (form, qkv), dtype, runs.policy(false))
                }));
            }
        }
    }
    cases
}
