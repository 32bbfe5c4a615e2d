use std::os::unix::fs::FileExt;

use super::*;
use crate::support::{Ask, INTERIM, START, STOP, World};

impl Journal {
    /// One on a device that is always full (null(4)).
    pub(crate) fn on_a_full_disk(folder: &Path) -> Self {
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let limits = Limits { file_octets: u64::MAX, files: 1 };
        Self { folder: folder.to_owned(), file, number: 1, length: 0, written: 0, dirty: false, limits }
    }
}

/// So many records, each another one.
fn records(count: u32) -> Vec<Record> {
    let mut world = World::full();
    let made = |number: u32| {
        let status = [START, INTERIM, STOP][number as usize % 3];
        let ask =
            Ask::accounting(1, status, &format!("s-{number} \"}}\n")).add(aaa_wire::Type::USER_NAME, "meter-0042");
        let pending = world.record(&ask);
        pending.record().clone()
    };
    (0..count).map(made).collect()
}

fn only_file(folder: &Path) -> PathBuf {
    file::path(folder, 1)
}

/// A journal with each record in a batch of its own; where each line ends.
fn written(folder: &Path, records: &[Record]) -> Vec<usize> {
    let (mut journal, _) = Journal::open(folder).unwrap();
    records
        .iter()
        .map(|record| {
            journal.append(std::slice::from_ref(record)).unwrap();
            std::fs::read(only_file(folder)).unwrap().len()
        })
        .collect()
}

/// Puts a file in the place of the one that is there. Not over it: some file systems sync what is cut and written anew.
fn put(path: &Path, octets: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, octets).unwrap();
}

fn open(folder: &Path) -> Recovered {
    Journal::open(folder).unwrap().1
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc32(octets: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for octet in octets {
        crc ^= u32::from(*octet);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn a_record_is_one_line_with_the_crc_of_the_rest_of_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let records = records(3);
    written(folder.path(), &records);
    let text = std::fs::read_to_string(only_file(folder.path())).unwrap();
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    assert_eq!(lines.len(), 3);
    for (line, record) in lines.iter().zip(&records) {
        let (crc, rest) = line.split_at(8);
        assert_eq!(crc, format!("{:08x}", crc32(rest.as_bytes())));
        let json = rest.split_once('{').unwrap().1;
        let value: serde_json::Value = serde_json::from_str(&format!("{{{json}")).unwrap();
        assert_eq!(value["accountingSession"], record.accounting_session.clone().unwrap());
        assert_eq!(value["receivedMillis"], 1_700_000_000_000_u64);
    }
}

#[test]
fn what_is_appended_is_read_when_it_is_opened_again_in_order_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let records = records(10);
    for (opened, pair) in records.chunks(2).enumerate() {
        let (mut journal, recovered) = Journal::open(folder.path()).unwrap();
        assert_eq!((recovered.records, recovered.torn_octets), (records[..opened * 2].to_vec(), 0));
        journal.append(pair).unwrap();
    }
    assert_eq!(open(folder.path()).records, records);
}

#[test]
fn an_append_leaves_its_records_in_the_file_when_it_returns() {
    let folder = tempfile::tempdir().unwrap();
    let records = records(4);
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    for (before, record) in records.iter().enumerate() {
        assert_eq!(file::read(&only_file(folder.path())).unwrap().records, records[..before]);
        journal.append(std::slice::from_ref(record)).unwrap();
    }
}

#[test]
fn a_journal_torn_at_any_octet_of_its_last_record_keeps_all_the_others_and_says_what_it_cut() {
    let folder = tempfile::tempdir().unwrap();
    let records = records(4);
    let ends = written(folder.path(), &records);
    let whole = std::fs::read(only_file(folder.path())).unwrap();
    for length in ends[2]..=ends[3] {
        put(&only_file(folder.path()), &whole[..length]);
        let recovered = open(folder.path());
        let kept = if length == ends[3] { 4 } else { 3 };
        assert_eq!(recovered.records, records[..kept], "torn at {length}");
        assert_eq!(recovered.torn_octets, if kept == 4 { 0 } else { (length - ends[2]) as u64 });
        // What was cut off is gone, so that the next record stands on a line of its own.
        let (mut journal, again) = Journal::open(folder.path()).unwrap();
        assert_eq!(again.torn_octets, 0);
        journal.append(&records[3..]).unwrap();
        drop(journal);
        assert_eq!(open(folder.path()).records[kept..], records[3..]);
    }
}

#[test]
fn a_batch_torn_at_any_octet_keeps_its_whole_lines_and_all_batches_before() {
    let folder = tempfile::tempdir().unwrap();
    let records = records(5);
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    journal.append(&records[..2]).unwrap();
    let start = std::fs::read(only_file(folder.path())).unwrap().len();
    journal.append(&records[2..]).unwrap();
    drop(journal);
    let whole = std::fs::read(only_file(folder.path())).unwrap();
    for length in start..whole.len() {
        put(&only_file(folder.path()), &whole[..length]);
        let recovered = open(folder.path());
        let lines = whole[..length].split(|octet| *octet == b'\n').count() - 1;
        assert_eq!(recovered.records, records[..lines]);
    }
}

#[test]
fn a_batch_of_which_the_disk_has_the_end_and_not_the_beginning_is_cut_off() {
    // Blocks of one write may reach the disk in any order.
    let folder = tempfile::tempdir().unwrap();
    let records = records(5);
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    journal.append(&records[..2]).unwrap();
    let start = std::fs::read(only_file(folder.path())).unwrap().len();
    journal.append(&records[2..]).unwrap();
    drop(journal);
    let mut torn = std::fs::read(only_file(folder.path())).unwrap();
    torn[start..start + 20].fill(0);
    put(&only_file(folder.path()), &torn);
    let recovered = open(folder.path());
    assert_eq!((recovered.records, recovered.torn_octets), (records[..2].to_vec(), (torn.len() - start) as u64));
}

#[test]
fn a_bit_flipped_before_the_last_record_is_reported_and_nothing_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let ends = written(folder.path(), &records(4));
    let path = only_file(folder.path());
    let whole = std::fs::read(&path).unwrap();
    for bit in 0..ends[2] * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        put(&path, &flipped);
        let line = ends.iter().filter(|end| **end <= bit / 8).count() + 1;
        let wanted = JournalError::Corrupt { path: path.display().to_string(), line };
        assert_eq!(file::read(&path).unwrap_err(), wanted, "bit {bit}");
        // Opening reads, and syncs, which takes its time: now and then.
        if bit % 101 == 0 {
            assert_eq!(Journal::open(folder.path()).unwrap_err(), wanted);
            assert_eq!(std::fs::read(&path).unwrap(), flipped);
        }
    }
    put(&path, &whole);
    assert_eq!(open(folder.path()).records.len(), 4);
}

