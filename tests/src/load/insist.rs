//! The calm after the load: every order of everybody is insisted on until it has come to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use strife_client::Api;
use strife_proto::commit::{Key, OrderHash};

use super::{Signed, Workload, submit};
use crate::auditor::{Ended, REFUSED_FOR_GOOD};

/// Orders that are insisted on at a time.
const INSISTED_MAX: usize = 24;
/// Pause after a round, and the longest one after rounds in which nothing ended. Whoever asks on and on without a
/// pause keeps a busy machine from ever connecting again.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What an order still wants: its end, or the payee's bank's word that the money is there.
fn is_open(workload: &Workload, id: &(Key, OrderHash)) -> bool {
    workload.recorder.with(|auditor| {
        auditor.orders().get(id).is_some_and(|audited| match audited.ended {
            // it has no end; that it was refused once is enough
            None if audited.nature.refused => {
                audited.asked.is_some()
                    && !REFUSED_FOR_GOOD.iter().any(|name| audited.refusals.contains(name))
            }
            None => audited.asked.is_some() || audited.cancel_asked.is_some(),
            Some((_, Ended::Posted)) => {
                audited.order.is_interbank() && audited.credited.is_none() && !audited.suspended
            }
            Some(_) => false,
        })
    })
}

/// In the calm phase, sends every open order again and again until all have ended.
pub(super) async fn insist(workload: Arc<Workload>, apis: Vec<Api>) {
    let mut round = 0;
    let mut pause = PAUSE;
    let mut open_before = usize::MAX;
    loop {
        tokio::time::sleep(pause).await;
        if !workload.calm.load(Ordering::Relaxed) || workload.remaining() > 0 {
            continue;
        }
        round += 1;
        let open: Vec<Signed> = {
            let orders = workload.lock();
            orders.iter().filter(|(id, _)| is_open(&workload, id)).map(|(_, o)| o.clone()).collect()
        };
        if open.is_empty() {
            workload.done.store(true, Ordering::Relaxed);
            continue;
        }
        pause = if open.len() < open_before { PAUSE } else { (pause * 2).min(PAUSE_MAX) };
        open_before = open.len();
        for some in open.chunks(INSISTED_MAX) {
            join_all(some.iter().enumerate().map(|(at, signed)| {
                let (api, workload) = (&apis[(at + round) % apis.len()], &workload);
                async move { ask_for_the_end(workload, api, signed).await }
            }))
            .await;
        }
    }
}

async fn ask_for_the_end(workload: &Workload, api: &Api, signed: &Signed) {
    let id = (signed.order.key().clone(), signed.order.hash());
    let ended =
        workload.recorder.with(|auditor| auditor.orders().get(&id).is_some_and(|a| a.ended.is_some()));
    let person = &workload.people[signed.person];
    if !ended && signed.nature.never_votes {
        // whoever waits for a bank that never answers takes the order back
        workload.recorder.asks_cancel(&signed.order, signed.nature);
        let reply = api.cancel(&person.session, &signed.order, &person.device).await;
        workload.recorder.hears(&signed.order, &reply);
        return;
    }
    if !ended {
        submit(workload, api, signed, true).await;
        return;
    }
    // the payer's bank knows whether the payee's bank has acknowledged
    let asked = workload.recorder.asks_outcome();
    let reply = api.outcome(&person.session, &signed.order).await;
    workload.recorder.hears_outcome(asked, &signed.order, &reply);
}
