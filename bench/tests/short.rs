//! The short form: every kind of work for a moment. No time is asserted, since machines differ.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strife-bench"));
    command.args(arguments).args(["--dir", env!("CARGO_TARGET_TMPDIR")]);
    command.output().unwrap()
}

/// The lines of JSON that a run which has come to its end has printed.
fn lines(output: &Output) -> Vec<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    // 1 is a short row: the figures of a build that is not optimised, on a machine that does other things
    assert!(matches!(output.status.code(), Some(0 | 1)), "{:?}: {said}", output.status);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every field of a line is filled, whatever was measured.
fn check(line: &Value, work: &str) {
    assert_eq!((line["work"].as_str(), line["conserved"].as_bool()), (Some(work), Some(true)), "{line}");
    for field in ["calls", "window_ms", "per_second", "p50_us", "p90_us", "p99_us", "max_us"] {
        assert!(line[field].as_u64().unwrap() > 0, "{work} {field}: {line}");
    }
    for field in ["settle_ms", "bytes_written"] {
        assert!(line[field].is_u64(), "{work} {field}: {line}");
    }
    assert!(line["syncs"].is_number() || line["syncs"].is_null(), "{line}");
    let processes = match work {
        "postgres" => vec!["postgres1", "postgres2", "driver"],
        _ => vec!["Bank1", "Bank2", "gateway1", "driver"],
    };
    for process in processes {
        assert!(line["cpu_us"][process].is_number(), "{work} {process}: {line}");
    }
    for field in ["echoes_per_second", "echo_alone_p50_us", "append_p50_us"] {
        assert!(line["floors"][field].as_u64().unwrap() > 0, "{work} {field}: {line}");
        assert!(line["rounds"][0][field].as_u64().unwrap() > 0, "{work} {field}: {line}");
    }
    assert!(!line["floors"]["filesystem"].as_str().unwrap().is_empty());
    let settings = &line["settings"];
    for bank in ["Bank1", "Bank2"] {
        assert!(settings["durability"][bank].as_str().unwrap().starts_with("journal_mode=wal synchronous=2"));
    }
    for daemon in ["Bank1", "Bank2", "gateway1"] {
        assert_eq!(settings["rpc_log"][daemon]["format"], "text");
        assert_eq!(settings["rpc_log"][daemon]["bodies"], false);
    }
    assert_eq!(settings["forged_order"], "void");
    assert_eq!(settings["forged_session"], "SESSION_INVALID");
}

#[test]
fn every_kind_of_work_conserves_money_and_fills_every_field() {
    for work in ["interbank", "same-bank", "balance", "history", "hot-payee", "hot-payer", "bulk"] {
        let short = ["--people", "6", "--seconds", "1", "--rounds", "2", "--in-flight", "4"];
        let lines = lines(&bench(&[&["--work", work], &short[..]].concat()));
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        check(line, work);
        assert_eq!(line["rounds"].as_array().unwrap().len(), 2);
        let pays = !["balance", "history"].contains(&work);
        for bank in ["Bank1", "Bank2"] {
            let batches = &line["batches"][bank];
            assert_eq!(batches["batches"].as_u64().unwrap() > 0, pays, "{work} {bank}: {line}");
            assert!(batches["entries"].as_u64() >= batches["batches"].as_u64());
            assert!(batches["entries_per_batch"].is_number() && batches["per_call"].is_number());
        }
        assert!(line["rpc_lines"]["gateway1"].as_f64().unwrap() > 0.0, "{work} is logged: {line}");
    }
}

/// The table's rows, as they are printed, each with its verdict.
fn rows(output: &Output) -> Vec<(String, String)> {
    let said = String::from_utf8_lossy(&output.stderr);
    let verdict = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let rows = said.lines().filter(|line| ["pass", "short", "skipped"].contains(&verdict(line).as_str()));
    rows.map(|line| (verdict(line), line.to_owned())).collect()
}

