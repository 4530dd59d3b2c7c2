//! Which ways there are to compute a product, and which was found to be the fastest where.

use super::linear::MATVEC_TOKENS;
use super::{Policy, Rung, WORKGROUP};
use crate::tensor::DType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most tokens that one workgroup of `matvec`, or one thread of `matmul_rows`, takes.
const TOGETHER: u32 = 4;

/// Threads of a workgroup of `matvec_rows` and `matmul_rows`: as many as the processors' vectors have lanes.
pub(super) const LANES: u32 = 8;

/// Quads that a workgroup of `matvec` may share, as WebGPU guarantees them.
const SHARED_QUADS: u32 = 1024;

/// Quads of them that `matvec_int8` keeps its rounded tokens in.
const INT8_QUADS: u32 = 128 * 3;

/// One way to compute a product: a shader of `linear` with its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "shader", rename_all = "snake_case", deny_unknown_fields)]
pub enum Way {
    /// A workgroup a unit of eight rows.
    Matvec {
        /// Threads of a workgroup.
        threads: u32,
        /// Tokens of a workgroup.
        tokens: u32,
        /// Whether subgroups add up.
        subgroups: bool,
    },
    /// A thread a unit, one token at a time.
    MatvecRows {
        /// Threads of a workgroup.
        threads: u32,
    },
    /// A thread a unit and some tokens.
    MatmulRows {
        /// Threads of a workgroup.
        threads: u32,
        /// Tokens of a thread.
        tokens: u32,
    },
    /// As `Matvec`, with tokens rounded to bytes.
    MatvecInt8 {
        /// Threads of a workgroup.
        threads: u32,
        /// Tokens of a workgroup.
        tokens: u32,
        /// Whether subgroups add up.
        subgroups: bool,
    },
    /// Tiles of rows and tokens.
    Matmul,
    /// As `Matmul`, with tokens rounded to bytes.
    MatmulInt8,
    /// Tiles by the policy's cooperative matrices.
    MatmulCoop,
}

/// A product as far as the fastest way may depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// What surrounds it: `plain`, `norm+gated` and the like.
    pub form: String,
    /// How W is stored.
    pub weights: String,
    /// Rows of W that one dispatch takes.
    pub rows: usize,
    /// Columns of W.
    pub columns: usize,
    /// Tokens, as [`bucket`](Self::bucket) groups them.
    pub tokens: usize,
    /// The highest rung that its ways may use, and whether tokens are rounded to bytes.
    pub rung: String,
}

impl Product {
    /// One number for all numbers of tokens that the same way serves: powers of two while they are few, and then one
    /// for all.
    pub fn bucket(tokens: usize) -> usize {
        tokens.next_power_of_two().min(2 * MATVEC_TOKENS)
    }
}

/// The fastest way of each product that was measured.
pub type Ways = BTreeMap<Product, Way>;

/// The ways for so many tokens, the default first. `plain` products have nothing around them but a bias.
pub(super) fn ways(tokens: usize, plain: bool, weight: DType, policy: Policy) -> Vec<Way> {
    let many = tokens > MATVEC_TOKENS;
    let together = tokens.next_power_of_two().min(TOGETHER as usize) as u32;
    let Policy { rung, deterministic, processor, int8 } = policy;
    if int8 && rounds_with(weight) {
        return int8_ways(many, together, plain, policy);
    }
    let cooperative = matches!(rung, Rung::Cooperative { .. }) && weight != DType::F32;
    let subgroups = rung != Rung::Portable;
    let default = match (processor, many && !deterministic) {
        (true, _) if tokens == 1 || deterministic => Way::MatvecRows { threads: LANES },
        (true, _) => Way::MatmulRows { threads: LANES, tokens: together },
        // Tiles have nothing around them.
        (false, true) if !plain => return Vec::new(),
        (false, true) => {
            if cooperative {
                Way::MatmulCoop
            } else {
                Way::Matmul
            }
        }
        (false, false) => Way::Matvec { threads: WORKGROUP, tokens: together, subgroups },
    };
    if deterministic {
        return vec![default];
    }
    let mut all = vec![default];
    let sizes: &[u32] = if processor { &[LANES, 2 * LANES, 4 * LANES] } else { &[32, 64] };
    if many && plain {
        all.push(Way::Matmul);
        all.extend(cooperative.then_some(Way::MatmulCoop));
    }
    if !many {
        all.extend(matvecs(together, subgroups, processor));
    }
    if tokens == 1 {
        all.extend(sizes.iter().map(|&threads| Way::MatvecRows { threads }));
    } else {
        let halves = [together, together / 2].into_iter().filter(|&tokens| tokens > 0);
        all.extend(halves.flat_map(|tokens| sizes.iter().map(move |&threads| Way::MatmulRows { threads, tokens })));
        // Faster where weights are unpacked with little work; as the default it would be dear to compile.
        let more = rung == Rung::Eight && tokens > TOGETHER as usize;
        all.extend(more.then_some(Way::MatmulRows { threads: LANES, tokens: 2 * TOGETHER }));
    }
    let mut known = Vec::with_capacity(all.len());
    all.retain(|way| {
        !known.contains(way) && {
            known.push(*way);
            true
        }
    });
    all
}

