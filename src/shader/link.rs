//! Joins shader files into one module.
//!
//! Two directives, both comments, so that every file stays plain WGSL:
//! `//!use shared/fold` brings a file in once, and `//!slot quant` brings in the file that the recipe names for that
//! slot. `override` declarations become `const` with the recipe's value or their own default, because naga refuses
//! private arrays whose size is an override. `enable` lines move to the top, where the language wants them.

use super::reflect::{Parsed, parse};
use super::{Reflection, source};
use crate::{Error, Result};

/// Which file, with which slots and constants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Recipe {
    /// The file under `shaders/`, without `.wgsl`: `"rms_norm"`, `"matvec"`.
    pub shader: &'static str,
    /// Slot name and the file that fills it: `("quant", "quant/f16")`.
    pub slots: Vec<(&'static str, &'static str)>,
    /// Override name and its value: `("TOKENS", 4)`.
    pub constants: Vec<(&'static str, u32)>,
}

/// Who will read the linked text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// naga 30, which takes subgroup operations without their `enable` line and refuses the line.
    Naga,
    /// Tint, which wants every `enable` line.
    Tint,
}

/// A complete module.
#[derive(Debug, Clone)]
pub struct Linked {
    /// The WGSL text.
    pub source: String,
    /// What it binds, and its workgroup size.
    pub reflection: Reflection,
}

/// Joins the files that `recipe` names into a module for `target`, and validates it.
///
/// # Errors
/// [`Error::Shader`], at the line of the file that is at fault.
///
/// ```
/// use quernel::shader::{Recipe, Target, link};
/// let linked = link(&Recipe { shader: "add", slots: vec![], constants: vec![("WORKGROUP", 32)] }, Target::Naga)?;
/// assert_eq!(linked.reflection.workgroup, [32, 1, 1]);
/// # Ok::<(), quernel::Error>(())
/// ```
pub fn link(recipe: &Recipe, target: Target) -> Result<Linked> {
    let mut linker =
        Linker { recipe, find: &source, seen: Vec::new(), enables: Vec::new(), lines: Vec::new(), used: Vec::new() };
    linker.file(recipe.shader, (recipe.shader, 1))?;
    linker.all_used()?;
    let checked = linker.text(Target::Naga);
    let reflection = match parse(&checked) {
        Ok(Parsed { reflection, .. }) => reflection,
        Err((line, reason)) => return Err(linker.blame(line, reason)),
    };
    let source = if target == Target::Naga { checked } else { linker.text(target) };
    Ok(Linked { source, reflection })
}

/// A line of the output, with the file and line it came from.
struct Line {
    text: String,
    file: &'static str,
    number: usize,
}

struct Linker<'a> {
    recipe: &'a Recipe,
    find: &'a dyn Fn(&str) -> Option<&'static str>,
    seen: Vec<&'static str>,
    enables: Vec<String>,
    lines: Vec<Line>,
    /// Slots and constants of the recipe that some file asked for.
    used: Vec<&'static str>,
}

