//! The door for this bank's operators.

use std::sync::Arc;

use strife_certs::identity::Peer;
use strife_proto::Refusal;
use strife_proto::commit::BankName;
use strife_proto::domain::{Currency, clean_text};
use strife_proto::v1::{self, bank_admin_server};
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use crate::bank::Bank;
use crate::command::{Answer, Command};
use crate::journal::PersonRow;
use crate::ledger::state::{Internal, PersonId, State};
use crate::verify::verify;

/// Longest display name, in characters.
const DISPLAY_NAME_CHARS_MAX: usize = 64;
/// Longest account name, in characters.
const ACCOUNT_NAME_CHARS_MAX: usize = 40;
/// Longest reason of a cash entry, in characters.
const REASON_CHARS_MAX: usize = 140;

/// The door for operators.
#[derive(Clone, Debug)]
pub struct Admin {
    bank: Arc<Bank>,
}

impl Admin {
    /// A door to this bank.
    pub fn new(bank: Arc<Bank>) -> Self {
        Self { bank }
    }

    async fn ask(&self, command: Command) -> Result<Answer, Status> {
        match self.bank.ask(command).await {
            Answer::Refused(refusal) => Err(refusal.into()),
            Answer::Unavailable => Err(Status::unavailable("the bank cannot say; ask again")),
            answer => Ok(answer),
        }
    }
}

fn operator<T>(request: &Request<T>) -> Result<String, Refusal> {
    let peer = request.extensions().get::<Arc<Peer>>().ok_or(Refusal::NotAllowed)?;
    Ok(peer.identity.to_string())
}

fn request_id(bytes: &[u8]) -> Result<[u8; 16], Refusal> {
    bytes.try_into().map_err(|_| Refusal::BadId)
}

/// An answer of another kind than the command's own would be a defect of this program.
fn unexpected() -> Status {
    Status::internal("the writer answered something else")
}

#[tonic::async_trait]
impl bank_admin_server::BankAdmin for Admin {
    async fn add_person(
        &self,
        request: Request<v1::AddPersonRequest>,
    ) -> Result<Response<v1::AddPersonReply>, Status> {
        let request = request.into_inner();
        let login: strife_proto::domain::LoginName = request.login.parse()?;
        clean_text(&request.display_name, DISPLAY_NAME_CHARS_MAX)?;
        let password_hash = self.bank.passwords.hash(Zeroizing::new(request.password)).await?;
        let id = self.bank.seams.random::<16>().map_err(|_| Refusal::Busy)?;
        let row = PersonRow {
            id: PersonId(id),
            login: login.to_string(),
            display_name: request.display_name,
            password_hash,
        };
        match self.ask(Command::AddPerson(row)).await? {
            Answer::Noted => {
                Ok(Response::new(v1::AddPersonReply { person_id: bytes::Bytes::copy_from_slice(&id) }))
            }
            _ => Err(unexpected()),
        }
    }

    async fn open_account(
        &self,
        request: Request<v1::OpenAccountRequest>,
    ) -> Result<Response<v1::OpenAccountReply>, Status> {
        let request = request.into_inner();
        clean_text(&request.name, ACCOUNT_NAME_CHARS_MAX)?;
        let login: strife_proto::domain::LoginName = request.login.parse()?;
        let row = self.bank.read_rows(move |rows| rows.person(login.as_str())).await?;
        let person = row.ok_or(Refusal::NotFound)?.id;
        let command = Command::OpenAccount {
            person,
            currency: Currency::new(&request.currency)?,
            name: request.name,
            request: request_id(&request.request_id)?,
        };
        match self.ask(command).await? {
            Answer::Account(number) => Ok(Response::new(v1::OpenAccountReply { number: number.to_string() })),
            _ => Err(unexpected()),
        }
    }

