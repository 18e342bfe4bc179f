//! Saved payees: whom a person has paid from this machine, and what they call them. Each person's are their own: who
//! signs in next sees nothing of them. A convenience: no payment waits for it, and what cannot be read is moved aside,
//! told, and begun anew; never deleted.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use strife_certs::{CertsError, pem};

use crate::aside::{Read, read_json};

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

/// The payees of everybody who works in one data folder: one file for each person at each bank.
#[derive(Debug)]
pub struct PayeeBook {
    folder: PathBuf,
    /// One changes a file at a time. What went wrong and is not told yet, in words.
    trouble: Mutex<Option<String>>,
}

impl PayeeBook {
    /// The book in a data folder.
    pub fn of(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("payees"), trouble: Mutex::default() }
    }

    fn file(&self, bank: &str, person: &str) -> PathBuf {
        // names of banks and people are plain words; whatever else a profile may hold leads out of no folder
        let plain =
            |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c), "_");
        self.folder.join(format!("{}.{}.json", plain(bank), plain(person)))
    }

    /// All payees of a person, newest first.
    pub fn read(&self, bank: &str, person: &str) -> Vec<Payee> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        read(&self.file(bank, person), &mut trouble)
    }

    /// Remembers a payee of a person, with a name if there is one; no name keeps the one that is there. Returns all.
    ///
    /// # Errors
    /// The file cannot be written; it is named.
    pub fn remember(
        &self,
        bank: &str,
        person: &str,
        account: &str,
        name: Option<&str>,
        now_ms: i64,
    ) -> Result<Vec<Payee>, CertsError> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.file(bank, person);
        let mut all = read(&file, &mut trouble);
        let known = all.iter().position(|payee| payee.account == account).map(|place| all.remove(place));
        let name = name.map(str::to_owned).or(known.map(|payee| payee.name)).unwrap_or_default();
        let name = name.chars().filter(|c| !c.is_control()).take(PAYEE_NAME_CHARS_MAX).collect();
        all.insert(0, Payee { account: account.to_owned(), name, last_ms: now_ms });
        while all.len() > PAYEES_MAX {
            let nameless = all.iter().rposition(|payee| payee.name.is_empty());
            all.remove(nameless.unwrap_or(all.len() - 1));
        }
        let text = serde_json::to_vec_pretty(&all).unwrap_or_default();
        pem::make_private_dir(&self.folder)?;
        pem::write_secret(&file, &text)?;
        Ok(all)
    }

    /// What went wrong since this was last asked, in words for a person.
    pub fn take_trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn read(file: &Path, trouble: &mut Option<String>) -> Vec<Payee> {
    match read_json(file) {
        Read::Good(all) => all,
        Read::None => Vec::new(),
        Read::Bad(what) => {
            *trouble = Some(format!("Your saved payees cannot be read: {what} They are begun anew."));
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payee_keeps_its_name_and_comes_first_when_paid_again() {
        let dir = tempfile::tempdir().unwrap();
        let book = PayeeBook::of(dir.path());
        let remember = |account, name, now_ms| book.remember("Bank1", "ann", account, name, now_ms).unwrap();
        assert_eq!(book.read("Bank1", "ann"), []);
        remember("user2@Bank2", Some("Bo"), 1);
        remember("user3@Bank2", None, 2);
        let all = remember("user2@Bank2", None, 3);
        assert_eq!(all[0], Payee { account: "user2@Bank2".into(), name: "Bo".into(), last_ms: 3 });
        assert_eq!(all.len(), 2);
        assert_eq!(PayeeBook::of(dir.path()).read("Bank1", "ann"), all);
        assert_eq!(book.take_trouble(), None);
    }

    #[test]
    fn nobody_sees_the_payees_of_another_person_or_of_the_same_name_at_another_bank() {
        let dir = tempfile::tempdir().unwrap();
        let book = PayeeBook::of(dir.path());
        book.remember("Bank1", "ann", "user2@Bank2", Some("Bo"), 1).unwrap();
        for (bank, person) in [("Bank1", "bob"), ("Bank2", "ann"), ("Bank1", "an"), ("Bank1", "ann.json")] {
            assert_eq!(book.read(bank, person), []);
        }
        book.remember("Bank1", "../../bob", "user2@Bank2", None, 1).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "the one folder");
    }

    #[test]
    fn a_book_that_cannot_be_read_is_moved_aside_and_told_and_no_payment_wipes_it() {
        let dir = tempfile::tempdir().unwrap();
        let book = PayeeBook::of(dir.path());
        book.remember("Bank1", "ann", "user2@Bank2", Some("Bo"), 1).unwrap();
        let file = dir.path().join("payees/Bank1.ann.json");
        std::fs::write(&file, b"{ torn").unwrap();
        let all = book.remember("Bank1", "ann", "user3@Bank2", None, 2).unwrap();
        assert_eq!(all.len(), 1);
        let trouble = book.take_trouble().unwrap();
        let aside = std::fs::read_dir(dir.path().join("payees"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| *path != file)
            .unwrap();
        assert!(trouble.contains(&aside.display().to_string()), "{trouble}");
        assert_eq!(std::fs::read(aside).unwrap(), b"{ torn");
        assert_eq!(book.take_trouble(), None, "told once");
        assert_eq!(book.read("Bank1", "ann"), all);
    }

    #[test]
    fn a_book_never_grows_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let book = PayeeBook::of(dir.path());
        let many = (0..PAYEES_MAX).map(|n| Payee {
            account: format!("u{n}@Bank2"),
            name: if n == PAYEES_MAX - 1 { "Kept".into() } else { String::new() },
            last_ms: 0,
        });
        let text = serde_json::to_vec(&many.collect::<Vec<_>>()).unwrap();
        std::fs::create_dir(dir.path().join("payees")).unwrap();
        std::fs::write(dir.path().join("payees/Bank1.ann.json"), text).unwrap();
        let all = book.remember("Bank1", "ann", "new@Bank2", None, 1).unwrap();
        assert_eq!(all.len(), PAYEES_MAX);
        assert_eq!(all.last().unwrap().name, "Kept");
    }
}
