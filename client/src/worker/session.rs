//! A session's life in the worker: it begins with a sign-in or with one that was kept, is kept or not, and ends by the
//! person's word or the bank's.

use std::sync::Arc;

use strife_proto::Refusal;
use strife_proto::signing::SigningKey;

use super::keeper::{Keeper, Resumed};
use super::state::{Worker, profile_path, write_profile};
use crate::api::Session;
use crate::credentials::{Kept, Unusable};
use crate::view::{NoticeKind, Profile};

impl Worker {
    pub(super) fn begin_session(&mut self, session: Session, device: Arc<SigningKey>) {
        let known = self.profile.take().filter(|profile| is_of(profile, &session));
        let profile = Profile {
            bank: session.bank.to_string(),
            person: session.person.clone(),
            display_name: session.display_name.clone(),
            as_of_ms: known.as_ref().map_or(0, |profile| profile.as_of_ms),
            accounts: known.map(|profile| profile.accounts).unwrap_or_default(),
            signed_out: false,
            device_key: device.public().id().0.to_vec(),
        };
        // a kept session is resumed only for whom the profile names as signed in
        write_profile(&profile_path(&self.settings), &profile);
        self.profile = Some(profile);
        self.session = Some(session);
        self.device = Some(device);
        self.waits.clear();
        self.watch();
    }

    /// The stores were looked through, at the start. A session is gone on with only if nobody has signed in or out
    /// meanwhile, and if the profile does not say that its person has signed out: the store may not have heard it.
    pub(super) fn found(&mut self, epoch: u64, place: Option<String>, resumed: Result<Resumed, Unusable>) {
        self.resuming = false;
        if !self.kept {
            self.session_place = place;
        }
        match resumed {
            Ok(None) => {}
            Ok(Some((session, _))) if epoch != self.epoch => {
                if self.profile.as_ref().is_some_and(|profile| profile.signed_out) {
                    self.end_at_bank(session);
                }
            }
            // another session has begun, or is asked for
            Err(_) if epoch != self.epoch => {}
            Ok(Some((session, device))) => {
                let may = |profile: &Profile| !profile.signed_out && is_of(profile, &session);
                if self.profile.as_ref().is_none_or(may) {
                    self.begin_session(session, device);
                    self.kept = true;
                } else {
                    // a store that did not answer when its person signed out has it still
                    self.end_at_bank(session);
                    self.forget_session();
                }
            }
            Err(why) => {
                self.forget_session();
                self.notice(NoticeKind::Info, why.to_string());
            }
        }
    }

    fn not_kept(&mut self) {
        self.session_place = None;
        let words = "No keyring here keeps your session: you will be asked for your password again.";
        self.notice(NoticeKind::Info, words.into());
    }

    /// Takes the kept session out of the stores, if there is one.
    pub(super) fn forget_session(&mut self) {
        self.kept = false;
        if !self.keeper.as_ref().is_some_and(Keeper::forget) {
            let words = "The keyring does not answer; a kept session may still be in it until it ends.";
            self.notice(NoticeKind::Bad, words.into());
        }
    }

    /// Gives a new session to the credential stores; without one, what they keep is of another session.
    pub(super) fn keep_session(&mut self, session: Option<&Session>, device: &SigningKey) {
        let Some(session) = session else { return self.forget_session() };
        let kept = Kept::new(session, self.api.network(), self.api.client_key_hash(), device.public());
        if !self.keeper.as_ref().is_some_and(|keeper| keeper.keep(self.epoch, kept)) {
            self.not_kept();
        }
    }

    /// A store has kept the session, or none has.
    pub(super) fn session_is_kept(&mut self, place: Option<String>) {
        match place {
            Some(place) => {
                self.session_place = Some(place);
                self.kept = true;
            }
            None => self.not_kept(),
        }
    }

    /// Best effort: a session ends by itself otherwise.
    pub(super) fn end_at_bank(&self, session: Session) {
        let api = self.api.clone();
        tokio::spawn(async move { drop(api.log_out(&session).await) });
    }

    /// The bank says that the session is over. The queue stays as it is.
    pub(super) fn session_over(&mut self, refusal: Refusal) {
        if self.session.is_some() {
            self.end_session();
            self.forget_session();
            self.notice(NoticeKind::Bad, format!("{} The queue is kept.", refusal.sentence()));
        }
    }

    pub(super) fn end_session(&mut self) {
        self.epoch += 1;
        self.kept = false;
        self.session = None;
        self.device = None;
        self.position = 0;
        self.stop_watching();
        self.waits.clear();
    }

    /// The person has signed out: who comes next at this screen sees no balances.
    pub(super) fn forget_balances(&mut self) {
        let Some(profile) = &mut self.profile else { return };
        profile.signed_out = true;
        profile.as_of_ms = 0;
        for account in &mut profile.accounts {
            (account.posted, account.held, account.available, account.incoming) = (0, 0, 0, 0);
        }
        write_profile(&profile_path(&self.settings), profile);
    }
}

/// The profile is of the person whose session it is.
pub(super) fn is_of(profile: &Profile, session: &Session) -> bool {
    profile.person == session.person && profile.bank == session.bank.as_str()
}