    async fn cash_entry(
        &self,
        request: Request<v1::CashEntryRequest>,
    ) -> Result<Response<v1::CashEntryReply>, Status> {
        let operator = operator(&request)?;
        let request = request.into_inner();
        clean_text(&request.reason, REASON_CHARS_MAX)?;
        if request.reason.trim().is_empty() {
            return Err(Refusal::BadText.into());
        }
        let command = Command::Cash {
            account: request.account.parse()?,
            minor_units: request.minor_units,
            currency: Currency::new(&request.currency)?,
            reason: request.reason,
            operator,
            request: request_id(&request.request_id)?,
        };
        match self.ask(command).await? {
            Answer::Position(position) => Ok(Response::new(v1::CashEntryReply { position })),
            _ => Err(unexpected()),
        }
    }

    async fn set_settlement_cap(
        &self,
        request: Request<v1::SetSettlementCapRequest>,
    ) -> Result<Response<v1::SetSettlementCapReply>, Status> {
        let operator = operator(&request)?;
        let request = request.into_inner();
        let counterpart = BankName::new(&request.counterpart).map_err(|_| Refusal::UnknownBank)?;
        if counterpart == self.bank.own.bank || !self.bank.knows(&counterpart) {
            return Err(Refusal::UnknownBank.into());
        }
        if request.cap < 0 {
            return Err(Refusal::AmountNotPositive.into());
        }
        let currency = Currency::new(&request.currency)?;
        match self.ask(Command::SetCap { counterpart, currency, cap: request.cap, operator }).await? {
            Answer::Position(position) => Ok(Response::new(v1::SetSettlementCapReply { position })),
            _ => Err(unexpected()),
        }
    }

    async fn report(&self, _: Request<v1::ReportRequest>) -> Result<Response<v1::ReportReply>, Status> {
        let mut logins = std::collections::HashMap::new();
        let logins = self
            .bank
            .read_rows(move |rows| {
                rows.each_person(&mut |id, login| drop(logins.insert(id, login.to_owned())))?;
                Ok(logins)
            })
            .await?;
        let owner = |person| logins.get(&person).cloned().unwrap_or_default();
        Ok(Response::new(report(&self.bank.shared.read(), owner)))
    }

    async fn verify(&self, _: Request<v1::VerifyRequest>) -> Result<Response<v1::VerifyReply>, Status> {
        let bank = self.bank.clone();
        let done = self
            .bank
            .seams
            .work
            .blocking(move || verify(bank.stores.reader(&bank.data_dir), &bank.own, &bank.shared));
        let verified = done.await.map_err(|_| Status::internal("verifying ended early"))?;
        Ok(Response::new(v1::VerifyReply {
            entries: verified.entries,
            chain: bytes::Bytes::copy_from_slice(&verified.chain),
            faults: verified.faults,
        }))
    }
}

/// Every balance, sorted, and what is unfinished. `owner` knows people's log-in names.
pub fn report(state: &State, owner: impl Fn(PersonId) -> String) -> v1::ReportReply {
    let mut balances = Vec::new();
    for (number, account) in &state.accounts {
        balances.push(v1::LedgerBalance {
            account: format!("customer:{number}"),
            currency: account.currency.code().to_owned(),
            posted: account.posted,
            held: account.held,
            promised: account.incoming,
            owner: owner(account.person),
        });
    }
    for ((bank, currency), settlement) in &state.settlements {
        balances.push(v1::LedgerBalance {
            account: format!("settlement:{bank}:{currency}"),
            currency: currency.code().to_owned(),
            posted: settlement.posted,
            promised: settlement.promised,
            ..Default::default()
        });
    }
    for ((kind, currency), posted) in &state.internal {
        let name = match kind {
            Internal::Cash => "cash",
            Internal::Suspense => "suspense",
        };
        balances.push(v1::LedgerBalance {
            account: format!("{name}:{currency}"),
            currency: currency.code().to_owned(),
            posted: *posted,
            ..Default::default()
        });
    }
    balances.sort_by(|a, b| a.account.cmp(&b.account));
    v1::ReportReply {
        position: state.next_position - 1,
        balances,
        promises: state.promises.len() as u64,
        unacknowledged: state.payers.values().filter(|known| known.payer.is_owed()).count() as u64,
    }
}
