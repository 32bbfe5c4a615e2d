//! One file of the journal: its lines and its name.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{JournalError, io};
use crate::record::Record;

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) records: Vec<Record>,
    /// Octets up to the end of the last whole line.
    pub(super) whole: u64,
    /// Octets behind them.
    pub(super) torn: u64,
}

/// Appends the line of a record.
pub(super) fn encode(batch: u64, record: &Record, lines: &mut Vec<u8>) {
    let start = lines.len();
    lines.extend_from_slice(&[b'0'; CRC_DIGITS]);
    // Neither writing into a vector nor turning these types into JSON can fail.
    let _ = write!(lines, " {batch} ");
    let _ = serde_json::to_writer(&mut *lines, record);
    let crc = crc32(lines.get(start + CRC_DIGITS..).unwrap_or_default());
    if let Some(mut digits) = lines.get_mut(start..start + CRC_DIGITS) {
        let _ = write!(digits, "{crc:08x}");
    }
    lines.push(b'\n');
}

/// Reads a line without its end: its batch and its record; none if it is broken.
fn decode(line: &[u8]) -> Option<(u64, Record)> {
    let (digits, rest) = line.split_at_checked(CRC_DIGITS)?;
    if digits != format!("{:08x}", crc32(rest)).as_bytes() {
        return None;
    }
    let (batch, record) = std::str::from_utf8(rest).ok()?.strip_prefix(' ')?.split_once(' ')?;
    Some((batch.parse().ok()?, serde_json::from_str(record).ok()?))
}

/// Reads a file. Broken lines at its end are counted; broken lines that can't be of the last batch are an error.
pub(super) fn read(path: &Path) -> Result<Contents, JournalError> {
    let bytes = std::fs::read(path).map_err(|e| io(path, &e))?;
    let mut contents = Contents::default();
    let mut rest = bytes.as_slice();
    while let Some(end) = rest.iter().position(|octet| *octet == b'\n') {
        let (line, behind) = rest.split_at(end);
        let Some((_, record)) = decode(line) else { break };
        contents.records.push(record);
        contents.whole += end as u64 + 1;
        rest = behind.get(1..).unwrap_or_default();
    }
    contents.torn = rest.len() as u64;
    // The batch that was torn begins with the broken line or before it. A whole line of a later one was written after that
    // was synced: so it was not torn, but damaged.
    let latest = rest.split(|octet| *octet == b'\n').flat_map(batches).max();
    let broken = contents.records.len();
    if latest.is_some_and(|latest| latest > broken as u64 + 1) {
        return Err(corrupt(path, broken));
    }
    Ok(contents)
}

/// The batches of the whole lines in a part of a file that has no end of a line: the part itself, or, where it was the end
/// of a line that was damaged, what stands behind a record and one octet.
fn batches(part: &[u8]) -> impl Iterator<Item = u64> {
    let behind = part.iter().enumerate().filter(|(_, octet)| **octet == b'}').map(|(at, _)| at + 2);
    std::iter::once(0).chain(behind).filter_map(|at| decode(part.get(at..)?)).map(|(batch, _)| batch)
}

/// The line behind so many whole ones is broken.
pub(super) fn corrupt(path: &Path, whole: usize) -> JournalError {
    JournalError::Corrupt { path: path.display().to_string(), line: whole + 1 }
}

/// The numbers of the files in a folder, in order.
pub(super) fn numbers(folder: &Path) -> Result<Vec<u32>, JournalError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| io(folder, &e))? {
        let name = entry.map_err(|e| io(folder, &e))?.file_name();
        let number: Option<u32> =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{PREFIX}{number:06}{SUFFIX}"))
}

/// CRC-32 of IEEE 802.3: reflected, polynomial 0x04c11db7.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, octet: &u8| CRC_TABLE[usize::from(crc.to_le_bytes()[0] ^ octet)] ^ (crc >> 8);
    !bytes.iter().fold(u32::MAX, step)
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut crc: u32 = 1;
    let mut bit = 128;
    // The entry of a sum is the sum of the entries, so that those of single bits make all the others.
    while bit > 0 {
        crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        let mut below = 0;
        while below < 256 {
            table[bit + below] = crc ^ table[below];
            below += 2 * bit;
        }
        bit >>= 1;
    }
    table
};

const CRC_DIGITS: usize = 8;
const PREFIX: &str = "accounting-";
const SUFFIX: &str = ".journal";

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value that every catalogue of CRCs gives for CRC-32 of IEEE 802.3.
    #[test]
    fn the_crc_is_that_of_ieee_802_3() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
