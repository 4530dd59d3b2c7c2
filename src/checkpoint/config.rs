//! `config.json`, with every value checked before it is used.

use crate::{Error, Result, files};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Bytes a settings file may have.
const MAX_CONFIG: u64 = 4 << 20;
/// The largest size or count that a setting may be: products of two still fit 64 bits.
const MAX_SIZE: u64 = 1 << 31;

/// A JSON object of settings, read by name and type.
///
/// A key whose value is `null` counts as absent. Every error is an [`Error::BadFile`] that names the file and the key,
/// and says what was found and what is wanted.
///
/// ```
/// use quernel::checkpoint::Config;
/// let config = Config::from_json("config.json", r#"{"hidden_size": 64, "rope_scaling": null}"#)?;
/// assert_eq!(config.usize("hidden_size")?, 64);
/// assert_eq!(config.f64_or("rope_theta", 10_000.0)?, 10_000.0);
/// assert!(config.object("rope_scaling")?.is_none());
/// let error = config.usize("vocab_size").unwrap_err();
/// assert_eq!(error.to_string(), "config.json: \"vocab_size\" is missing; it must be a whole number");
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    path: PathBuf,
    /// The keys that lead here from the file's outermost object, each with a dot after it.
    within: String,
    values: Map<String, Value>,
}

impl Config {
    /// Reads the file at `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Self::from_json(path, &files::read_text(path, MAX_CONFIG)?)
    }

    /// Reads settings from JSON text; `path` is the file that errors name.
    ///
    /// # Errors
    /// [`Error::BadFile`] where the text is not a JSON object.
    pub fn from_json(path: impl AsRef<Path>, text: &str) -> Result<Self> {
        let path = path.as_ref();
        match serde_json::from_str(text) {
            Ok(Value::Object(values)) => Ok(Self { path: path.to_owned(), within: String::new(), values }),
            Ok(other) => Err(Error::bad_file(path, format!("holds {}, and must hold a JSON object", describe(&other)))),
            Err(e) => Err(Error::bad_file(path, format!("is not JSON: {e}"))),
        }
    }

    /// The file that the settings came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a value for the key.
    pub fn contains(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// A size, count or id: a whole number from 0 to 2^31.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is absent or anything else.
    pub fn usize(&self, key: &str) -> Result<usize> {
        self.required(key, "a whole number", self.optional_usize(key)?)
    }

    /// As [`usize`](Self::usize), or `default` where the key is absent.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is anything else.
    pub fn usize_or(&self, key: &str, default: usize) -> Result<usize> {
        Ok(self.optional_usize(key)?.unwrap_or(default))
    }

    /// A list of whole numbers from 0 to 2^31.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is absent or anything else.
    pub fn usizes(&self, key: &str) -> Result<Vec<usize>> {
        self.list(key, "a list of whole numbers", |key, value| self.as_usize(key, value))
    }

    /// A number.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is absent or anything else.
    pub fn f64(&self, key: &str) -> Result<f64> {
        self.required(key, "a number", self.optional_f64(key)?)
    }

    /// As [`f64`](Self::f64), or `default` where the key is absent.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is anything else.
    pub fn f64_or(&self, key: &str, default: f64) -> Result<f64> {
        Ok(self.optional_f64(key)?.unwrap_or(default))
    }

    /// A list of numbers.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is absent or anything else.
    pub fn f64s(&self, key: &str) -> Result<Vec<f64>> {
        self.list(key, "a list of numbers", |key, value| self.as_f64(key, value))
    }

    /// True or false.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is absent or anything else.
    pub fn bool(&self, key: &str) -> Result<bool> {
        self.required(key, "true or false", self.optional_bool(key)?)
    }

    /// As [`bool`](Self::bool), or `default` where the key is absent.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is anything else.
    pub fn bool_or(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.optional_bool(key)?.unwrap_or(default))
    }

    /// A string.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is absent or anything else.
    pub fn str(&self, key: &str) -> Result<&str> {
        self.required(key, "a string", self.value(key).map(|value| self.as_str(key, value)).transpose()?)
    }

    /// As [`str`](Self::str), or `default` where the key is absent.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is anything else.
    pub fn str_or<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str> {
        Ok(self.value(key).map(|value| self.as_str(key, value)).transpose()?.unwrap_or(default))
    }

    /// A list of strings.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is absent or anything else.
    pub fn strings(&self, key: &str) -> Result<Vec<String>> {
        self.list(key, "a list of strings", |key, value| Ok(self.as_str(key, value)?.to_owned()))
    }

    /// An object within this one, whose errors name the key as `outer.inner`; `None` where the key is absent.
    ///
    /// # Errors
    /// [`Error::BadFile`] where it is anything but an object.
    pub fn object(&self, key: &str) -> Result<Option<Self>> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Object(values)) => {
                let within = format!("{}{key}.", self.within);
                Ok(Some(Self { path: self.path.clone(), within, values: values.clone() }))
            }
            Some(other) => Err(self.wrong(key, other, "an object")),
        }
    }

    /// A whole number from 0 to 2^31, or a list of such; nothing where the key is absent.
    pub(super) fn one_or_more(&self, key: &str) -> Result<Vec<usize>> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(_)) => self.usizes(key),
            Some(one) => Ok(vec![self.as_usize(key, one)?]),
        }
    }

    pub(super) fn optional_usize(&self, key: &str) -> Result<Option<usize>> {
        self.value(key).map(|value| self.as_usize(key, value)).transpose()
    }

    pub(super) fn optional_f64(&self, key: &str) -> Result<Option<f64>> {
        self.value(key).map(|value| self.as_f64(key, value)).transpose()
    }

    pub(super) fn optional_bool(&self, key: &str) -> Result<Option<bool>> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(self.wrong(key, other, "true or false")),
        }
    }

    /// An [`Error::BadFile`] about the value of a key that is well formed and says what cannot be done: `reason` follows
    /// the key.
    pub fn bad(&self, key: &str, reason: &str) -> Error {
        Error::bad_file(&self.path, format!("\"{}{key}\" {reason}", self.within))
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    fn required<T>(&self, key: &str, wanted: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.bad(key, &format!("is missing; it must be {wanted}")))
    }

    fn list<T>(&self, key: &str, wanted: &str, item: impl Fn(&str, &Value) -> Result<T>) -> Result<Vec<T>> {
        match self.required(key, wanted, self.value(key))? {
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, value)| item(&format!("{key}[{index}]"), value)).collect()
            }
            other => Err(self.wrong(key, other, wanted)),
        }
    }

    fn as_usize(&self, key: &str, value: &Value) -> Result<usize> {
        let size = value.as_u64().filter(|&size| size <= MAX_SIZE).and_then(|size| usize::try_from(size).ok());
        size.ok_or_else(|| self.wrong(key, value, &format!("a whole number from 0 to {MAX_SIZE}")))
    }

    fn as_f64(&self, key: &str, value: &Value) -> Result<f64> {
        let number = value.as_f64().filter(|number| number.is_finite());
        number.ok_or_else(|| self.wrong(key, value, "a number"))
    }

    fn as_str<'a>(&self, key: &str, value: &'a Value) -> Result<&'a str> {
        value.as_str().ok_or_else(|| self.wrong(key, value, "a string"))
    }

    fn wrong(&self, key: &str, found: &Value, wanted: &str) -> Error {
        self.bad(key, &format!("is {}; it must be {wanted}", describe(found)))
    }
}

