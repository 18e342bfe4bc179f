//! The worker and its outbox: queueing, sending, cancelling, and what the answers mean.

use std::sync::Arc;
use std::time::Duration;

use strife_faults::{Bug, planted};
use strife_proto::Refusal;
use strife_proto::commit::{BankName, Code, Key, TransferId};
use strife_proto::domain::{MEMO_CHARS_MAX, Order, PayeeAccount, ReceivedOrder, clean_text};
use strife_proto::signing::{SigningKey, Tag};
use tokio::time::Instant;

use super::calls::{OrderCall, send};
use super::state::Worker;
use super::{Answer, Payment, Problem, after};
use crate::api::{ApiError, Known};
use crate::device::load_device_key;
use crate::outbox::{Credit, State, Stored};
use crate::sync::{Action, Next, back_off, judge, next_action};
use crate::view::{NoticeKind, OrderState, OrderView, Profile};

/// Why an order waits that was made after its person had signed out.
const MADE_SIGNED_OUT: &str = "MADE_SIGNED_OUT";

/// Orders on their way at a time.
const IN_FLIGHT_MAX: usize = 16;

impl Worker {
    /// Makes, signs and queues an order: on the disk before the answer.
    pub(super) async fn pay(&mut self, payment: Payment, answer: Answer<TransferId>) {
        let (id, stored) = match self.make(payment).await {
            Ok(made) => made,
            // a screen that has gone does not need the answer
            Err(problem) => return drop(answer.send(Err(problem))),
        };
        if planted(Bug::QueuedBeforeSync) {
            drop(answer.send(Ok(id)));
            return drop(self.outbox.put(id, &stored).await);
        }
        let kept = self.outbox.put(id, &stored).await;
        drop(answer.send(kept.map(|()| id).map_err(Into::into)));
    }

    /// Makes and signs an order.
    async fn make(&self, payment: Payment) -> Result<(TransferId, Stored), Problem> {
        let profile = self.profile.clone().ok_or(Problem::SignedOut)?;
        let bank = self.own_bank().ok_or(Problem::SignedOut)?;
        clean_text(&payment.memo, MEMO_CHARS_MAX)?;
        let own = profile.accounts.iter().find(|account| account.number == payment.from.to_string());
        let own = own.ok_or(Refusal::NotAllowed)?;
        if own.currency != payment.amount.currency().code() {
            return Err(Refusal::UnknownCurrency.into());
        }
        let to_itself = payment.to.bank == bank && payment.to.account == PayeeAccount::Number(payment.from);
        if to_itself {
            return Err(Refusal::SameAccount.into());
        }
        if !self.banks.is_empty() && !self.banks.iter().any(|(name, _)| name == payment.to.bank.as_str()) {
            return Err(Refusal::UnknownBank.into());
        }
        let device = self.signing_key(&profile, &bank).await?;
        let now_ms = self.seams.now_ms();
        let id = TransferId(self.seams.new_id().map_err(|_| Refusal::Busy)?);
        let order = Order {
            network: self.api.network().to_owned(),
            key: Key { bank, id },
            payer: payment.from,
            payee: payment.to,
            amount: payment.amount,
            memo: payment.memo,
            made_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(self.settings.order_life_ms),
            refund_of: payment.refund_of,
        };
        let received = ReceivedOrder::decode(order.encode())?;
        let signature = device.sign(Tag::Order, received.bytes());
        let mut stored = Stored::new(&received, &signature, &profile.person);
        if profile.signed_out {
            stored.state = State::Parked(MADE_SIGNED_OUT.to_owned());
        }
        Ok((id, stored))
    }

    /// The key that the bank has registered for this person: the session's, or offline the kept one.
    async fn signing_key(&self, profile: &Profile, bank: &BankName) -> Result<Arc<SigningKey>, Problem> {
        if let Some(device) = &self.device {
            return Ok(device.clone());
        }
        let (secrets, network) = (self.secrets.clone(), self.api.network().to_owned());
        let (bank, person) = (bank.clone(), profile.person.clone());
        let load = move || load_device_key(secrets.as_ref(), &network, &bank, &person);
        let key = self.seams.work.blocking(load).await.map_err(|_| Problem::Stopping)??;
        match key {
            Some(key) if key.public().id().0.as_slice() == profile.device_key => Ok(Arc::new(key)),
            _ => Err(Problem::NoDeviceKey),
        }
    }

