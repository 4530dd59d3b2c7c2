//! The hub's protocol: requests, redirects, and what its statuses mean.

use super::retry::{Failure, Retry, asked};
use super::spec::is_commit;
use super::{Settings, Spec};
use crate::{Error, Result};
use serde::Deserialize;
use std::time::SystemTime;
use ureq::http::{Method, Request, Response, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// Redirects that are followed one after the other.
const HOPS: usize = 8;

/// Bytes that the list of a repository's files may have.
const MAX_LISTING: u64 = 32 << 20;

/// Asks the hub.
pub(super) struct Client<'a> {
    agent: Agent,
    settings: &'a Settings,
}

/// What a repository has at a revision.
pub(super) struct Listing {
    /// The commit's name.
    pub commit: String,
    /// Every file's name; slashes stand in those of folders.
    pub names: Vec<String>,
}

impl<'a> Client<'a> {
    /// Asks the hub that `settings` name.
    pub fn new(settings: &'a Settings) -> Self {
        let roots = if settings.system_roots { RootCerts::PlatformVerifier } else { RootCerts::WebPki };
        let silence = Some(settings.silence);
        let config = Agent::config_builder()
            // Redirects are followed here, since the token must not go with them.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("quernel/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .timeout_resolve(silence)
            .timeout_connect(silence)
            .timeout_per_read(silence)
            .build();
        Self { agent: Agent::new_with_config(config), settings }
    }

    /// The tries of a request.
    pub fn retry(&self) -> Retry {
        Retry::new(self.settings.pause)
    }

    /// What the repository has at the revision now.
    pub fn listing(&self, spec: &Spec) -> Result<Listing> {
        #[derive(Deserialize)]
        struct Reply {
            sha: String,
            siblings: Vec<Sibling>,
        }
        #[derive(Deserialize)]
        struct Sibling {
            rfilename: String,
        }
        let endpoint = &self.settings.endpoint;
        let url = format!("{endpoint}/api/models/{}/revision/{}", spec.repo(), escaped(spec.revision()));
        let bytes = self.retry().run(|| {
            let mut reply = self.send(&Method::GET, &url, 0, &format!("model {spec}"), spec)?;
            reply.body_mut().with_config().limit(MAX_LISTING).read_to_vec().map_err(|e| passing(&url, &e))
        })?;
        let wrong = |reason: String| Error::HubReply { url: url.clone(), reason };
        let reply: Reply = serde_json::from_slice(&bytes).map_err(|e| wrong(format!("the list of files: {e}")))?;
        if !is_commit(&reply.sha) {
            return Err(wrong(format!("{:?} is not the name of a commit", reply.sha)));
        }
        Ok(Listing { commit: reply.sha, names: reply.siblings.into_iter().map(|file| file.rfilename).collect() })
    }

    /// The address of a file.
    pub fn file(&self, spec: &Spec, commit: &str, name: &str) -> String {
        let path: Vec<_> = name.split('/').map(escaped).collect();
        format!("{}/{}/resolve/{commit}/{}", self.settings.endpoint, spec.repo(), path.join("/"))
    }

    /// Asks for `what` at `url`, from the byte `from` on, wherever the hub sends us; or, with `HEAD`, until
    /// the hub has said what the file is.
    pub fn send(
        &self,
        method: &Method,
        url: &str,
        from: u64,
        what: &str,
        spec: &Spec,
    ) -> Result<Response<Body>, Failure> {
        let mut at = url.to_owned();
        for _ in 0..HOPS {
            let reply = self.one(method, &at, from)?;
            let status = reply.status();
            if !status.is_redirection() {
                return if status.is_success() { Ok(reply) } else { Err(refusal(&reply, &at, what, spec)) };
            }
            let next = reply.headers().get("location").and_then(|location| location.to_str().ok());
            let next = next.and_then(|location| joined(&at, location)).ok_or_else(|| Error::HubReply {
                url: bare(&at),
                reason: "it redirects to no address that can be used".to_owned(),
            })?;
            if method == Method::HEAD && (reply.headers().contains_key("x-linked-etag") || !self.is_hub(&next)) {
                return Ok(reply);
            }
            at = next;
        }
        Err(Error::HubReply { url: bare(url), reason: format!("it redirects more than {HOPS} times") }.into())
    }

    fn one(&self, method: &Method, url: &str, from: u64) -> Result<Response<Body>, Failure> {
        let mut request = Request::builder().method(method).uri(url).header("accept-encoding", "identity");
        if let Some(token) = self.settings.token.as_ref().filter(|_| self.is_hub(url)) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        let wrong = |e: ureq::http::Error| Error::HubReply { url: bare(url), reason: e.to_string() };
        self.agent.run(request.body(()).map_err(wrong)?).map_err(|e| passing(url, &e))
    }