#[test]
fn a_bit_flipped_in_the_last_record_loses_that_one_alone_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let records = records(3);
    let ends = written(folder.path(), &records);
    let path = only_file(folder.path());
    let whole = std::fs::read(&path).unwrap();
    for bit in ends[1] * 8..ends[2] * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        put(&path, &flipped);
        let contents = file::read(&path).unwrap();
        assert_eq!(contents.records, records[..2], "bit {bit}");
        assert_eq!(contents.torn, (ends[2] - ends[1]) as u64);
    }
    let recovered = open(folder.path());
    assert_eq!((recovered.records, recovered.torn_octets), (records[..2].to_vec(), (ends[2] - ends[1]) as u64));
}

#[test]
fn a_bit_flipped_in_a_batch_before_the_last_is_reported_wherever_in_the_batch_it_is() {
    // Batches of three, of two and of one.
    let folder = tempfile::tempdir().unwrap();
    let records = records(6);
    let path = only_file(folder.path());
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    journal.append(&records[..3]).unwrap();
    journal.append(&records[3..5]).unwrap();
    let last = std::fs::read(&path).unwrap().len();
    journal.append(&records[5..]).unwrap();
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    for octet in 0..last {
        let mut flipped = whole.clone();
        flipped[octet] ^= 4;
        put(&path, &flipped);
        let error = file::read(&path).unwrap_err();
        assert!(matches!(error, JournalError::Corrupt { .. }), "octet {octet}: {error}");
    }
}

