//! Where the hub and the cache are: the environment variables of `huggingface_hub`.

use crate::{Error, Result, files};
use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The hub where none is named.
const ENDPOINT: &str = "https://huggingface.co";

const TIMEOUT: &str = "HF_HUB_DOWNLOAD_TIMEOUT";
const SILENCE: Duration = Duration::from_secs(10);

/// Bytes that a file with a token may have.
const MAX_TOKEN: u64 = 16 << 10;

/// Where the hub and the cache are, and who asks.
#[derive(Clone)]
pub struct Settings {
    /// The cache's folder, which holds a `models--org--name` for each model.
    pub cache: PathBuf,
    /// The hub's address: a scheme, a host, and perhaps a port and a path.
    pub endpoint: String,
    /// Sent to `endpoint` and to nobody else.
    pub token: Option<String>,
    /// Nothing is connected to.
    pub offline: bool,
    /// Certificates are judged as the operating system does it, and not by the roots that browsers trust.
    pub system_roots: bool,
    /// The pause after a first failure; it doubles with each that follows.
    pub pause: Duration,
    /// A connection that is silent for so long is taken for lost.
    pub silence: Duration,
}

impl Settings {
    /// What the environment says: `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`, `HF_ENDPOINT`, `HF_TOKEN`,
    /// `HF_TOKEN_PATH`, `HF_HUB_DISABLE_IMPLICIT_TOKEN`, `HF_HUB_OFFLINE` and `HF_HUB_DOWNLOAD_TIMEOUT`, as
    /// `huggingface_hub` has them; and `SSL_CERT_FILE` and `SSL_CERT_DIR`, which add to whom is trusted.
    ///
    /// # Errors
    /// [`Error::Option`] where a variable cannot be used or no folder can be found for the cache, [`Error::Io`] and
    /// [`Error::BadFile`] where there is a file with a token that cannot be read.
    pub fn from_env() -> Result<Self> {
        Self::from(&|name| std::env::var_os(name))
    }

    fn from(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        // On Windows a HOME is another program's idea, which Python does not follow either.
        let homes = if cfg!(windows) { ["USERPROFILE", "HOME"] } else { ["HOME", "USERPROFILE"] };
        let user = homes.into_iter().find_map(set).map(PathBuf::from);
        let path = |name: &str| set(name).map(|value| expand(PathBuf::from(value), user.as_deref()));
        let cache_home = path("XDG_CACHE_HOME").or_else(|| user.as_ref().map(|user| user.join(".cache")));
        let home = path("HF_HOME").or_else(|| cache_home.map(|cache| cache.join("huggingface")));
        let cache = path("HF_HUB_CACHE").or_else(|| home.as_ref().map(|home| home.join("hub"))).ok_or_else(|| {
            Error::option("HF_HUB_CACHE", "no folder for models is known, since HOME is not set: name one")
        })?;
        let token = match text(set("HF_TOKEN"), "HF_TOKEN")? {
            Some(token) => Some(token),
            None if is_true(set("HF_HUB_DISABLE_IMPLICIT_TOKEN")) => None,
            None => match path("HF_TOKEN_PATH").or_else(|| home.map(|home| home.join("token"))) {
                Some(path) => token_file(&path)?,
                None => None,
            },
        };
        if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Error::option("HF_TOKEN", "the token has characters that no token has"));
        }
        let endpoint = text(set("HF_ENDPOINT"), "HF_ENDPOINT")?.unwrap_or_else(|| ENDPOINT.to_owned());
        if !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
            return Err(Error::option("HF_ENDPOINT", format!("{endpoint:?} begins with neither https:// nor http://")));
        }
        Ok(Self {
            cache,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token,
            offline: is_true(set("HF_HUB_OFFLINE")),
            system_roots: cfg!(any(windows, target_vendor = "apple"))
                || ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().any(|name| set(name).is_some()),
            pause: Duration::from_millis(500),
            silence: seconds(text(set(TIMEOUT), TIMEOUT)?)?,
        })
    }

    /// Whether the environment asks for no progress bars: `HF_HUB_DISABLE_PROGRESS_BARS`.
    pub fn no_progress_bars() -> bool {
        is_true(std::env::var_os("HF_HUB_DISABLE_PROGRESS_BARS"))
    }
}

