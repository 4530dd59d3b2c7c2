//! `quernel pull`, `ls`, `rm`, and models of the hub wherever a command takes `-m`.

use super::*;
use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

/// `quernel` with `arguments`, and nothing of the hub's in its environment.
pub fn quernel<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quernel"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_lowercase();
        if text.starts_with("hf_") || text.ends_with("_proxy") || text == "quernel_log" {
            command.env_remove(name);
        }
    }
    command.env("NODEVICE_SELECT", "1").env("QUERNEL_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
    command
}

/// With a cache of its own and the server's hub.
fn at<S: AsRef<OsStr>>(server: &Server, cache: &Path, arguments: impl IntoIterator<Item = S>) -> (i32, String, String) {
    let mut command = quernel(arguments);
    command.env("HF_ENDPOINT", server.endpoint()).env("HF_HOME", cache);
    ran(&mut command)
}

fn ran(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn a_model_is_pulled_listed_and_removed() {
    let server = Server::new(files(), Duration::ZERO, |_| Fate::Fine);
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| at(&server, home.path(), arguments);
    assert_eq!(run(&["ls"]), (0, String::new(), String::new()));
    let (code, folder, told) = run(&["pull", REPO]);
    assert!(code == 0 && told.contains("fetching mill/stone from http://127.0.0.1"), "{told}");
    let cache = home.path().join("hub");
    assert_eq!(Path::new(folder.trim_end()), root(&cache).join("snapshots").join(COMMIT));
    expect_whole(&cache);
    let (_, again, told) = run(&["pull", "-q", REPO]);
    assert_eq!((again, told.as_str()), (folder.clone(), ""));
    let (_, list, _) = run(&["ls"]);
    assert!(
        list.lines().count() == 1
            && ["mill/stone  main  ", "KiB", folder.trim_end()].iter().all(|said| list.contains(said))
    );
    let list: serde_json::Value = serde_json::from_str(&run(&["ls", "--json"]).1).unwrap();
    assert_eq!(
        (&list[0]["repo"], &list[0]["commit"], &list[0]["revisions"][0]),
        (&REPO.into(), &COMMIT.into(), &"main".into())
    );
    let (code, _, told) = run(&["rm", REPO]);
    assert!(code == 2 && told.contains("-y"), "{told}");
    let (code, freed, _) = run(&["rm", "-y", REPO]);
    let bytes: usize = needed().values().map(Vec::len).sum();
    assert_eq!(code, 0);
    let freed: usize = freed.strip_suffix(" bytes freed\n").unwrap().parse().unwrap();
    assert!((bytes..bytes + 100).contains(&freed), "{freed} of {bytes}");
    let (code, _, told) = run(&["rm", "-y", REPO]);
    assert!(code == 1 && told.contains("does not hold it"), "{told}");
    let (code, _, told) = run(&["pull", "../evil"]);
    assert!(code == 2 && told.contains("org/name"), "{told}");
}

/// A tiny model on the server, as a hub would have it.
fn tiny() -> Server {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/golden/llama");
    let file = |name: &str| (name.to_owned(), fs::read(folder.join(name)).unwrap());
    Server::new(["config.json", "model.safetensors", "tokenizer.json"].map(file).into(), Duration::ZERO, |_| Fate::Fine)
}

#[test]
fn every_command_takes_a_model_of_the_hub() {
    let server = tiny();
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| at(&server, home.path(), arguments);
    let out = home.path().join("q4");
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT");
    for arguments in [
        &["plan", "--baseline", "-m", REPO][..],
        &["generate", "-q", "-n", "2", "-p", "x", "-m", "mill/stone@v1"],
        &["quantize", "-q", "--weights", "q4", "-o", out.to_str().unwrap(), "-m", REPO],
        &["perplexity", "-q", "-f", text, "-c", "64", "-m", REPO],
        &["bench", "-q", "--no-roofline", "--no-tune", "-p", "4", "-n", "0", "-r", "1", "-m", REPO],
    ] {
        let (code, printed, told) = run(arguments);
        assert_eq!(code, 0, "{arguments:?} {told}");
        assert!(arguments[0] != "bench" || printed.contains("stone"), "{printed}");
    }
    let large = server.asked().iter().filter(|asked| asked.cdn).count();
    assert_eq!(large, 1, "it is fetched once");
    // A folder that is there wins.
    fs::create_dir_all(home.path().join(REPO)).unwrap();
    let mut command = quernel(["plan", "--baseline", "-m", REPO]);
    let (code, _, told) = ran(command.current_dir(home.path()).env("HF_ENDPOINT", server.endpoint()));
    assert!(code == 1 && told.contains("holds neither"), "{told}");
}

/// Python may have fetched the files that somebody named, and the cache does not tell.
#[test]
fn a_model_without_a_chat_template_may_not_be_whole() {
    let server = tiny();
    let home = tempfile::tempdir().unwrap();
    let (code, _, told) = at(&server, home.path(), ["chat", "-q", "-m", REPO]);
    assert!(code == 1 && told.contains("no chat template"), "{told}");
    assert!(told.contains("if another program fetched the model: `quernel pull mill/stone` adds"), "{told}");
}

#[test]
fn a_name_that_is_nothing_shows_both_ways_out() {
    let server = tiny();
    let home = tempfile::tempdir().unwrap();
    for (name, said) in [
        ("no/such/model", &["no/such/model: No such file or folder", "org/name@revision"][..]),
        ("./nowhere", &["./nowhere: No such file or folder", "org/name@revision"]),
        ("nowhere", &["nowhere: No such file or folder", "org/name@revision"]),
        ("mill/sand", &["the hub has no model mill/sand", "No folder mill/sand is here either"]),
    ] {
        let (code, _, told) = at(&server, home.path(), ["plan", "--baseline", "-m", name]);
        assert_eq!(code, 1, "{told}");
        assert!(said.iter().all(|said| told.contains(said)), "{told}");
    }
    let mut command = quernel(["plan", "--baseline", "-m", REPO]);
    let (code, _, told) = ran(command.env("HF_HUB_OFFLINE", "yes").env("HF_HOME", home.path()));
    assert!(code == 1 && told.contains("HF_HUB_OFFLINE"), "{told}");
}

#[test]
fn help_tells_of_the_environment() {
    let (_, help, _) = ran(&mut quernel(["pull", "--help"]));
    let said = ["HF_TOKEN", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "Examples"];
    assert!(said.iter().all(|said| help.contains(said)), "{help}");
}
