//! Values as JSON, written as Python writes them: templates put tools and arguments into prompts this way.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};
use std::fmt::Write;

/// Lists and objects in each other at most; Python's own limit is about as deep.
const MOST_DEPTH: usize = 900;

/// Bytes of a text, far more than any context holds: values in each other may be few and yet endless to write.
const MOST_BYTES: usize = 4 << 20;

/// Characters of an indent, and of a separator.
const MOST_BETWEEN: usize = 64;

/// The filter `tojson`, with the arguments that transformers gives it.
pub(super) fn tojson(value: &Value, ensure_ascii: Option<bool>, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<Value> = options.get("indent")?;
    let indent = indent.filter(|indent| !indent.is_none()).map(|indent| match indent.as_str() {
        Some(text) => text.to_owned(),
        None => " ".repeat(usize::try_from(indent).unwrap_or(0).min(MOST_BETWEEN)),
    });
    let separators: Option<Vec<String>> = options.get("separators")?;
    let between = if indent.is_some() { "," } else { ", " };
    let [comma, colon] = match separators.as_deref() {
        None => [between.to_owned(), ": ".to_owned()],
        Some([comma, colon]) => [comma.clone(), colon.clone()],
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "tojson: separators are two texts")),
    };
    if [indent.as_ref(), Some(&comma), Some(&colon)].into_iter().flatten().any(|text| text.len() > MOST_BETWEEN) {
        return Err(Error::new(ErrorKind::InvalidOperation, "tojson: too long an indent or separator"));
    }
    let ensure_ascii = ensure_ascii.or(options.get("ensure_ascii")?).unwrap_or(false);
    let sort_keys = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    options.assert_all_used()?;
    let mut writer = Writer { out: String::new(), ensure_ascii, indent, comma, colon, sort_keys };
    writer.value(value, 0)?;
    Ok(Value::from(writer.out))
}

struct Writer {
    out: String,
    ensure_ascii: bool,
    indent: Option<String>,
    comma: String,
    colon: String,
    sort_keys: bool,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if self.out.len() > MOST_BYTES {
            return Err(Error::new(ErrorKind::InvalidOperation, "tojson: too long a text"));
        }
        if depth > MOST_DEPTH {
            return Err(Error::new(ErrorKind::InvalidOperation, "tojson: too many values in each other"));
        }
        match value.kind() {
            ValueKind::String => self.text(value.as_str().unwrap_or_default()),
            ValueKind::Seq => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.all(["[", "]"], depth, &items, |writer, item| writer.value(item, depth + 1))?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.all(["{", "}"], depth, &keys, |writer, key| {
                    match scalar(key) {
                        Some(text) => writer.text(&text),
                        None => writer.text(key.as_str().ok_or_else(|| unknown(key))?),
                    }
                    writer.out.push_str(&writer.colon);
                    writer.value(&value.get_item(key)?, depth + 1)
                })?;
            }
            _ => self.out.push_str(&scalar(value).ok_or_else(|| unknown(value))?),
        }
        Ok(())
    }

    /// What stands between brackets.
    fn all(
        &mut self,
        [open, close]: [&str; 2],
        depth: usize,
        items: &[Value],
        each: impl Fn(&mut Self, &Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push_str(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push_str(&self.comma);
            }
            self.line(depth + 1);
            each(self, item)?;
        }
        if !items.is_empty() {
            self.line(depth);
        }
        self.out.push_str(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            (0..depth).for_each(|_| self.out.push_str(indent));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for char in text.chars() {
            match char {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                char if char < ' ' || (self.ensure_ascii && char > '~') => {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                char => self.out.push(char),
            }
        }
        self.out.push('"');
    }
}

/// A value that is neither a text nor made of values; also as it becomes the text of a key.
fn scalar(value: &Value) -> Option<String> {
    match value.kind() {
        ValueKind::None => Some("null".to_owned()),
        ValueKind::Bool => Some(if value.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::Number if value.is_integer() => Some(value.to_string()),
        ValueKind::Number => f64::try_from(value.clone()).ok().map(python_float),
        _ => None,
    }
}

fn unknown(value: &Value) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("tojson: {} is no JSON", value.kind()))
}

/// A float as Python writes it: the fewest digits that tell it from others, and an exponent where it is far from one.
fn python_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{number:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_in_each_other_are_not_written_without_end() {
        // Two to the fortieth numbers, of forty lists.
        let nested = (0..40).fold(Value::from(0), |inner, _| Value::from(vec![inner.clone(), inner]));
        let error = tojson(&nested, None, Kwargs::from_iter([] as [(&str, Value); 0])).unwrap_err();
        assert!(error.to_string().contains("too long a text"), "{error}");
        let wide = Kwargs::from_iter([("indent", Value::from(" ".repeat(65)))]);
        assert!(tojson(&Value::from(vec![1]), None, wide).unwrap_err().to_string().contains("indent"));
    }

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (number, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.5, "1.5"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e-5, "1.25e-05"),
            (1e-4, "0.0001"),
            (-1e300, "-1e+300"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(python_float(number), text);
        }
    }
}
