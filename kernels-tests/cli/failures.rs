//! What a user can do wrong, or find broken: one clear message each, and an exit code that says who can act.

use crate::fixtures::copy_files;
use crate::{Ran, llama, quernel, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A run that fails with `code` and one message that has `said` in it.
#[track_caller]
fn fails(command: Command, code: i32, said: &[&str]) {
    let Ran { code: found, stdout, stderr } = run(command);
    assert_eq!((found, stdout.as_str()), (code, ""), "{stderr}");
    let messages: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(messages.len(), 1, "{stderr}");
    assert!(!stderr.contains("panicked") && !stderr.contains("Error {"), "{stderr}");
    assert!(said.iter().all(|said| stderr.contains(said)), "{said:?} in {stderr}");
}

/// `generate` of a few tokens with the model in `dir`.
fn generate(dir: impl Into<PathBuf>, arguments: &[&str]) -> Command {
    let mut command = quernel(["generate", "-n", "3", "-m"]);
    command.arg(dir.into()).args(arguments);
    command
}

/// A copy of a checkpoint, to be spoiled.
fn copy() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_files(&llama().0.dir, copy.path());
    copy
}

/// Changes a text in one of its files.
fn edit(dir: &Path, file: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(dir.join(file)).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(dir.join(file), text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_path_that_is_no_model() {
    fails(generate("no/such/model", &["-p", "x"]), 1, &["no/such/model", "No such file"]);
    let empty = tempfile::tempdir().unwrap();
    fails(generate(empty.path(), &["-p", "x"]), 1, &["holds neither model.safetensors nor"]);
    std::fs::write(empty.path().join("pytorch_model.bin"), "").unwrap();
    fails(generate(empty.path(), &["-p", "x"]), 1, &["pytorch_model.bin is in a format", "safetensors"]);
}

#[test]
fn a_folder_that_lacks_a_file() {
    for (file, said) in [
        ("tokenizer.json", "text cannot be turned into tokens"),
        ("config.json", "No such file"),
        ("model.safetensors", "holds neither"),
    ] {
        let copy = copy();
        std::fs::remove_file(copy.path().join(file)).unwrap();
        fails(generate(copy.path(), &["-p", "x"]), 1, &[file, said]);
    }
}

#[test]
fn weights_that_are_cut_short() {
    let whole = copy();
    let weights = std::fs::read(whole.path().join("model.safetensors")).unwrap();
    for length in [0, 7, 100, weights.len() / 2, weights.len() - 1] {
        std::fs::write(whole.path().join("model.safetensors"), &weights[..length]).unwrap();
        fails(generate(whole.path(), &["-p", "x"]), 1, &["model.safetensors: ", "bytes"]);
    }
}

#[test]
fn a_model_that_is_not_known() {
    let copy = copy();
    edit(copy.path(), "config.json", "LlamaForCausalLM", "LlamingForCausalLM");
    let known = ["LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "GPT2LMHeadModel"];
    let said = [&["config.json", "unknown architecture \"LlamingForCausalLM\""][..], &known].concat();
    fails(generate(copy.path(), &["-p", "x"]), 1, &said);
    edit(copy.path(), "config.json", "LlamingForCausalLM", "Qwen3ForCausalLM");
    fails(generate(copy.path(), &["-p", "x"]), 1, &["q_proj.weight", "and the configuration makes it"]);
    std::fs::write(copy.path().join("config.json"), "{\"architectures\": [").unwrap();
    fails(generate(copy.path(), &["-p", "x"]), 1, &["config.json", "line 1"]);
}

#[test]
fn no_adapter() {
    let (golden, ..) = llama();
    let with = |variable: &str, value: &str| {
        let mut command = generate(&golden.dir, &["-p", "x"]);
        command.env(variable, value);
        command
    };
    fails(with("WGPU_ADAPTER_NAME", "nonexistent"), 4, &["\"nonexistent\" (from WGPU_ADAPTER_NAME)", "there are"]);
    fails(with("WGPU_BACKEND", "none"), 4, &["\"none\" (from WGPU_BACKEND)"]);
    fails(
        generate(&golden.dir, &["-p", "x", "--adapter", "nonexistent"]),
        4,
        &["none is \"nonexistent\"", "there are"],
    );
    let mut devices = quernel(["devices"]);
    devices.env("WGPU_BACKEND", "none");
    fails(devices, 4, &["(from WGPU_BACKEND)"]);
    let mut devices = quernel(["devices"]);
    // The loaders of Vulkan and EGL find no driver at all.
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_FILENAMES"] {
        devices.env(variable, "/nonexistent");
    }
    devices.env_remove("WGPU_BACKEND").env_remove("WGPU_ADAPTER_NAME").env("EGL_PLATFORM", "surfaceless");
    fails(devices, 4, &["no GPU adapter", "install the GPU's driver"]);
}

#[test]
fn a_prompt_that_the_context_cannot_hold() {
    let (golden, prompt, _) = llama();
    let long = vec![prompt.as_str(); 40].join(" ");
    fails(generate(&golden.dir, &["-p", &long]), 1, &["the context is full", "do not fit in 128", "-c"]);
    fails(generate(&golden.dir, &["-p", &prompt, "-c", "5"]), 1, &["8 tokens do not fit in 5", "-c"]);
    let ids = vec!["1"; 129].join(",");
    let mut logits = quernel(["logits", "-o", "never-written", "--tokens", &ids, "-m"]);
    logits.arg(&golden.dir);
    fails(logits, 1, &["129 tokens do not fit in 128"]);
}

#[test]
fn a_model_that_does_not_fit() {
    let (_, prompt, _) = llama();
    let copy = copy();
    edit(copy.path(), "config.json", "\"max_position_embeddings\": 128", "\"max_position_embeddings\": 100000000");
    fails(generate(copy.path(), &["-p", &prompt, "-c", "0"]), 3, &["does not fit", "a shorter context (-c)"]);
}

#[test]
fn wrong_usage() {
    let (golden, ..) = llama();
    fails(quernel(["--frobnicate"]), 2, &["--frobnicate"]);
    fails(quernel(["grind"]), 2, &["grind"]);
    fails(quernel(["quantize", "--weights", "q4", "-o", "never-written"]), 2, &["--model"]);
    for (flags, said) in [
        (&["-p", "x", "-f", "y"][..], "cannot be used with"),
        (&["-p", "x", "-n", "-2"], "--predict"),
        (&["-p", "x", "-n", "many"], "--predict"),
        (&["-p", "x", "-c", "129"], "--ctx-size: 129 is not between 1 and the 128"),
        (&["-p", "x", "-b", "0"], "--batch-size"),
        (&["-p", "x", "--temp", "-1"], "--temp: -1"),
        (&["-p", "x", "--temp", "nan"], "--temp"),
        (&["-p", "x", "--top-p", "1.5"], "--top-p"),
        (&["-p", "x", "--min-p", "2"], "--min-p"),
        (&["-p", "x", "--repeat-penalty", "0"], "--repeat-penalty"),
        (&["-p", "x", "--logit-bias", "7"], "--logit-bias"),
        (&["-p", "x", "--weights", "q5"], "f32, f16, bf16, q8, q4, q4a"),
        (&["-p", "x", "-s", "-2"], "--seed"),
    ] {
        fails(generate(&golden.dir, flags), 2, &[said]);
    }
    let mut quantize = quernel(["quantize", "--weights", "f16", "-o", "never-written", "-m"]);
    quantize.arg(&golden.dir);
    fails(quantize, 2, &["q8, q4, q4a"]);
    let mut plan = quernel(["plan", "--tokens", "0", "-m"]);
    plan.arg(&golden.dir);
    fails(plan, 2, &["--tokens", "between 1 and"]);
}

#[test]
fn files_that_cannot_be_read_or_written() {
    let (golden, prompt, _) = llama();
    fails(generate(&golden.dir, &["-f", "no/such/prompt.txt"]), 1, &["no/such/prompt.txt", "No such file"]);
    let mut logits = quernel(["logits", "-o", "no/such/folder/logits.safetensors", "-p", &prompt, "-m"]);
    logits.arg(&golden.dir);
    fails(logits, 1, &["no/such/folder/logits.safetensors", "No such file"]);
}