    /// Whether the token may go there: to the hub's own scheme, host and port.
    fn is_hub(&self, url: &str) -> bool {
        let origin = |url: &str| {
            let uri: Uri = url.parse().ok()?;
            let scheme = uri.scheme_str()?.to_ascii_lowercase();
            let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
            Some((scheme, uri.host()?.to_ascii_lowercase(), port))
        };
        origin(url).is_some_and(|found| Some(found) == origin(&self.settings.endpoint))
    }
}

/// A request that got no reply.
pub(super) fn passing(url: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::Passing { url: bare(url), reason: error.to_string(), pause: None }
}

/// What a status that is no success means.
fn refusal(reply: &Response<Body>, url: &str, what: &str, spec: &Spec) -> Failure {
    let header = |name: &str| reply.headers().get(name).and_then(|value| value.to_str().ok());
    let status = reply.status().as_u16();
    let said = header("x-error-message").map(printable);
    let code = header("x-error-code").unwrap_or_default();
    let not_found = |what: String, hint: &str| {
        let said = said.clone().unwrap_or_else(|| format!("it answered {status}"));
        Failure::Lasting(Error::HubNotFound { what, reason: format!("{said}; {hint}") })
    };
    let private = "look for a typing error; a private model needs a token in HF_TOKEN";
    match (status, code) {
        // The hub says 401 of models that are not there to whom it does not know.
        (401 | 404, "RepoNotFound") => not_found(format!("model {}", spec.repo()), private),
        (404, "RevisionNotFound") => {
            let what = format!("revision {} of {}", spec.revision(), spec.repo());
            not_found(what, "a revision is a branch, a tag or a commit")
        }
        (404, "EntryNotFound") => not_found(what.to_owned(), "the repository lists files that it does not have"),
        (404, _) => not_found(what.to_owned(), private),
        (401 | 403, _) => Failure::Lasting(Error::HubRefused {
            repo: spec.repo().to_owned(),
            status,
            reason: said.unwrap_or_else(|| "no access".to_owned()),
        }),
        (408 | 425 | 429 | 500..=599, _) => Failure::Passing {
            url: bare(url),
            reason: format!("the hub answered {}", reply.status()),
            pause: header("retry-after").and_then(|header| asked(header, SystemTime::now())),
        },
        _ => {
            let reason = format!("the hub answered {} {}", reply.status(), said.unwrap_or_default());
            Failure::Lasting(Error::HubReply { url: bare(url), reason: reason.trim_end().to_owned() })
        }
    }
}

/// What a server says of itself, cut to what a terminal may show.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// The address without its query, in which signatures stand.
pub(super) fn bare(url: &str) -> String {
    url.split('?').next().unwrap_or(url).to_owned()
}

/// The address that a redirect from `base` leads to. None leads from a secret connection to an open one.
fn joined(base: &str, location: &str) -> Option<String> {
    let (scheme, rest) = base.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let next = if location.starts_with("https://") || location.starts_with("http://") {
        location.to_owned()
    } else if let Some(other) = location.strip_prefix("//") {
        format!("{scheme}://{other}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        return None;
    };
    let opened = scheme == "https" && next.starts_with("http://");
    (!opened && next.parse::<Uri>().is_ok()).then_some(next)
}

/// Text as one component of a path.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn redirects_lead_to_whole_addresses_and_never_into_the_open() {
        let from = |location| joined("https://hub.co/a/b?c", location);
        assert_eq!(from("/d?e").as_deref(), Some("https://hub.co/d?e"));
        assert_eq!(from("https://cdn.co/d").as_deref(), Some("https://cdn.co/d"));
        assert_eq!(from("//cdn.co/d").as_deref(), Some("https://cdn.co/d"));
        assert_eq!(from("http://hub.co/d"), None);
        assert_eq!(from("d"), None);
        assert_eq!(from("file:///etc/passwd"), None);
        assert_eq!(joined("http://localhost:1/a", "http://localhost:2/b").as_deref(), Some("http://localhost:2/b"));
    }

    #[test]
    fn the_token_goes_to_the_hub_alone() {
        let settings = Settings {
            cache: "c".into(),
            endpoint: "https://hub.co".to_owned(),
            token: None,
            offline: false,
            system_roots: false,
            pause: Duration::ZERO,
            silence: Duration::from_secs(1),
        };
        let client = Client::new(&settings);
        assert!(["https://hub.co/a", "https://HUB.co:443/a"].into_iter().all(|url| client.is_hub(url)));
        let others = ["http://hub.co/a", "https://hub.co:8443/a", "https://cdn.hub.co/", "https://hub.co.evil/", "hub"];
        assert!(!others.into_iter().any(|url| client.is_hub(url)));
        assert!(!client.is_hub("https://hub.co@evil.co/a"));
    }

    #[test]
    fn names_become_one_component() {
        assert_eq!(escaped("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(escaped("a b?#é.json"), "a%20b%3F%23%C3%A9.json");
    }
}
