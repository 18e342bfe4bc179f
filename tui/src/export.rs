//! Postings of an account as CSV (RFC 4180), safe to open in a spreadsheet.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use strife_client::Movement;

use crate::format::amount;

/// Most postings in one file.
pub const ROWS_MAX: usize = 1_000_000;

const HEAD: [&str; 9] =
    ["time", "amount", "currency", "balance_after", "counterpart", "memo", "kind", "transfer", "position"];

/// A text that a spreadsheet takes as text: what it would take as a formula gets an apostrophe before it
/// (OWASP, CSV Injection).
fn safe(text: &str) -> String {
    let formula = text.trim_start().starts_with(['=', '+', '-', '@']) || text.starts_with(['\t', '\r', '\n']);
    if formula { format!("'{text}") } else { text.to_owned() }
}

/// An amount as machines read it: without grouping.
fn plain(minor_units: i64, currency: &str) -> String {
    amount(minor_units, currency).replace(',', "")
}

/// The file's bytes.
///
/// # Errors
/// A row cannot be written.
pub fn csv(rows: &[Movement]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEAD)?;
    for row in rows {
        let at = Timestamp::from_millisecond(row.at_ms).map(|at| at.to_string()).unwrap_or_default();
        writer.write_record([
            at,
            // a number, also below zero
            plain(row.minor_units, &row.currency),
            safe(&row.currency),
            plain(row.balance_after, &row.currency),
            safe(&row.counterpart),
            safe(&row.memo),
            safe(&row.kind),
            safe(row.transfer.as_deref().unwrap_or_default()),
            row.position.to_string(),
        ])?;
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// Writes the postings of an account, mode 0600, under a temporary name first. Returns the file's path.
///
/// # Errors
/// In words.
pub fn write(folder: &Path, account: &str, day: &str, rows: &[Movement]) -> Result<PathBuf, String> {
    let bytes = csv(rows).map_err(|error| error.to_string())?;
    let path = folder.join(format!("strife-{account}-{day}.csv"));
    strife_client::write_private(&path, &bytes).map_err(|error| error.to_string())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn movement(memo: &str, counterpart: &str) -> Movement {
        Movement {
            position: 7,
            at_ms: 1_700_000_000_000,
            minor_units: -1_250,
            currency: "EUR".into(),
            balance_after: 100_000,
            counterpart: counterpart.into(),
            memo: memo.into(),
            transfer: Some("Bank1/x".into()),
            key: None,
            refund_of: None,
            kind: "transfer".into(),
        }
    }

    #[test]
    fn a_spreadsheet_sees_no_formula_and_no_broken_row() {
        let hostile = ["=cmd|' /C calc'!A0", "+1+1", "-2", "@SUM(A1)", "\t=1", " =1", "a,\"b\"\nc"];
        let rows: Vec<Movement> = hostile.iter().map(|text| movement(text, "=x@Bank2")).collect();
        let bytes = csv(&rows).unwrap();
        let mut read = csv::Reader::from_reader(bytes.as_slice());
        let records: Vec<csv::StringRecord> = read.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), hostile.len());
        for (record, text) in records.iter().zip(hostile) {
            assert_eq!(record.len(), HEAD.len());
            assert_eq!((&record[1], &record[3]), ("-12.50", "1000.00"));
            for cell in [&record[4], &record[5]] {
                assert!(!cell.trim_start().starts_with(['=', '+', '-', '@']), "{cell:?}");
            }
            assert!(record[5].ends_with(text), "{record:?}");
        }
    }

    #[test]
    fn the_file_is_the_persons_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        // what somebody left open beside it, or in its place, is not what it gets
        for name in ["strife-100000000190-2026-11-21.csv", "strife-100000000190-2026-11-21.csv.new"] {
            std::fs::write(dir.path().join(name), b"old").unwrap();
            let open = std::fs::Permissions::from_mode(0o666);
            std::fs::set_permissions(dir.path().join(name), open).unwrap();
        }
        let path = write(dir.path(), "100000000190", "2026-11-21", &[movement("a", "b")]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(path.file_name().unwrap(), "strife-100000000190-2026-11-21.csv");
    }
}
