//! What the command does by itself: the model inside, completions, the manual.

use super::{quernel, run};

#[test]
fn the_model_inside_is_used_where_none_is_named() {
    let begin = "Once upon a time";
    let flags = ["-n", "12", "--temp", "0", "--echo"];
    let told = run(quernel(["generate", begin].into_iter().chain(flags))).printed();
    assert!(told.starts_with(begin) && told.len() > begin.len() + 12, "{told}");
    assert_eq!(run(quernel(["generate", "-p", begin].into_iter().chain(flags))).printed(), told);
    let named = ["generate", "-m", quernel::STORYTELLER, begin];
    assert_eq!(run(quernel(named.into_iter().chain(flags))).printed(), told);
    assert_eq!(run(quernel(["generate", begin, "-p", begin])).code, 2);
    assert!(run(quernel(["plan"])).printed().contains("attention"));
}

#[test]
fn it_can_be_quantized_into_a_folder_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("q4");
    let mut quantize = quernel(["quantize", "-m", quernel::STORYTELLER, "--weights", "q4", "-o"]);
    quantize.arg(&folder);
    run(quantize).printed();
    let mut generate = quernel(["generate", "Once upon a time", "-n", "8", "-m"]);
    generate.arg(&folder);
    assert!(!run(generate).printed().is_empty());
}

#[test]
fn shells_and_manuals_get_what_they_want() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(quernel(["completions", shell])).printed();
        assert!(script.contains("quernel") && script.contains("generate"), "{shell}: {script}");
    }
    let mut nowhere = quernel(["completions"]);
    nowhere.env_remove("SHELL");
    let ran = run(nowhere);
    assert!(ran.code == 2 && ran.stderr.contains("zsh"), "{} {}", ran.code, ran.stderr);
    let page = run(quernel(["man"])).printed();
    assert!(page.contains(".TH quernel 1") && page.contains("Exit codes"), "{page}");
    let dir = tempfile::tempdir().unwrap();
    let mut man = quernel(["man", "-o"]);
    man.arg(dir.path());
    run(man).printed();
    let page = std::fs::read_to_string(dir.path().join("quernel-generate.1")).unwrap();
    assert!(page.contains("Once upon a time"), "examples are part of the manual");
}
