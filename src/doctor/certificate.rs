//! What a self-test found, as data and as a file.

use super::examine::{Finding, hash};
use super::model::ModelFinding;
use crate::tune::Device;
use crate::{Error, Result, files, shader};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// The format of files; another one is not understood.
const FORMAT: u32 = 1;

/// Bytes that a file may have.
const LARGEST: u64 = 4 << 20;

/// How a self-test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything is right.
    Passed,
    /// Some variants are wrong, and others take their places.
    PassedWithout,
    /// Something is wrong, and nothing takes its place.
    Failed,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::PassedWithout => "passed without some variants",
            Self::Failed => "failed",
        })
    }
}

/// What a self-test found on one adapter with one driver: to be kept, so that wrong variants are not used, and to be shown
/// beside results.
///
/// ```
/// use quernel::doctor::{Certificate, Verdict};
/// # use quernel::tune::Device;
/// # let text = || String::new();
/// # let device = Device { adapter: text(), id: [0, 0], backend: text(), driver: text(), driver_info: text(),
/// #     engine: text() };
/// let certificate = Certificate::new(device, "2026-11-25T12:00:00Z", Vec::new());
/// assert_eq!(certificate.verdict, Verdict::Passed);
/// assert_eq!(Certificate::from_json(&certificate.to_json()?)?, certificate);
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    format: u32,
    /// How it ended.
    pub verdict: Verdict,
    /// When, as RFC 3339.
    pub date: String,
    /// The adapter, its driver, and the version of the engine.
    pub device: Device,
    /// A hash of all shaders, which change between versions too: FNV-1a in 64 bits.
    pub shaders: String,
    /// Kinds of variants that are wrong.
    pub refused: BTreeSet<String>,
    /// Kernels that nothing computes rightly.
    pub lost: Vec<String>,
    /// Every kind of variant that was tried.
    pub kernels: Vec<Finding>,
    /// Models whose logits were compared.
    pub models: Vec<ModelFinding>,
    /// Gigabytes that are read from memory in a second, where it was measured.
    pub read_gbps: Option<f64>,
}

impl Certificate {
    /// Of what was found on `device` at `date`.
    pub fn new(device: Device, date: &str, kernels: Vec<Finding>) -> Self {
        let wrong = kernels.iter().filter(|finding| finding.failure.is_some());
        let refused = wrong.map(|finding| finding.kind.clone()).collect();
        let (models, lost) = (Vec::new(), Vec::new());
        let (date, shaders, verdict) = (date.to_owned(), shaders(), Verdict::Passed);
        let whole =
            Self { format: FORMAT, verdict, date, device, shaders, refused, lost, kernels, models, read_gbps: None };
        whole.judged()
    }

    /// The same, in which nothing computes what is `lost` ([`lost`](super::lost) says what that is).
    #[must_use]
    pub fn without(self, lost: Vec<String>) -> Self {
        Self { lost, ..self }.judged()
    }

    /// The same with a model's logits.
    #[must_use]
    pub fn with_model(mut self, model: ModelFinding) -> Self {
        self.models.push(model);
        self.judged()
    }

    fn judged(self) -> Self {
        let right = self.lost.is_empty() && self.models.iter().all(ModelFinding::passed);
        let verdict = match (right, self.refused.is_empty()) {
            (true, true) => Verdict::Passed,
            (true, false) => Verdict::PassedWithout,
            (false, _) => Verdict::Failed,
        };
        Self { verdict, ..self }
    }

    /// Whether it is of this device, with this version's shaders.
    pub fn is_of(&self, device: &Device) -> bool {
        self.device == *device && self.shaders == shaders()
    }

    /// The largest error of any kernel by what is allowed for it.
    pub fn worst(&self) -> f64 {
        self.kernels.iter().filter_map(Finding::share).fold(0.0, f64::max)
    }

    /// A hash of what it says, by which results can name it: FNV-1a in 64 bits. Numbers count with four digits, since a
    /// file need not keep their last bits.
    pub fn id(&self) -> String {
        let Self { verdict, date, device, shaders, refused, lost, .. } = self;
        let mut text = format!("{verdict}\n{date}\n{device:?}\n{shaders}\n{refused:?}\n{lost:?}\n");
        for Finding { kind, shader, cases, error, allowed, failure, .. } in &self.kernels {
            text += &format!("{kind} {shader} {cases} {error:.3e} {allowed:.3e} {failure:?}\n");
        }
        for ModelFinding { model, error, right_tokens, tokens, failure, .. } in &self.models {
            text += &format!("{model} {error:.3e} {right_tokens} {tokens} {failure:?}\n");
        }
        text += &format!("{:.3e}", self.read_gbps.unwrap_or(0.0));
        format!("{:016x}", hash(text.into_bytes()))
    }

