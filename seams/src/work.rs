//! Where long work is done: on threads of its own, or in its place, where a simulator must see every step.

use std::future::Future;
use std::io;

use tokio::sync::watch;
use tokio::task::JoinError;

/// Where long work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// On threads of its own: nothing waits behind it.
    Threads,
    /// At once and in its place: one order of events for one seed.
    InPlace,
}

/// Work that goes on until it ends by itself.
#[derive(Debug)]
pub struct Worker<T> {
    work: Running<T>,
    ended: watch::Receiver<()>,
}

#[derive(Debug)]
enum Running<T> {
    Thread(std::thread::JoinHandle<io::Result<T>>),
    Task(tokio::task::JoinHandle<T>),
}

impl Work {
    /// Does something that may take long, and waits for it without holding up others.
    ///
    /// # Errors
    /// It panicked, or the runtime is stopping.
    pub async fn blocking<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        match self {
            Work::Threads => tokio::task::spawn_blocking(work).await,
            Work::InPlace => Ok(work()),
        }
    }

    /// Begins work of its own under a name: a thread with a runtime for timers alone, or a task.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn begin<T, F>(self, name: &str, work: F) -> io::Result<Worker<T>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (alive, ended) = watch::channel(());
        let work = match self {
            Work::Threads => {
                Running::Thread(std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                    let _alive = alive;
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
                    Ok(runtime.block_on(work))
                })?)
            }
            Work::InPlace => Running::Task(tokio::spawn(async move {
                let _alive = alive;
                work.await
            })),
        };
        Ok(Worker { work, ended })
    }
}

impl<T> Worker<T> {
    /// Whether it has ended, but for its last instructions.
    pub fn has_ended(&self) -> bool {
        self.ended.has_changed().is_err()
    }

    /// Waits until it has ended, however it ended.
    pub async fn ended(&mut self) {
        while self.ended.changed().await.is_ok() {}
    }

    /// What it came to, once it has ended. `None` if it panicked.
    pub async fn result(self) -> Option<T> {
        match self.work {
            Running::Thread(thread) => thread.join().ok().and_then(Result::ok),
            Running::Task(task) => task.await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_ends_the_same_way_wherever_it_is_done() {
        for place in [Work::Threads, Work::InPlace] {
            let mut worker = place.begin("seven", async { 7 }).unwrap();
            worker.ended().await;
            assert!(worker.has_ended());
            assert_eq!(worker.result().await, Some(7));
            let mut worker = place.begin("panics", async { panic!("as planned") }).unwrap();
            worker.ended().await;
            assert_eq!(worker.result().await, None::<()>);
            assert_eq!(place.blocking(|| 7).await.unwrap(), 7);
        }
    }
}
