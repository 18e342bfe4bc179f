//! A vault over stores that behave, lie, hang, and are not there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};

use strife_proto::commit::BankName;
use strife_proto::signing::SigningKey;

use super::*;
use crate::api::Session;

/// What a store does to those who use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Good,
    Absent,
    /// Takes everything and keeps something else.
    Lies,
    /// Waits before each write, until it is let go.
    Hangs,
    /// Gives back to the thread that wrote it alone, as a keyring that others have not does.
    OneThread,
}

#[derive(Debug)]
struct Mock {
    name: &'static str,
    manner: Manner,
    held: Mutex<BTreeMap<String, Vec<u8>>>,
    by: Mutex<Option<std::thread::ThreadId>>,
    let_go: (Mutex<bool>, Condvar),
    written: AtomicBool,
}

impl Mock {
    fn new(name: &'static str, manner: Manner) -> Arc<Self> {
        Arc::new(Self {
            name,
            manner,
            held: Mutex::default(),
            by: Mutex::default(),
            let_go: (Mutex::new(false), Condvar::new()),
            written: AtomicBool::new(false),
        })
    }

    fn let_go(&self) {
        *self.let_go.0.lock().unwrap() = true;
        self.let_go.1.notify_all();
    }

    fn is_empty(&self) -> bool {
        self.held.lock().unwrap().is_empty()
    }

    fn answers(&self) -> Result<(), SecretError> {
        match self.manner {
            Manner::Absent => Err(SecretError::Unavailable("there is none".into())),
            _ => Ok(()),
        }
    }
}

impl SecretStore for Mock {
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        self.answers()?;
        let by = *self.by.lock().unwrap();
        if self.manner == Manner::OneThread && by != Some(std::thread::current().id()) {
            return Ok(None);
        }
        Ok(self.held.lock().unwrap().get(name).cloned().map(Zeroizing::new))
    }

    fn put(&self, name: &str, secret: &[u8]) -> Result<(), SecretError> {
        self.answers()?;
        if self.manner == Manner::Hangs {
            drop(self.let_go.1.wait_while(self.let_go.0.lock().unwrap(), |go| !*go).unwrap());
        }
        let kept = if self.manner == Manner::Lies { b"something else".to_vec() } else { secret.to_vec() };
        self.held.lock().unwrap().insert(name.to_owned(), kept);
        *self.by.lock().unwrap() = Some(std::thread::current().id());
        self.written.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), SecretError> {
        self.answers()?;
        self.held.lock().unwrap().remove(name);
        Ok(())
    }

    fn place(&self) -> String {
        self.name.into()
    }
}

fn vault(stores: &[&Arc<Mock>]) -> Vault {
    let stores = stores.iter().map(|store| (*store).clone() as Arc<dyn SecretStore>).collect();
    Vault::new(stores, "demo", Path::new("/nonexistent"), Work::Threads).within(Duration::from_millis(200))
}

fn secret() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(b"a session".to_vec())
}

#[tokio::test]
async fn the_first_store_that_answers_keeps_it_and_forgets_it_again() {
    let (absent, first, second) = (
        Mock::new("none", Manner::Absent),
        Mock::new("first", Manner::Good),
        Mock::new("second", Manner::Good),
    );
    let vault = vault(&[&absent, &first, &second]);
    let found = vault.find().await;
    assert_eq!((found.place.as_deref(), found.secret), (Some("the first"), None));
    assert_eq!(vault.keep(secret()).await.as_deref(), Some("the first"));
    assert!(second.is_empty());
    let found = vault.find().await;
    assert_eq!((found.place.as_deref(), found.secret), (Some("the first"), Some(secret())));
    vault.forget().await;
    assert!(first.is_empty());
    assert_eq!(vault.find().await.secret, None);
}

#[tokio::test]
async fn what_an_earlier_session_left_in_another_store_is_taken_out() {
    let (first, second) = (Mock::new("first", Manner::Good), Mock::new("second", Manner::Good));
    assert!(vault(&[&second]).keep(secret()).await.is_some());
    let both = vault(&[&first, &second]);
    assert_eq!(both.find().await.place.as_deref(), Some("the second"), "it is found where it is");
    assert_eq!(both.keep(secret()).await.as_deref(), Some("the first"));
    assert!(second.is_empty() && !first.is_empty());
}

#[tokio::test]
async fn a_store_that_lies_is_not_believed_and_holds_nothing_afterwards() {
    let (liar, good) = (Mock::new("liar", Manner::Lies), Mock::new("good", Manner::Good));
    assert_eq!(vault(&[&liar, &good]).keep(secret()).await.as_deref(), Some("the good"));
    assert!(liar.written.load(Ordering::SeqCst) && liar.is_empty());
    assert_eq!(vault(&[&liar]).keep(secret()).await, None);
    assert!(liar.is_empty());
}

#[tokio::test]
async fn what_only_the_thread_that_wrote_it_can_read_is_not_kept() {
    let alone = Mock::new("alone", Manner::OneThread);
    assert_eq!(vault(&[&alone]).keep(secret()).await, None);
    assert!(alone.written.load(Ordering::SeqCst) && alone.is_empty());
}

#[tokio::test]
async fn without_a_store_that_answers_nothing_is_kept() {
    let absent = Mock::new("none", Manner::Absent);
    for vault in [vault(&[]), vault(&[&absent])] {
        assert_eq!(vault.keep(secret()).await, None);
        let found = vault.find().await;
        assert_eq!((found.place, found.secret), (None, None));
    }
}

