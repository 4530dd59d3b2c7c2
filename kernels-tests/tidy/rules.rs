//! The rules. Each looks at one file and returns what it found there.

use crate::source::{Source, is_word, line_of, words};
use std::collections::BTreeMap;

/// One broken rule: `file:line: what is wrong: the way out`.
pub type Finding = String;

/// Imports that the floors would permit and the house does not.
const NEVER: [(&str, &str); 2] = [("model", "gpu"), ("model", "shader")];

/// On which floor each room lies, read from the table at the top of `src/lib.rs`.
pub struct Floors {
    of: BTreeMap<String, usize>,
    /// Names at the crate's root that are some room's: `Error` is `error`'s.
    names: BTreeMap<String, String>,
}

impl Floors {
    pub fn new(lib: &Source) -> Option<Self> {
        let mut of = BTreeMap::new();
        for line in lib.text.lines().filter_map(|line| line.strip_prefix("//! |")) {
            let mut cells = line.split('|').map(str::trim);
            let (Some(Ok(floor)), Some(rooms)) = (cells.next().map(str::parse), cells.next()) else { continue };
            of.extend(rooms.split('`').skip(1).step_by(2).map(|room| (room.to_owned(), floor)));
        }
        let mut names = BTreeMap::new();
        for line in lib.code.lines().filter_map(|line| line.strip_prefix("pub use ")) {
            let (room, rest) = line.split_once("::")?;
            let exported = rest.split(|c: char| !is_word(c)).filter(|name| !name.is_empty());
            names.extend(exported.map(|name| (name.to_owned(), room.to_owned())));
        }
        (of.len() > 2).then_some(Self { of, names })
    }
}

pub fn layering(source: &Source, floors: &Floors) -> Vec<Finding> {
    if ["src/lib.rs", "src/main.rs"].contains(&&*source.path) {
        return Vec::new();
    }
    let (room, depth) = source.module();
    let mut findings = Vec::new();
    if room == "cli" {
        let own = |name: &str| name == "cli";
        let foreign = imports(&source.code).into_iter().filter(|(_, name)| !own(name));
        findings.extend(foreign.map(|(line, name)| {
            format!(
                "{}: the command line imports crate::{name}: it sees the public surface only, quernel::…",
                source.at(line)
            )
        }));
        return findings;
    }
    let Some(&floor) = floors.of.get(room) else {
        return vec![format!(
            "{}: the room {room:?} has no floor: give it one in the table of src/lib.rs",
            source.at(0)
        )];
    };
    for (line, name) in imports(&source.code).into_iter().filter(|(line, _)| !source.test_lines[*line]) {
        let target = floors.names.get(&name).unwrap_or(&name);
        let at = source.at(line);
        match floors.of.get(target) {
            None => findings.push(format!("{at}: crate::{name} is no room: name the room that it comes from")),
            Some(_) if target == room => {}
            Some(&below) if below >= floor => findings.push(format!(
                "{at}: {room} (floor {floor}) imports {target} (floor {below}): move what both need to a floor below"
            )),
            Some(_) if NEVER.contains(&(room, target)) => {
                findings.push(format!("{at}: {room} must not know {target}: pass it data of a floor below"));
            }
            Some(_) => {}
        }
    }
    let climb = vec!["super"; depth].join("::") + "::";
    for (line, text) in source.code_lines().filter(|(_, text)| text.contains(&climb)) {
        findings.push(format!(
            "{}: {:?} leaves the room: write crate::…, so that the floor shows",
            source.at(line),
            text.trim()
        ));
    }
    findings
}

/// The first names after `crate::`, each with its line from 0: `crate::{Error, gpu::Gpu}` gives `Error` and `gpu`.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in words(code, "crate").filter(|at| code[at + 5..].starts_with("::")) {
        let rest = &code[at + 7..];
        let name = |text: &str| text.trim_start().chars().take_while(|c| is_word(*c)).collect::<String>();
        let Some(group) = rest.strip_prefix('{') else {
            found.push((line_of(code, at), name(rest)));
            continue;
        };
        let mut depth = 0;
        let mut item = true;
        for (offset, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => item = true,
                c if is_word(c) && item && depth == 0 => {
                    found.push((line_of(code, at + 8 + offset), name(&group[offset..])));
                    item = false;
                }
                _ => {}
            }
        }
    }
    found.retain(|(_, name)| name != "self" && !name.is_empty());
    found
}

pub fn wgpu(source: &Source) -> Vec<Finding> {
    if source.module().0 == "gpu" {
        return Vec::new();
    }
    let places = words(&source.code, "wgpu").map(|at| source.at(line_of(&source.code, at)));
    places.map(|at| format!("{at}: wgpu outside src/gpu: use what crate::gpu offers, or add it there")).collect()
}

/// What library code must not say, and the way out.
const MANNERS: [(&str, &str); 10] = [
    (".unwrap()", "return an Error"),
    (".expect(", "return an Error"),
    ("panic!", "return an Error"),
    ("todo!", "write it"),
    ("unimplemented!", "write it"),
    ("unreachable!", "return an Error, or give the case a type of its own"),
    ("println!", "return the text, or use tracing"),
    ("eprintln!", "use tracing"),
    ("print!", "return the text, or use tracing"),
    ("process::exit", "return an Error"),
];

