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

/// Every field of a line is filled.
fn check(line: &Value, work: &str) {
    assert_eq!((line["work"].as_str(), line["conserved"].as_bool()), (Some(work), Some(true)), "{line}");
    for field in ["calls", "window_ms", "per_second", "p50_us", "p90_us", "p99_us", "max_us"] {
        assert!(line[field].as_u64().unwrap() > 0, "{work} {field}: {line}");
    }
    for field in ["settle_ms", "bytes_written"] {
        assert!(line[field].is_u64(), "{work} {field}: {line}");
    }
    assert!(line["syncs"].is_number() || line["syncs"].is_null(), "{line}");
    for process in ["Bank1", "Bank2", "gateway1", "driver"] {
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
    for work in ["interbank", "same-bank", "balance", "history", "hot-payee", "hot-payer"] {
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
