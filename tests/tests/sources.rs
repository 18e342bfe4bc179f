//! Rules about the sources themselves.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::path::{Path, PathBuf};

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What changes a file.
const CHANGES: [&str; 20] = [
    "File::create",
    "File::options",
    "OpenOptions",
    "fs::write",
    "fs::rename",
    "fs::remove",
    "fs::copy",
    "fs::create_dir",
    "fs::hard_link",
    "fs::set_permissions",
    ".set_len(",
    ".write_all(",
    ".write_at(",
    ".write_all_at(",
    ".sync_all(",
    ".sync_data(",
    "Connection::open(",
    ".execute(",
    ".execute_batch(",
    "sled::open",
];

/// Where it may stand beside `strife_seams::files`, and why that has kill points or needs none.
const ALLOWED: [(&str, &str, &str); 17] = [
    ("bank/src/snapshot/file.rs", ".write_all(", "into the file that `files::replace` gives"),
    ("bank/src/journal/store.rs", "Connection::open(", "the writer's and the checkpointer's own"),
    (
        "bank/src/journal/store.rs",
        ".execute(",
        "between the points of `Store::append` and `Store::forget`, or at the making",
    ),
    (
        "bank/src/journal/store.rs",
        ".execute_batch(",
        "the making of the journal, before anything is acknowledged",
    ),
    ("bank/src/projection.rs", "Connection::open(", "the projections"),
    (
        "bank/src/projection.rs",
        ".execute",
        "the making of the projections, which are made anew if it ends half-way",
    ),
    ("bank/src/projection/write.rs", ".execute(", "between the points of `Projector::step`"),
    ("bank/src/projection/rows.rs", ".execute(", "between the points of `Projector::step`"),
    ("bank/src/projection/segments.rs", ".execute(", "between the points of `Projector::step`"),
    ("bank/src/verify/keys.rs", "Connection::open(", "a scratch file, outside of every data folder"),
    ("bank/src/verify/keys.rs", ".execute", "a scratch file, outside of every data folder"),
    ("bank/src/reconcile/sides.rs", "Connection::open(", "a scratch file, outside of every data folder"),
    ("bank/src/reconcile/sides.rs", ".execute", "a scratch file, outside of every data folder"),
    (
        "client/src/outbox/look.rs",
        "fs::create_dir",
        "a copy to look at, in a folder of its own that goes again",
    ),
    ("client/src/outbox/look.rs", "fs::copy", "a copy to look at, in a folder of its own that goes again"),
    (
        "client/src/setup.rs",
        "fs::write",
        "settings that are tried out in a folder of their own that goes again",
    ),
    ("client/src/outbox.rs", "sled::open", "follows the outbox's journal, and is refilled from it"),
];

#[test]
fn a_bank_and_a_client_change_files_only_where_a_kill_point_stands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for part in ["bank/src", "client/src", "commit/src", "gateway/src", "proto/src"] {
        sources(&root.join(part), &mut files);
    }
    assert!(files.len() > 60, "{}", files.len());
    let mut wrong = Vec::new();
    let mut seen = vec![false; ALLOWED.len()];
    for file in files {
        let name = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        // unit tests stand at the end of a file, or in one of their own
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        if name.contains("/tests") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for change in CHANGES.iter().filter(|change| line.contains(*change)) {
                let allowed =
                    ALLOWED.iter().position(|(at, what, _)| *at == name && change.starts_with(what));
                match allowed {
                    Some(index) => seen[index] = true,
                    None => wrong.push(format!("{name}:{}: {}", number + 1, line.trim())),
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "use strife_seams::files, which has kill points");
    let stale: Vec<_> = ALLOWED.iter().zip(seen).filter(|(_, seen)| !seen).collect();
    assert!(stale.is_empty(), "{stale:?}");
}
