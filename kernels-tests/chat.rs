//! `quernel chat` as people use it: through a pipe, and through a terminal.

#[cfg(unix)]
#[path = "chat/terminal.rs"]
mod terminal;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Turns as plain words between the tokens that every tokenizer has.
const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}\
                        {% if add_generation_prompt %}assistant: {% endif %}";

/// A copy of a golden checkpoint, with a chat template.
fn model(name: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/golden").join(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    std::fs::write(dir.path().join("chat_template.jinja"), TEMPLATE).unwrap();
    dir
}

/// `quernel chat` with a model, and nothing in the environment that would change what it does.
fn command(model: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quernel"));
    command.args(["chat", "--temp", "0", "-m"]).arg(model).args(arguments);
    command.env_remove("QUERNEL_LOG").env_remove("RUST_BACKTRACE").env("NODEVICE_SELECT", "1");
    command.env("QUERNEL_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
    command
}

/// What it prints, and how it ends, when `lines` are piped in.
fn piped(model: &Path, arguments: &[&str], lines: &str) -> (Output, String, String) {
    let mut command = command(model, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (output, stdout, stderr)
}

/// The numbers of the lines of /stats that begin with `name`.
fn figures(stderr: &str, name: &str) -> Vec<Vec<f64>> {
    let numbers =
        |line: &str| line.split(|c: char| !c.is_ascii_digit() && c != '.').filter_map(|n| n.parse().ok()).collect();
    stderr.lines().filter(|line| line.starts_with(name)).map(numbers).collect()
}

#[test]
fn standard_output_carries_the_answers_alone() {
    let model = model("llama-3");
    let (output, stdout, stderr) = piped(model.path(), &["-q", "-n", "8"], "The wheel\nAnd the stone?\n\n");
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.ends_with('\n') && !stdout.contains('>') && stderr.is_empty(), "{stdout:?} {stderr:?}");
    let (_, alone, _) = piped(model.path(), &["-q", "-n", "8"], "The wheel");
    assert!(stdout.starts_with(&alone) && stdout.len() > alone.len(), "{stdout:?} begins with {alone:?}");
    let (_, system, _) = piped(model.path(), &["-q", "-n", "8", "-sys", "Be brief."], "The wheel");
    let (_, told, _) = piped(model.path(), &["-q", "-n", "8"], "/system Be brief.\nThe wheel");
    assert!(system == told && system != alone, "{system:?} {told:?} {alone:?}");
}

#[test]
fn several_lines_are_one_text() {
    let model = model("llama-3");
    let answer = |lines: &str| piped(model.path(), &["-q", "-n", "8"], lines).1;
    let fenced = answer("\"\"\"The wheel\nturned.\"\"\"\n");
    assert_eq!(fenced, answer("The wheel\\\nturned.\n"));
    assert_eq!(fenced, answer("\"\"\"\nThe wheel\nturned.\n\"\"\"\n"));
    assert_ne!(fenced, answer("The wheel turned.\n"));
}

#[test]
fn what_was_computed_is_used_again() {
    let model = model("llama-3");
    let lines = "The wheel turned.\n/stats\nAnd then?\n/stats\n/regen\n/stats\n";
    let (output, _, stderr) = piped(model.path(), &["-n", "12"], lines);
    assert!(output.status.success(), "{stderr}");
    let [first, second, again] = &figures(&stderr, "prompt")[..] else { panic!("{stderr}") };
    let context = figures(&stderr, "context");
    // Everything but the last token of the first answer, which no step has read.
    assert!(first[2] == 0.0 && second[2] == context[0][0] - 1.0, "{stderr}");
    assert!(again[0] == 1.0 && again[2] > second[2], "only what chooses the first token is read again: {stderr}");
    assert!(figures(&stderr, "answer").iter().all(|answer| answer[0] == 12.0), "{stderr}");
}

#[test]
fn a_checkpoint_without_a_template_says_what_to_do() {
    let model = model("llama-3");
    std::fs::remove_file(model.path().join("chat_template.jinja")).unwrap();
    let (output, _, stderr) = piped(model.path(), &[], "Hello\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("no chat template") && stderr.contains("--chat-template chatml"), "{stderr}");
    let (output, stdout, stderr) = piped(model.path(), &["-n", "3", "--chat-template", "chatml"], "Hello\n");
    assert!(output.status.success() && !stdout.is_empty(), "{stderr}");
    let file = model.path().join("mine.jinja");
    std::fs::write(&file, "{{ raise_exception('Not you.') }}").unwrap();
    let (output, _, stderr) = piped(model.path(), &["--chat-template", file.to_str().unwrap()], "Hello\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("mine.jinja: chat template: the template says: Not you."), "{stderr}");
    let (_, _, stderr) = piped(model.path(), &["--chat-template", "nobody"], "Hello\n");
    assert!(stderr.contains("no chat template \"nobody\""), "{stderr}");
}

/// A template that is still at work cannot be ended but by ending the program.
#[test]
fn a_template_that_takes_too_long_ends_the_chat() {
    let model = model("llama-3");
    let endless = "{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(45) %}\
                   {% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}\
                   {% if ns.s == ns.t %}y{% endif %}";
    for template in [endless.to_owned(), format!("{{% if messages | length > 1 %}}{endless}{{% endif %}}x")] {
        std::fs::write(model.path().join("chat_template.jinja"), template).unwrap();
        let begin = std::time::Instant::now();
        let (output, stdout, stderr) = piped(model.path(), &["-q", "-n", "1"], "Hello\nHello\n");
        assert!(output.status.code() == Some(1) && stdout.is_empty(), "{stdout:?} {stderr}");
        assert!(stderr.contains("it takes longer than 2 s") && begin.elapsed().as_secs() < 20, "{stderr}");
    }
}

#[test]
fn a_new_conversation_is_one_that_the_template_can_write() {
    let model = model("llama-3");
    let (_, alone, _) = piped(model.path(), &["-q", "-n", "8", "-sys", "Be."], "The stone");
    let (_, after, told) = piped(model.path(), &["-n", "8", "-sys", "Be."], "The wheel\n/new\nThe stone\n/stats\n");
    assert!(after.ends_with(&alone) && after.len() > alone.len() && told.contains("2 messages"), "{after:?} {told}");
    let file = model.path().join("chat_template.jinja");
    std::fs::write(
        &file,
        TEMPLATE.replace("{{ m.role }}", "{{ m.role if m.role != 'system' else raise_exception('No.') }}"),
    )
    .unwrap();
    let (output, stdout, stderr) = piped(model.path(), &["-n", "8"], "The wheel\n/system Be brief.\nThe stone\n");
    assert!(output.status.code() == Some(1) && stdout.lines().count() >= 1, "{stdout:?} {stderr}");
    assert!(stderr.contains("the template says: No.") && !stderr.contains("(a new conversation)"), "{stderr}");
    let (output, stdout, stderr) = piped(model.path(), &["-n", "8", "-sys", "Be brief."], "The wheel\n");
    assert!(output.status.code() == Some(1) && stdout.is_empty() && stderr.contains("the template says: No."));
}

#[test]
fn a_full_context_is_told_or_moves_on() {
    let model = model("llama-3");
    let lines = "The wheel turned.\n".repeat(4);
    let (output, _, stderr) = piped(model.path(), &["-n", "24", "-c", "96"], &lines);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr
            .contains("96 tokens is full; --ctx-shift forgets the oldest turns, -c asks for a longer one, /new begins"),
        "{stderr}"
    );
    let (_, _, stderr) = piped(model.path(), &["-n", "24", "-c", "64"], &"The wheel turned. ".repeat(48));
    assert!(stderr.contains("64 tokens is full; -c asks for a longer one)"), "one question alone: {stderr}");
    let lines = format!("{}/stats\n", "The wheel turned.\n".repeat(8));
    let (output, stdout, stderr) =
        piped(model.path(), &["-n", "24", "-c", "96", "--ctx-shift", "--system", "Be."], &lines);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("the oldest turn is forgotten"), "{stderr}");
    assert!(figures(&stderr, "answer")[0][0] == 24.0 && !stdout.is_empty(), "{stderr}");
    assert!(figures(&stderr, "context")[0][4] >= 6.0, "{stderr}");
}

/// An answer that fills the context again and again loses old turns, and nothing of itself.
#[test]
fn an_answer_outlives_several_contexts() {
    let (model, dir) = (model("llama-3"), tempfile::tempdir().unwrap());
    let kept = dir.path().join("kept.json");
    let turns = (0..8).flat_map(|_| [("user", "a"), ("assistant", "b")]);
    let messages: Vec<_> =
        turns.map(|(role, content)| serde_json::json!({ "role": role, "content": content })).collect();
    let stored = serde_json::json!({ "quernel_chat": 1, "system": null, "messages": messages });
    std::fs::write(&kept, stored.to_string()).unwrap();
    let lines = format!("/load {}\nThe wheel\n/stats\n", kept.display());
    let (output, _, stderr) = piped(model.path(), &["-n", "120", "-c", "200", "--ctx-shift"], &lines);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.matches("the oldest turn is forgotten").count() >= 2, "{stderr}");
    let (context, answer) = (figures(&stderr, "context"), figures(&stderr, "answer"));
    assert!(answer[0][0] == 120.0 && context[0][0] > 120.0, "{stderr}");
}

