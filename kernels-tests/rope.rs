//! Cases of `rope`.

use crate::case::Case;
use quernel::doctor::works;
use quernel::kernels::rope::{Angles, Heads, Pairing, Yarn};

/// Tokens, heads, head_dim, rotary_dim; the last is past the fold of a dispatch.
const SHAPES: [(usize, usize, usize, usize); 20] = [
    (1, 1, 8, 8),
    (1, 1, 8, 2),
    (1, 4, 16, 16),
    (1, 8, 64, 64),
    (1, 3, 24, 24),
    (2, 5, 40, 20),
    (3, 2, 64, 16),
    (4, 3, 72, 72),
    (5, 8, 80, 32),
    (7, 1, 96, 96),
    (8, 4, 112, 56),
    (9, 2, 128, 128),
    (13, 9, 128, 64),
    (16, 1, 256, 256),
    (31, 4, 8, 4),
    (33, 2, 16, 6),
    (64, 2, 48, 48),
    (65, 1, 88, 44),
    (200, 3, 32, 32),
    (2051, 16, 128, 128),
];

/// Ways to scale the angles.
const SCALINGS: [&str; 4] = ["plain", "linear", "llama3", "yarn"];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, (tokens, heads, head_dim, rotary_dim)) in SHAPES.into_iter().enumerate() {
        for pairing in [Pairing::Halves, Pairing::Interleaved] {
            // Two of the four for each shape, all four for each kind of shape.
            for scaling in [SCALINGS[index % 4], SCALINGS[(index + 1) % 4]] {
                let name = format!("{pairing:?}/{scaling}/{tokens}x{heads}x{head_dim}/{rotary_dim}").to_lowercase();
                let shape = Heads { heads, head_dim, rotary_dim, pairing };
                cases.push(Case::new("rope", true, name, move |seed| {
                    works::rope(seed, tokens, shape, &angles(scaling, rotary_dim))
                }));
            }
        }
    }
    cases
}

/// The angles of models that are in use.
fn angles(scaling: &str, rotary_dim: usize) -> Angles {
    let yarn = Yarn {
        factor: 4.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        original_context: 4096,
        attention_factor: 1.138_629_4,
        truncate: true,
    };
    match scaling {
        "linear" => Angles::plain(10_000.0, rotary_dim).linear(2.0),
        "llama3" => Angles::plain(500_000.0, rotary_dim).llama3(8.0, 1.0, 4.0, 8192),
        "yarn" => Angles::plain(1_000_000.0, rotary_dim).yarn(1_000_000.0, yarn),
        _ => Angles::plain(10_000.0, rotary_dim),
    }
}
