//! The short form: every kind of work for a moment. No time is asserted, since machines differ.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::process::Command;

#[test]
fn every_kind_of_work_conserves_money_and_fills_every_field() {
    for work in ["interbank", "same-bank", "balance", "history", "hot-payee", "hot-payer"] {
        let output = Command::new(env!("CARGO_BIN_EXE_strife-bench"))
            .args(["--work", work, "--people", "6", "--seconds", "1", "--in-flight", "4"])
            .args(["--dir", env!("CARGO_TARGET_TMPDIR")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{work}: {said}");
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((line["work"].as_str(), line["conserved"].as_bool()), (Some(work), Some(true)));
        for field in ["calls", "window_ms", "per_second", "p50_us", "p90_us", "p99_us", "max_us"] {
            assert!(line[field].as_u64().unwrap() > 0, "{work} {field}: {line}");
        }
        for process in ["Bank1", "Bank2", "gateway1"] {
            assert!(line["cpu_us"][process].is_u64(), "{work} {process}: {line}");
        }
        let floors = &line["floors"];
        for field in ["echo_p50_us", "append_p50_us"] {
            assert!(floors[field].as_u64().unwrap() > 0, "{work} {field}: {line}");
        }
        for calls in ["1", "64", "256"] {
            assert!(floors["echoes_per_second"][calls].as_u64().unwrap() > 0, "{work} {calls}: {line}");
        }
        assert!(!floors["filesystem"].as_str().unwrap().is_empty());
    }
}