    /// As text.
    ///
    /// # Errors
    /// [`Error::Option`] where it cannot be written down, which does not happen.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| Error::option("certificate", error.to_string()))
    }

    /// From text.
    ///
    /// # Errors
    /// [`Error::Option`] where it is no certificate, or of another format.
    pub fn from_json(text: &str) -> Result<Self> {
        let found: Self =
            serde_json::from_str(text).map_err(|error| Error::option("certificate", error.to_string()))?;
        if found.format != FORMAT {
            let reason = format!("is of format {}, and this version reads format {FORMAT}", found.format);
            return Err(Error::option("certificate", reason));
        }
        Ok(found)
    }

    /// From a file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::BadFile`] where it is no certificate or of another format.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_json(&files::read_text(path, LARGEST)?).map_err(|error| Error::bad_file(path, error.to_string()))
    }

    /// Into a file, whose folder is made where it is missing. Whoever reads it meanwhile finds the old one or the new one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        files::replace(path.as_ref(), &self.to_json()?)
    }
}

/// A hash of all shaders.
fn shaders() -> String {
    let files = shader::sources().iter();
    format!("{:016x}", hash(files.flat_map(|(name, text)| name.bytes().chain([0]).chain(text.bytes()).chain([0]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        let text = str::to_owned;
        let (adapter, backend) = (text("A GPU"), text("vulkan"));
        let (driver, driver_info, engine) = (text("driver"), text("1.2.3"), text("0.1.0"));
        Device { adapter, id: [1, 2], backend, driver, driver_info, engine }
    }

    fn finding(kind: &str, failure: Option<&str>) -> Finding {
        let (kernel, kind, shader) = ("linear".to_owned(), kind.to_owned(), "0".to_owned());
        let failure = failure.map(str::to_owned);
        Finding { kernel, kind, shader, cases: 3, error: 1e-12, allowed: 1e-9, failure, seconds: 0.1 }
    }

    fn certificate() -> Certificate {
        let kernels = vec![finding("matvec/subgroup/q4", Some("y is wrong")), finding("matvec/portable/q4", None)];
        Certificate::new(device(), "2026-11-25T12:00:00Z", kernels)
    }

    #[test]
    fn the_verdict_follows_what_is_left() {
        let passed = Certificate::new(device(), "", vec![finding("add", None)]);
        assert_eq!((passed.verdict, passed.worst()), (Verdict::Passed, 1e-3));
        let without = certificate();
        assert_eq!(without.verdict, Verdict::PassedWithout);
        assert_eq!(without.refused.iter().collect::<Vec<_>>(), ["matvec/subgroup/q4"]);
        assert_eq!(without.without(vec!["linear (q4)".to_owned()]).verdict, Verdict::Failed);
        let (model, failure) = ("m".to_owned(), None);
        let model = ModelFinding { model, error: 2e-4, allowed: 1e-4, right_tokens: 8, tokens: 8, failure };
        assert_eq!(passed.clone().with_model(model.clone()).verdict, Verdict::Failed);
        assert_eq!(passed.with_model(ModelFinding { error: 0.0, ..model }).verdict, Verdict::Passed);
    }

    #[test]
    fn it_belongs_to_one_device_driver_and_version() {
        let whole = certificate();
        assert!(whole.is_of(&device()));
        assert!(!whole.is_of(&Device { driver_info: "1.2.4".to_owned(), ..device() }));
        assert!(!whole.is_of(&Device { engine: "0.2.0".to_owned(), ..device() }));
        let other = Certificate { shaders: "0".to_owned(), ..whole };
        assert!(!other.is_of(&device()));
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_damaged_one_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("some/verdict.json");
        assert!(matches!(Certificate::read(&path), Err(Error::Io { .. })));
        let whole = certificate();
        whole.write(&path).expect("written");
        let passed = Certificate::new(device(), "", Vec::new());
        passed.write(&path).expect("written again");
        assert_eq!(Certificate::read(&path).expect("read"), passed);
        assert_eq!(std::fs::read_dir(path.parent().expect("a folder")).expect("listed").count(), 1);
        let text = whole.to_json().expect("text");
        assert_ne!(whole.id(), passed.id());
        assert_eq!(Certificate::from_json(&text).expect("read").id(), whole.id());
        for damaged in ["", "{}", &text[..text.len() / 2], &text.replace("\"format\": 1", "\"format\": 2")] {
            std::fs::write(&path, damaged).expect("written");
            let error = Certificate::read(&path).expect_err(damaged);
            assert!(matches!(&error, Error::BadFile { .. }), "{error}");
        }
    }
}
