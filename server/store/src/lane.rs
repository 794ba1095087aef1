//! A thread of its own for what must not queue behind the server's other tasks: a transaction of many statements is
//! woken once per statement, and behind a hundred calls that are being read and answered each of those turns takes longer
//! than the statement.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// A thread that runs tasks, and drives the connections that they open. Cheap to clone; it ends with the last one.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    handle: Handle,
    _thread: Arc<Thread>,
}

#[derive(Debug)]
struct Thread(Option<Runtime>);

impl Lane {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub(crate) fn open(name: &str) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), _thread: Arc::new(Thread(Some(runtime))) })
    }

    /// Runs a task there, to its end whoever else lets go of the thread.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let keep = self.clone();
        let kept = async move {
            let outcome = task.await;
            drop(keep);
            outcome
        };
        self.handle.spawn(kept)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Whoever drops the last handle may itself be a task, which must not wait for threads.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
