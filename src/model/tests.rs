//! Every architecture on a checkpoint of zeros, a few hundred numbers each, in memory.

use super::*;
use crate::checkpoint::Checkpoint;
use crate::graph::{Op, Plan, Source};
use crate::kernels::attention::Heads;
use crate::kernels::{KvFormat, Policy};
use crate::tensor::{Caps, Fact, Shape, Tensor};
use std::collections::{BTreeMap, BTreeSet};

type Zeros = BTreeMap<String, Tensor>;

/// Every family below: 32 wide, 4 heads of 8 over 2 key-value heads, 2 layers, 11 tokens, 64 positions.
const DECODER: &str = r#""vocab_size": 11, "hidden_size": 32, "intermediate_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64"#;
const GPT2: &str = r#""architectures": ["GPT2LMHeadModel"], "vocab_size": 11, "n_embd": 32, "n_head": 4, "n_layer": 2,
    "n_positions": 64, "n_inner": null"#;

fn config(settings: &str) -> Config {
    Config::from_json("dir/config.json", &format!("{{{settings}}}")).unwrap()
}

fn decoder(class: &str, more: &str) -> Config {
    config(&format!(r#""architectures": ["{class}"], {DECODER}{more}"#))
}

fn add(tensors: &mut Zeros, name: &str, shape: &[usize]) {
    let zeros = vec![0.0; shape.iter().product()];
    tensors.insert(name.to_owned(), Tensor::from_f32(Shape::new(shape), &zeros).unwrap());
}

/// The tensors of the Llama family: with heads of `head_dim`, and a bias on each of `biased`.
fn decoder_tensors(head_dim: usize, biased: &[&str], head: bool) -> Zeros {
    let mut tensors = Zeros::new();
    let (hidden, inner, vocab) = (32, 24, 11);
    add(&mut tensors, "model.embed_tokens.weight", &[vocab, hidden]);
    add(&mut tensors, "model.norm.weight", &[hidden]);
    for layer in 0..2 {
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            add(&mut tensors, &format!("model.layers.{layer}.{norm}.weight"), &[hidden]);
        }
        for (part, rows, columns) in [
            ("self_attn.q_proj", 4 * head_dim, hidden),
            ("self_attn.k_proj", 2 * head_dim, hidden),
            ("self_attn.v_proj", 2 * head_dim, hidden),
            ("self_attn.o_proj", hidden, 4 * head_dim),
            ("mlp.gate_proj", inner, hidden),
            ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ] {
            add(&mut tensors, &format!("model.layers.{layer}.{part}.weight"), &[rows, columns]);
            if biased.iter().any(|biased| part.contains(biased)) {
                add(&mut tensors, &format!("model.layers.{layer}.{part}.bias"), &[rows]);
            }
        }
    }
    if head {
        add(&mut tensors, "lm_head.weight", &[vocab, hidden]);
    }
    tensors
}

fn qwen3_tensors() -> Zeros {
    let mut tensors = decoder_tensors(128, &[], false);
    for layer in 0..2 {
        for norm in ["q_norm", "k_norm"] {
            add(&mut tensors, &format!("model.layers.{layer}.self_attn.{norm}.weight"), &[128]);
        }
    }
    tensors
}

fn gpt2_tensors(prefix: &str) -> Zeros {
    let mut tensors = Zeros::new();
    add(&mut tensors, &format!("{prefix}wte.weight"), &[11, 32]);
    add(&mut tensors, &format!("{prefix}wpe.weight"), &[64, 32]);
    let norms = ["ln_f".to_owned()]
        .into_iter()
        .chain((0..2).flat_map(|layer| ["ln_1", "ln_2"].map(|norm| format!("h.{layer}.{norm}"))));
    for norm in norms {
        add(&mut tensors, &format!("{prefix}{norm}.weight"), &[32]);
        add(&mut tensors, &format!("{prefix}{norm}.bias"), &[32]);
    }
    for layer in 0..2 {
        for (part, inputs, outputs) in
            [("attn.c_attn", 32, 96), ("attn.c_proj", 32, 32), ("mlp.c_fc", 32, 128), ("mlp.c_proj", 128, 32)]
        {
            add(&mut tensors, &format!("{prefix}h.{layer}.{part}.weight"), &[inputs, outputs]);
            add(&mut tensors, &format!("{prefix}h.{layer}.{part}.bias"), &[outputs]);
        }
    }
    tensors
}

/// The names of the tensors that a graph reads.
fn used(graph: &Graph) -> BTreeSet<&str> {
    fn name(source: &Source) -> Option<&str> {
        match source {
            Source::Tensor { name, .. } => Some(name),
            Source::Angles { .. } => None,
        }
    }
    graph.weights.iter().filter_map(|weight| name(&weight.source)).collect()
}

fn attentions(graph: &Graph) -> Vec<Heads> {
    let heads = |op: &Op| match op {
        Op::Attention { heads, .. } => Some(*heads),
        _ => None,
    };
    graph.nodes.iter().filter_map(|node| heads(&node.op)).collect()
}

fn graph(config: &Config, tensors: &Zeros) -> Graph {
    let step = StepShape { tokens: 5, outputs: 2, sequences: 1, table_pitch: 2 };
    let model = Model::open(config, tensors).unwrap();
    model.graph(step, 64, Outputs::Logits, tensors, None).unwrap()
}

/// At three sizes of step the graph ends in logits, or in what argmax makes of them; it can be planned with the least
/// that an adapter can have; and it uses every tensor.
#[test]
fn every_architecture_builds_and_uses_all_its_tensors() {
    let all = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    for (config, tensors) in [
        (decoder("LlamaForCausalLM", ""), decoder_tensors(8, &[], true)),
        (
            decoder("LlamaForCausalLM", r#", "tie_word_embeddings": true, "head_dim": 16"#),
            decoder_tensors(16, &[], false),
        ),
        (decoder("LlamaForCausalLM", r#", "attention_bias": true, "mlp_bias": true"#), decoder_tensors(8, &all, false)),
        (decoder("MistralForCausalLM", r#", "sliding_window": 6"#), decoder_tensors(8, &[], true)),
        (decoder("Qwen2ForCausalLM", ""), decoder_tensors(8, &all[..3], true)),
        (decoder("Qwen3ForCausalLM", ""), qwen3_tensors()),
        (config(GPT2), gpt2_tensors("transformer.")),
        (config(GPT2), gpt2_tensors("")),
    ] {
        let model = Model::open(&config, &tensors).unwrap();
        assert_eq!((model.vocab(), model.context(), model.layers()), (11, 64, 2), "{}", model.name());
        let elements = tensors.values().map(|tensor| tensor.fact().shape.elements() as u64).sum::<u64>();
        assert_eq!(model.parameters(), elements, "{}", model.name());
        for (tokens, outputs) in [(1, 1), (5, 5), (64, 3)] {
            let step = StepShape { tokens, outputs, sequences: 2, table_pitch: 2 };
            for (wanted, fact) in [
                (Outputs::Logits, Fact::new(DType::F32, [outputs, 11])),
                (Outputs::Argmax, Fact::new(DType::U32, [2 * outputs])),
                (Outputs::Sample, Fact::new(DType::U32, [2 * outputs])),
            ] {
                let graph = model.graph(step, 64, wanted, &tensors, Some(DType::F16)).unwrap();
                assert_eq!(used(&graph), tensors.keys().map(String::as_str).collect(), "{}", model.name());
                let caps = Caps::baseline();
                let plan = Plan::new(graph, &caps, Policy::new(&caps, true)).unwrap();
                assert_eq!(plan.graph.outputs.len(), 1);
                assert_eq!(plan.fact(plan.graph.outputs[0]), Some(&fact), "{}", model.name());
            }
        }
    }
}

#[test]
fn an_unknown_architecture_lists_the_known_ones() {
    for (settings, name) in [
        (r#""architectures": ["MambaForCausalLM"], "model_type": "llama""#, "MambaForCausalLM"),
        (r#""model_type": "mamba""#, "\"mamba\""),
    ] {
        let error = Model::open(&config(settings), &Zeros::new()).unwrap_err();
        assert!(matches!(error, Error::UnknownArchitecture { .. }), "{error}");
        let message = error.to_string();
        for word in Model::known().into_iter().chain([name, "config.json"]) {
            assert!(message.contains(word), "{message:?} does not name {word}");
        }
    }
    let config = config(&format!(r#""model_type": "llama", {DECODER}"#));
    assert_eq!(Model::open(&config, &decoder_tensors(8, &[], true)).unwrap().name(), "LlamaForCausalLM");
}

/// A setting that cannot be run is refused by its key.
#[test]
fn settings_are_checked() {
    let tensors = decoder_tensors(8, &[], true);
    for (key, value) in [
        ("hidden_act", r#""tanh""#),
        ("head_dim", "12"),
        ("head_dim", "512"),
        ("num_key_value_heads", "3"),
        ("num_attention_heads", "0"),
        ("num_attention_heads", "5"),
        ("vocab_size", "0"),
        ("hidden_size", "1000000000000"),
        ("num_hidden_layers", "0"),
        ("num_hidden_layers", "1000000"),
        ("max_position_embeddings", "0"),
        ("rms_norm_eps", "-1.0"),
        ("rope_theta", "-1.0"),
        ("quantization_config", r#"{"quant_method": "gptq"}"#),
    ] {
        let mut settings = serde_json::from_str::<serde_json::Value>(&format!("{{{DECODER}}}")).unwrap();
        settings["architectures"] = vec!["LlamaForCausalLM"].into();
        settings[key] = serde_json::from_str(value).unwrap();
        let config = Config::from_json("dir/config.json", &settings.to_string()).unwrap();
        let error = Model::open(&config, &tensors).unwrap_err();
        assert!(matches!(error, Error::BadFile { .. }), "{key}: {error}");
        let subject = if key == "quantization_config" { "gptq" } else { key };
        assert!(error.to_string().contains(subject), "{error} does not name {subject}");
    }
}

#[test]
fn tensors_are_checked() {
    let mut tensors = decoder_tensors(8, &[], true);
    let deeper = decoder("LlamaForCausalLM", r#", "num_hidden_layers": 3"#);
    let error = Model::open(&deeper, &tensors).unwrap_err();
    assert!(matches!(&error, Error::BadTensor { tensor, .. } if tensor.starts_with("model.layers.2.")), "{error}");
    let config = decoder("LlamaForCausalLM", "");
    add(&mut tensors, "model.norm.weight", &[16]);
    let error = Model::open(&config, &tensors).unwrap_err();
    assert!(matches!(error, Error::BadTensor { .. }), "{error}");
    assert!(error.to_string().contains("model.norm.weight"), "{error}");
    tensors.remove("model.layers.1.mlp.up_proj.weight");
    let error = Model::open(&config, &tensors).unwrap_err();
    assert!(matches!(&error, Error::BadTensor { tensor, .. } if tensor.contains("1.mlp.up_proj")), "{error}");
}

#[test]
fn the_head_is_the_embedding_where_both_are_one() {
    let (tied, untied) = (r#", "tie_word_embeddings": true"#, r#", "tie_word_embeddings": false"#);
    let has_own = |more: &str, tensors: &Zeros| {
        let graph = graph(&decoder("LlamaForCausalLM", more), tensors);
        used(&graph).contains("lm_head.weight")
    };
    let mut tensors = decoder_tensors(8, &[], true);
    assert!(has_own("", &tensors) && has_own(untied, &tensors), "its own unless said to be tied");
    assert!(!has_own(tied, &tensors), "said to be tied, and equal");
    tensors.insert("lm_head.weight".to_owned(), Tensor::from_f32([11, 32], &[1.0; 11 * 32]).unwrap());
    assert!(has_own(tied, &tensors), "said to be tied, and different");
    tensors.remove("lm_head.weight");
    assert!(!has_own(untied, &tensors) && !has_own("", &tensors), "there is no other");
}

#[test]
fn windows_are_where_they_are_asked_for() {
    let windows = |class: &str, more: &str| {
        let biased: &[&str] = if class == "Qwen2ForCausalLM" { &["q_proj", "k_proj", "v_proj"] } else { &[] };
        let graph = graph(&decoder(class, more), &decoder_tensors(8, biased, true));
        attentions(&graph).iter().map(|heads| heads.window).collect::<Vec<_>>()
    };
    let (mistral, qwen2) = ("MistralForCausalLM", "Qwen2ForCausalLM");
    assert_eq!(windows(mistral, r#", "sliding_window": null"#), [None, None]);
    assert_eq!(windows(mistral, r#", "sliding_window": 6"#), [Some(6), Some(6)]);
    assert_eq!(windows(qwen2, r#", "sliding_window": 6, "max_window_layers": 1"#), [None, None]);
    let by_layer = r#", "sliding_window": 6, "use_sliding_window": true"#;
    assert_eq!(windows(qwen2, &format!(r#"{by_layer}, "max_window_layers": 1"#)), [None, Some(6)]);
    let types = r#""layer_types": ["sliding_attention", "full_attention"]"#;
    assert_eq!(windows(qwen2, &format!("{by_layer}, {types}")), [Some(6), None]);
    let tensors = decoder_tensors(8, &[], true);
    for more in [format!(", {types}"), format!(r#"{by_layer}, "layer_types": ["full_attention"]"#)] {
        let error = Model::open(&decoder(qwen2, &more), &tensors).unwrap_err();
        assert!(matches!(error, Error::BadFile { .. }) && error.to_string().contains("layer_types"), "{error}");
    }
}

#[test]
fn gpt2_takes_its_weights_apart_and_scales_by_layer() {
    let mut tensors = gpt2_tensors("");
    add(&mut tensors, "h.0.attn.bias", &[1, 1, 64, 64]);
    let by_layer = graph(&config(&format!(r#"{GPT2}, "scale_attn_by_inverse_layer_idx": true"#)), &tensors);
    assert!(!used(&by_layer).contains("h.0.attn.bias"));
    let whole = 1.0 / 8f32.sqrt();
    assert_eq!(attentions(&by_layer).iter().map(|heads| heads.scale).collect::<Vec<_>>(), [whole, whole / 2.0]);
    let parts = by_layer.weights.iter().filter_map(|weight| match &weight.source {
        Source::Tensor { name, rows, transposed: true } if name == "h.1.attn.c_attn.weight" => Some(rows.clone()),
        _ => None,
    });
    assert_eq!(parts.collect::<Vec<_>>(), [0..32, 32..64, 64..96]);
}

#[test]
fn a_step_and_its_context_are_checked() {
    let (config, tensors) = (decoder("LlamaForCausalLM", ""), decoder_tensors(8, &[], true));
    let model = Model::open(&config, &tensors).unwrap();
    let bytes = |format| model.cache_bytes_per_token(format);
    assert_eq!(KvFormat::ALL.map(bytes), [2 * 2 * 2 * 8 * 4, 2 * 2 * 2 * 8 * 2, 2 * 2 * 2 * (8 + 4)]);
    let step = StepShape { tokens: 5, outputs: 1, sequences: 1, table_pitch: 2 };
    for context in [0, 65] {
        let error = model.graph(step, context, Outputs::Logits, &tensors, None).unwrap_err();
        assert!(matches!(error, Error::Option { .. }), "{error}");
    }
    for empty in [StepShape { tokens: 0, ..step }, StepShape { outputs: 0, ..step }] {
        let error = model.graph(empty, 64, Outputs::Logits, &tensors, None).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error}");
    }
}

/// Real configurations, as transformers writes them: each of the golden checkpoints is understood, and no tensor in it
/// goes unused.
#[test]
fn golden_checkpoints_leave_no_tensor_unused() {
    let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/golden");
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(assets).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let checkpoint = Checkpoint::open(&path).unwrap();
        let model = Model::open(&checkpoint.config().unwrap(), &checkpoint).unwrap();
        seen.insert(model.name());
        let step = StepShape { tokens: 48, outputs: 48, sequences: 1, table_pitch: 2 };
        let graph = model.graph(step, 64, Outputs::Logits, &checkpoint, None).unwrap();
        // GPT-2's first publishers stored each layer's causal mask too.
        let weights = checkpoint.names().filter(|name| !name.ends_with(".attn.bias"));
        let unused = weights.filter(|name| !used(&graph).contains(name)).collect::<Vec<_>>();
        assert!(unused.is_empty(), "{}: {unused:?}", path.display());
        let caps = Caps::baseline();
        Plan::new(graph, &caps, Policy::new(&caps, true)).unwrap();
    }
    assert_eq!(seen, Model::known().into_iter().collect(), "a golden checkpoint for every architecture");
}

/// The same settings in the keys of older and newer versions of transformers give the same model.
#[test]
fn classic_settings_mean_what_new_ones_do() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/golden/llama-3");
    let checkpoint = Checkpoint::open(&path).unwrap();
    let classic = path.join("config-classic.json");
    let classic = Config::from_json(&classic, &std::fs::read_to_string(&classic).unwrap()).unwrap();
    let [classic, new] = [classic, checkpoint.config().unwrap()].map(|c| Model::open(&c, &checkpoint).unwrap());
    assert_eq!(format!("{classic:?}"), format!("{new:?}"));
}
