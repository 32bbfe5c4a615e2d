//! A process that writes is killed at any moment; what it was told is durable must be there, and nothing by halves.
//!
//! The test runs its own binary again as the writer (a test that does nothing unless it is told a folder), reads the
//! numbers that the writer acknowledges, and kills it without warning.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{EmbeddedStore, Store, Transaction};

/// Each transaction writes one number under three keys, removes those of the transaction before last, and moves on a
/// counter with compare-and-set.
#[test]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = EmbeddedStore::open(Path::new(&folder)).unwrap();
    let last = store.get("last").unwrap();
    let mut version = last.as_ref().map(|entry| entry.version);
    let mut n = last.map_or(0, |entry| number(&entry.value));
    loop {
        n += 1;
        let value = n.to_be_bytes().to_vec();
        let mut transaction = Transaction::new().check("last", version).put("last", value.clone());
        for part in PARTS {
            // Values of several pages, so that a transaction is more than one write.
            transaction = transaction.put(format!("n/{n:08}/{part}"), value.repeat(PAGES * 512));
            if let Some(old) = n.checked_sub(2) {
                transaction = transaction.delete(format!("n/{old:08}/{part}"));
            }
        }
        version = Some(store.commit(&transaction).unwrap());
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {n}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn after_a_kill_every_acknowledged_write_is_there_and_no_transaction_by_halves() {
    let folder = tempfile::tempdir().unwrap();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut acknowledged = 0;
    for _ in 0..ROUNDS {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        acknowledged = run_and_kill(folder.path(), seed % 40, seed / 40 % 3_000).max(acknowledged);
        check(folder.path(), acknowledged);
    }
    assert!(acknowledged > 0, "no writer ever got to write");
}

/// Lets a writer acknowledge some writes, waits a little more, kills it, and gives the last acknowledged number.
fn run_and_kill(folder: &Path, writes: u64, then_microseconds: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::kill::writer", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut acknowledged = 0;
    let mut take = |line: &str| {
        if let Some(n) = line.split("ack ").nth(1).and_then(|n| n.parse().ok()) {
            acknowledged = acknowledged.max(n);
        }
    };
    for _ in 0..writes {
        lines.next().iter().for_each(|line| take(line));
    }
    std::thread::sleep(std::time::Duration::from_micros(then_microseconds));
    child.kill().unwrap();
    child.wait().unwrap();
    // What was acknowledged before the kill is still in the pipe; a line that was cut is not an acknowledgement.
    lines.for_each(|line| take(&line));
    acknowledged
}

fn check(folder: &Path, acknowledged: u64) {
    let store = EmbeddedStore::open(folder).unwrap();
    let last = store.get("last").unwrap().map_or(0, |entry| number(&entry.value));
    assert!(last >= acknowledged, "{acknowledged} was acknowledged, {last} is there");
    let mut expected = Vec::new();
    for n in [last.saturating_sub(1), last].into_iter().filter(|n| *n > 0) {
        expected.extend(PARTS.map(|part| (format!("n/{n:08}/{part}"), n.to_be_bytes().repeat(PAGES * 512))));
    }
    let found: Vec<_> = store.scan("n/").unwrap().into_iter().map(|(key, entry)| (key, entry.value)).collect();
    assert!(found == expected, "keys {:?} at {last}", found.iter().map(|(key, _)| key).collect::<Vec<_>>());
}

fn number(value: &[u8]) -> u64 {
    u64::from_be_bytes(value.try_into().unwrap())
}

const FOLDER: &str = "SLICE_MANAGER_TEST_STORE";
const PARTS: [&str; 3] = ["a", "b", "c"];
const PAGES: usize = 3;
const ROUNDS: usize = 12;
