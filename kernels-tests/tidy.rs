//! The rules of the house, held by a test: floors, budgets, and what library code must not say.
//!
//! Every finding names a file, a line and the way out. Each rule is tried on a text that breaks it, at the end. That
//! every shader is used and compiles is held by `shaders.rs`.

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use rules::Finding;
use source::Source;
use std::path::{Path, PathBuf};

/// Lines of a Rust file, of a WGSL file, and of a function.
const BUDGETS: [usize; 3] = [400, 300, 60];

/// Bytes of any file; a larger one does not belong into a source tree.
const LARGEST: u64 = 2_000_000;

/// The one file that is larger: weights that took an hour to train, and that everybody is to have.
const WEIGHTS: (&str, u64) = ("assets/storyteller/model.safetensors", 5_000_000);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` whose path ends in one of `endings`, in order. What git ignores by folder is left out.
fn files(folder: &str, endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            let kind = entry.file_type().expect("a file's type");
            if kind.is_dir() && name != ".git" && !name.starts_with("target") {
                folders.push(path);
            } else if kind.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                let path = path.to_string_lossy().replace('\\', "/");
                found.push(path.strip_prefix("./").unwrap_or(&path).to_owned());
            }
        }
    }
    found.sort();
    found
}

fn rust(folder: &str) -> Vec<Source> {
    files(folder, &[".rs"]).iter().map(|path| Source::read(&root(), path)).collect()
}

fn library() -> Vec<Source> {
    let sources = rust("src");
    assert!(sources.len() > 20, "the library's sources were not found");
    sources
}

fn none(findings: Vec<Finding>) {
    assert!(findings.is_empty(), "{} broken:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn every_module_imports_only_from_the_floors_below() {
    let floors = rules::Floors::new(&Source::read(&root(), "src/lib.rs")).expect("the table of floors");
    none(library().iter().flat_map(|source| rules::layering(source, &floors)).collect());
}

#[test]
fn only_the_gpu_room_knows_wgpu() {
    none(library().iter().flat_map(rules::wgpu).collect());
}

#[test]
fn library_code_neither_panics_nor_prints() {
    none(library().iter().flat_map(rules::manners).collect());
}

#[test]
fn no_file_holds_what_does_not_belong_into_a_release() {
    none(rust(".").iter().flat_map(rules::leftovers).collect());
    let texts = [".rs", ".wgsl", ".md", ".toml", ".py", ".sh", ".yml", "Makefile", "run"];
    let findings = files(".", &texts).into_iter().flat_map(|path| {
        let text = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
        rules::words_of_the_workshop(&path, &text)
    });
    none(findings.collect());
}

#[test]
fn every_unsafe_block_says_why_it_is_safe() {
    none(rust(".").iter().flat_map(rules::safety).collect());
}

#[test]
fn files_and_functions_keep_within_their_budgets() {
    let [rust_lines, wgsl_lines, function_lines] = BUDGETS;
    let mut findings = Vec::new();
    for source in rust(".") {
        findings.extend(rules::length(&source.path, &source.text, rust_lines));
        findings.extend(rules::functions(&source, function_lines));
    }
    for path in files("shaders", &[".wgsl"]) {
        let text = std::fs::read_to_string(root().join(&path)).expect("a shader");
        findings.extend(rules::length(&path, &text, wgsl_lines));
    }
    for path in files(".", &[""]) {
        let bytes = std::fs::metadata(root().join(&path)).map_or(0, |file| file.len());
        let most = if path == WEIGHTS.0 { WEIGHTS.1 } else { LARGEST };
        if bytes > most {
            findings.push(format!("{path}: {bytes} bytes, more than {most}: make it at build or test time"));
        }
    }
    none(findings);
}

#[test]
fn the_package_holds_what_a_user_needs_and_no_more() {
    let listed = std::process::Command::new(env!("CARGO"))
        .args(["package", "--list", "--offline", "--allow-dirty"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let listed = String::from_utf8(listed.stdout).expect("names");
    let listed: Vec<&str> = listed.lines().collect();
    for wanted in ["README.md", "LICENSE-MIT", "src/lib.rs", "shaders/rope.wgsl", WEIGHTS.0, "assets/story/plots.txt"] {
        assert!(listed.contains(&wanted), "{wanted} is not in the package: {listed:#?}");
    }
    let folders = ["src", "shaders", "examples", "assets", "scripts"];
    let strange = |path: &&&str| path.split_once('/').is_some_and(|(folder, _)| !folders.contains(&folder));
    assert_eq!(listed.iter().find(strange), None);
    let bytes: u64 = listed.iter().filter_map(|path| std::fs::metadata(root().join(path)).ok()).map(|f| f.len()).sum();
    assert!(bytes < 8 << 20, "{bytes} bytes before compression; crates.io takes 10 MB after it");
}

#[test]
fn every_kernel_has_its_definition_and_one_word_everywhere() {
    let room = Source::read(&root(), "src/kernels/mod.rs");
    let kernels: Vec<&str> =
        room.code.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(kernels.len() >= 10, "{kernels:?}");
    let shaders: Vec<String> = quernel::shader::sources().iter().map(|(name, _)| (*name).to_owned()).collect();
    let source = |word: &str| {
        let file = format!("src/kernels/{word}.rs");
        let path = if Path::new(&root()).join(&file).exists() { file } else { format!("src/kernels/{word}/mod.rs") };
        Source::read(&root(), &path)
    };
    let mut findings: Vec<_> = kernels.iter().flat_map(|word| rules::kernel(word, &source(word), &shaders)).collect();
    let untested = kernels.iter().filter(|word| !root().join(format!("kernels-tests/{word}.rs")).exists());
    findings.extend(
        untested.map(|word| format!("src/kernels/{word}.rs:1: no kernels-tests/{word}.rs holds it to its definition")),
    );
    none(findings);
}

#[test]
fn every_rule_can_fail() {
    let lib = Source::new(
        "src/lib.rs",
        "//! | 0 | [`error`] | a |\n//! | 1 | [`tensor`], [`text`] | b |\n//! | 4 | [`graph`] | c |\n//! | 4 | [`gpu`] | d |\n\
         pub mod error; pub mod tensor; pub mod text; pub mod graph; pub mod gpu;\npub use error::{Error, Result};\n",
    );
    let floors = rules::Floors::new(&lib).expect("floors");
    let layering = |path, text| rules::layering(&Source::new(path, text), &floors).len();
    assert_eq!(layering("src/graph/op.rs", "use crate::{Error, tensor::{self, Fact}};\nuse super::Op;"), 0);
    assert_eq!(layering("src/graph/op.rs", "use crate::graph::Op; /* use crate::gpu; */ // crate::gpu"), 0);
    assert_eq!(layering("src/graph/op.rs", "#[cfg(test)]\nmod tests { use crate::gpu::Gpu; }"), 0);
    assert_eq!(layering("src/tensor/fact.rs", "use crate::{Error, graph::{Op}};"), 1);
    assert_eq!(layering("src/tensor/fact.rs", "fn f(x: crate::text::Text) {}"), 1);
    assert_eq!(layering("src/graph/op.rs", "fn f(x: crate::nowhere::Text) {}"), 1);
    assert_eq!(layering("src/graph/op.rs", "use super::super::gpu::Gpu;"), 1);
    assert_eq!(layering("src/cellar.rs", ""), 1);

    let lib = |text: &str| Source::new("src/graph/x.rs", text);
    assert_eq!(rules::wgpu(&lib("use wgpu::Device;")).len(), 1);
    assert_eq!(rules::wgpu(&lib("// wgpu\nconst A: &str = \"wgpu\"; let mywgpu = 1;")).len(), 0);
    assert_eq!(rules::wgpu(&Source::new("src/gpu/x.rs", "use wgpu::Device;")).len(), 0);
    let rude = "fn f() { x.unwrap(); x.expect(\"e\"); panic!(); todo!(); unimplemented!(); println!(); eprintln!(); }";
    assert_eq!(rules::manners(&lib(rude)).len(), 7);
    assert_eq!(rules::manners(&Source::new("src/main.rs", rude)).len(), 0);
    assert_eq!(
        rules::manners(&lib("/// x.unwrap()\nfn f() { x.unwrap_or(1); expect(\"panic!\"); '\\''; 'a' }")).len(),
        0
    );
    assert_eq!(
        rules::manners(&lib("#[cfg(test)]\nmod tests {\n fn f() { x.unwrap(); }\n}\nfn g() { y.unwrap(); }")).len(),
        1
    );
    assert_eq!(rules::manners(&lib("let x = self.expect(name, 1)?;")).len(), 0);
    assert_eq!(rules::leftovers(&lib("fn f() { dbg!(1); }\n#[allow(unused)]\nfn g() {}")).len(), 2);
    assert_eq!(rules::leftovers(&lib("#[ignore]\nfn f() {}\n#[expect(unused)]\nfn g() {}")).len(), 2);
    assert_eq!(
        rules::leftovers(&lib("#[ignore = \"needs a GPU\"]\nfn f() {}\n#[expect(unused, reason = \"r\")]")).len(),
        0
    );
    assert_eq!(rules::words_of_the_workshop("a.md", concat!("fine\n", "TO", "DO later\nin /", "home/me\n")).len(), 2);
    assert_eq!(rules::safety(&lib("fn f() { unsafe { g() } }")).len(), 1);
    assert_eq!(rules::safety(&lib("// SAFETY: g needs nothing.\n#[inline]\nunsafe { g() }")).len(), 0);
    assert_eq!(rules::length("a.rs", "1\n2\n3\n", 2).iter().count(), 1);
    assert_eq!(rules::functions(&lib("fn f(a: [u8; 3]) -> u8\n{\n\n}\nfn g();\nfn h() {}"), 3).len(), 1);
    let kernel = "//! `add`: y = a + b.\nparams! { pub struct Params { n: u32 } }\n\
                  pub fn launch() { make(\"add\", \"add\") }\npub fn reference() {}\n";
    let shaders = ["add".to_owned()];
    assert_eq!(rules::kernel("add", &lib(kernel), &shaders).len(), 0);
    assert_eq!(rules::kernel("add", &lib(&kernel.replace("reference", "definition")), &shaders).len(), 1);
    assert_eq!(rules::kernel("sum", &lib(kernel), &shaders).len(), 2);
}
