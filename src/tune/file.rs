//! What was found, as data and as a file.

use crate::gpu::AdapterInfo;
use crate::kernels::{Product, Way, Ways};
use crate::{Error, Result, files};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The format of files; another one is not understood.
const FORMAT: u32 = 1;

/// Bytes that a file may have.
const LARGEST: u64 = 4 << 20;

/// What a tuning belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The adapter's name.
    pub adapter: String,
    /// Vendor and device, as numbers.
    pub id: [u32; 2],
    /// The interface that it is reached by.
    pub backend: String,
    /// The driver's name.
    pub driver: String,
    /// The driver's version.
    pub driver_info: String,
    /// The version of Quernel whose kernels were measured.
    pub engine: String,
}

impl Device {
    /// The adapter, with this version of the kernels.
    pub fn new(info: &AdapterInfo) -> Self {
        Self {
            adapter: info.name.clone(),
            id: [info.vendor, info.device],
            backend: info.backend.to_owned(),
            driver: info.driver.clone(),
            driver_info: info.driver_info.clone(),
            engine: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// A name for its file, of letters, digits and dashes: what can be read, and a hash of all the rest.
    pub fn file_name(&self) -> String {
        let all = [&self.adapter, &self.backend, &self.driver, &self.driver_info, &self.engine];
        let numbers = self.id.iter().flat_map(|id| id.to_le_bytes());
        let bytes = all.into_iter().flat_map(|text| text.bytes().chain([0])).chain(numbers);
        // FNV-1a of Fowler, Noll and Vo.
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, mix);
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = self.adapter.chars().take(40).map(plain).collect();
        format!("{name}-{}-{hash:016x}.json", self.backend)
    }
}

/// The fastest ways of products on one device.
///
/// ```
/// use quernel::tune::Tuning;
/// # use quernel::tune::Device;
/// # let strings = || String::new();
/// # let device = Device { adapter: strings(), id: [0, 0], backend: strings(), driver: strings(),
/// #     driver_info: strings(), engine: strings() };
/// let tuning = Tuning::new(device);
/// let text = tuning.to_json()?;
/// assert_eq!(Tuning::from_json(&text)?, tuning);
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// What it belongs to.
    pub device: Device,
    /// What was found; a product whose default is the fastest is there too.
    pub ways: Ways,
}

/// As it is written: a map whose keys are no strings is a list.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    device: Device,
    ways: Vec<(Product, Way)>,
}

/// What every format has.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl Serialize for Tuning {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let ways = self.ways.iter().map(|(product, way)| (product.clone(), *way)).collect();
        Written { format: FORMAT, device: self.device.clone(), ways }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tuning {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let Written { format, device, ways } = Written::deserialize(deserializer)?;
        if format != FORMAT {
            return Err(serde::de::Error::custom(other_format(format)));
        }
        Ok(Self { device, ways: ways.into_iter().collect() })
    }
}

fn other_format(format: u32) -> String {
    format!("is a tuning of format {format}, and this version reads format {FORMAT}")
}

impl Tuning {
    /// Nothing found yet.
    pub fn new(device: Device) -> Self {
        Self { device, ways: Ways::new() }
    }

    /// As text.
    ///
    /// # Errors
    /// [`Error::Option`] where it cannot be written down, which does not happen.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| Error::option("tuning", error.to_string()))
    }

    /// From text.
    ///
    /// # Errors
    /// [`Error::Option`] where it is no tuning, or of another format.
    pub fn from_json(text: &str) -> Result<Self> {
        let wrong = |error: serde_json::Error| Error::option("tuning", error.to_string());
        let Head { format } = serde_json::from_str(text).map_err(wrong)?;
        if format != FORMAT {
            return Err(Error::option("tuning", other_format(format)));
        }
        serde_json::from_str(text).map_err(wrong)
    }

    /// From a file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::BadFile`] where it is no tuning or of another format.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = files::read_text(path, LARGEST)?;
        Self::from_json(&text).map_err(|error| Error::bad_file(path, error.to_string()))
    }

    /// Into a file, whose folder is made where it is missing. Whoever reads it meanwhile finds the old one or the new one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        files::replace(path.as_ref(), &self.to_json()?)
    }
}
