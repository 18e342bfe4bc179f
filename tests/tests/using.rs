//! The page for people who use the client says what the client does.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::path::{Path, PathBuf};

use strife_tests::using::{pictures, with_tables};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

#[test]
fn every_key_of_every_place_is_on_the_page_as_the_client_has_it() {
    let page = std::fs::read_to_string(docs().join("using.md")).unwrap();
    let made = with_tables(&page).unwrap();
    assert_eq!(page, made, "run: cargo run -p strife-tests --bin strife-pictures -- --tables-only");
}

#[test]
fn every_picture_is_there_and_on_the_page() {
    let page = std::fs::read_to_string(docs().join("using.md")).unwrap();
    let mut shown: Vec<String> = pictures(&page).into_iter().map(str::to_owned).collect();
    shown.sort();
    let folder = std::fs::read_dir(docs().join("pictures")).unwrap();
    let mut there: Vec<String> =
        folder.map(|entry| format!("pictures/{}", entry.unwrap().file_name().to_str().unwrap())).collect();
    there.sort();
    assert_eq!(shown, there);
    for path in there {
        let svg = std::fs::read_to_string(docs().join(&path)).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{path}");
    }
}
