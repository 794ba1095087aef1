//! The one thread on which the app core's tasks run, and its orderly end. uniffi polls futures on the host's thread, which
//! may be the screen's: there they only wait for an answer from here.

use std::future::Future;
use std::pin::Pin;
use std::thread;

use borsellino_core as core;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Mutex, oneshot};

use crate::errors::BorsellinoError;

/// Of all our threads, for whoever looks at a process.
const NAME: &str = "borsellino";

/// A piece of work whose kind nobody asks after.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A tokio runtime on a thread of its own. Dropping it asks the thread to end; [`Engine::stop`] waits for that.
pub(crate) struct Engine {
    handle: Handle,
    thread: Mutex<Option<Thread>>,
}

struct Thread {
    /// Dropped or sent: the thread ends.
    ask: oneshot::Sender<()>,
    /// Answered once the runtime is gone.
    ended: oneshot::Receiver<()>,
    joined: thread::JoinHandle<()>,
}

impl Engine {
    /// # Errors
    /// [`BorsellinoError::Closed`] where the system gives no thread.
    pub(crate) fn start() -> Result<Self, BorsellinoError> {
        let closed = |_| BorsellinoError::Closed;
        let runtime = Builder::new_current_thread().thread_name(NAME).enable_all().build().map_err(closed)?;
        let handle = runtime.handle().clone();
        let (ask, asked) = oneshot::channel::<()>();
        let (ending, ended) = oneshot::channel::<()>();
        let work = move || {
            // Both ways of asking are the same.
            let _ = runtime.block_on(asked);
            // Waits for a call of the secure store that is under way.
            drop(runtime);
            drop(ending);
        };
        let joined = thread::Builder::new().name(NAME.to_owned()).spawn(work).map_err(closed)?;
        Ok(Self { handle, thread: Mutex::new(Some(Thread { ask, ended, joined })) })
    }

    /// Runs `work` there, to its end even when the caller is dropped. Boxed on both sides: what is compiled for each call is only
    /// the call.
    ///
    /// # Errors
    /// Those of `work`; [`BorsellinoError::Closed`] once stopped.
    pub(crate) fn run<T: Send + 'static>(&self, work: Boxed<core::Result<T>>) -> Boxed<Result<T, BorsellinoError>> {
        let handle = self.handle.clone();
        Box::pin(async move {
            let (sender, answer) = oneshot::channel();
            // Without its answer's type: tokio's part is compiled once for all calls.
            let work: Boxed<()> = Box::pin(async move {
                // The host may have given up.
                let _ = sender.send(work.await);
            });
            let task = handle.spawn(work);
            match answer.await {
                Ok(done) => Ok(done?),
                // It ended without an answer. A fault of ours must not look like anything else: uniffi hands it to the host as
                // an internal error.
                Err(_) => match task.await {
                    Err(fault) if fault.is_panic() => std::panic::resume_unwind(fault.into_panic()),
                    _ => Err(BorsellinoError::Closed),
                },
            }
        })
    }

    /// Ends the thread and waits for its end. Again: waits for the first.
    pub(crate) async fn stop(&self) {
        let mut thread = self.thread.lock().await;
        let Some(Thread { ask, ended, joined }) = thread.take() else { return };
        drop(ask);
        // The sender is dropped at the thread's end.
        let _ = ended.await;
        // A host may go on on whichever thread woke it, this one included. It has nothing left to do.
        if joined.thread().id() != thread::current().id() {
            let _ = joined.join();
        }
    }
}