    /// When an order is to be sent or asked about next, `now` if it waits for nothing; `None` if nothing can be
    /// done for it now.
    fn due_at(&self, id: &TransferId, stored: &Stored, now: Instant) -> Option<Instant> {
        let possible = !self.in_flight.contains_key(id) && self.is_mine(stored);
        let order = possible.then(|| stored.order().ok()).flatten()?;
        next_action(stored, order.order().is_interbank())?;
        Some(self.waits.get(id).map_or(now, |(at, _)| *at))
    }

    /// When the first order is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if !self.can_send() || self.in_flight.len() >= IN_FLIGHT_MAX {
            return None;
        }
        let now = Instant::now();
        self.stored().iter().filter_map(|(id, stored)| self.due_at(id, stored, now)).min()
    }

    /// Sends every order whose time has come.
    pub(super) async fn send_what_is_due(&mut self) {
        if !self.can_send() {
            return;
        }
        let now = Instant::now();
        let due: Vec<TransferId> = self
            .stored()
            .iter()
            .filter(|(id, stored)| self.due_at(id, stored, now).is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .take(IN_FLIGHT_MAX.saturating_sub(self.in_flight.len()))
            .collect();
        for id in due {
            if let Err(problem) = self.send_one(id, None).await {
                self.waits.insert(id, (after(Duration::from_secs(5)), problem.to_string()));
                self.notice(NoticeKind::Bad, format!("An order could not be sent: {problem}"));
            }
        }
    }

    /// The order is of the person whom this client works for, signed in or not.
    fn is_of_profile(&self, stored: &Stored) -> bool {
        self.profile.as_ref().is_some_and(|profile| {
            profile.person == stored.person
                && stored.order().is_ok_and(|order| order.key().bank.as_str() == profile.bank)
        })
    }

    /// An order that the person at the screen may do something to.
    fn own(&self, id: TransferId) -> Option<Stored> {
        self.stored().get(&id).filter(|stored| self.is_of_profile(stored)).cloned()
    }

    /// The session is of the person and bank that the order is of.
    fn is_mine(&self, stored: &Stored) -> bool {
        self.session.as_ref().is_some_and(|session| {
            session.person == stored.person
                && stored.order().is_ok_and(|order| order.key().bank == session.bank)
        })
    }

    async fn send_one(&mut self, id: TransferId, drill: Option<Action>) -> Result<(), Problem> {
        let Some(mut stored) = self.stored().get(&id).cloned() else { return Ok(()) };
        let mut order = stored.order()?;
        let Some(action) = drill.or_else(|| next_action(&stored, order.order().is_interbank())) else {
            return Ok(());
        };
        let session = self.session.clone().ok_or(Problem::SignedOut)?;
        let device = self.device.clone().ok_or(Problem::SignedOut)?;
        let mut signature = stored.signature();
        if planted(Bug::NewIdOnRetry) && stored.sent {
            let id = TransferId(self.seams.new_id().map_err(|_| Refusal::Busy)?);
            let key = Key { id, ..order.key().clone() };
            order = ReceivedOrder::decode(Order { key, ..order.order().clone() }.encode())?;
            signature = device.sign(Tag::Order, order.bytes());
        }
        if matches!(action, Action::Submit { .. }) && drill.is_none() {
            stored.attempts += 1;
            // on the disk before the first byte leaves: from then on only the payer's bank ends it
            stored.sent = true;
            self.outbox.put(id, &stored).await?;
        }
        self.waits.remove(&id);
        *self.tries.entry(id).or_default() += 1;
        let call = OrderCall { api: self.api.clone(), session, signature, order, device, epoch: self.epoch };
        self.in_flight.insert(id, send(call, action, self.events.clone()));
        Ok(())
    }

    /// An answer about an order.
    pub(super) async fn sent(
        &mut self,
        epoch: u64,
        id: TransferId,
        action: Action,
        result: Result<Known, ApiError>,
    ) {
        self.in_flight.remove(&id);
        let Some(mut stored) = self.stored().get(&id).cloned() else { return };
        if let Err(ApiError::FalseStatement(why)) = &result {
            self.notice(
                NoticeKind::Bad,
                format!("The gateway passed on a false statement ({why}). It was not believed."),
            );
        }
        let next = judge(&result);
        if stored.is_ended() {
            self.answered_again(id, stored, action, &next).await;
            return;
        }
        match next {
            Next::State(State::Parked(name)) => self.refused(id, stored, action, name).await,
            Next::State(state) => {
                stored.state = state;
                stored.cancelling = false;
                stored.ended_at_ms = Some(self.seams.now_ms());
                self.tries.remove(&id);
                self.keep(id, &stored).await;
                self.announce(&stored);
            }
            Next::Later => {
                let reason = match &result {
                    Err(error) => error.to_string(),
                    Ok(_) => "no final outcome is known yet".to_owned(),
                };
                self.wait(id, reason);
                if matches!(result, Err(ApiError::Unknown(_))) {
                    self.beat_now();
                }
            }
            Next::NeedsSession(refusal) if epoch == self.epoch => self.session_over(refusal),
            Next::NeedsSession(_) => {}
        }
    }

    /// A door refused a call about an open order.
    async fn refused(&mut self, id: TransferId, mut stored: Stored, action: Action, name: String) {
        match action {
            Action::Cancel => {
                stored.cancelling = false;
                self.keep(id, &stored).await;
                self.notice(NoticeKind::Bad, format!("The cancel was refused ({name})."));
            }
            Action::Submit { .. } => {
                stored.state = State::Parked(name);
                self.wait(id, "asking whether an earlier try was decided".into());
                self.keep(id, &stored).await;
                self.announce(&stored);
            }
            Action::AskOutcome => self.wait(id, name),
        }
    }

    /// Waits before the next try: longer each time.
    fn wait(&mut self, id: TransferId, reason: String) {
        let tries = self.tries.get(&id).copied().unwrap_or(1);
        let (min, max) = (self.settings.retry_ms_min, self.settings.retry_ms_max);
        self.waits.insert(id, (after(back_off(tries, min, max, self.jitter())), reason));
    }

    /// An ended order's credit was asked for, or its very bytes were sent again as a drill.
    async fn answered_again(&mut self, id: TransferId, mut stored: Stored, action: Action, next: &Next) {
        match (action, next) {
            (Action::AskOutcome, Next::State(State::Posted { credit })) if *credit != Credit::Unconfirmed => {
                stored.state = State::Posted { credit: *credit };
                self.tries.remove(&id);
                self.keep(id, &stored).await;
            }
            (Action::AskOutcome, _) => self.wait(id, "waiting for the payee's bank".into()),
            (_, Next::State(state)) => {
                let same = match (&stored.state, state) {
                    (State::Posted { .. }, State::Posted { .. }) => true,
                    (before, now) => before == now,
                };
                if same {
                    self.notice(
                        NoticeKind::Good,
                        format!(
                            "Sent again with the same id {id}: the same answer, and nothing moved twice."
                        ),
                    );
                } else {
                    self.notice(
                        NoticeKind::Bad,
                        format!("Sent again with the same id {id}: another answer!"),
                    );
                }
            }
            _ => self.notice(NoticeKind::Info, format!("Sent again with the same id {id}: no answer yet.")),
        }
    }

    async fn keep(&mut self, id: TransferId, stored: &Stored) {
        if let Err(error) = self.outbox.put(id, stored).await {
            // nothing is lost: the order is still open on the disk and is asked about again
            self.waits.insert(id, (after(Duration::from_secs(5)), error.to_string()));
            self.notice(NoticeKind::Bad, error.to_string());
        }
    }

    fn announce(&mut self, stored: &Stored) {
        let Ok(order) = stored.order() else { return };
        let what = format!("{} to {}", order.order().amount, order.order().payee);
        match &stored.state {
            State::Posted { .. } => self.notice(NoticeKind::Good, format!("{what}: posted.")),
            State::Declined(_) if stored.declined() == Some(Code::Cancelled) => {
                self.notice(NoticeKind::Good, format!("{what}: cancelled; nothing has moved."));
            }
            State::Declined(_) => {
                let why = stored.declined().map(Code::sentence).unwrap_or_default();
                self.notice(NoticeKind::Bad, format!("{what}: declined. {why}"));
            }
            State::Parked(name) => {
                let why = Refusal::from_name(name).map(Refusal::sentence).unwrap_or_default();
                self.notice(
                    NoticeKind::Bad,
                    format!("{what}: refused for now, and kept in the queue. {why}"),
                );
            }
            State::Conflict | State::Void => {
                self.notice(NoticeKind::Bad, format!("{what}: this order can never be posted."));
            }
            State::Open | State::Withdrawn => {}
        }
    }

    /// Sends one order, or all, now. A parked one is taken up again.
    pub(super) async fn retry(&mut self, id: Option<TransferId>) {
        let Some(id) = id else {
            self.waits.clear();
            self.tries.clear();
            return;
        };
        self.waits.remove(&id);
        self.tries.remove(&id);
        let parked = self.own(id).filter(|stored| matches!(stored.state, State::Parked(_)));
        if let Some(mut stored) = parked {
            stored.state = State::Open;
            self.keep(id, &stored).await;
        }
    }

    /// Sends an ended order's very bytes again.
    pub(super) async fn send_again(&mut self, id: TransferId) {
        let ended = self.own(id).is_some_and(|stored| stored.is_ended() && stored.sent);
        let drill = Some(Action::Submit { again: true });
        let result = match (ended && self.can_send()).then_some(()) {
            Some(()) => self.send_one(id, drill).await,
            None => Err(Problem::TooLate),
        };
        if let Err(problem) = result {
            self.notice(NoticeKind::Bad, problem.to_string());
        }
    }

    /// Withdraws an order that was never sent; asks the payer's bank for one that was.
    pub(super) async fn cancel(&mut self, id: TransferId) -> Result<(), Problem> {
        let mut stored = self.own(id).ok_or(Problem::TooLate)?;
        if stored.is_ended() {
            return Err(Problem::TooLate);
        }
        if stored.sent {
            stored.cancelling = true;
            self.waits.remove(&id);
        } else {
            stored.state = State::Withdrawn;
            stored.ended_at_ms = Some(self.seams.now_ms());
        }
        self.outbox.put(id, &stored).await?;
        Ok(())
    }

    /// Takes ended orders off the queue.
    pub(super) async fn dismiss(&mut self, which: impl Fn(TransferId, &Stored) -> bool) {
        let ended: Vec<TransferId> = self
            .stored()
            .iter()
            .filter(|(id, stored)| stored.is_ended() && self.is_of_profile(stored) && which(**id, stored))
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            if let Err(error) = self.outbox.remove(id).await {
                self.notice(NoticeKind::Bad, error.to_string());
                return;
            }
            self.waits.remove(&id);
        }
    }

    /// The queue for the screen, newest first: of the person whom this client works for alone.
    pub(super) fn orders(&self) -> Vec<OrderView> {
        let view = |(id, stored): (&TransferId, &Stored)| {
            let order = stored.order().ok()?;
            let said = order.order();
            let waiting = self.waits.get(id);
            let open = matches!(stored.state, State::Open);
            let reason = match (&stored.state, waiting) {
                (State::Open, _) if !self.is_mine(stored) => {
                    format!("waits for {}@{} to sign in", stored.person, said.key.bank)
                }
                (State::Open, _) if !self.connection.is_online() => "waits for the connection".to_owned(),
                (_, Some((_, reason))) => reason.clone(),
                _ => String::new(),
            };
            Some(OrderView {
                id: *id,
                bank: said.key.bank.clone(),
                person: stored.person.clone(),
                from: said.payer.to_string(),
                to: said.payee.clone(),
                amount: said.amount,
                memo: said.memo.clone(),
                made_at_ms: said.made_at_ms,
                state: self.order_state(*id, stored),
                attempts: stored.attempts,
                next_try: waiting.filter(|_| open && self.can_send()).map(|(at, _)| at.into_std()),
                reason,
                cancelling: stored.cancelling,
                sent: stored.sent,
                refund_of: said.refund_of.clone(),
            })
        };
        self.stored().iter().rev().filter(|(_, stored)| self.is_of_profile(stored)).filter_map(view).collect()
    }

    fn order_state(&self, id: TransferId, stored: &Stored) -> OrderState {
        match &stored.state {
            State::Open if self.in_flight.contains_key(&id) => OrderState::Sending,
            State::Open if stored.sent => OrderState::Pending,
            State::Open => OrderState::Queued,
            State::Posted { credit } => {
                let interbank = stored.order().is_ok_and(|order| order.order().is_interbank());
                OrderState::Posted { credit: if interbank { *credit } else { Credit::Account } }
            }
            State::Declined(_) => match stored.declined() {
                Some(code) => OrderState::Declined { code: code.name(), sentence: code.sentence() },
                None => OrderState::Declined { code: "?", sentence: "The bank declined." },
            },
            State::Conflict => OrderState::Never { sentence: "Another order holds this id." },
            State::Void => OrderState::Never { sentence: "It was not signed by somebody with a right." },
            State::Withdrawn => OrderState::Withdrawn,
            State::Parked(name) => OrderState::Parked { code: name.clone(), sentence: parked_sentence(name) },
        }
    }
}

/// Why a parked order waits, for a person.
fn parked_sentence(name: &str) -> String {
    match Refusal::from_name(name) {
        Some(refusal) => refusal.sentence().to_owned(),
        None if name == MADE_SIGNED_OUT => "Made after signing out: r sends it, c drops it.".to_owned(),
        None => name.to_owned(),
    }
}
