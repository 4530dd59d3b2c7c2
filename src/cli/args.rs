//! Flags that several commands share, named as in llama.cpp where it has them.

use super::doctor::VerdictArguments;
use super::tuning::TuningArguments;
use clap::{Args, builder::PossibleValuesParser, builder::TypedValueParser};
use quernel::engine::{EngineOptions, SamplerOptions};
use quernel::kernels::KvFormat;
use quernel::tensor::DType;
use std::path::PathBuf;

/// Which model on which GPU, and how.
#[derive(Args)]
pub struct ModelArguments {
    /// The model: a folder with config.json, model.safetensors and tokenizer.json, or org/name[@revision] of the hub
    #[arg(short, long, value_name = "MODEL", default_value = quernel::STORYTELLER)]
    pub model: PathBuf,
    /// The GPU: an index of `quernel devices`, a part of the name, or a PCI id
    #[arg(long, value_name = "ADAPTER")]
    pub adapter: Option<String>,
    /// Tokens that the context holds; 0 for all that the model was trained for [default: the model's, 4096 at most]
    #[arg(short, long, value_name = "N")]
    pub ctx_size: Option<usize>,
    /// Most tokens of prompts that are taken up together
    #[arg(short, long, value_name = "N", default_value_t = EngineOptions::default().batch)]
    pub batch_size: usize,
    /// Most tokens of a step, also -ub [default: up to -b, as many as the GPU computes in a moment]
    #[arg(long, value_name = "N")]
    pub ubatch_size: Option<usize>,
    /// Store matrices on the GPU in this format [default: as in the checkpoint]
    #[arg(long, alias = "dtype", value_name = "FORMAT", value_parser = weights())]
    pub weights: Option<DType>,
    /// Keep keys and values as f32, f16 or q8
    #[arg(long, value_name = "FORMAT", default_value_t = EngineOptions::default().kv, value_parser = kv())]
    pub kv: KvFormat,
    /// Give bitwise the same numbers alone, in a batch, and however the prompt is cut up
    #[arg(long)]
    pub deterministic: bool,
    /// Compute every step on the CPU by definition as well, and stop where the GPU differs (slow)
    #[arg(long)]
    pub check: bool,
    /// Multiply prompts by the GPU's cooperative matrices, where it has them (experimental)
    #[arg(long)]
    pub matrices: bool,
    /// Round what q4 and q4a weights are multiplied by to 8 bits (experimental)
    #[arg(long)]
    pub int8: bool,
    #[command(flatten)]
    pub tuning: TuningArguments,
    #[command(flatten)]
    pub verdict: VerdictArguments,
    /// Keep the GPU interface's checks of every index in the shaders (slower)
    #[arg(long)]
    pub checked_shaders: bool,
    /// Say nothing on standard error but errors
    #[arg(short, long)]
    pub quiet: bool,
}

impl ModelArguments {
    /// The engine's options for a model that was trained for `trained` tokens.
    pub fn options(&self, trained: usize) -> EngineOptions {
        EngineOptions {
            context: self.ctx_size.map(|context| if context == 0 { trained } else { context }),
            batch: self.batch_size,
            ubatch: self.ubatch_size,
            deterministic: self.deterministic,
            dtype: self.weights,
            kv: self.kv,
            matrices: self.matrices,
            int8: self.int8,
            check: self.check,
            ..EngineOptions::default()
        }
    }
}

/// A weight format by its name.
pub fn weights() -> impl TypedValueParser<Value = DType> {
    PossibleValuesParser::new(DType::WEIGHTS.map(DType::name)).try_map(|name| name.parse::<DType>())
}

/// A format of the cache by its name.
pub fn kv() -> impl TypedValueParser<Value = KvFormat> {
    PossibleValuesParser::new(KvFormat::ALL.map(KvFormat::name)).try_map(|name| name.parse::<KvFormat>())
}

/// How the next token is chosen.
#[derive(Args)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingArguments {
    /// Seed of the dice; -1 for another one every time
    #[arg(short, long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(-1..))]
    seed: i64,
    /// Temperature; 0 always takes the likeliest token
    #[arg(long, value_name = "T", default_value_t = SamplerOptions::default().temperature, allow_negative_numbers = true)]
    temp: f32,
    /// Keep the K likeliest tokens; 0 for all
    #[arg(long, value_name = "K", default_value_t = SamplerOptions::default().top_k, allow_negative_numbers = true)]
    top_k: usize,
    /// Keep the likeliest tokens that make up this probability; 1 for all
    #[arg(long, value_name = "P", default_value_t = SamplerOptions::default().top_p, allow_negative_numbers = true)]
    top_p: f32,
    /// Keep tokens that are at least this likely beside the likeliest; 0 for all
    #[arg(long, value_name = "P", default_value_t = SamplerOptions::default().min_p, allow_negative_numbers = true)]
    min_p: f32,
    /// Make tokens that were there before less likely; 1 for not at all
    #[arg(long, value_name = "X", default_value_t = SamplerOptions::default().repeat_penalty, allow_negative_numbers = true)]
    repeat_penalty: f32,
    /// How many of the last tokens are penalised; 0 for none, -1 for all
    #[arg(long, value_name = "N", default_value_t = SamplerOptions::default().repeat_last_n, allow_negative_numbers = true)]
    repeat_last_n: i32,
    /// Taken off a token's logit for every time that it was there before
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    frequency_penalty: f32,
    /// Taken off the logit of every token that was there before
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    presence_penalty: f32,
    /// Added to a token's logit: -l 15043+1 or -l 15043-1.5; may be given several times
    #[arg(short = 'l', long, value_name = "ID±X", value_parser = logit_bias)]
    logit_bias: Vec<(u32, f32)>,
}

impl SamplingArguments {
    /// The sampler's options.
    pub fn options(&self) -> SamplerOptions {
        SamplerOptions {
            temperature: self.temp,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            repeat_last_n: self.repeat_last_n,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            logit_bias: self.logit_bias.clone(),
        }
    }

    /// The seed asked for, or one that differs from run to run.
    pub fn seed(&self) -> u64 {
        use std::hash::{BuildHasher, RandomState};
        u64::try_from(self.seed).unwrap_or_else(|_| RandomState::new().hash_one("seed") >> 32)
    }
}

fn logit_bias(text: &str) -> Result<(u32, f32), String> {
    let wrong = || format!("{text:?} is not a token id, a sign and a number, such as 15043+1");
    let sign = text.find(['+', '-']).ok_or_else(wrong)?;
    let (id, bias) = (text[..sign].parse(), text[sign..].parse());
    Ok((id.map_err(|_| wrong())?, bias.map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bias_is_an_id_a_sign_and_a_number() {
        assert_eq!(logit_bias("15043+1"), Ok((15043, 1.0)));
        assert_eq!(logit_bias("7-1.5"), Ok((7, -1.5)));
        assert_eq!(logit_bias("7-inf"), Ok((7, f32::NEG_INFINITY)));
        assert!(logit_bias("7").is_err() && logit_bias("+1").is_err() && logit_bias("7+x").is_err());
    }
}
