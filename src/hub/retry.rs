//! How often, and after which pause, the hub is asked again.

use crate::{Error, Result};
use std::time::{Duration, SystemTime};

/// Failures one after the other, with nothing gained between them, after which it is given up.
const MOST: u32 = 5;

/// The longest pause of our own choice.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest pause that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// Why a request came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may be otherwise the next time.
    Passing {
        /// What was asked for.
        url: String,
        /// What happened.
        reason: String,
        /// The pause that the server asks for.
        pause: Option<Duration>,
    },
    /// It will be the same the next time.
    Lasting(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Lasting(error)
    }
}

/// The tries of one request.
pub(super) struct Retry {
    pause: Duration,
    failures: u32,
}

impl Retry {
    /// None yet; `pause` follows the first failure.
    pub fn new(pause: Duration) -> Self {
        Self { pause, failures: 0 }
    }

    /// Something was gained: what failed before does not count any more.
    pub fn gained(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// What `failure` is, where another try would be the same or there were too many.
    pub fn after(&mut self, failure: Failure) -> Result<()> {
        let (url, reason, asked) = match failure {
            Failure::Lasting(error) => return Err(error),
            Failure::Passing { url, reason, pause } => (url, reason, pause),
        };
        self.failures += 1;
        if self.failures == MOST {
            return Err(Error::Network { url, reason: format!("{reason}, {MOST} times") });
        }
        if let Some(asked) = asked.filter(|&asked| asked > LONGEST_ASKED) {
            let reason = format!("{reason}, and asks for a pause of {} s", asked.as_secs());
            return Err(Error::Network { url, reason });
        }
        let own = self.pause.saturating_mul(1 << (self.failures - 1)).min(LONGEST);
        let pause = asked.unwrap_or(own);
        tracing::warn!(url, reason, ?pause, "trying again");
        std::thread::sleep(pause);
        Ok(())
    }

    /// Tries `request` until it succeeds or is given up.
    ///
    /// # Errors
    /// As [`Retry::after`].
    pub fn run<T>(mut self, mut request: impl FnMut() -> Result<T, Failure>) -> Result<T> {
        loop {
            match request() {
                Ok(done) => return Ok(done),
                Err(failure) => self.after(failure)?,
            }
        }
    }
}

/// The pause that a `Retry-After` asks for: seconds, or a date.
pub(super) fn asked(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    let date = || Some(httpdate::parse_http_date(header).ok()?.duration_since(now).unwrap_or_default());
    header.parse().ok().map(Duration::from_secs).or_else(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(pause: Option<Duration>) -> Failure {
        Failure::Passing { url: "u".to_owned(), reason: "it broke".to_owned(), pause }
    }

    #[test]
    fn it_ends() {
        let mut tries = 0;
        let error = Retry::new(Duration::ZERO).run(|| -> Result<(), _> {
            tries += 1;
            Err(passing(None))
        });
        assert_eq!(tries, MOST);
        assert!(error.unwrap_err().to_string().contains("it broke, 5 times"));
        let long = Retry::new(Duration::ZERO).after(passing(Some(Duration::from_secs(301))));
        assert!(long.unwrap_err().to_string().contains("301 s"));
        let mut gaining = Retry::new(Duration::ZERO);
        for _ in 0..100 {
            gaining.after(passing(None)).unwrap();
            gaining.gained();
        }
    }

    #[test]
    fn a_pause_is_in_seconds_or_until_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(asked("7", now), Some(Duration::from_secs(7)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:07 GMT", now), Some(Duration::ZERO));
        assert_eq!(asked("soon", now), None);
    }
}
