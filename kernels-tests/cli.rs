//! The command as users run it: what it prints where, and how it ends.

#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/failures.rs"]
mod failures;
mod fixtures;
#[cfg(feature = "storyteller")]
#[path = "cli/inside.rs"]
mod inside;

use fixtures::{Golden, golden};
use quernel::checkpoint::Checkpoint;
use std::ffi::OsStr;
use std::io::Read;
use std::process::{Command, Output, Stdio};

/// `quernel` with `arguments`, and nothing in the environment that would change what it does.
fn quernel<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quernel"));
    command.args(arguments).stdin(Stdio::null()).env_remove("QUERNEL_LOG").env_remove("RUST_BACKTRACE");
    // A layer of Mesa's has words of its own for standard error, where nobody is logged in.
    command.env("NODEVICE_SELECT", "1");
    // What is found on this device is kept for these tests alone.
    command.env("QUERNEL_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
    command
}

/// Runs it to its end.
fn run(mut command: Command) -> Ran {
    Ran::new(command.output().unwrap())
}

/// How a run ended.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output, of a run that is to succeed.
    #[track_caller]
    fn printed(self) -> String {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self.stdout
    }
}

/// The checkpoint for what does not depend on the architecture, its prompt and the 24 tokens that follow, as text.
fn llama() -> (Golden, String, String) {
    let golden = golden().into_iter().find(|golden| golden.name == "llama").unwrap();
    let text = |key: &str| golden.expected[key].as_str().unwrap().to_owned();
    let (prompt, greedy) = (text("prompt_text"), text("greedy_text"));
    (golden, prompt, greedy)
}

/// `generate` without chance.
fn generate(golden: &Golden, arguments: &[&str]) -> Command {
    let mut command = quernel(["generate", "--ignore-eos", "--temp", "0", "-m"]);
    command.arg(&golden.dir).args(arguments);
    command
}

#[test]
fn standard_output_carries_the_completion_alone() {
    let (golden, prompt, greedy) = llama();
    let ran = run(generate(&golden, &["-p", &prompt, "-n", "24"]));
    assert!(ran.stderr.contains("adapter: ") && ran.stderr.contains("weights: "), "{}", ran.stderr);
    assert_eq!(ran.printed(), greedy);
    let echoed = run(generate(&golden, &["-p", &prompt, "-n", "24", "--echo"]));
    assert_eq!(echoed.printed(), format!("{prompt}{greedy}"));
    let quiet = run(generate(&golden, &["-p", &prompt, "-n", "24", "-q"]));
    assert!(
        !quiet.stderr.contains("weights: ") && !quiet.stderr.contains("adapter: ") && !quiet.stderr.contains("WARNING"),
        "{}",
        quiet.stderr
    );
    assert_eq!(quiet.printed(), greedy);
    let nothing = run(generate(&golden, &["-p", &prompt, "-n", "0"]));
    assert_eq!(nothing.printed(), "");
}

#[test]
fn every_golden_text_is_written() {
    for golden in golden() {
        let text = |key: &str| golden.expected[key].as_str().unwrap();
        let ran = run(generate(&golden, &["-p", text("prompt_text"), "-n", "24"]));
        assert_eq!(ran.printed(), text("greedy_text"), "{}", golden.name);
    }
}

#[test]
fn a_prompt_comes_from_a_flag_a_file_or_standard_input() {
    let (golden, prompt, greedy) = llama();
    let file = tempfile::NamedTempFile::new().unwrap();
    for end in ["", "\n", "\r\n"] {
        std::fs::write(file.path(), format!("{prompt}{end}")).unwrap();
        let mut from_file = generate(&golden, &["-n", "24", "-f"]);
        from_file.arg(file.path());
        assert_eq!(run(from_file).printed(), greedy);
        let mut from_input = generate(&golden, &["-n", "24"]);
        from_input.stdin(std::fs::File::open(file.path()).unwrap());
        assert_eq!(run(from_input).printed(), greedy);
    }
    let mut alias = quernel(["run", "--ignore-eos", "--temp", "0", "-n", "24", "-p", &prompt, "-m"]);
    alias.arg(&golden.dir);
    assert_eq!(run(alias).printed(), greedy);
    let mut weights = quernel(["generate", "--ignore-eos", "--temp", "0", "-n", "24", "-p", &prompt, "-m"]);
    weights.arg(golden.dir.join("model.safetensors"));
    assert_eq!(run(weights).printed(), greedy, "the weights name the folder that they are in");
}

#[test]
fn ways_to_compute_give_the_same_text() {
    let (golden, prompt, greedy) = llama();
    for flags in [&["--deterministic"][..], &["--check"], &["--batch-size", "3"], &["-c", "32"], &["--dtype", "f32"]] {
        let ran = run(generate(&golden, &[&["-p", &prompt, "-n", "24"], flags].concat()));
        assert_eq!(ran.printed(), greedy, "{flags:?}");
    }
    let full = run(generate(&golden, &["-p", &prompt, "-c", "20"]));
    assert!(full.stderr.contains("context of 20 tokens is full; -c asks for"), "{}", full.stderr);
    assert!(greedy.starts_with(&full.stdout) && full.stdout.len() > 8);
    assert_eq!(full.code, 0);
}