pub fn manners(source: &Source) -> Vec<Finding> {
    if source.path == "src/main.rs" || source.module().0 == "cli" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, text) in source.code_lines() {
        for (word, way_out) in MANNERS {
            // A method of one's own named `expect` takes something else than a message, which is blanked out here.
            let message =
                |at: usize| word != ".expect(" || text[at + word.len()..].trim_start().starts_with([')', '&']);
            let starts = |at: usize| word.starts_with('.') || !text[..at].chars().next_back().is_some_and(is_word);
            if text.match_indices(word).any(|(at, _)| starts(at) && message(at)) {
                findings.push(format!("{}: {word} in library code: {way_out}", source.at(line)));
            }
        }
    }
    findings
}

/// Marks that a working copy has and a release has not.
pub fn leftovers(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in source.code.lines().enumerate() {
        let mut add = |what: &str| findings.push(format!("{}: {what}", source.at(line)));
        let text = text.trim_start();
        if words(text, "dbg").any(|at| text[at + 3..].starts_with('!')) {
            add("dbg!: take it out");
        }
        if text.starts_with("#[allow(") || text.starts_with("#![allow(") {
            add("allow: mend the cause, or #[expect(…, reason = \"…\")]");
        }
        let whole = attribute(&source.code, line);
        if (text.starts_with("#[expect(") || text.starts_with("#![expect(")) && !whole.contains("reason") {
            add("expect without a reason: say why");
        }
        if text.starts_with("#[ignore]") || text.starts_with("#[should_panic]") {
            add("a test switched off or content with any panic: say why with = \"…\", or check the error");
        }
    }
    findings
}

/// The attribute that begins on `line`, to its closing bracket.
fn attribute(code: &str, line: usize) -> String {
    let rest: Vec<&str> = code.lines().skip(line).collect();
    let last = rest.iter().position(|text| text.trim_end().ends_with(']')).unwrap_or(0);
    rest.get(..=last).unwrap_or_default().join(" ")
}

/// Words that speak of the workshop and not of the work, and paths of one machine.
pub fn words_of_the_workshop(path: &str, text: &str) -> Vec<Finding> {
    // In pieces, so that this file passes its own rule.
    let stubs = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("for", " now"),
        concat!("place", "holder"),
        concat!("simplified", " version"),
        concat!("being", " written"),
    ];
    let folders = ["home", "Users", "root", "tmp", "work"].map(|folder| format!("/{folder}/"));
    let hosts = ["index", "static", "registry", "files", "deb", "security"].map(|host| format!("://{host}."));
    let mut findings = Vec::new();
    for (line, text) in text.lines().enumerate() {
        let mut add = |word: &str, way_out: &str| findings.push(format!("{path}:{}: {word}: {way_out}", line + 1));
        if let Some(word) = stubs.iter().find(|word| text.contains(**word)) {
            add(word, "do it, or describe it where work is planned");
        }
        let before = |at: usize| text[..at].chars().next_back();
        let absolute = |folder: &String| text.find(folder.as_str()).is_some_and(|at| !before(at).is_some_and(is_word));
        if let Some(folder) = folders.iter().find(|folder| absolute(folder)) {
            add(folder, "a path of one machine: make it relative, or ask the system");
        }
        if let Some(host) = hosts.iter().find(|host| text.contains(host.as_str())) {
            add(host, "a package host: take it from the machine's own configuration");
        }
    }
    findings
}

/// `unsafe` needs a comment with SAFETY above it, with nothing but comments and attributes between.
pub fn safety(source: &Source) -> Vec<Finding> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut findings = Vec::new();
    for at in words(&source.code, "unsafe") {
        let line = line_of(&source.code, at);
        let above = lines[..line].iter().rev().take_while(|text| {
            let text = text.trim_start();
            text.starts_with("//") || text.starts_with("#[")
        });
        if !above.chain([&lines[line]]).any(|text| text.contains("SAFETY:") || text.contains("# Safety")) {
            findings.push(format!("{}: unsafe: say in a // SAFETY: comment above it why it is sound", source.at(line)));
        }
    }
    findings
}

pub fn length(path: &str, text: &str, budget: usize) -> Option<Finding> {
    let lines = text.lines().count();
    (lines > budget).then(|| format!("{path}:{lines}: {lines} lines, {budget} at most: divide it by what it knows"))
}

pub fn functions(source: &Source, budget: usize) -> Vec<Finding> {
    let long = source.functions().into_iter().filter(|(_, _, lines)| *lines > budget);
    long.map(|(name, line, lines)| {
        format!("{}: fn {name} has {lines} lines, {budget} at most: give its parts names", source.at(line))
    })
    .collect()
}

/// A kernel's file has its parts, its launch says its own word, and it launches a shader that exists.
pub fn kernel(word: &str, source: &Source, shaders: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut need = |there: bool, what: String| {
        if !there {
            findings.push(format!("{}: {what}", source.at(0)));
        }
    };
    need(
        source.text.starts_with(&format!("//! `{word}`:")),
        format!("begin the file with //! `{word}`: and its formula"),
    );
    for part in ["pub struct Params", "pub fn launch(", "pub fn reference("] {
        need(source.code.contains(part), format!("the kernel {word} has no `{part}`: see src/kernels/README.md"));
    }
    let strings: Vec<&str> = source.own_strings().collect();
    need(strings.contains(&word), format!("no launch is named {word:?}: the kernel's word is the file's name"));
    let launches = strings.iter().any(|string| !string.contains('/') && shaders.iter().any(|shader| shader == string));
    need(launches, "no shader of shaders/ is launched: one word for the kernel and its shader".to_owned());
    findings
}
