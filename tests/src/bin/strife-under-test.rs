//! The demo as a binary of this package, so that its path is known to the tests that start it. A bug can be planted
//! in it by its name.

use std::process::ExitCode;

use strife_faults::Bug;

/// The environment variable that names the bug to plant in this process.
const PLANTED: &str = "STRIFE_PLANTED";

fn main() -> ExitCode {
    if let Some(name) = std::env::var_os(PLANTED) {
        let bug = name.to_str().and_then(Bug::from_name);
        if bug.is_none() || !strife_faults::PLANTABLE {
            eprintln!("strife-under-test: {PLANTED} is {name:?}; this build has no such bug to plant");
            return ExitCode::from(2);
        }
        strife_faults::plant(bug);
    }
    strife_demo::main()
}
