//! `quernel bench` as a user runs it, on the GPU present: a golden checkpoint, a shape, and two files compared.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn quernel(arguments: &[&str]) -> Output {
    run(Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/cache")), arguments)
}

/// With a folder for what is found on this device.
fn run(cache: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_quernel");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env("QUERNEL_CACHE", cache);
    command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Standard output of a run that succeeds.
fn bench(arguments: &str) -> String {
    let all: Vec<&str> = ["bench"].into_iter().chain(arguments.split_whitespace()).collect();
    let output = quernel(&all);
    assert!(output.status.success(), "{arguments}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn records(arguments: &str) -> Vec<Value> {
    serde_json::from_str(&bench(arguments)).unwrap_or_else(|error| panic!("{arguments}: {error}"))
}

#[test]
fn a_checkpoint_is_measured_in_every_test_asked_for() {
    let found = records("-m assets/golden/llama-3 -p 16,24 -n 4 -pg 8,3 -d 0,9 -r 2 -o json --no-roofline -q");
    let tests: Vec<&str> = found.iter().filter_map(|record| record["test"].as_str()).collect();
    let expected = ["pp16", "pp24", "tg4", "pp8+tg3", "pp16 @ d9", "pp24 @ d9", "tg4 @ d9", "pp8+tg3 @ d9"];
    assert_eq!(tests, expected);
    for record in &found {
        assert_eq!(record["model_type"], "llama-3 f32");
        assert_eq!(record["samples_ts"].as_array().map(Vec::len), Some(2));
        assert!(record["avg_ts"].as_f64().is_some_and(|rate| rate > 0.0), "{record}");
        assert!(record["gbps"].as_f64().is_some_and(|rate| rate > 0.0), "{record}");
        assert!(record["peak_gpu_bytes"].as_u64() >= record["model_size"].as_u64(), "{record}");
        assert_eq!(record["share_of_ceiling"], Value::Null);
    }
}

#[test]
fn a_shape_is_measured_in_several_formats_and_step_sizes() {
    let found = records("--shape tiny --dtype f32,f16 -p 32 -n 0 -ub 8,32 -r 1 -o json --no-roofline -q");
    let setups: Vec<_> = found.iter().map(|record| (record["weights"].clone(), record["n_ubatch"].clone())).collect();
    let expected = [("f32", 8), ("f32", 32), ("f16", 8), ("f16", 32)];
    assert_eq!(setups, expected.map(|(weights, ubatch)| (Value::from(weights), Value::from(ubatch))));
    let found = records("--shape tiny --weights q8 -ctk f32,q8 -ctv f32,q8 -p 0 -n 2 -r 1 -o json --no-roofline -q");
    let format = |record: &Value| ["weights", "type_k", "kv"].map(|name| record[name].as_str().map(str::to_owned));
    let formats: Vec<_> = found.iter().map(format).collect();
    assert_eq!(formats, [["q8", "f32", "f32"], ["q8", "q8", "q8"]].map(|all| all.map(|name| Some(name.to_owned()))));
    assert!(found.iter().all(|record| record["activations"] == "f32"));
    let found = records("--shape tiny --weights q4 --int8 -p 4 -n 0 -r 1 -o json --no-roofline -q");
    assert_eq!(found[0]["activations"], "int8");
    let table = bench("--shape tiny -p 4 -n 2 -r 1 -ub 16 --no-roofline -q");
    assert_eq!(table.lines().filter(|line| line.starts_with("| tiny bf16 ")).count(), 2, "{table}");
    assert!(table.contains(" n_ubatch |") && table.contains("\nbuild: "), "{table}");
}

#[test]
fn a_profile_names_kernels_or_says_that_there_is_no_clock() {
    let arguments = "bench --shape tiny -p 8 -n 4 --profile -o jsonl --no-roofline -q";
    let output = quernel(&arguments.split(' ').collect::<Vec<_>>());
    if !output.status.success() {
        assert!(text(&output.stderr).contains("does not tell the time"), "{}", text(&output.stderr));
        return;
    }
    let lines = text(&output.stdout);
    let found: Vec<Value> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(found.len(), 2, "{lines}");
    let kernels = found[1]["profile"]["kernels"].as_array().expect("kernels");
    let count: f64 = kernels.iter().filter_map(|row| row["count"].as_f64()).sum();
    let attention = kernels.iter().find(|row| row["kernel"].as_str().is_some_and(|name| name.starts_with("attention")));
    assert_eq!(attention.and_then(|row| row["count"].as_f64()), Some(2.0), "one a layer: {lines}");
    assert!(count > 10.0, "{lines}");
    let waterfall = &found[1]["profile"]["waterfall"];
    assert!(waterfall["kernels_ms"].as_f64() > Some(0.0) && waterfall["step_ms"].as_f64() > Some(0.0), "{lines}");
}

fn file(dir: &Path, name: &str, rates: [f64; 3]) -> String {
    let path = dir.join(name);
    let record = serde_json::json!([{
        "model_type": "a f16", "n_prompt": 512, "n_gen": 0, "n_depth": 0, "samples_ts": rates,
    }]);
    std::fs::write(&path, record.to_string()).expect("writes");
    path.display().to_string()
}

#[test]
fn a_comparison_sets_the_exit_code() {
    let dir = tempfile::tempdir().expect("a folder");
    let before = file(dir.path(), "before.json", [100.0, 101.0, 99.0]);
    let slower = file(dir.path(), "slower.json", [80.0, 81.0, 79.0]);
    let run = |arguments: &[&str]| {
        let output = quernel(&[&["bench", "compare"], arguments].concat());
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, table, _) = run(&[&before, &slower]);
    assert_eq!(code, Some(1));
    assert!(table.contains("|           pp512 |       100.00 |        80.00 |  -20.0 % |"), "{table}");
    assert!(table.contains("| slower  |"), "{table}");
    assert_eq!(run(&[&before, &slower, "--threshold", "25"]).0, Some(0));
    let (code, table, _) = run(&[&slower, &before]);
    assert!(code == Some(0) && table.contains("| faster  |"), "{table}");
    assert!(run(&[&before, &before]).1.contains("| same    |"));
    std::fs::write(dir.path().join("broken.json"), "{").expect("writes");
    let broken = dir.path().join("broken.json").display().to_string();
    let (code, _, error) = run(&[&before, &broken]);
    assert!(code == Some(1) && error.contains("broken.json"), "{error}");
}

#[test]
fn wrong_flags_are_wrong_usage() {
    for arguments in [
        "bench",
        "bench --shape gpt-5",
        "bench --shape tiny -p x",
        "bench --shape tiny -p 1-8*1",
        "bench --shape tiny -o xml",
        "bench --shape tiny -r 0",
        "bench --shape tiny --roofline",
        "bench --shape tiny --preset localscore -p 16",
        "bench --shape tiny -p 8192 -n 0 --no-roofline -q",
    ] {
        let output = quernel(&arguments.split(' ').collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(2), "{arguments}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments}");
    }
}

/// A tuning is made on demand, found again, and left alone where it is damaged or not wanted.
#[test]
fn kernels_are_tuned_once_and_a_damaged_file_does_no_harm() {
    let cache = tempfile::tempdir().unwrap();
    let bench = |more: &[&str]| {
        let all = "bench --shape tiny -p 16 -n 2 -r 1 --no-roofline".split(' ').chain(more.iter().copied());
        let output = run(cache.path(), &all.collect::<Vec<_>>());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let files = || {
        std::fs::read_dir(cache.path().join("tuning"))
            .map_or_else(|_| Vec::new(), |files| files.map(|file| file.unwrap().path()).collect())
    };
    bench(&["--no-tune"]);
    assert!(files().is_empty());
    let told = bench(&["--tune"]);
    assert!(told.contains("tuned to this adapter in "), "{told}");
    assert_eq!(files().len(), 1, "{:?}", files());
    let written = std::fs::read_to_string(&files()[0]).unwrap();
    // What the budget left no time for is looked for again; what was found stays.
    let again = bench(&["--tune"]);
    assert!(!again.contains("WARNING: ignored"), "{again}");
    std::fs::write(&files()[0], &written[..written.len() / 2]).unwrap();
    let damaged = bench(&[]);
    assert!(damaged.contains("WARNING: ignored a tuning: ") && damaged.contains("tuning"), "{damaged}");
    std::fs::write(&files()[0], written.replace("\"engine\": \"", "\"engine\": \"9")).unwrap();
    let foreign = bench(&[]);
    assert!(foreign.contains("it belongs to another device or version"), "{foreign}");
    std::fs::write(&files()[0], "nonsense").unwrap();
    let unwanted = bench(&["--no-tune"]);
    assert!(!unwanted.contains("ignored"), "{unwanted}");
    assert_eq!(std::fs::read_to_string(&files()[0]).unwrap(), "nonsense");
}
