//! A Rust file as the rules see it: code, comments and strings apart. No more of the language than that is understood.

use std::path::Path;

/// One file, character by character in three layers of the same length and the same lines.
pub struct Source {
    /// Its path from the package's root, with `/` between folders.
    pub path: String,
    /// The text.
    pub text: String,
    /// The text with spaces for comments and for what stands between quotes.
    pub code: String,
    /// The strings, each with its line from 0.
    pub strings: Vec<(usize, String)>,
    /// For each line, whether it is compiled for tests alone.
    pub test_lines: Vec<bool>,
}

impl Source {
    pub fn read(root: &Path, path: &str) -> Self {
        let text = std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self::new(path, &text)
    }

    pub fn new(path: &str, text: &str) -> Self {
        let (code, strings) = mask(text);
        let test_lines = test_lines(path, &code);
        Self { path: path.to_owned(), text: text.to_owned(), code, strings, test_lines }
    }

    /// Lines of the library's own code: number from 0, text without comments and strings.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().filter(|(line, _)| !self.test_lines[*line])
    }

    /// Strings of the library's own code.
    pub fn own_strings(&self) -> impl Iterator<Item = &str> {
        self.strings.iter().filter(|(line, _)| !self.test_lines[*line]).map(|(_, text)| text.as_str())
    }

    /// `path:line` for a line counted from 0.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{}", self.path, line + 1)
    }

    /// What a module in this file may call itself, and how many folders of modules it lies below the crate's root.
    pub fn module(&self) -> (&str, usize) {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let inner = inner.strip_suffix(".rs").unwrap_or(inner);
        let inner = inner.strip_suffix("/mod").unwrap_or(inner);
        (inner.split('/').next().unwrap_or(inner), inner.split('/').count())
    }

    /// Every function with a body: name, first line from 0, number of lines.
    pub fn functions(&self) -> Vec<(String, usize, usize)> {
        let code = &self.code;
        let bodies = words(code, "fn").filter_map(|at| {
            let rest = code[at + 2..].trim_start();
            let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
            let open = at + body(&code[at..]).filter(|_| !name.is_empty())?;
            let close = open + closing(&code[open..])?;
            Some((name, line_of(code, at), line_of(code, close) - line_of(code, at) + 1))
        });
        bodies.collect()
    }
}

/// Whether `c` may stand in a name.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `code` as a word of its own.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let apart = |c: Option<char>| c.is_none_or(|c| !is_word(c));
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| apart(code[..at].chars().next_back()) && apart(code[at + word.len()..].chars().next()))
}

/// The line, from 0, of a place in `text`.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count()
}

/// Where the first `{` stands outside of brackets, unless a `;` comes first.
fn body(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// Where the brace closes that `code` begins with.
fn closing(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn test_lines(path: &str, code: &str) -> Vec<bool> {
    let all = !path.starts_with("src/") || path.ends_with("/tests.rs") || path.contains("/tests/");
    let mut lines = vec![all; code.lines().count() + 1];
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let after = at + "#[cfg(test)]".len();
        let end = match body(&code[after..]) {
            Some(open) => after + open + closing(&code[after + open..]).unwrap_or(0),
            None => after + code[after..].find(';').unwrap_or(0),
        };
        lines[line_of(code, at)..=line_of(code, end)].fill(true);
    }
    lines
}

/// The text with blanks for comments and between quotes, and what stood between the quotes.
fn mask(text: &str) -> (String, Vec<(usize, String)>) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut strings) = (String::with_capacity(text.len()), Vec::new());
    let (mut at, mut line) = (0, 0);
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => at + chars[at..].iter().take_while(|c| **c != '\n').count(),
            ('/', Some('*')) => block_comment(&chars, at),
            ('"', _) => {
                let hashes = raw_hashes(&chars[..at]);
                let end = string(&chars, at, hashes);
                let inner = &chars[(at + 1).min(end)..end.saturating_sub(1 + hashes.unwrap_or(0)).max(at + 1)];
                strings.push((line, inner.iter().collect()));
                end
            }
            ('\'', Some('\\')) => {
                let from = (at + 3).min(chars.len()); // past the escaped character, which may be a quote
                from + chars[from..].iter().take_while(|c| **c != '\'').count() + 1
            }
            ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => at + 3,
            (c, _) => {
                code.push(c);
                line += usize::from(c == '\n');
                at += 1;
                continue;
            }
        };
        for &c in &chars[at..end.min(chars.len())] {
            code.push(if c == '\n' { '\n' } else { ' ' });
            line += usize::from(c == '\n');
        }
        at = end;
    }
    (code, strings)
}

fn block_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// How many `#` stand between a raw string's `r` and its quote; `None` before a string that is not raw.
fn raw_hashes(before: &[char]) -> Option<usize> {
    let hashes = before.iter().rev().take_while(|c| **c == '#').count();
    let rest = &before[..before.len() - hashes];
    let raw = rest.last() == Some(&'r')
        && (rest.len() < 2 || !is_word(rest[rest.len() - 2]) || matches!(rest[rest.len() - 2], 'b' | 'c'));
    raw.then_some(hashes)
}

/// Past the end of the string whose quote stands at `at`.
fn string(chars: &[char], mut at: usize, raw_hashes: Option<usize>) -> usize {
    at += 1;
    while at < chars.len() {
        match (chars[at], raw_hashes) {
            ('\\', None) => at += 1,
            ('"', None) => return at + 1,
            ('"', Some(hashes)) if chars[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes => {
                return at + 1 + hashes;
            }
            _ => {}
        }
        at += 1;
    }
    at
}
