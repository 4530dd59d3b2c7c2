//! What the driver reported between calls: a lost device, a refused command, memory that ran out.

use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared with the callbacks that the driver's interface calls.
#[derive(Default)]
pub(super) struct Health {
    /// Something is noted below; spares the lock on every step.
    noted: AtomicBool,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    lost: Option<String>,
    refused: Option<Refusal>,
}

/// What is left of the interface's error, which cannot pass between threads in a browser.
struct Refusal {
    out_of_memory: bool,
    message: String,
}

impl Refusal {
    fn new(error: &wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { source } => Self { out_of_memory: true, message: innermost(source.as_ref()) },
            wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                Self { out_of_memory: false, message: description.trim().to_owned() }
            }
        }
    }

    fn typed(self, doing: &str) -> Error {
        match self {
            Self { out_of_memory: true, message } => Error::OutOfMemory { doing: doing.to_owned(), message },
            Self { message, .. } => Error::Gpu { message: format!("{doing}: {message}") },
        }
    }
}

impl Health {
    /// Listens to `device` from now on; replaces handlers that were set before.
    pub(super) fn listen(device: &wgpu::Device) -> Arc<Self> {
        let health = Arc::new(Self::default());
        let noting = health.clone();
        device.on_uncaptured_error(Arc::new(move |error| noting.refuse(&error)));
        let noting = health.clone();
        device.set_device_lost_callback(move |reason, message| {
            noting.lose(if message.is_empty() { format!("{reason:?}") } else { message });
        });
        health
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the device is gone; the first reason stays.
    pub(super) fn lose(&self, reason: String) {
        self.notes().lost.get_or_insert(reason);
        self.noted.store(true, Ordering::Release);
    }

    /// Notes an error that no call was there to take; the first one stays, the others are mostly its consequences.
    fn refuse(&self, error: &wgpu::Error) {
        tracing::error!(%error, "the GPU interface reported an error");
        self.notes().refused.get_or_insert_with(|| Refusal::new(error));
        self.noted.store(true, Ordering::Release);
    }

    /// Fails with what was noted while `doing`. A lost device stays lost; anything else is told once.
    pub(super) fn check(&self, doing: &str) -> Result<()> {
        if !self.noted.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut notes = self.notes();
        if let Some(message) = &notes.lost {
            return Err(Error::DeviceLost { message: message.clone() });
        }
        self.noted.store(false, Ordering::Release);
        notes.refused.take().map_or(Ok(()), |refusal| Err(refusal.typed(doing)))
    }
}

fn innermost(mut error: &(dyn std::error::Error + 'static)) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// What `make` makes, and the error that making it caused.
///
/// In a browser errors arrive later, through [`Health`].
pub(super) fn caught<T>(device: &wgpu::Device, doing: &str, make: impl FnOnce() -> T) -> Result<T> {
    #[cfg(target_family = "wasm")]
    {
        let _ = (device, doing);
        Ok(make())
    }
    #[cfg(not(target_family = "wasm"))]
    {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        let scopes = [OutOfMemory, Validation, Internal].map(|filter| device.push_error_scope(filter));
        let made = make();
        // A native scope's error is there at once, and scopes close in reverse order.
        let mut errors =
            scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop())).collect::<Vec<_>>();
        errors.pop().map_or(Ok(made), |error| Err(Refusal::new(&error).typed(doing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> wgpu::Error {
        wgpu::Error::OutOfMemory { source: Box::new(std::io::Error::other("Not enough memory left.")) }
    }

    #[test]
    fn an_error_is_told_once_and_a_loss_for_good() {
        let health = Health::default();
        health.check("resting").expect("nothing was noted");
        health.refuse(&memory());
        match health.check("growing") {
            Err(Error::OutOfMemory { doing, message }) => {
                assert_eq!((doing.as_str(), message.as_str()), ("growing", "Not enough memory left."));
            }
            other => panic!("{other:?}"),
        }
        health.check("resting").expect("it was told");
        health.refuse(&memory());
        health.lose("it fell off the bus".to_owned());
        health.lose("and then some".to_owned());
        for _ in 0..2 {
            match health.check("resting") {
                Err(Error::DeviceLost { message }) => assert_eq!(message, "it fell off the bus"),
                other => panic!("{other:?}"),
            }
        }
    }
}