impl fmt::Debug for Settings {
    /// Without the token, so that no log has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

fn seconds(value: Option<String>) -> Result<Duration> {
    let Some(value) = value else { return Ok(SILENCE) };
    let seconds = value.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| Error::option(TIMEOUT, format!("{value:?} is not 1 to 3600 seconds")))
}

fn is_true(value: Option<OsString>) -> bool {
    let value = value.map(|value| value.to_string_lossy().to_uppercase());
    value.is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.as_str()))
}

fn text(value: Option<OsString>, name: &'static str) -> Result<Option<String>> {
    let Some(value) = value else { return Ok(None) };
    let value = value.into_string().map_err(|_| Error::option(name, "its value is no text"))?;
    Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
}

fn expand(path: PathBuf, user: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), user) {
        (Ok(rest), Some(user)) => user.join(rest),
        _ => path,
    }
}

fn token_file(path: &Path) -> Result<Option<String>> {
    match files::read_text(path, MAX_TOKEN) {
        Ok(token) => Ok(Some(token.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::from(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        let cache = |variables: &[(&str, &str)]| settings(variables).unwrap().cache;
        let path = |parts: &[&str]| parts.iter().collect::<PathBuf>();
        assert_eq!(cache(&[("HOME", "h")]), path(&["h", ".cache", "huggingface", "hub"]));
        assert_eq!(cache(&[("HOME", "h"), ("XDG_CACHE_HOME", "x")]), path(&["x", "huggingface", "hub"]));
        assert_eq!(cache(&[("HOME", "h"), ("XDG_CACHE_HOME", "x"), ("HF_HOME", "f")]), path(&["f", "hub"]));
        assert_eq!(cache(&[("HOME", "h"), ("HF_HOME", "f"), ("HF_HUB_CACHE", "~/c")]), path(&["h", "c"]));
        assert!(settings(&[]).is_err() && settings(&[("HF_HUB_CACHE", "c")]).is_ok());
    }

    #[test]
    fn a_token_comes_from_the_environment_or_a_file_and_is_never_shown() {
        let home = tempfile::tempdir().unwrap();
        let with = |more: &[(&str, &str)]| {
            let home = [("HF_HOME", home.path().to_str().unwrap())];
            settings(&[&home[..], more].concat()).unwrap().token
        };
        assert_eq!(with(&[]), None);
        std::fs::write(home.path().join("token"), "hf_file\n").unwrap();
        assert_eq!(with(&[]).as_deref(), Some("hf_file"));
        assert_eq!(with(&[("HF_TOKEN", " hf_env ")]).as_deref(), Some("hf_env"));
        assert_eq!(with(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
        assert_eq!(with(&[("HF_TOKEN_PATH", "nowhere")]), None);
        let shown = format!("{:?}", settings(&[("HOME", "h"), ("HF_TOKEN", "hf_secret")]).unwrap());
        assert!(!shown.contains("secret"), "{shown}");
        assert!(settings(&[("HOME", "h"), ("HF_TOKEN", "two\nlines")]).is_err());
    }

    #[test]
    fn truth_has_four_names() {
        let offline = |value: &str| settings(&[("HOME", "h"), ("HF_HUB_OFFLINE", value)]).unwrap().offline;
        assert!(["1", "on", "Yes", "TRUE"].into_iter().all(offline));
        assert!(!["0", "", "off", "2"].into_iter().any(offline));
    }

    #[test]
    fn a_hub_is_an_address() {
        let endpoint = |value: &str| settings(&[("HOME", "h"), ("HF_ENDPOINT", value)]).map(|it| it.endpoint);
        assert_eq!(endpoint("http://localhost:8080/hub/").unwrap(), "http://localhost:8080/hub");
        assert_eq!(endpoint("").unwrap(), ENDPOINT);
        assert!(endpoint("ftp://hub").is_err());
        let silence = |value: &str| settings(&[("HOME", "h"), (TIMEOUT, value)]).map(|it| it.silence.as_secs());
        assert_eq!((silence("").unwrap(), silence("60").unwrap()), (10, 60));
        assert!(silence("0").is_err() && silence("soon").is_err());
    }
}