#[test]
fn a_stop_text_ends_the_completion_and_is_left_out() {
    let (golden, prompt, greedy) = llama();
    let stop = &greedy[9..14];
    let ran = run(generate(&golden, &["-p", &prompt, "-n", "24", "--stop", "never said", "--stop", stop]));
    assert_eq!(ran.printed(), greedy[..greedy.find(stop).unwrap()]);
}

#[test]
fn a_seed_gives_the_same_text_again() {
    let (golden, prompt, greedy) = llama();
    let with = |seed: &str| {
        let mut command =
            quernel(["generate", "--ignore-eos", "-n", "24", "--temp", "1.5", "--timings", "-p", &prompt, "-s", seed]);
        command.arg("-m").arg(&golden.dir);
        run(command)
    };
    let (seven, again, eight) = (with("7").printed(), with("7").printed(), with("8").printed());
    assert_eq!(seven, again);
    assert!(seven != eight && seven != greedy);
    // A seed that was chosen by itself is told, so that the text can be had again.
    let chosen = with("-1");
    let seed = chosen.stderr.split("seed ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap().to_owned();
    assert_eq!(with(&seed).printed(), chosen.printed());
}

#[test]
fn timings_go_to_standard_error() {
    let (golden, prompt, greedy) = llama();
    let ran = run(generate(&golden, &["-p", &prompt, "-n", "24", "--timings"]));
    for said in ["load", "prompt", "     8 tokens", "generation", "    23 tokens", "tokens/s", "total"] {
        assert!(ran.stderr.contains(said), "{said:?} in {}", ran.stderr);
    }
    assert_eq!(ran.printed(), greedy);
}

#[test]
fn devices_are_listed_as_a_table_and_as_json() {
    let json: serde_json::Value = serde_json::from_str(&run(quernel(["devices", "--json"])).printed()).unwrap();
    let table = run(quernel(["devices"])).printed();
    let devices = json.as_array().unwrap();
    assert_eq!(table.lines().count(), devices.len() + 2, "{table}");
    for device in devices {
        let keys = ["index", "name", "backend", "driver", "kind", "memory", "f16", "subgroup", "int8_dot", "matrices"];
        assert!(keys.iter().all(|key| device.get(key).is_some()), "{device}");
        assert!(device["limits"]["max_binding"].as_u64() >= Some(128 << 20), "{device}");
        assert!(table.contains(device["name"].as_str().unwrap()), "{table}");
    }
    let first = devices[0]["index"].to_string();
    let (golden, prompt, greedy) = llama();
    for adapter in [&first, &devices[0]["name"].as_str().unwrap()[1..5]] {
        let ran = run(generate(&golden, &["-p", &prompt, "-n", "24", "--adapter", adapter]));
        assert_eq!(ran.printed(), greedy, "{adapter}");
    }
}

#[test]
fn a_plan_is_shown_as_text_and_as_a_graph() {
    let (golden, ..) = llama();
    let plan = |arguments: &[&str]| {
        let mut command = quernel(["plan", "-m"]);
        command.arg(&golden.dir).args(arguments);
        run(command).printed()
    };
    let text = plan(&[]);
    let said = ["LlamaForCausalLM", "rms_norm", "attention", "f32 [1, 421]", "argmax", "dispatches", "slots", "bytes"];
    assert!(said.iter().all(|said| text.contains(said)), "{text}");
    let prompt = plan(&["--tokens", "40", "--dtype", "f16"]);
    assert!(prompt.contains("f32 [40, 101]") && prompt.contains("linear/matmul"), "{prompt}");
    let dot = plan(&["--dot"]);
    assert!(dot.starts_with("digraph") && dot.trim_end().ends_with('}') && dot.contains("->"), "{dot}");
    let mut without = quernel(["plan", "--baseline", "-m"]);
    without.arg(&golden.dir).env("WGPU_BACKEND", "none");
    assert!(!run(without).printed().contains("subgroup"), "the least adapter needs no GPU to plan for");
}

/// Writes logits, and gives their largest error.
fn logits(golden: &Golden, dtype: &str) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("logits.safetensors");
    let tokens: Vec<String> = golden.ids("tokens").iter().map(u32::to_string).collect();
    let mut command = quernel(["logits", "--weights", dtype, "--kv", "f32", "--tokens", &tokens.join(","), "-m"]);
    command.arg(&golden.dir).arg("-o").arg(&file);
    assert_eq!(run(command).printed(), "");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "nothing else is left");
    let written = Checkpoint::open(file).unwrap();
    let fact = written.fact("logits").unwrap();
    assert_eq!(fact.to_string(), format!("f32 [{}, {}]", tokens.len(), golden.logits.len() / tokens.len()));
    let mut bytes = Vec::new();
    written.read_rows("logits", 0..tokens.len(), &mut bytes).unwrap();
    let words = bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
    golden.error(words)
}

