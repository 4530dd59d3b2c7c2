//! A value that a callback hands to a waiting task, once.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

struct State<T> {
    value: Option<T>,
    /// The sender is gone, with or without a value.
    closed: bool,
    waker: Option<Waker>,
}

/// The callback's end; dropping it unused wakes the other end with nothing.
pub(super) struct Sender<T>(Arc<Mutex<State<T>>>);

/// The waiting end.
pub(super) struct Receiver<T>(Arc<Mutex<State<T>>>);

/// Both ends.
pub(super) fn signal<T>() -> (Sender<T>, Receiver<T>) {
    let state = Arc::new(Mutex::new(State { value: None, closed: false, waker: None }));
    (Sender(state.clone()), Receiver(state))
}

impl<T> Sender<T> {
    /// Hands `value` over.
    pub(super) fn send(self, value: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).value = Some(value);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.closed = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Receiver<T> {
    /// The value, or `None` when the sender was dropped without one.
    pub(super) async fn receive(self) -> Option<T> {
        poll_fn(|context| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.closed {
                return Poll::Ready(state.value.take());
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_a_value_over_or_tells_that_there_is_none() {
        let (sender, receiver) = signal();
        let waiting = std::thread::spawn(move || pollster::block_on(receiver.receive()));
        sender.send(7);
        assert_eq!(waiting.join().expect("no panic"), Some(7));
        let (sender, receiver) = signal::<u32>();
        drop(sender);
        assert_eq!(pollster::block_on(receiver.receive()), None);
    }
}