/// A value in few words, whatever its size.
fn describe(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().count() > 40 => format!("a string of {} bytes", text.len()),
        short => short.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::from_json("config.json", text).unwrap()
    }

    fn said<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn values_are_read_by_type() {
        let config = config(
            r#"{"n": 2147483648, "x": 1e-5, "whole": 3, "yes": true, "name": "llama", "none": null, "ns": [1, 2],
                "xs": [1, 0.5], "names": ["a"], "rope": {"type": "llama3", "none": null}}"#,
        );
        assert_eq!(config.usize("n").unwrap(), 1 << 31);
        assert_eq!((config.f64("x").unwrap(), config.f64("whole").unwrap()), (1e-5, 3.0));
        assert!(config.bool("yes").unwrap() && config.bool_or("none", true).unwrap());
        assert_eq!((config.str("name").unwrap(), config.str_or("none", "x").unwrap()), ("llama", "x"));
        assert_eq!((config.usizes("ns").unwrap(), config.f64s("xs").unwrap()), (vec![1, 2], vec![1.0, 0.5]));
        assert_eq!(config.strings("names").unwrap(), ["a"]);
        assert_eq!((config.usize_or("none", 7).unwrap(), config.f64_or("absent", 0.5).unwrap()), (7, 0.5));
        assert!(config.contains("n") && !config.contains("none") && !config.contains("absent"));
        assert_eq!(config.object("rope").unwrap().unwrap().str("type").unwrap(), "llama3");
        assert!(config.object("none").unwrap().is_none());
        assert_eq!(config.one_or_more("ns").unwrap(), [1, 2]);
        assert_eq!(config.one_or_more("whole").unwrap(), [3]);
        assert!(config.one_or_more("none").unwrap().is_empty());
    }

    #[test]
    fn errors_name_the_file_the_key_and_both_values() {
        let long = "x".repeat(100);
        let config = config(&format!(
            r#"{{"negative": -1, "fraction": 1.5, "float": 64.0, "huge": 2147483649, "text": "64", "long": "{long}",
                "list": [1, -2], "rope": {{"factor": [1]}}}}"#
        ));
        let size = "a whole number from 0 to 2147483648";
        for (key, found) in [("negative", "-1"), ("fraction", "1.5"), ("float", "64.0"), ("huge", "2147483649")] {
            assert_eq!(said(config.usize(key)), format!("config.json: \"{key}\" is {found}; it must be {size}"));
            assert_eq!(said(config.usize_or(key, 1)), said(config.usize(key)));
        }
        assert_eq!(said(config.f64("text")), "config.json: \"text\" is \"64\"; it must be a number");
        assert_eq!(
            said(config.bool_or("long", true)),
            "config.json: \"long\" is a string of 100 bytes; it must be true or false"
        );
        assert_eq!(said(config.usizes("list")), format!("config.json: \"list[1]\" is -2; it must be {size}"));
        assert_eq!(said(config.usizes("text")), "config.json: \"text\" is \"64\"; it must be a list of whole numbers");
        assert_eq!(said(config.strings("rope")), "config.json: \"rope\" is an object; it must be a list of strings");
        assert_eq!(said(config.str("absent")), "config.json: \"absent\" is missing; it must be a string");
        assert_eq!(said(config.object("list")), "config.json: \"list\" is a list of 2; it must be an object");
        let rope = config.object("rope").unwrap().unwrap();
        assert_eq!(said(rope.f64("factor")), "config.json: \"rope.factor\" is a list of 1; it must be a number");
    }

    #[test]
    fn text_that_is_no_object_is_refused() {
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        for text in ["", "{", "[]", "null", "{\"a\": NaN}", "{\"a\": 1e999}", "{} x", "\u{FEFF}{}", &deep] {
            let error = said(Config::from_json("config.json", text));
            assert!(error.starts_with("config.json: "), "{error}");
        }
    }
}
