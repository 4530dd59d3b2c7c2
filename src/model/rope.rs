//! The angles of rotary position embeddings, from either form in which `config.json` gives them.
//!
//! | form | where the base is | where the scaling is |
//! |---|---|---|
//! | classic | `rope_theta` | `rope_scaling: {"rope_type" or "type", "factor", …}`, or null |
//! | new | `rope_parameters: {"rope_theta", "rope_type", "factor", …}` | the same object |

use super::settings::unsupported;
use crate::Result;
use crate::checkpoint::Config;
use crate::kernels::rope::{Angles, Heads, Pairing, Yarn};

/// The base of the geometric series of angles where none is given, as in the paper.
const THETA: f64 = 10_000.0;

/// What of a token turns: every head whole, in halves, as Hugging Face's checkpoints are laid out.
pub(super) fn whole(heads: usize, head_dim: usize) -> Heads {
    Heads { heads, head_dim, rotary_dim: head_dim, pairing: Pairing::Halves }
}

/// The angular speeds for heads of `head_dim` elements in a model of `context` positions.
pub(super) fn angles(config: &Config, head_dim: usize, context: usize) -> Result<Angles> {
    let own = match config.object("rope_scaling")? {
        Some(scaling) => Some(scaling),
        None => config.object("rope_parameters")?,
    };
    let scaling = own.as_ref().unwrap_or(config);
    for key in ["full_attention", "sliding_attention"] {
        if scaling.contains(key) {
            return Err(scaling.bad(key, "has angles of its own; one set for all layers is supported"));
        }
    }
    for place in [config, scaling] {
        let turning = place.f64_or("partial_rotary_factor", 1.0)?;
        if turning != 1.0 {
            return Err(unsupported(place, "partial_rotary_factor", turning, "1"));
        }
    }
    let theta = scaling.f64_or("rope_theta", config.f64_or("rope_theta", THETA)?)?;
    let theta = above(scaling, "rope_theta", theta, 1.0)? as f32;
    let plain = Angles::plain(theta, head_dim);
    let Some(scaling) = own else { return Ok(plain) };
    // Some configurations keep it beside the scaling, and then mean that one.
    let original = config.usize_or("original_max_position_embeddings", 0)?;
    let original = match original {
        0 => scaling.usize_or("original_max_position_embeddings", context)?.max(1),
        _ => original,
    };
    let named = if scaling.contains("rope_type") { "rope_type" } else { "type" };
    let kind = scaling.str_or(named, "default")?;
    match kind {
        "default" => Ok(plain),
        "linear" => Ok(plain.linear(positive(&scaling, "factor", None)? as f32)),
        "llama3" => llama3(plain, &scaling, original),
        "yarn" => Ok(plain.yarn(theta, yarn(&scaling, original, context)?)),
        other => {
            Err(unsupported(&scaling, named, format!("{other:?}"), "\"default\", \"linear\", \"llama3\" or \"yarn\""))
        }
    }
}

fn llama3(plain: Angles, scaling: &Config, original: usize) -> Result<Angles> {
    let factor = positive(scaling, "factor", None)?;
    let low = positive(scaling, "low_freq_factor", None)?;
    let high = above(scaling, "high_freq_factor", scaling.f64("high_freq_factor")?, low)?;
    Ok(plain.llama3(factor as f32, low as f32, high as f32, original))
}

fn yarn(scaling: &Config, original: usize, context: usize) -> Result<Yarn> {
    let factor = positive(scaling, "factor", Some(context as f64 / original as f64))?;
    let [mscale, mscale_all_dim] = [scaling.f64_or("mscale", 0.0)?, scaling.f64_or("mscale_all_dim", 0.0)?];
    // Attention over a context `factor` times as long is sharpened so that its entropy stays what it was.
    let sharpened = |weight: f64| if factor <= 1.0 { 1.0 } else { 0.1 * weight * factor.ln() + 1.0 };
    let by_default = match mscale != 0.0 && mscale_all_dim != 0.0 {
        true => sharpened(mscale) / sharpened(mscale_all_dim),
        false => sharpened(1.0),
    };
    Ok(Yarn {
        factor: factor as f32,
        beta_fast: positive(scaling, "beta_fast", Some(32.0))? as f32,
        beta_slow: positive(scaling, "beta_slow", Some(1.0))? as f32,
        original_context: original,
        attention_factor: positive(scaling, "attention_factor", Some(by_default))? as f32,
        truncate: scaling.bool_or("truncate", true)?,
    })
}

/// A number greater than 0; `default` where it is absent, or an error where there is none.
fn positive(config: &Config, key: &str, default: Option<f64>) -> Result<f64> {
    let value = match default {
        Some(default) => config.f64_or(key, default)?,
        None => config.f64(key)?,
    };
    above(config, key, value, 0.0)
}

