//! Where documents are printed: a few threads of their own at the lowest priority, with a bounded queue in front, so that a
//! thousand notices never make a receipt wait.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use borsellino_documents::{RenderError, Renderer, TemplateError, Templates};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// How many documents may wait; who comes then is told to come again.
const QUEUE: usize = 32;

/// How many of the places are for those alone who wait for one.
const KEPT: usize = 4;

/// The nicest a thread can be (setpriority, 2).
const LOWEST: i32 = 19;

/// Why a document was not printed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PressError {
    /// Too many wait already.
    #[error("too many documents are being printed")]
    Busy,
    /// The facts or the template.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Fonts or templates can't be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// No thread could be had.
    #[error("no thread prints")]
    Idle,
}

type Job = Box<dyn FnOnce(&Renderer) + Send>;

/// A printer that several may use at a time. Cheap to clone. Its threads start with the first document.
#[derive(Clone)]
pub struct Press {
    /// Waits for a place instead of being told to come again.
    patient: bool,
    templates: Arc<Templates>,
    running: Arc<OnceLock<Result<mpsc::Sender<Job>, PressError>>>,
}

impl std::fmt::Debug for Press {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Press")
    }
}

impl Press {
    /// A press with these templates in place of the program's.
    pub fn new(templates: Templates) -> Self {
        Self { patient: false, templates: Arc::new(templates), running: Arc::default() }
    }

    /// The same press for work that nobody waits for: it waits for a place.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self { patient: true, ..self.clone() }
    }

    /// Prints; refuses at once where too many wait, unless it is [`Press::patient`].
    ///
    /// # Errors
    /// [`PressError`].
    pub async fn print(
        &self,
        job: impl FnOnce(&Renderer) -> Result<Vec<u8>, RenderError> + Send + 'static,
    ) -> Result<Vec<u8>, PressError> {
        let (answer, printed) = oneshot::channel();
        let job: Job = Box::new(move |renderer| {
            // Who is no longer there needs no page.
            if !answer.is_closed() {
                let _ = answer.send(job(renderer));
            }
        });
        let sender = self.running.get_or_init(|| start(&self.templates)).as_ref().map_err(Clone::clone)?;
        if self.patient {
            sender.send(job).await.map_err(|_| PressError::Idle)?;
        } else if sender.capacity() <= KEPT {
            // Some places are kept for letters and batches.
            return Err(PressError::Busy);
        } else {
            sender.try_send(job).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => PressError::Busy,
                mpsc::error::TrySendError::Closed(_) => PressError::Idle,
            })?;
        }
        Ok(printed.await.map_err(|_| PressError::Idle)??)
    }
}

fn start(templates: &Templates) -> Result<mpsc::Sender<Job>, PressError> {
    let renderer = Renderer::new(templates)?;
    let (sender, jobs) = mpsc::channel::<Job>(QUEUE);
    let jobs = Arc::new(Mutex::new(jobs));
    let count = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for _ in 0..count {
        let (renderer, jobs) = (renderer.clone(), Arc::clone(&jobs));
        let printing = move || {
            // On Linux this is the priority of the calling thread alone.
            if let Err(error) = rustix::process::setpriority_process(None, LOWEST) {
                tracing::warn!(%error, "documents are printed at the server's own priority");
            }
            loop {
                let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                let Some(job) = job else { return };
                // What a document does to itself must not keep others from being printed.
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&renderer))).is_err() {
                    tracing::error!("a document could not be printed: the typesetter gave up");
                }
            }
        };
        thread::Builder::new().name("press".to_owned()).spawn(printing).map_err(|_| PressError::Idle)?;
    }
    Ok(sender)
}