/// Whether [`Policy::int8`] is for weights stored so: to those that eight bits keep, rounding tokens too would nearly double
/// what is lost, and they are bound by memory.
pub fn rounds_with(weight: DType) -> bool {
    matches!(weight, DType::Q4 | DType::Q4A)
}

/// As `ways`, for tokens rounded to bytes.
fn int8_ways(many: bool, together: u32, plain: bool, policy: Policy) -> Vec<Way> {
    let subgroups = policy.rung != Rung::Portable;
    let way = |threads| Way::MatvecInt8 { threads, tokens: together, subgroups };
    if policy.deterministic {
        return vec![way(WORKGROUP)];
    }
    if many {
        // Tiles have nothing around them.
        return Vec::from_iter(plain.then_some(Way::MatmulInt8));
    }
    let fits = |threads: &u32| threads * (2 * together + 1) <= SHARED_QUADS - INT8_QUADS;
    let others = [32, 128, 256].into_iter().filter(fits).map(way);
    std::iter::once(way(WORKGROUP)).chain(others).collect()
}

/// Workgroups of `matvec` of all sizes that fit.
fn matvecs(together: u32, subgroups: bool, processor: bool) -> Vec<Way> {
    let sizes: &[u32] = if processor { &[8, 32] } else { &[32, 64, 128, 256] };
    let mut all = Vec::new();
    for tokens in [together, together / 2].into_iter().filter(|&tokens| tokens > 0) {
        let fits = |threads: &&u32| **threads * (2 * tokens + 1) <= SHARED_QUADS;
        for &threads in sizes.iter().filter(fits) {
            all.extend(subgroups.then_some(Way::Matvec { threads, tokens, subgroups: true }));
            all.push(Way::Matvec { threads, tokens, subgroups: false });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rung: Rung, deterministic: bool, processor: bool) -> Policy {
        Policy { rung, deterministic, processor, int8: false }
    }

    #[test]
    fn the_default_comes_first_and_no_way_twice() {
        for (rung, deterministic, processor) in [
            (Rung::Portable, false, false),
            (Rung::Subgroup, false, false),
            (Rung::Subgroup, true, false),
            (Rung::Cooperative { size: 16, lanes: 32 }, false, false),
            (Rung::Subgroup, false, true),
        ] {
            for tokens in [1, 2, 3, 8, 9, 512] {
                let all = ways(tokens, true, DType::F16, policy(rung, deterministic, processor));
                let distinct: std::collections::BTreeSet<_> = all.iter().collect();
                assert_eq!(distinct.len(), all.len(), "{all:?}");
                assert_eq!(deterministic, all.len() == 1, "{all:?}");
            }
        }
        let first = |tokens, policy| ways(tokens, true, DType::Q4, policy)[0];
        assert_eq!(first(512, policy(Rung::Cooperative { size: 8, lanes: 32 }, false, false)), Way::MatmulCoop);
        assert_eq!(first(512, policy(Rung::Subgroup, false, false)), Way::Matmul);
        let (threads, subgroups) = (WORKGROUP, true);
        assert_eq!(first(512, policy(Rung::Subgroup, true, false)), Way::Matvec { threads, tokens: 4, subgroups });
        assert!(ways(9, false, DType::F16, policy(Rung::Portable, false, false)).is_empty());
    }

    #[test]
    fn bytes_are_for_weights_of_four_bits() {
        let policy = Policy { int8: true, ..policy(Rung::Subgroup, false, true) };
        let (threads, subgroups) = (WORKGROUP, true);
        for weight in [DType::F16, DType::Q8] {
            assert_eq!(ways(1, false, weight, policy)[0], Way::MatvecRows { threads: LANES });
        }
        assert_eq!(ways(3, false, DType::Q4A, policy)[0], Way::MatvecInt8 { threads, tokens: 4, subgroups });
        assert_eq!(ways(9, true, DType::Q4, policy), [Way::MatmulInt8]);
        assert!(ways(9, false, DType::Q4, policy).is_empty());
        let policy = Policy { deterministic: true, ..policy };
        assert_eq!(ways(9, false, DType::Q4A, policy), [Way::MatvecInt8 { threads, tokens: 4, subgroups }]);
    }

    #[test]
    fn nothing_uses_what_the_rung_has_not() {
        let all = ways(1, true, DType::F16, policy(Rung::Portable, false, false));
        assert!(all.iter().all(|way| !matches!(way, Way::Matvec { subgroups: true, .. } | Way::MatmulCoop)));
        assert!(all.len() > 3, "{all:?}");
    }

    #[test]
    fn buckets_are_few() {
        assert_eq!([1, 2, 3, 8, 9, 512].map(Product::bucket), [1, 2, 4, 8, 16, 16]);
    }
}