fn above(config: &Config, key: &str, value: f64, bound: f64) -> Result<f64> {
    if value > bound && value <= f64::from(f32::MAX) {
        return Ok(value);
    }
    Err(unsupported(config, key, value, &format!("a finite number above {bound}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &str) -> Result<Angles> {
        let config = Config::from_json("config.json", settings)?;
        angles(&config, 16, 131_072)
    }

    /// Both forms give the speeds that transformers 5.24 computes for 16 elements, and its attention factor.
    #[track_caller]
    fn agrees(theta: f64, scaling: &str, context: usize, factor: f32, expected: [f32; 8]) {
        let classic = format!(r#"{{"rope_theta": {theta}, "rope_scaling": {{{scaling}}}}}"#);
        let new = format!(r#"{{"rope_parameters": {{"rope_theta": {theta}, {scaling}}}}}"#);
        for text in [classic, new] {
            let config = Config::from_json("config.json", &text).unwrap();
            let found = angles(&config, 16, context).unwrap();
            for (found, expected) in found.frequencies.iter().zip(expected) {
                assert!((found / expected - 1.0).abs() < 3e-7, "{found:e} is not {expected:e} in {text}");
            }
            assert_eq!(found.frequencies.len(), expected.len());
            assert!((found.factor / factor - 1.0).abs() < 1e-7, "{} is not {factor} in {text}", found.factor);
        }
    }

    #[test]
    fn nothing_said_is_a_base_of_ten_thousand() {
        let plain = [1.0, 0.316_227_76, 0.1, 3.162_278e-2, 1e-2, 3.162_277_9e-3, 1e-3, 3.162_278e-4];
        agrees(10_000.0, r#""rope_type": "default""#, 131_072, 1.0, plain);
        assert_eq!(read("{}").unwrap(), Angles::plain(10_000.0, 16));
        assert_eq!(read(r#"{"rope_scaling": null}"#).unwrap(), Angles::plain(10_000.0, 16));
        assert_eq!(read(r#"{"rope_theta": 500000.0}"#).unwrap(), Angles::plain(500_000.0, 16));
    }

    #[test]
    fn linear() {
        let slower = [0.25, 7.905_694e-2, 2.5e-2, 7.905_695e-3, 2.5e-3, 7.905_694_7e-4, 2.5e-4, 7.905_695e-5];
        agrees(10_000.0, r#""rope_type": "linear", "factor": 4.0"#, 131_072, 1.0, slower);
        agrees(10_000.0, r#""type": "linear", "factor": 4"#, 131_072, 1.0, slower);
    }

    #[test]
    fn llama3() {
        let scaling = r#""rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192"#;
        let expected = [
            1.0,
            1.939_227_6e-1,
            3.760_603e-2,
            7.292_665e-3,
            5.248_46e-4,
            3.428_102_4e-5,
            6.647_869_7e-6,
            1.289_173_2e-6,
        ];
        agrees(500_000.0, scaling, 131_072, 1.0, expected);
    }

    #[test]
    fn yarn() {
        let scaling = r#""rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192"#;
        let expected =
            [1.0, 1.778_279_4e-1, 3.162_278e-2, 4.217_56e-3, 5.0e-4, 4.445_698_5e-5, 7.905_694e-6, 1.405_853_4e-6];
        agrees(1_000_000.0, scaling, 32_768, 1.138_629_4, expected);
        let without_factor = r#""rope_type": "yarn", "original_max_position_embeddings": 8192"#;
        agrees(1_000_000.0, without_factor, 32_768, 1.138_629_4, expected);
        let every_option = r#""rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192,
            "beta_fast": 16, "beta_slow": 2, "mscale": 0.707, "mscale_all_dim": 1.5, "truncate": false"#;
        let expected = [1.0, 3.162_277_6e-1, 1.0e-1, 3.162_278e-2, 9.261_619e-3, 1.615_674e-3, 2.5e-4, 7.905_695e-5];
        agrees(10_000.0, every_option, 32_768, 0.908_991_5, expected);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (settings, words) in [
            (r#"{"rope_scaling": {"type": "dynamic", "factor": 2.0}}"#, ["type", "dynamic", "yarn"]),
            (r#"{"rope_parameters": {"rope_type": "longrope"}}"#, ["rope_type", "longrope", "llama3"]),
            (r#"{"rope_parameters": {"full_attention": {}}}"#, ["rope_parameters", "full_attention", "all layers"]),
            (r#"{"rope_scaling": {"type": "linear"}}"#, ["config.json", "rope_scaling", "factor"]),
            (r#"{"rope_scaling": {"type": "linear", "factor": 0.0}}"#, ["factor", "0", "above 0"]),
            (r#"{"rope_theta": 0.5}"#, ["rope_theta", "0.5", "above 1"]),
            (r#"{"partial_rotary_factor": 0.5}"#, ["partial_rotary_factor", "0.5", "1"]),
        ] {
            let message = read(settings).unwrap_err().to_string();
            for word in words {
                assert!(message.contains(word), "{message:?} does not name {word:?}");
            }
        }
    }
}