/// The loud word for what this machine has not; a failure where everything is required.
fn may_be_skipped(row: &(String, String)) {
    let required = std::env::var("STRIFE_REQUIRE_SERVICES").as_deref() == Ok("1");
    assert!(row.0 != "skipped" || !required, "STRIFE_REQUIRE_SERVICES=1, and {}", row.1);
    if row.0 == "skipped" {
        eprintln!("{}", row.1);
    }
}

#[test]
fn the_table_has_all_its_rows_and_the_run_says_whether_one_is_short() {
    let output = bench(&["--all", "--people", "6", "--seconds", "1", "--rounds", "1"]);
    let (lines, rows) = (lines(&output), rows(&output));
    for line in &lines {
        check(line, line["work"].as_str().unwrap());
    }
    let names = ["bare echoes", "alone", "syncs", "same bank", "balance", "hot payee", "bulk", "PostgreSQL"];
    assert_eq!(rows.len(), names.len(), "{rows:?}");
    for ((_, line), name) in rows.iter().zip(names) {
        assert!(line.contains(name), "{name}: {line}");
    }
    let short = rows.iter().any(|(verdict, _)| verdict == "short");
    may_be_skipped(&rows[names.len() - 1]);
    assert_eq!(output.status.code(), Some(i32::from(short)), "{rows:?}");
}

#[test]
fn the_peer_conserves_money_and_leaves_nothing_in_doubt() {
    let peer = ["--peer", "postgres", "--people", "6", "--seconds", "1", "--rounds", "2", "--in-flight", "4"];
    let output = bench(&peer);
    let (lines, rows) = (lines(&output), rows(&output));
    assert_eq!(rows.len(), 1, "{rows:?}");
    may_be_skipped(&rows[0]);
    let works = if rows[0].0 == "skipped" { vec!["interbank"] } else { vec!["interbank", "postgres"] };
    assert_eq!(lines.iter().map(|line| line["work"].as_str().unwrap()).collect::<Vec<_>>(), works);
    for (line, work) in lines.iter().zip(works) {
        check(line, work);
    }
}

#[test]
fn overload_ends_every_order_and_refuses_with_what_the_outbox_retries() {
    let output = bench(&["--overload", "--people", "6", "--seconds", "1", "--rounds", "1"]);
    let (lines, rows) = (lines(&output), rows(&output));
    assert_eq!((lines.len(), rows.len()), (1, 4));
    let line = &lines[0];
    assert_eq!((line["conserved"].as_bool(), line["parked"].as_u64()), (Some(true), Some(0)), "{line}");
    for field in ["peak_per_second", "peak_p99_us", "offered", "posted", "posted_p99_us"] {
        assert!(line[field].as_u64().unwrap() > 0, "{field}: {line}");
    }
    let count =
        |field: &str| line[field].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>();
    let ended = line["posted"].as_u64().unwrap() + count("refused") + count("unknown");
    assert_eq!(line["offered"].as_u64(), Some(ended), "{line}");
    for field in ["refused_share", "driver_cpu_us", "servers_cpu_us"] {
        assert!(line[field].is_number(), "{field}: {line}");
    }
}

#[test]
fn growth_compares_small_with_large_in_every_way() {
    let sizes =
        ["--accounts", "300", "--accounts-small", "100", "--entries", "2000", "--page", "3", "--banks", "3"];
    let short = ["--growth", "--people", "6", "--seconds", "1", "--rounds", "1"];
    let output = bench(&[&short[..], &sizes].concat());
    let (lines, rows) = (lines(&output), rows(&output));
    assert_eq!(rows.len(), 5, "{rows:?}");
    for factor in ["accounts", "entries", "page", "banks"] {
        let line = lines.iter().find(|line| line["factor"] == factor).unwrap();
        for field in ["cpu_us", "p50_us"] {
            assert_eq!(line[field].as_array().unwrap().len(), 2, "{field}: {line}");
        }
        for field in ["cpu_ratio", "p50_ratio"] {
            assert!(line[field].is_number(), "{field}: {line}");
        }
    }
    assert!(lines.iter().any(|line| line["resident_mib"].as_u64().is_some_and(|mib| mib > 0)));
}