#[tokio::test]
async fn a_store_that_hangs_is_given_up_and_what_it_keeps_too_late_is_taken_out() {
    let hanging = Mock::new("hanging", Manner::Hangs);
    let begun = std::time::Instant::now();
    assert_eq!(vault(&[&hanging]).keep(secret()).await, None);
    assert!(begun.elapsed() < Duration::from_secs(5));
    hanging.let_go();
    let deadline = begun + Duration::from_secs(10);
    while !hanging.written.load(Ordering::SeqCst) || !hanging.is_empty() {
        assert!(std::time::Instant::now() < deadline, "kept, though the person was told that it is not");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_kept_session_is_gone_on_with_only_by_the_same_client_and_in_its_time() {
    let mut session = Session::from_token(BankName::new("Bank1").unwrap(), "ann", "secret-token".into());
    session.display_name = "Ann".into();
    session.expires_at_ms = 1_000;
    let device = SigningKey::from_seed(&[1; 32]).unwrap();
    let bytes = Kept::new(&session, "demo", [7; 32], device.public()).encode();
    let decode = |network, hash, now_ms| Kept::decode(&bytes, network, hash, now_ms);
    let kept = decode("demo", [7; 32], 999).ok().unwrap();
    assert!(kept.is_of(device.public()));
    assert!(!kept.is_of(SigningKey::from_seed(&[2; 32]).unwrap().public()));
    assert!(kept.into_session().unwrap() == session);
    assert_eq!(decode("demo", [7; 32], 1_000).err(), Some(Unusable::Expired));
    assert_eq!(decode("other", [7; 32], 0).err(), Some(Unusable::OtherCertificate));
    assert_eq!(decode("demo", [8; 32], 0).err(), Some(Unusable::OtherCertificate));
    for bad in [&b""[..], b"{}", b"null", &bytes[1..]] {
        assert_eq!(Kept::decode(bad, "demo", [7; 32], 0).err(), Some(Unusable::Malformed));
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::process::Command;

    use super::*;

    /// Takes a test's key out of the kernel's keyring again, also when the test has failed.
    struct Named(String);

    impl Named {
        /// A name of this test's own; `None` where the kernel's keyring may not be used (containers often forbid it).
        fn new(test: &str) -> Option<Self> {
            let name = format!("session.{test}.{}", std::process::id());
            match KernelKeyring.get(&name) {
                Ok(held) => {
                    assert_eq!(held, None);
                    Some(Self(name))
                }
                Err(why) => {
                    eprintln!("skipped: {why}");
                    None
                }
            }
        }
    }

    impl Drop for Named {
        fn drop(&mut self) {
            // a test that fails here has failed before
            let _ = KernelKeyring.remove(&self.0);
        }
    }

    fn read(name: &str) -> Option<Vec<u8>> {
        KernelKeyring.get(name).unwrap().map(|read| read.to_vec())
    }

    fn in_a_thread<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(call).join().unwrap()
    }

    #[test]
    fn it_keeps_gives_back_and_forgets_whichever_thread_asks() {
        let Some(named) = Named::new("threads") else { return };
        for secret in [&b"a session"[..], b"another"] {
            let name = named.0.clone();
            in_a_thread(move || KernelKeyring.put(&name, secret).unwrap());
            let name = named.0.clone();
            assert_eq!(in_a_thread(move || read(&name)).as_deref(), Some(secret));
        }
        for _ in 0..2 {
            let name = named.0.clone();
            in_a_thread(move || KernelKeyring.remove(&name).unwrap());
        }
        // at once, here as in a thread that has never asked before
        assert_eq!(read(&named.0), None);
        let name = named.0.clone();
        assert_eq!(in_a_thread(move || read(&name)), None);
    }

    /// Names the key for the process that the next test starts.
    const NAME: &str = "STRIFE_TEST_KERNEL_KEY";

    #[test]
    fn another_process_finds_it_and_its_log_out_takes_it_away() {
        let Some(named) = Named::new("processes") else { return };
        let other = |test: &str| {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", test, "--nocapture"])
                .env(NAME, &named.0)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
        };
        other("credentials::tests::kernel::the_other_process_keeps");
        assert_eq!(read(&named.0).as_deref(), Some(&b"from elsewhere"[..]));
        other("credentials::tests::kernel::the_other_process_forgets");
        assert_eq!(read(&named.0), None);
    }

    #[test]
    #[ignore = "the process that the test above starts"]
    fn the_other_process_keeps() {
        KernelKeyring.put(&std::env::var(NAME).unwrap(), b"from elsewhere").unwrap();
    }

    #[test]
    #[ignore = "the process that the test above starts"]
    fn the_other_process_forgets() {
        let name = std::env::var(NAME).unwrap();
        assert_eq!(read(&name).as_deref(), Some(&b"from elsewhere"[..]));
        KernelKeyring.remove(&name).unwrap();
    }

    #[tokio::test]
    async fn a_vault_over_it_keeps_for_the_next_start_and_forgets() {
        let dir = tempfile::tempdir().unwrap();
        let store = || vec![Arc::new(KernelKeyring) as Arc<dyn SecretStore>];
        let next = || Vault::new(store(), "test", dir.path(), Work::Threads);
        if next().find().await.place.is_none() {
            eprintln!("skipped: there is no kernel keyring");
            return;
        }
        let _named = Named(next().name);
        assert_eq!(next().keep(secret()).await, Some(words(&KernelKeyring)));
        assert_eq!(next().find().await.secret, Some(secret()));
        next().forget().await;
        assert_eq!(next().find().await.secret, None);
    }
}
