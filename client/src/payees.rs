//! Saved payees: whom a person has paid from this machine, and what they call them. A convenience: what cannot
//! be read is begun anew, and no payment waits for it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strife_certs::CertsError;

/// Most payees that are kept; the one paid longest ago goes first, those with a name last.
pub const PAYEES_MAX: usize = 500;
/// Longest name for a payee, in characters.
pub const PAYEE_NAME_CHARS_MAX: usize = 40;

/// Somebody who was paid, or saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payee {
    /// `account@bank`, as it was typed.
    pub account: String,
    /// What the person calls them; empty if they gave no name.
    pub name: String,
    /// When they were last paid or named, milliseconds since the Unix epoch.
    pub last_ms: i64,
}

/// The payees of one data folder, newest first.
#[derive(Debug)]
pub struct PayeeBook {
    file: PathBuf,
}

impl PayeeBook {
    /// The book in a data folder.
    pub fn of(data_dir: &Path) -> Self {
        Self { file: data_dir.join("payees.json") }
    }

    /// All payees, newest first.
    pub fn read(&self) -> Vec<Payee> {
        let read = std::fs::read(&self.file).ok();
        read.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Remembers a payee, with a name if there is one; no name keeps the one that is there. Returns all.
    ///
    /// # Errors
    /// The file cannot be written; it is named.
    pub fn remember(&self, account: &str, name: Option<&str>, now_ms: i64) -> Result<Vec<Payee>, CertsError> {
        let mut all = self.read();
        let known = all.iter().position(|payee| payee.account == account).map(|place| all.remove(place));
        let name = name.map(str::to_owned).or(known.map(|payee| payee.name)).unwrap_or_default();
        let name = name.chars().filter(|c| !c.is_control()).take(PAYEE_NAME_CHARS_MAX).collect();
        all.insert(0, Payee { account: account.to_owned(), name, last_ms: now_ms });
        while all.len() > PAYEES_MAX {
            let nameless = all.iter().rposition(|payee| payee.name.is_empty());
            all.remove(nameless.unwrap_or(all.len() - 1));
        }
        let text = serde_json::to_vec_pretty(&all).unwrap_or_default();
        strife_certs::pem::write_secret(&self.file, &text)?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payee_keeps_its_name_and_comes_first_when_paid_again() {
        let dir = tempfile::tempdir().unwrap();
        let book = PayeeBook::of(dir.path());
        assert_eq!(book.read(), []);
        book.remember("user2@Bank2", Some("Bo"), 1).unwrap();
        book.remember("user3@Bank2", None, 2).unwrap();
        let all = book.remember("user2@Bank2", None, 3).unwrap();
        assert_eq!(all[0], Payee { account: "user2@Bank2".into(), name: "Bo".into(), last_ms: 3 });
        assert_eq!(all.len(), 2);
        assert_eq!(PayeeBook::of(dir.path()).read(), all);
    }

    #[test]
    fn a_book_that_cannot_be_read_is_begun_anew_and_never_grows_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let book = PayeeBook::of(dir.path());
        std::fs::write(dir.path().join("payees.json"), b"{ torn").unwrap();
        assert_eq!(book.read(), []);
        let many = (0..PAYEES_MAX).map(|n| Payee {
            account: format!("u{n}@Bank2"),
            name: if n == PAYEES_MAX - 1 { "Kept".into() } else { String::new() },
            last_ms: 0,
        });
        let text = serde_json::to_vec(&many.collect::<Vec<_>>()).unwrap();
        std::fs::write(dir.path().join("payees.json"), text).unwrap();
        let all = book.remember("new@Bank2", None, 1).unwrap();
        assert_eq!(all.len(), PAYEES_MAX);
        assert_eq!(all.last().unwrap().name, "Kept");
    }
}
