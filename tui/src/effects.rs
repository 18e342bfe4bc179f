//! Carries out what [`update`](crate::update) wants, each in a task of its own that comes back as a message. A task
//! that fails inside is told too, never silent.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Zoned;
use strife_client::payees::PayeeBook;
use strife_client::{Client, Notifications};
use tokio::sync::mpsc;

use crate::demo::{Control, DemoControls};
use crate::export;
use crate::keep::Keeping;
use crate::model::Demo;
use crate::update::{Effect, Msg, Reply};

/// Movements on a page of the screen, and of an export.
const PAGE_SIZE: u32 = 50;
const EXPORT_PAGE_SIZE: u32 = 200;

/// Who carries effects out.
#[derive(Clone)]
pub struct Actors {
    /// Session, orders, history.
    pub client: Client,
    /// The demo's processes, if this is one.
    pub demo: Option<Arc<dyn DemoControls>>,
    /// Where replies go.
    pub messages: mpsc::Sender<Msg>,
    /// Saved payees.
    pub payees: Arc<PayeeBook>,
    /// Where exports are written.
    pub exports: PathBuf,
    /// The person's settings file.
    pub settings_file: Option<PathBuf>,
    /// What is to be kept in it.
    pub keeping: Arc<Keeping>,
}

impl Actors {
    /// Carries out an effect; its reply carries the epoch of the session that it was wanted in.
    pub fn carry_out(&self, effect: Effect, epoch: u64) {
        if let Effect::Keep { key, value } = &effect {
            // in the order in which they were changed, whichever task comes first
            self.keeping.want(key, value.clone());
        }
        let (actors, messages) = (self.clone(), self.messages.clone());
        tokio::spawn(async move {
            if let Some(msg) = guarded(async move { actors.act(effect, epoch).await }).await {
                // the screen may be gone by now
                let _ = messages.send(msg).await;
            }
        });
    }

    async fn act(&self, effect: Effect, epoch: u64) -> Option<Msg> {
        let client = &self.client;
        let reply = match effect {
            Effect::LogIn { bank, person, password, keep } => {
                Reply::SignedIn(client.log_in(bank, &person, password, keep).await.map_err(say))
            }
            Effect::Pay(payment) => Reply::Queued(client.pay(payment).await.map_err(say)),
            Effect::LoadHistory { account, cursor } => self.load_history(account, cursor).await,
            Effect::LoadLife(key) => {
                Reply::Life(key.clone(), client.life(key).await.map(Box::new).map_err(say))
            }
            Effect::Export { account } => Reply::Exported(self.export(account).await),
            Effect::Cancel(id) => Reply::Cancelled(id, client.cancel(id).await.map_err(say)),
            other => return self.act_apart(other).await,
        };
        Some(Msg::Reply { epoch, reply })
    }

    /// What no session matters to.
    async fn act_apart(&self, effect: Effect) -> Option<Msg> {
        let client = &self.client;
        match effect {
            Effect::LogOut => client.log_out().await,
            Effect::Retry(id) => client.retry(id).await,
            Effect::SendAgain(id) => client.send_again(id).await,
            Effect::Dismiss(id) => client.dismiss(id).await,
            Effect::DismissEnded => client.dismiss_ended().await,
            Effect::SetOffline(offline) => client.set_offline(offline).await,
            Effect::SavePayee { account, name } => return self.save_payee(account, name).await,
            Effect::LoadPayees => return self.load_payees().await,
            Effect::Keep { .. } => {
                if self.settings_file.is_none() {
                    return Some(Msg::Done(Ok(
                        "Changed until this program ends: there is no settings file.".into(),
                    )));
                }
                return self.keep().await.err().map(|why| {
                    Msg::Done(Err(format!("Changed until this program ends, but not kept: {why}")))
                });
            }
            Effect::LookAtDemo => {
                let demo = self.demo.clone()?;
                let processes = tokio::task::spawn_blocking(move || demo.processes()).await.ok()?;
                return Some(Msg::Demo(Demo { processes }));
            }
            Effect::Demo(name, what) => return self.control(name, what).await,
            Effect::Notify(text) => return notify_desktop(text).await,
            // carried out above, or by the loop that has the terminal
            _ => {}
        }
        None
    }

    async fn load_history(&self, account: String, cursor: Option<Vec<u8>>) -> Reply {
        let from = cursor.clone();
        let at_least_position = self.client.view().borrow().position;
        let page = self.client.history_page(&account, cursor, PAGE_SIZE, at_least_position).await;
        Reply::Page { account, from, result: page.map_err(say) }
    }

