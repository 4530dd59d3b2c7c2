//! Published configurations, of which a benchmark needs no more than the shapes.

use crate::checkpoint::Config;
use crate::{Error, Result};

/// A model's shape by its name.
pub struct Shape {
    /// What `--shape` takes.
    pub name: &'static str,
    /// Its `config.json`.
    json: &'static str,
}

/// Every shape that there is; `tiny` is no published model, and made for tests.
pub const SHAPES: [Shape; 7] = [
    Shape { name: "smollm2-135m", json: SMOLLM2_135M },
    Shape { name: "qwen3-0.6b", json: QWEN3_0_6B },
    Shape { name: "llama-3.2-1b", json: LLAMA_3_2_1B },
    Shape { name: "llama-3.2-3b", json: LLAMA_3_2_3B },
    Shape { name: "llama-3.1-8b", json: LLAMA_3_1_8B },
    Shape { name: "mistral-7b", json: MISTRAL_7B },
    Shape { name: "tiny", json: TINY },
];

impl Shape {
    /// The shape named `name`.
    ///
    /// # Errors
    /// [`Error::Option`] with the names that there are.
    pub fn named(name: &str) -> Result<&'static Self> {
        SHAPES.iter().find(|shape| shape.name == name).ok_or_else(|| {
            let known: Vec<_> = SHAPES.iter().map(|shape| shape.name).collect();
            Error::option("--shape", format!("there is no shape {name:?}; there are {}", known.join(", ")))
        })
    }

    /// The text of its `config.json`.
    pub fn json(&self) -> &'static str {
        self.json
    }

    /// The configuration.
    ///
    /// # Errors
    /// None that a test does not find.
    pub fn config(&self) -> Result<Config> {
        Config::from_json(format!("(shape {})", self.name), self.json)
    }
}

const SMOLLM2_135M: &str = r#"{
    "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "vocab_size": 49152, "hidden_size": 576,
    "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    "max_position_embeddings": 8192, "rope_theta": 100000, "rms_norm_eps": 1e-5, "tie_word_embeddings": true
}"#;

const QWEN3_0_6B: &str = r#"{
    "architectures": ["Qwen3ForCausalLM"], "torch_dtype": "bfloat16", "vocab_size": 151936, "hidden_size": 1024,
    "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
    "head_dim": 128, "max_position_embeddings": 40960, "rope_theta": 1000000, "rms_norm_eps": 1e-6,
    "tie_word_embeddings": true
}"#;

const LLAMA_3_2_1B: &str = r#"{
    "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "vocab_size": 128256, "hidden_size": 2048,
    "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
    "head_dim": 64, "max_position_embeddings": 131072, "rope_theta": 500000, "rms_norm_eps": 1e-5,
    "tie_word_embeddings": true,
    "rope_scaling": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 8192}
}"#;

const LLAMA_3_2_3B: &str = r#"{
    "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "vocab_size": 128256, "hidden_size": 3072,
    "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24, "num_key_value_heads": 8,
    "head_dim": 128, "max_position_embeddings": 131072, "rope_theta": 500000, "rms_norm_eps": 1e-5,
    "tie_word_embeddings": true,
    "rope_scaling": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 8192}
}"#;

const LLAMA_3_1_8B: &str = r#"{
    "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "vocab_size": 128256, "hidden_size": 4096,
    "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "max_position_embeddings": 131072, "rope_theta": 500000, "rms_norm_eps": 1e-5, "tie_word_embeddings": false,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 8192}
}"#;

/// Version 0.3, which has no window.
const MISTRAL_7B: &str = r#"{
    "architectures": ["MistralForCausalLM"], "torch_dtype": "bfloat16", "vocab_size": 32768, "hidden_size": 4096,
    "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "max_position_embeddings": 32768, "rope_theta": 1000000, "rms_norm_eps": 1e-5, "sliding_window": null,
    "tie_word_embeddings": false
}"#;

const TINY: &str = r#"{
    "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "vocab_size": 512, "hidden_size": 64,
    "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 8192, "tie_word_embeddings": false
}"#;
