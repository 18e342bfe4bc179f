//! Keeping a session past the end of the program: one task, so that keeping and forgetting happen in the order in
//! which they were asked for, and the worker never waits for a credential store.

use std::sync::Arc;

use strife_proto::signing::SigningKey;
use strife_seams::Seams;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::calls::Event;
use crate::api::{Api, Session};
use crate::credentials::{Kept, Unusable, Vault};
use crate::device::{SecretStore, load_device_key};

/// What waits for a store that takes its time; more does not come together by hand.
const JOBS_WAITING_MAX: usize = 64;

/// What is to be done.
enum Job {
    Find { epoch: u64 },
    Keep { epoch: u64, kept: Kept },
    Forget,
}

/// A kept session that can be gone on with.
pub(super) type Resumed = Option<(Session, Arc<SigningKey>)>;

/// Hands jobs to the task.
#[derive(Debug)]
pub(super) struct Keeper {
    jobs: mpsc::Sender<Job>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Starts the task, on the current runtime.
    pub fn start(
        vault: Vault,
        secrets: Arc<dyn SecretStore>,
        api: Api,
        seams: Seams,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let (jobs, mut waiting) = mpsc::channel(JOBS_WAITING_MAX);
        let task = tokio::spawn(async move {
            while let Some(job) = waiting.recv().await {
                let event = match job {
                    Job::Find { epoch } => {
                        let found = vault.find().await;
                        let resumed = match found.secret {
                            Some(secret) => resume(&secret, &secrets, &api, &seams).await.map(Some),
                            None => Ok(None),
                        };
                        Event::Found { epoch, place: found.place, resumed }
                    }
                    Job::Keep { epoch, kept } => {
                        Event::Kept { epoch, place: vault.keep(kept.encode()).await }
                    }
                    Job::Forget => {
                        vault.forget().await;
                        continue;
                    }
                };
                // a worker that has stopped does not need it; what was kept is kept
                let _ = events.send(event).await;
            }
        });
        Self { jobs, task }
    }

    /// Looks for a kept session.
    pub fn find(&self, epoch: u64) -> bool {
        self.jobs.try_send(Job::Find { epoch }).is_ok()
    }

    /// Keeps a session. `false` if too much waits.
    pub fn keep(&self, epoch: u64, kept: Kept) -> bool {
        self.jobs.try_send(Job::Keep { epoch, kept }).is_ok()
    }

    /// Takes the kept session out of the stores. `false` if too much waits.
    pub fn forget(&self) -> bool {
        self.jobs.try_send(Job::Forget).is_ok()
    }

    /// Ends the task once it has done what it was asked for; each store's time is limited.
    pub async fn finish(self) {
        drop(self.jobs);
        // it does not panic; and if it did, nothing more could be done
        let _ = self.task.await;
    }
}

/// A kept session with its device key, if it is still this client's and has not ended.
async fn resume(
    secret: &[u8],
    secrets: &Arc<dyn SecretStore>,
    api: &Api,
    seams: &Seams,
) -> Result<(Session, Arc<SigningKey>), Unusable> {
    let kept = Kept::decode(secret, api.network(), api.client_key_hash(), seams.now_ms())?;
    let (bank, person) = (kept.bank()?, kept.person().to_owned());
    let (secrets, network) = (secrets.clone(), api.network().to_owned());
    let read = move || load_device_key(secrets.as_ref(), &network, &bank, &person);
    let device = match seams.work.blocking(read).await {
        Ok(Ok(Some(device))) if kept.is_of(device.public()) => Arc::new(device),
        _ => return Err(Unusable::NoDeviceKey),
    };
    Ok((kept.into_session()?, device))
}
