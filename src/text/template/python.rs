//! What templates expect of Python beyond Jinja: methods of strings, the clock, and a way to refuse.

use super::json::tojson;
use super::prompt::Moment;
use jiff::civil::DateTime;
use minijinja::value::{Tuple, Value, ValueKind, from_args};
use minijinja::{Environment, Error, ErrorKind, State};
use minijinja_contrib::pycompat;

/// An environment as transformers has it. `now` is what the clock says, where it is not to say the truth.
pub(super) fn environment(fuel: u64, now: Option<Moment>) -> Environment<'static> {
    let mut environment = Environment::new();
    minijinja_contrib::add_to_environment(&mut environment);
    environment.set_syntax(syntax());
    environment.set_fuel(Some(fuel));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(method);
    environment.add_filter("tojson", tojson);
    environment
        .add_test("callable", |value: &Value| value.as_object().is_some_and(|_| value.kind() == ValueKind::Plain));
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, format!("{RAISED}{message}")))
    });
    environment.add_function("strftime_now", move |format: &str| strftime(format, now));
    environment
}

/// What marks an error that the template itself raised.
pub(super) const RAISED: &str = "the template says: ";

fn syntax() -> minijinja::syntax::SyntaxConfig {
    let mut builder = minijinja::syntax::SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true);
    // Delimiters are Jinja's own, which always build.
    builder.build().unwrap_or_default()
}

fn strftime(format: &str, now: Option<Moment>) -> Result<String, Error> {
    let bad = |e: jiff::Error| Error::new(ErrorKind::InvalidOperation, format!("strftime_now({format:?}): {e}"));
    match now {
        None => jiff::fmt::strtime::format(format, &jiff::ZonedDateTime::now()).map_err(bad),
        Some(Moment { year, month, day, hour, minute }) => {
            let moment = DateTime::new(year, month, day, hour, minute, 0, 0).map_err(bad)?;
            jiff::fmt::strtime::format(format, moment).map_err(bad)
        }
    }
}

/// Python's methods: those that minijinja's own package leaves out, and where it differs from Python, then its own.
fn method(state: &mut State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if let (ValueKind::String, Some(text)) = (value.kind(), value.as_str())
        && let Some(result) = string_method(text, name, args)
    {
        return result;
    }
    if let ("index", ValueKind::Seq) = (name, value.kind()) {
        let (wanted,): (&Value,) = from_args(args)?;
        let at = value.try_iter()?.position(|item| item == *wanted);
        return at.map(Value::from).ok_or_else(|| missing(wanted));
    }
    pycompat::unknown_method_callback(state, value, name, args)
}

fn missing(wanted: &Value) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{wanted:?} is not in it"))
}

/// Python strips four separators that Unicode does not count as white space.
fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

fn string_method(text: &str, name: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    Some(match name {
        "strip" | "lstrip" | "rstrip" => strip(text, name, args),
        "title" => from_args(args).map(|()| Value::from(title(text))),
        "removeprefix" => from_args(args).map(|(end,): (&str,)| Value::from(text.strip_prefix(end).unwrap_or(text))),
        "removesuffix" => from_args(args).map(|(end,): (&str,)| Value::from(text.strip_suffix(end).unwrap_or(text))),
        "partition" | "rpartition" => partition(text, name, args),
        "rsplit" => rsplit(text, args),
        "index" => from_args(args).and_then(|(part,): (&str,)| {
            let at = text.find(part).ok_or_else(|| missing(&Value::from(part)))?;
            Ok(Value::from(text[..at].chars().count()))
        }),
        "format" if too_wide(text) => Err(Error::new(
            ErrorKind::InvalidOperation,
            "format: a width must have four digits at most, and stand there",
        )),
        "zfill" => from_args(args).map(|(width,): (usize,)| Value::from(zfill(text, width.min(1000)))),
        _ => return None,
    })
}

/// Whether a format may ask for more characters than anyone needs: fields are filled up before fuel is asked for.
fn too_wide(format: &str) -> bool {
    let long = format.as_bytes().windows(5).any(|run| run.iter().all(|byte| byte.is_ascii_digit() || *byte == b'_'));
    // A width that is itself a field is known only when it is too late.
    let mut depth = 0_i32;
    let nested = format.replace("{{", "").bytes().any(|byte| {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        depth > 1
    });
    long || nested
}

fn strip(text: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let (chars,): (Option<&str>,) = from_args(args)?;
    let stripped = |char: char| chars.map_or_else(|| is_space(char), |chars| chars.contains(char));
    Ok(Value::from(match name {
        "lstrip" => text.trim_start_matches(stripped),
        "rstrip" => text.trim_end_matches(stripped),
        _ => text.trim_matches(stripped),
    }))
}

fn partition(text: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let (at,): (&str,) = from_args(args)?;
    let parts = match (name, text.split_once(at), text.rsplit_once(at)) {
        ("partition", Some((left, right)), _) | ("rpartition", _, Some((left, right))) => [left, at, right],
        ("partition", ..) => [text, "", ""],
        _ => ["", "", text],
    };
    Ok(Value::from(Tuple::from(parts.map(Value::from))))
}

fn rsplit(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (at, most): (Option<&str>, Option<i64>) = from_args(args)?;
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX - 1) + 1;
    let mut parts: Vec<&str> = match at {
        Some(at) => text.rsplitn(most, at).collect(),
        None => rsplit_blanks(text, most),
    };
    parts.reverse();
    Ok(parts.into_iter().map(Value::from).collect())
}

/// At most as many parts from the right, between runs of blanks; the last has its own blanks but none at its end.
fn rsplit_blanks(text: &str, most: usize) -> Vec<&str> {
    let (mut rest, mut parts) = (text.trim_end_matches(is_space), Vec::new());
    while !rest.is_empty() {
        let cut = rest.char_indices().rev().find(|(_, char)| is_space(*char)).filter(|_| parts.len() + 1 < most);
        let (left, part) = cut.map_or(("", rest), |(at, char)| (&rest[..at], &rest[at + char.len_utf8()..]));
        parts.push(part);
        rest = left.trim_end_matches(is_space);
    }
    parts
}

/// A capital after everything that has no case.
fn title(text: &str) -> String {
    let mut within = false;
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match within {
            true => out.extend(char.to_lowercase()),
            false => out.extend(char.to_uppercase()),
        }
        within = char.is_lowercase() || char.is_uppercase();
    }
    out
}

fn zfill(text: &str, width: usize) -> String {
    let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
    format!("{sign}{}{digits}", "0".repeat(width.saturating_sub(text.chars().count())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Python has it: `text.rsplit(None, most - 1)`.
    #[test]
    fn blanks_are_split_at_from_the_right() {
        let split = |text, most| {
            let mut parts = rsplit_blanks(text, most);
            parts.reverse();
            parts
        };
        assert_eq!(split("a b  c", 2), ["a b", "c"]);
        assert_eq!(split("a b ", 2), ["a", "b"]);
        assert_eq!(split(" a\u{3000}b", 2), [" a", "b"]);
        assert_eq!(split(" a b ", 1), [" a b"]);
        assert_eq!(split("  a \t b\n", usize::MAX), ["a", "b"]);
        assert!(split(" \n", 3).is_empty());
    }
}
