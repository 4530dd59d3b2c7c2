//! The chat through a pseudo-terminal.

use super::{command, model};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody at a terminal.
struct Person {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    screen: Receiver<Vec<u8>>,
    /// What came and was not looked at yet.
    unread: String,
    child: Box<dyn Child + Send + Sync>,
}

impl Person {
    fn at(model: &Path, cache: &Path, arguments: &[&str]) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let plain = command(model, arguments);
        let mut builder = CommandBuilder::new(plain.get_program());
        builder.args(plain.get_args());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => builder.env(name, value),
                None => builder.env_remove(name),
            }
        }
        builder.env("QUERNEL_CACHE", cache);
        builder.env("TERM", "xterm");
        let child = pair.slave.spawn_command(builder).unwrap();
        let (sender, screen) = channel();
        let mut reader = pair.master.try_clone_reader().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { master: pair.master, keys, screen, unread: String::new(), child }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for `text`. Returns what came before it.
    #[track_caller]
    fn sees(&mut self, text: &str) -> String {
        let begin = Instant::now();
        loop {
            if let Some(at) = self.unread.find(text) {
                let rest = self.unread.split_off(at + text.len());
                return std::mem::replace(&mut self.unread, rest);
            }
            let left = PATIENCE.saturating_sub(begin.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.unread.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} did not come, but {:?}", self.unread),
            }
        }
    }

    /// Types a line, and waits until it is on the screen.
    #[track_caller]
    fn enters(&mut self, line: &str) {
        self.types(line);
        self.sees(line);
        self.types("\r");
    }

    #[track_caller]
    fn leaves(mut self) -> u32 {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill().unwrap();
        panic!("it did not end; {:?}", self.unread);
    }
}

const PROMPT: &str = "> ";

#[test]
fn a_whole_conversation() {
    let (model, dir) = (model("llama-3"), tempfile::tempdir().unwrap());
    let kept = dir.path().join("kept.json").display().to_string();
    let mut person = Person::at(model.path(), dir.path(), &["-n", "6"]);
    person.sees("/help lists the commands");
    person.sees(PROMPT);
    for turn in ["The wheel", "And then?"] {
        person.enters(turn);
        person.sees(PROMPT);
    }
    person.master.resize(PtySize { rows: 30, cols: 40, pixel_width: 0, pixel_height: 0 }).unwrap();
    person.enters("The stone");
    person.sees(PROMPT);
    person.enters("/stats");
    assert!(person.sees("reused").contains("6 messages"));
    person.sees(PROMPT);
    person.types(&format!("/save {kept}\r"));
    person.sees("messages saved");
    person.sees(PROMPT);
    person.enters("/system Be brief.");
    person.sees("(a new conversation)");
    person.sees(PROMPT);
    person.types(&format!("/load {kept}\r"));
    person.sees("(6 messages loaded)");
    person.sees(PROMPT);
    person.enters("/load nowhere");
    person.sees("error: nowhere");
    person.sees(PROMPT);
    person.enters("/what");
    person.sees("no such command");
    person.sees(PROMPT);
    // The arrow brings the last line back.
    person.types("\x1b[A");
    person.sees("/what");
    person.types("\x15");
    person.enters("/help");
    person.sees("/regen");
    person.sees(PROMPT);
    person.types("\x04");
    assert_eq!(person.leaves(), 0);
    let history = std::fs::read_to_string(dir.path().join("chat-history")).unwrap();
    assert!(history.contains("And then?") && history.contains("/stats"), "{history}");
}

#[test]
fn a_question_that_does_not_fit_forgets_nothing_and_the_last_can_be_answered_anew() {
    let (model, dir) = (model("llama-3"), tempfile::tempdir().unwrap());
    let mut person = Person::at(model.path(), dir.path(), &["-n", "4", "-c", "96", "--ctx-shift"]);
    person.sees(PROMPT);
    person.enters("The wheel");
    person.sees(PROMPT);
    person.types(&format!("{}\r", "The wheel turned. ".repeat(48)));
    person.sees("the context of 96 tokens is full; -c asks for a longer one)");
    person.sees(PROMPT);
    for command in ["/regen", "/stats"] {
        person.enters(command);
        if command == "/stats" {
            let stats = person.sees("reused");
            assert!(stats.contains("2 messages, 0 forgotten"), "{stats}");
        }
        person.sees(PROMPT);
    }
    person.types("\x04");
    assert_eq!(person.leaves(), 0);
}

#[test]
fn ctrl_c_stops_the_answer_and_not_the_program() {
    let (model, dir) = (model("llama-yarn"), tempfile::tempdir().unwrap());
    // Checked, an answer takes long enough to be stopped.
    let mut person = Person::at(model.path(), dir.path(), &["--check"]);
    person.sees(PROMPT);
    person.enters("The wheel turned");
    // Words come, and then no more.
    person.sees("\n");
    person.sees(" ");
    person.types("\x03");
    person.sees("(stopped)");
    person.sees(PROMPT);
    person.enters("/stats");
    let stats = person.sees("reused");
    assert!(stats.contains("2 messages"), "{stats}");
    person.sees(PROMPT);
    // A line that was begun is dropped; twice at an empty prompt is the end.
    person.types("never said\x03");
    person.sees("Ctrl-C again");
    person.sees(PROMPT);
    person.types("\x03");
    assert_eq!(person.leaves(), 130);
}

/// What the template refuses costs nothing that was said before.
#[test]
fn a_refused_system_text_leaves_the_conversation() {
    let (model, dir) = (model("llama-3"), tempfile::tempdir().unwrap());
    let file = model.path().join("chat_template.jinja");
    let strict = "{% if messages[0].role == 'system' %}{{ raise_exception('No.') }}{% endif %}";
    std::fs::write(&file, strict.to_owned() + &std::fs::read_to_string(&file).unwrap()).unwrap();
    let mut person = Person::at(model.path(), dir.path(), &["-n", "4"]);
    person.sees(PROMPT);
    person.enters("The wheel");
    person.sees(PROMPT);
    person.enters("/system Be brief.");
    person.sees("the template says: No.");
    person.sees(PROMPT);
    person.enters("And then?");
    person.sees(PROMPT);
    person.enters("/stats");
    assert!(person.sees("reused").contains("4 messages"));
    person.sees(PROMPT);
    person.types("\x04");
    assert_eq!(person.leaves(), 0);
}
