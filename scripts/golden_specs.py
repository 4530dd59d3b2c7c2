"""The golden checkpoints: one of each architecture, with the parts of its configuration that engines get wrong."""

import golden_tokenizers as kinds


def llama(**keys):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "bos_token_id": 1,
        "eos_token_id": 2,
        **keys,
    }


def qwen(size, architecture, **keys):
    return {
        "architectures": [architecture],
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "bos_token_id": size - 3,
        "eos_token_id": size - 1,
        "use_sliding_window": False,
        **keys,
    }


# Each has a seed, the dtype its weights are stored in, a tokenizer, a config, and `ablate`: configuration keys that must
# change the logits when they are changed so. It may have `classic` (the same configuration in older keys is written too),
# `shards` (the number of files) and `raw_bytes` (its greedy text may hold bytes that are no UTF-8).
SPECS = {
    # Llama 1: every later key is absent, so the defaults are tested; its sizes are no multiples of a tile.
    "llama": {
        "seed": 2,
        "dtype": "float32",
        "tokenizer": lambda: kinds.sentencepiece(421, legacy=True),
        "config": llama(
            hidden_size=48,
            intermediate_size=101,
            num_hidden_layers=2,
            num_attention_heads=6,
            vocab_size=421,
            max_position_embeddings=128,
            rms_norm_eps=1e-6,
            torch_dtype="float32",
            tie_word_embeddings=False,
        ),
        "ablate": {"rope_theta": 500.0},
    },
    # Llama 3.2: tied, grouped queries, a head_dim of its own, the llama3 rope scaling, and two ids that end.
    "llama-3": {
        "seed": 14,
        "dtype": "float32",
        "tokenizer": lambda: kinds.byte_level(384, "llama-3"),
        "config": llama(
            hidden_size=64,
            intermediate_size=120,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=24,
            vocab_size=384,
            max_position_embeddings=256,
            bos_token_id=381,
            eos_token_id=[382, 383],
            attention_bias=False,
            mlp_bias=False,
            dtype="float32",
            tie_word_embeddings=True,
            rope_parameters={
                "rope_theta": 500000.0,
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        ),
        "classic": True,
        "ablate": {"rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"}},
    },
    # Biases everywhere a Llama can have them, linear rope scaling in its oldest spelling, stored as bf16.
    "llama-bias": {
        "seed": 1,
        "dtype": "bfloat16",
        "tokenizer": lambda: kinds.sentencepiece(405, legacy=True),
        "config": llama(
            hidden_size=72,
            intermediate_size=136,
            num_hidden_layers=2,
            num_attention_heads=9,
            num_key_value_heads=3,
            vocab_size=405,
            max_position_embeddings=128,
            attention_bias=True,
            mlp_bias=True,
            rope_theta=10000.0,
            rope_scaling={"type": "linear", "factor": 2.5},
            torch_dtype="bfloat16",
            tie_word_embeddings=False,
        ),
        "ablate": {"rope_scaling": None},
    },
    # Yarn rope scaling, one key-value head for all, stored as f16 in three files.
    "llama-yarn": {
        "seed": 1,
        "dtype": "float16",
        "tokenizer": lambda: kinds.sentencepiece(400, legacy=False),
        "config": llama(
            hidden_size=64,
            intermediate_size=160,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=1,
            vocab_size=400,
            max_position_embeddings=512,
            rope_theta=1000.0,
            rope_scaling={
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 128,
                "beta_fast": 8.0,
                "beta_slow": 1.0,
            },
            torch_dtype="float16",
            tie_word_embeddings=False,
        ),
        "shards": 3,
        "ablate": {"rope_scaling": None},
    },
    # Mistral: the window is shorter than the fixture, so positions fall out of it.
    "mistral": {
        "seed": 5,
        "dtype": "bfloat16",
        "tokenizer": lambda: kinds.sentencepiece(400, legacy=False),
        "config": llama(
            architectures=["MistralForCausalLM"],
            model_type="mistral",
            hidden_size=56,
            intermediate_size=104,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=24,
            vocab_size=400,
            max_position_embeddings=128,
            sliding_window=12,
            rope_theta=10000.0,
            torch_dtype="bfloat16",
            tie_word_embeddings=False,
        ),
        "ablate": {"sliding_window": None},
    },
    # Qwen2: biases on q, k and v; a window that is given and not used; more rows than the tokenizer has tokens.
    "qwen2": {
        "seed": 11,
        "dtype": "float32",
        "tokenizer": lambda: kinds.byte_level(315, "qwen"),
        "config": qwen(
            315,
            "Qwen2ForCausalLM",
            model_type="qwen2",
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=8,
            num_key_value_heads=2,
            vocab_size=320,
            max_position_embeddings=128,
            max_window_layers=1,
            sliding_window=16,
            rope_theta=1000000.0,
            torch_dtype="float32",
            tie_word_embeddings=True,
        ),
        "raw_bytes": True,
        "ablate": {"use_sliding_window": True},
    },
    # Qwen3: norms on q and k, and heads wider than the hidden size.
    "qwen3": {
        "seed": 4,
        "dtype": "bfloat16",
        "tokenizer": lambda: kinds.byte_level(350, "qwen"),
        "config": qwen(
            350,
            "Qwen3ForCausalLM",
            model_type="qwen3",
            hidden_size=48,
            intermediate_size=88,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            vocab_size=350,
            max_position_embeddings=128,
            max_window_layers=3,
            sliding_window=None,
            attention_bias=False,
            rope_theta=1000000.0,
            torch_dtype="bfloat16",
            tie_word_embeddings=False,
        ),
        "ablate": {"rope_theta": 500.0},
    },
    # GPT-2: layer norm, learned positions, weights stored with the inputs as rows, tied without saying so.
    "gpt2": {
        "seed": 14,
        "dtype": "float32",
        "tokenizer": lambda: kinds.byte_level(301, "gpt2"),
        "config": {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "activation_function": "gelu_new",
            "bos_token_id": 300,
            "eos_token_id": 300,
            "layer_norm_epsilon": 1e-5,
            "n_ctx": 64,
            "n_embd": 40,
            "n_head": 5,
            "n_layer": 2,
            "n_positions": 64,
            "vocab_size": 301,
        },
        "ablate": {"activation_function": "gelu"},
    },
}