#[test]
fn a_damaged_file_before_the_current_one_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open_with(folder.path(), Limits { file_octets: 1, files: 9 }).unwrap();
    let records = records(2);
    journal.append(&records[..1]).unwrap();
    journal.append(&records[1..]).unwrap();
    drop(journal);
    assert_eq!(open(folder.path()).records, records);
    // Nothing was torn there: the next file is begun when it is synced.
    let old = OpenOptions::new().write(true).open(only_file(folder.path())).unwrap();
    old.write_all_at(b"x", 30).unwrap();
    let error = Journal::open(folder.path()).unwrap_err();
    let path = only_file(folder.path()).display().to_string();
    assert_eq!(error, JournalError::Corrupt { path, line: 1 });
}

#[test]
fn files_follow_one_another_and_the_last_two_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { file_octets: 1, files: 9 };
    let records = records(4);
    let (mut journal, _) = Journal::open_with(folder.path(), limits).unwrap();
    for record in &records {
        journal.append(std::slice::from_ref(record)).unwrap();
    }
    drop(journal);
    assert_eq!(file::numbers(folder.path()).unwrap(), [1, 2, 3, 4]);
    let names: Vec<_> = [1, 4].map(|number| file::path(Path::new(""), number)).to_vec();
    assert_eq!(names, [Path::new("accounting-000001.journal"), Path::new("accounting-000004.journal")]);
    assert_eq!(open(folder.path()).records, records[2..]);
    // Whoever collects the records moves the older ones away.
    for number in 1..4 {
        std::fs::remove_file(file::path(folder.path(), number)).unwrap();
    }
    assert_eq!(open(folder.path()).records, records[3..]);
    let (mut journal, _) = Journal::open_with(folder.path(), limits).unwrap();
    journal.append(&records[..1]).unwrap();
    assert_eq!(file::numbers(folder.path()).unwrap(), [4, 5]);
}

#[test]
fn a_folder_with_as_many_files_as_there_may_be_takes_no_record_until_some_are_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let records = records(3);
    let (mut journal, _) = Journal::open_with(folder.path(), Limits { file_octets: 1, files: 2 }).unwrap();
    journal.append(&records[..1]).unwrap();
    journal.append(&records[1..2]).unwrap();
    let full = JournalError::Full { path: folder.path().display().to_string(), files: 2 };
    assert_eq!(journal.append(&records[2..]), Err(full));
    std::fs::remove_file(only_file(folder.path())).unwrap();
    journal.append(&records[2..]).unwrap();
    drop(journal);
    assert_eq!(open(folder.path()).records, records[1..]);
}

#[test]
fn a_full_disk_is_an_error_and_counts_nothing_as_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::on_a_full_disk(folder.path());
    let path = only_file(folder.path()).display().to_string();
    let error = journal.append(&records(1)).unwrap_err();
    assert_eq!(error, JournalError::Io { path, kind: std::io::ErrorKind::StorageFull });
    assert!(journal.append(&records(1)).is_err());
    assert_eq!((journal.length, journal.written), (0, 0));
}

#[test]
fn what_a_failed_write_left_behind_is_cut_off_before_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let records = records(2);
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    journal.append(&records[..1]).unwrap();
    // A write that failed in the middle.
    journal.file.write_all(b"5c1f0a37 2 {\"recei").unwrap();
    journal.dirty = true;
    journal.append(&records[1..]).unwrap();
    drop(journal);
    let recovered = open(folder.path());
    assert_eq!((recovered.records, recovered.torn_octets), (records, 0));
}

#[test]
fn a_journal_that_is_in_use_is_not_opened_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(folder.path()).unwrap();
    let error = Journal::open(folder.path()).unwrap_err();
    assert_eq!(error, JournalError::InUse { path: only_file(folder.path()).display().to_string() });
    drop(journal);
    open(folder.path());
}

#[test]
fn a_folder_that_can_t_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let error = Journal::open(&blocked.join("journal")).unwrap_err();
    assert!(error.to_string().contains(&blocked.display().to_string()), "{error}");
}

#[test]
fn other_files_in_the_folder_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["notes.txt", "accounting-.journal", "accounting-1.journal.old", "accounting-x.journal"] {
        std::fs::write(folder.path().join(name), "hands off").unwrap();
    }
    let records = records(1);
    written(folder.path(), &records);
    assert_eq!(open(folder.path()).records, records);
    assert_eq!(std::fs::read_to_string(folder.path().join("notes.txt")).unwrap(), "hands off");
}