impl Linker<'_> {
    /// Appends `path` and what it uses, once. `from` is the line that asked for it.
    fn file(&mut self, path: &'static str, from: (&'static str, usize)) -> Result<()> {
        if self.seen.contains(&path) {
            return Ok(());
        }
        self.seen.push(path);
        let text = (self.find)(path).ok_or_else(|| fault(from.0, from.1, format!("no shader file {path:?}")))?;
        for (index, line) in text.lines().enumerate() {
            self.line(line, path, index + 1)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &'static str, file: &'static str, number: usize) -> Result<()> {
        if let Some(path) = line.strip_prefix("//!use ") {
            return self.file(path.trim(), (file, number));
        }
        if let Some(slot) = line.strip_prefix("//!slot ") {
            let slot = slot.trim();
            let filled = self.recipe.slots.iter().find(|(name, _)| *name == slot);
            let (name, path) = filled.ok_or_else(|| fault(file, number, format!("nothing fills the slot {slot:?}")))?;
            self.used.push(name);
            return self.file(path, (file, number));
        }
        if line.starts_with("enable ") {
            if !self.enables.iter().any(|known| known == line) {
                self.enables.push(line.to_owned());
            }
            return Ok(());
        }
        let text = match line.strip_prefix("override ") {
            Some(declaration) => self.freeze(declaration, file, number)?,
            None => line.to_owned(),
        };
        self.lines.push(Line { text, file, number });
        Ok(())
    }

    /// `NAME: u32 = 1u; // why` as a `const`, with the recipe's value where it has one.
    fn freeze(&mut self, declaration: &str, file: &'static str, number: usize) -> Result<String> {
        let (name, rest) = declaration
            .split_once(':')
            .ok_or_else(|| fault(file, number, "an override needs a type: `override NAME: u32 = 1u;`".to_owned()))?;
        let Some((known, value)) = self.recipe.constants.iter().find(|(known, _)| *known == name.trim()) else {
            if !rest.contains('=') {
                return Err(fault(file, number, format!("the recipe gives no value for {:?}", name.trim())));
            }
            return Ok(format!("const {declaration}"));
        };
        self.used.push(known);
        let kind = rest.split(['=', ';']).next().unwrap_or_default().trim();
        Ok(format!("const {}: {kind} = {value}u;", name.trim()))
    }

    /// A slot or constant that no file asks for is a mistake in the recipe.
    fn all_used(&self) -> Result<()> {
        let names =
            self.recipe.slots.iter().map(|(name, _)| name).chain(self.recipe.constants.iter().map(|(name, _)| name));
        for name in names {
            if !self.used.contains(name) {
                return Err(fault(self.recipe.shader, 1, format!("no file has a slot or an override named {name:?}")));
            }
        }
        Ok(())
    }

    fn kept_enables(&self, target: Target) -> impl Iterator<Item = &String> {
        self.enables.iter().filter(move |line| target == Target::Tint || line.as_str() != "enable subgroups;")
    }

    fn text(&self, target: Target) -> String {
        let lines = self.lines.iter().map(|line| &line.text);
        self.kept_enables(target).chain(lines).flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    /// Turns a line of the joined text (from 1) into an error at the file's own line.
    fn blame(&self, line: usize, reason: String) -> Error {
        let index = line.saturating_sub(1 + self.kept_enables(Target::Naga).count());
        match self.lines.get(index) {
            Some(line) => fault(line.file, line.number, reason),
            None => fault(self.recipe.shader, 1, reason),
        }
    }
}

fn fault(file: &str, line: usize, reason: String) -> Error {
    Error::Shader { file: format!("{file}.wgsl"), line, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(path: &str) -> Option<&'static str> {
        Some(match path {
            "main" => {
                "//!use help\n//!slot codec\nenable f16;\noverride N: u32 = 2u;\n\
                 @compute @workgroup_size(N) fn main() { _ = twice(decode()); }"
            }
            "help" => "//!use deep\nfn twice(x: f32) -> f32 { return two() * x; }",
            "deep" => "enable f16;\nfn two() -> f32 { return 2.0; }",
            "one" => "//!use deep\nfn decode() -> f32 { return 1.0; }",
            "bad" => "fn decode() -> f32 {\n  return missing;\n}",
            "loose" => "override M: u32;\n@compute @workgroup_size(M) fn main() {}",
            _ => return None,
        })
    }

    fn join(recipe: &Recipe) -> Result<String> {
        let mut linker = Linker { recipe, find: &files, seen: vec![], enables: vec![], lines: vec![], used: vec![] };
        linker.file(recipe.shader, (recipe.shader, 1))?;
        linker.all_used()?;
        let text = linker.text(Target::Naga);
        parse(&text).map_err(|(line, reason)| linker.blame(line, reason))?;
        Ok(text)
    }

    fn recipe(codec: &'static str, constants: Vec<(&'static str, u32)>) -> Recipe {
        Recipe { shader: "main", slots: vec![("codec", codec)], constants }
    }

    #[test]
    fn joins_each_file_once_and_hoists_enables() {
        let text = join(&recipe("one", vec![("N", 8)])).expect("links");
        assert_eq!(text.matches("fn two").count(), 1);
        assert_eq!(text.matches("enable f16;").count(), 1);
        assert!(text.starts_with("enable f16;\n"), "{text}");
        assert!(text.contains("const N: u32 = 8u;"), "{text}");
        assert!(join(&recipe("one", vec![])).expect("links").contains("const N: u32 = 2u;"));
    }

    #[test]
    fn blames_the_file_and_line_at_fault() {
        let at = |recipe: &Recipe| match join(recipe) {
            Err(Error::Shader { file, line, .. }) => (file, line),
            other => panic!("{other:?}"),
        };
        assert_eq!(at(&recipe("bad", vec![])), ("bad.wgsl".to_owned(), 2));
        assert_eq!(at(&recipe("absent", vec![])), ("main.wgsl".to_owned(), 2));
        assert_eq!(at(&recipe("one", vec![("TYPO", 1)])), ("main.wgsl".to_owned(), 1));
        assert_eq!(at(&Recipe { shader: "main", slots: vec![], constants: vec![] }), ("main.wgsl".to_owned(), 2));
        assert_eq!(at(&Recipe { shader: "loose", slots: vec![], constants: vec![] }), ("loose.wgsl".to_owned(), 1));
    }
}
