//! The commands of the README, run as they stand there.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const README: &str = include_str!("../README.md");

/// What a reader would put in place of a word of the README, so that a line ends soon and on any driver.
const INSTEAD: [(&str, &str); 3] = [
    ("--shape llama-3.1-8b", "--shape tiny -p 16 -n 4 -r 1"),
    ("-p 512 -n 128", "-p 16 -n 4 -r 1"),
    ("-n 200", "-n 20"),
];

/// Lines that measure for a long time, and what makes them short.
const LONG: [(&str, &str); 3] = [
    ("quernel bench -m DIR --profile", " -p 16 -n 4 -r 1"),
    ("quernel bench --roofline", " -r 1"),
    ("--task story", " --help"),
];

/// Lines that need the network: they are only to be understood.
const ONLINE: [&str; 3] = ["quernel pull", "quernel rm", "org/"];

/// The shell's lines of the README that run the command.
fn lines() -> Vec<String> {
    let mut shell = false;
    let mut lines = Vec::new();
    for line in README.lines() {
        if let Some(language) = line.strip_prefix("```") {
            shell = language == "sh";
        } else if shell && line.contains("quernel ") && !line.starts_with("cargo") {
            lines.push(line.split("  #").next().unwrap_or(line).trim_end().to_owned());
        }
    }
    lines
}

/// The line as it is run here.
fn runnable(line: &str) -> String {
    let mut line = INSTEAD.iter().fold(line.to_owned(), |line, (word, other)| line.replace(word, other));
    if ONLINE.iter().any(|word| line.contains(word)) {
        line.push_str(" --help");
    }
    for (word, more) in LONG {
        if line.contains(word) {
            line.push_str(more);
        }
    }
    line.replace("[--json]", "--json").replace("[--json FILE]", "--json FILE")
}

/// A folder with what the lines speak of: a model, a prompt, a text, and two results.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = dir.path().join("DIR");
    std::fs::create_dir(&model).unwrap();
    for entry in std::fs::read_dir(root.join("assets/golden/llama-3")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let template = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}";
    std::fs::write(model.join("chat_template.jinja"), template).unwrap();
    std::fs::write(dir.path().join("prompt.txt"), "The miller rose").unwrap();
    std::fs::write(dir.path().join("TEXT"), "The miller rose before the sun and set the stone. ".repeat(8)).unwrap();
    let results = root.join("benches/results/llvmpipe-LLVM-22.1.8-256-bits-2026-11-25-smollm2-135m.json");
    for name in ["before.json", "after.json"] {
        std::fs::copy(&results, dir.path().join(name)).unwrap();
    }
    dir
}

/// Runs the line in the folder: its exit code, or none where it had to be stopped, and what it said.
fn run(line: &str, dir: &Path) -> (Option<i32>, String) {
    let bin = Path::new(env!("CARGO_BIN_EXE_quernel")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(dir).env("PATH", path).stdin(Stdio::null());
    command.env("HF_HOME", dir.join("hub")).env("QUERNEL_CACHE", dir.join("cache")).env("NODEVICE_SELECT", "1");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stderr.take().unwrap();
    let said = std::thread::spawn(move || {
        let mut said = String::new();
        let _ = pipe.read_to_string(&mut said);
        said
    });
    let begin = Instant::now();
    let code = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status.code(),
            None if begin.elapsed() > Duration::from_secs(300) => {
                child.kill().unwrap();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    (code, said.join().unwrap())
}

#[test]
#[cfg(unix)]
fn every_command_of_the_readme_runs() {
    let lines = lines();
    assert!(lines.len() >= 20, "{lines:#?}");
    let dir = folder();
    for line in &lines {
        let (code, said) = run(&runnable(line), dir.path());
        assert_eq!(code, Some(0), "{line}\n{said}");
    }
}
