//! A client without a screen: session, signing, outbox, sync.
//!
//! Every transfer, online or not, is first written to the [`outbox`], then sent by the [`worker`]: one code
//! path. [`api`] speaks to a gateway and believes no statement that it has not verified; [`device`] keeps the
//! device key, [`credentials`] a session for somebody who wants to stay signed in; [`life`] reads what a bank
//! tells of one transfer; [`payees`] remembers whom one has paid; [`doctor`] says what is wrong here and how to
//! mend it; [`setup`] makes the first settings; [`view`] is what a screen shows. What must
//! never: a screen, a password kept.

pub mod api;
mod aside;
pub mod credentials;
pub mod device;
pub mod doctor;
pub mod life;
mod many;
pub mod outbox;
pub mod payees;
pub mod setup;
pub mod sync;
pub mod view;
pub mod worker;

pub use api::{Api, ApiError, Session};
pub use many::Submission;
pub use strife_config::{
    Borders, ClientSettings, Notifications, ScreenSettings, Settings, SettingsError, ThemeName,
};
pub use strife_proto::Refusal;
pub use strife_proto::commit::{BankName, Code, Key, TransferId, Verdict};
pub use strife_proto::domain::{
    AccountNumber, AccountRef, Currency, LoginName, MEMO_CHARS_MAX, Money, PayeeAccount, clean_text,
};
pub use strife_seams::Seams;
pub use view::{Life, Movement};
pub use worker::{Client, Parts, Payment, Problem};

/// Makes the process's crypto provider known. Call it first in every `main`.
pub fn install_provider() {
    strife_certs::tls::install_provider();
}

/// Milliseconds since the Unix epoch, by this machine's clock.
pub fn now_ms() -> i64 {
    strife_seams::Clock::now_ms(&strife_seams::SystemClock)
}

/// Writes a file that is the person's alone (mode 0600): under a temporary name first, synced, then renamed.
///
/// # Errors
/// The file is named.
pub fn write_private(path: &std::path::Path, bytes: &[u8]) -> Result<(), strife_certs::CertsError> {
    strife_certs::pem::write_secret(path, bytes)
}