#[test]
fn a_conversation_is_kept_and_taken_up() {
    let (model, dir) = (model("llama-3"), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (kept, bad, later) = (path("kept.json"), path("bad.json"), path("later.json"));
    let run = |lines: &str| piped(model.path(), &["-n", "8"], lines);
    let (output, through, stderr) = run(&format!("The wheel\n/save {kept}\nAnd then?\n"));
    assert!(output.status.success(), "{stderr}");
    let (output, resumed, stderr) = run(&format!("/load {kept}\nAnd then?\n"));
    assert!(output.status.success() && stderr.contains("2 messages loaded"), "{stderr}");
    assert!(through.ends_with(&resumed) && !resumed.trim().is_empty(), "{through:?} ends with {resumed:?}");
    let text = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&bad, &text[..text.len() / 2]).unwrap();
    std::fs::write(&later, text.replace("\"quernel_chat\": 1", "\"quernel_chat\": 2")).unwrap();
    for (name, what) in [(&bad, "is no conversation"), (&later, "is of version 2"), (&path("none.json"), "none.json")] {
        let (output, _, stderr) = run(&format!("/load {name}\n"));
        assert!(output.status.code() == Some(1) && stderr.contains(what), "{stderr}");
    }
    #[cfg(unix)]
    {
        let (output, _, stderr) = run("/load /dev/zero\n");
        assert!(output.status.code() == Some(1) && stderr.contains("neither a file nor a folder"), "{stderr}");
        std::os::unix::fs::symlink(&kept, &bad).unwrap_err();
        std::fs::remove_file(&bad).unwrap();
        std::os::unix::fs::symlink(&kept, &bad).unwrap();
        let (output, _, stderr) = run(&format!("The stone\n/save {bad}\n"));
        assert!(output.status.success() && std::fs::read_to_string(&kept).unwrap().contains("The stone"), "{stderr}");
        assert!(std::fs::symlink_metadata(&bad).unwrap().is_symlink());
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}
