//! What some tests need from the machine beside this workspace, and what becomes of them where it is not there.

use std::process::{Command, Stdio};

/// With this variable set to 1 a test that cannot run fails instead of being skipped.
pub const REQUIRE: &str = "STRIFE_REQUIRE_SERVICES";

/// Says loudly that a test is skipped, and why.
///
/// # Panics
/// Where everything is required.
pub fn skipped(why: &str) {
    assert!(std::env::var(REQUIRE).as_deref() != Ok("1"), "{REQUIRE}=1, and {why}");
    eprintln!("skipped: {why}");
}

/// Whether a command runs here and says that it succeeded.
pub fn runs(command: &[&str]) -> bool {
    let Some((program, arguments)) = command.split_first() else { return false };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