    async fn export(&self, account: String) -> Result<(PathBuf, usize), String> {
        let at_least_position = self.client.view().borrow().position;
        let (mut rows, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.client.history_page(&account, cursor, EXPORT_PAGE_SIZE, at_least_position).await;
            let (more, next) = page.map_err(say)?;
            rows.extend(more);
            if rows.len() > export::ROWS_MAX {
                return Err(format!("more than {} postings do not go into one file", export::ROWS_MAX));
            }
            match next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let (folder, day) = (self.exports.clone(), Zoned::now().date().to_string());
        let count = rows.len();
        let write = move || export::write(&folder, &account, &day, &rows);
        let path = tokio::task::spawn_blocking(write).await.map_err(say)??;
        Ok((path, count))
    }

    /// Writes what is still to be kept in the settings file. The program ends after it.
    ///
    /// # Errors
    /// In words.
    pub async fn keep(&self) -> Result<(), String> {
        let Some(file) = self.settings_file.clone() else { return Ok(()) };
        let keeping = self.keeping.clone();
        tokio::task::spawn_blocking(move || keeping.write(&file)).await.map_err(say)?
    }

    /// Bank and log-in name of the person who works here and has not signed out; saved payees are theirs alone.
    fn person(&self) -> Option<(String, String)> {
        let view = self.client.view();
        let view = view.borrow();
        let profile = view.profile.as_ref().filter(|profile| !profile.signed_out)?;
        Some((profile.bank.clone(), profile.person.clone()))
    }

    async fn load_payees(&self) -> Option<Msg> {
        let Some((bank, person)) = self.person() else { return Some(Msg::Payees(Vec::new())) };
        let book = self.payees.clone();
        let all = tokio::task::spawn_blocking(move || book.read(&bank, &person)).await.ok()?;
        self.tell_payee_trouble().await;
        Some(Msg::Payees(all))
    }

    async fn save_payee(&self, account: String, name: Option<String>) -> Option<Msg> {
        let (bank, person) = self.person()?;
        let (book, now_ms) = (self.payees.clone(), strife_client::now_ms());
        let remember = move || book.remember(&bank, &person, &account, name.as_deref(), now_ms);
        let kept = tokio::task::spawn_blocking(remember).await.ok()?;
        self.tell_payee_trouble().await;
        Some(match kept {
            Ok(all) => Msg::Payees(all),
            Err(error) => Msg::Done(Err(format!("The payee was not saved: {error}"))),
        })
    }

    async fn tell_payee_trouble(&self) {
        if let Some(trouble) = self.payees.take_trouble() {
            // the screen may be gone by now
            let _ = self.messages.send(Msg::Done(Err(trouble))).await;
        }
    }

    async fn control(&self, name: String, what: Control) -> Option<Msg> {
        let demo = self.demo.clone()?;
        let done = tokio::task::spawn_blocking(move || {
            let result = demo.control(&name, what);
            let processes = demo.processes();
            let state = processes.iter().find(|(other, _)| *other == name).map(|(_, state)| state.words());
            (result.map(|()| format!("{name} {}.", state.unwrap_or("is gone"))), processes)
        });
        let (result, processes) = done.await.ok()?;
        // the screen may be gone by now
        let _ = self.messages.send(Msg::Demo(Demo { processes })).await;
        Some(Msg::Done(result))
    }
}

/// Runs a task of its own. If it fails inside, that is what it comes back with.
async fn guarded(task: impl Future<Output = Option<Msg>> + Send + 'static) -> Option<Msg> {
    match tokio::spawn(task).await {
        Ok(said) => said,
        Err(error) if error.is_panic() => {
            Some(Msg::Failed(crate::terminal::last_panic().unwrap_or_default()))
        }
        // the program is ending
        Err(_) => None,
    }
}

fn say(problem: impl std::fmt::Display) -> String {
    problem.to_string()
}

/// Whether a notice goes to the desktop: wanted, and there is a session bus.
pub fn to_desktop(wanted: Notifications) -> bool {
    matches!(wanted, Notifications::Desktop | Notifications::Both)
        && std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some()
}

/// Whether a notice goes through the terminal.
pub fn to_terminal(wanted: Notifications) -> bool {
    matches!(wanted, Notifications::Terminal | Notifications::Both)
}

/// A notice on the desktop. A desktop that shows none is no error: the inbox has it.
async fn notify_desktop(text: String) -> Option<Msg> {
    let mut notice = notify_rust::Notification::new();
    notice.appname("Strife").summary("Strife").body(&text);
    let _ = notice.show_async().await;
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_fails_inside_is_told_and_not_silent() {
        let broken = guarded(async { panic!("a defect that a test planted") });
        assert!(matches!(broken.await, Some(Msg::Failed(_))));
        assert!(guarded(async { None }).await.is_none());
    }
}