#[test]
fn logits_are_written_for_other_frameworks_to_compare() {
    for golden in golden() {
        let (f32, f16) = (logits(&golden, "f32"), logits(&golden, "f16"));
        println!("{:<20} f32 {f32:.1e}, f16 {f16:.1e} of the logits' deviation", golden.name);
        // The tolerances of the golden tests, with their reasons.
        assert!(f32 <= 1e-4 && f16 <= 2e-2, "{}", golden.name);
    }
}

#[test]
fn a_quantized_checkpoint_speaks_as_quantizing_at_load_does() {
    let (golden, prompt, _) = llama();
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("q4");
    let quantize = |quiet: &[&str]| {
        let mut command = quernel(["quantize", "--weights", "q4", "-m"]);
        command.arg(&golden.dir).arg("-o").arg(&new).args(quiet);
        run(command)
    };
    let ran = quantize(&[]);
    assert!(ran.stderr.contains("weights: ") && ran.stderr.contains("no whole groups of 32"), "{}", ran.stderr);
    assert_eq!(ran.printed(), "");
    let again = quantize(&["-q"]);
    assert!(again.code == 1 && again.stderr.contains("is not empty") && again.stderr.lines().count() == 1);
    let at_load = run(generate(&golden, &["-p", &prompt, "-n", "24", "--weights", "q4"]));
    let mut command = quernel(["generate", "--ignore-eos", "--temp", "0", "-p", &prompt, "-n", "24", "-m"]);
    command.arg(&new);
    let loaded = run(command);
    assert!(loaded.stderr.contains("as stored"), "{}", loaded.stderr);
    assert_eq!(loaded.printed(), at_load.printed());
}

#[test]
fn rounding_to_bytes_is_held_against_weights_alone_and_told_where_it_is_none() {
    let (golden, prompt, greedy) = llama();
    let ran = run(generate(&golden, &["-p", &prompt, "-n", "24", "--int8"]));
    assert!(ran.stderr.contains("--int8 changes nothing"), "{}", ran.stderr);
    assert_eq!(ran.printed(), greedy);

    // Rows of whole groups.
    let golden = self::golden().into_iter().find(|golden| golden.name == "qwen2").unwrap();
    let divergence = |flags: &[&str]| {
        let text = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT");
        let mut command = quernel(["perplexity", "-f", text, "-c", "64", "--weights", "q4", "--kv", "f32", "-q", "-m"]);
        command.arg(&golden.dir).args(["--against", "q4", "--json"]).args(flags);
        let found: serde_json::Value = serde_json::from_str(&run(command).printed()).unwrap();
        found["against"]["kl_mean"]["value"].as_f64().unwrap()
    };
    assert_eq!(divergence(&[]), 0.0);
    let rounded = divergence(&["--int8"]);
    assert!(rounded > 0.0 && rounded < 0.01, "{rounded}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (golden, prompt, greedy) = llama();
    let mut child = generate(&golden, &["-p", &prompt, "-n", "100", "-q"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut begin = [0; 4];
    child.stdout.take().unwrap().read_exact(&mut begin).unwrap();
    assert_eq!(begin, greedy.as_bytes()[..4]);
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert!(ran.code == 0 && !ran.stderr.contains("error"), "{} {}", ran.code, ran.stderr);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_answer_and_keeps_what_was_said() {
    let (golden, prompt, greedy) = llama();
    // Slow enough to be stopped in its midst, on any machine.
    let mut command = generate(&golden, &["-p", &prompt, "--check"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut said = vec![0; 4];
    out.read_exact(&mut said).unwrap();
    // By the shell's own command, which every system has.
    let interrupt = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
    out.read_to_end(&mut said).unwrap();
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert!(ran.code == 130 && !ran.stderr.contains("error"), "{} {}", ran.code, ran.stderr);
    let all = run(generate(&golden, &["-p", &prompt, "-c", "128"])).printed();
    let said = String::from_utf8(said).unwrap();
    assert!(all.starts_with(&said) && all.len() > said.len() && all.starts_with(&greedy), "{said:?} of {all:?}");
}

#[test]
fn help_says_what_there_is() {
    let help = run(quernel(["--help"])).printed();
    assert!(["generate", "devices", "plan", "logits", "130"].iter().all(|said| help.contains(said)), "{help}");
    let flags = run(quernel(["generate", "--help"])).printed();
    let said =
        ["-m,", "-p,", "-f,", "-n,", "-c,", "-s,", "--temp", "--top-k", "--top-p", "--min-p", "--repeat-penalty"];
    assert!(said.iter().all(|said| flags.contains(said)), "{flags}");
    assert!(run(quernel(["--version"])).printed().contains(env!("CARGO_PKG_VERSION")));
}
