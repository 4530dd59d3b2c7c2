//! `quernel doctor`, and what other commands make of its verdict.

use crate::{Ran, generate, llama, quernel, run};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The only file in a cache's folder of verdicts.
fn verdict(cache: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(cache.join("doctor")).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    file
}

fn with(cache: &Path, mut command: Command) -> Ran {
    command.env("QUERNEL_CACHE", cache);
    run(command)
}

#[test]
fn a_certificate_is_kept_and_every_command_heeds_it() {
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path();
    let printed = with(cache, quernel(["doctor", "--json"])).printed();
    let certificate: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(certificate["verdict"], "passed", "{printed}");
    assert!(certificate["read_gbps"].as_f64().unwrap() > 0.0);
    let kernels = certificate["kernels"].as_array().unwrap();
    assert!(kernels.len() > 30 && kernels.iter().all(|kernel| kernel["failure"].is_null()));
    let path = verdict(cache);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), printed.trim_end());

    let (golden, prompt, greedy) = llama();
    let answer =
        |arguments: &[&str]| with(cache, generate(&golden, &[&["-p", &*prompt, "-n", "24"], arguments].concat()));
    let first = answer(&[]);
    assert!(!first.stderr.contains("found kernels wrong"), "{}", first.stderr);
    assert_eq!(first.printed(), greedy);

    let planned = || with(cache, quernel(["plan", "-m", golden.dir.to_str().unwrap()]));
    let plan = planned().printed();

    // Some of the kernels that it uses are refused: others take their places.
    let refuse = |kinds: Vec<&Value>| {
        let mut refusing = certificate.clone();
        refusing["refused"] = json!(kinds);
        std::fs::write(&path, refusing.to_string()).unwrap();
    };
    let products = || kernels.iter().filter(|kernel| kernel["kernel"] == "linear").map(|kernel| &kernel["kind"]);
    refuse(products().filter(|kind| !kind.as_str().unwrap().starts_with("matvec/portable")).collect());
    let without = answer(&[]);
    assert!(without.stderr.contains("found kernels wrong here, which are not used: "), "{}", without.stderr);
    assert_eq!(without.printed(), greedy);
    let other = planned();
    assert!(other.stderr.contains("found kernels wrong here"), "{}", other.stderr);
    assert_ne!(other.printed(), plan);

    // All are: the model cannot run, unless the verdict is not to count.
    refuse(products().collect());
    let none = answer(&[]);
    assert_eq!(none.code, 6, "{}", none.stderr);
    assert!(none.stderr.contains("nothing takes its place") && none.stdout.is_empty(), "{}", none.stderr);
    assert_eq!(answer(&["--no-verdict"]).printed(), greedy);

    // A file that is damaged is as good as none, and so is one of another driver.
    std::fs::write(&path, "{").unwrap();
    let damaged = answer(&[]);
    assert!(damaged.stderr.contains("ignored a verdict"), "{}", damaged.stderr);
    assert_eq!(damaged.printed(), greedy);
    let mut other = certificate.clone();
    other["device"]["driver_info"] = json!("another");
    other["refused"] = json!(products().collect::<Vec<_>>());
    std::fs::write(&path, other.to_string()).unwrap();
    assert_eq!(answer(&[]).printed(), greedy);
}

#[test]
fn results_name_the_certificate() {
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path();
    let bench = |format: &str| {
        let mut command =
            quernel(["bench", "--shape", "tiny", "-p", "8", "-n", "0", "-r", "1", "--no-roofline", "-q", "-o"]);
        command.arg(format);
        with(cache, command).printed()
    };
    assert!(bench("md").contains("self-test: none here yet: run `quernel doctor`"));
    let none: Value = serde_json::from_str(&bench("jsonl")).unwrap();
    assert_eq!((&none["selftest"], &none["selftest_worst"]), (&json!("none"), &Value::Null));
    let told = with(cache, quernel(["doctor"])).printed();
    assert!(told.contains("✓ linear") && told.contains("verdict  passed") && told.contains("GB/s read"), "{told}");
    let some: Value = serde_json::from_str(&bench("jsonl")).unwrap();
    assert_eq!((&some["selftest"], &some["selftest_refused"]), (&json!("passed"), &json!("")));
    let worst = some["selftest_worst"].as_f64().unwrap();
    assert!(worst > 0.0 && worst <= 1.0, "{worst}");
    let id = some["selftest_certificate"].as_str().unwrap();
    assert!(told.contains(id) && bench("md").contains(&format!("(certificate {id})")), "{told}");
}

#[test]
fn where_there_is_no_adapter_it_says_what_to_do() {
    let mut command = quernel(["doctor"]);
    command.env("WGPU_BACKEND", "noop");
    let ran = run(command);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stdout.contains("system   ") && ran.stdout.contains("missing  "), "{}", ran.stdout);
}
