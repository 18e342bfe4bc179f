//! The OS keyring itself: a real gnome-keyring on a session bus of its own.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::process::{Command, Stdio};

use strife_client::credentials::{Vault, session_stores};
use strife_client::device::{Keyring, SecretStore};
use strife_seams::Work;
use strife_tests::outside::{runs, skipped};
use zeroize::Zeroizing;

/// Set for the test that runs inside the session.
const INSIDE: &str = "STRIFE_TEST_INSIDE_SESSION";

#[test]
fn a_session_is_kept_by_a_real_secret_service_and_taken_out_again() {
    if !runs(&["dbus-run-session", "--version"]) {
        return skipped("dbus-run-session is not installed");
    }
    if !runs(&["gnome-keyring-daemon", "--version"]) {
        return skipped("gnome-keyring is not installed");
    }
    let home = tempfile::tempdir().unwrap();
    // the daemon goes to the background and ends with its bus
    let script = "printf 'a password' | gnome-keyring-daemon --unlock --components=secrets >/dev/null \
                  && exec \"$0\" --ignored --exact inside_the_session --nocapture";
    let output = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path().join("data"))
        .env("XDG_CACHE_HOME", home.path().join("cache"))
        .env("XDG_RUNTIME_DIR", home.path())
        .env(INSIDE, "1")
        .env_remove("DISPLAY")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Run by the test above, in a session with a keyring.
#[tokio::test]
#[ignore = "needs a session with a keyring; the test above makes one"]
async fn inside_the_session() {
    assert_eq!(std::env::var(INSIDE).as_deref(), Ok("1"), "only within the other test");
    assert!(Keyring::probe().is_some(), "the keyring answers");
    let dir = tempfile::tempdir().unwrap();
    let vault = Vault::new(session_stores(true), "test", dir.path(), Work::Threads);
    let found = vault.find().await;
    assert_eq!((found.place.as_deref(), found.secret), (Some("the OS keyring"), None));
    let secret = Zeroizing::new(b"a session".to_vec());
    assert_eq!(vault.keep(secret.clone()).await.as_deref(), Some("the OS keyring"));
    assert_eq!(vault.find().await.secret, Some(secret));
    vault.forget().await;
    let found = vault.find().await;
    assert_eq!((found.place.as_deref(), found.secret), (Some("the OS keyring"), None));

    Keyring.put("device.test", &[7; 32]).unwrap();
    assert_eq!(Keyring.get("device.test").unwrap().unwrap().as_slice(), [7; 32]);
    Keyring.remove("device.test").unwrap();
    Keyring.remove("device.test").unwrap();
    assert_eq!(Keyring.get("device.test").unwrap(), None);
}
