//! The demo with the client's screen.

use std::path::Path;

/// To come with the screen.
///
/// # Errors
/// Whatever keeps it from starting.
pub fn run(dir: &Path, port_base: Option<u16>, gateways: usize) -> anyhow::Result<()> {
    crate::headless::run(dir, port_base, gateways)
}
