//! The journal: accounting records, appended and on the disk before they are confirmed.
//!
//! A folder with files `accounting-000001.journal`, `-000002`, ... of at most 64 MiB. A line is a record:
//!
//! ```text
//! 5c1f0a37 1842 {"receivedMillis":1700000000000,...}\n
//! CRC-32   batch record
//! ```
//!
//! The CRC covers the rest of the line. Records that are confirmed together are one batch, written by one call and synced
//! by one; a batch is written only after the one before it is on the disk, and a file is begun only after that. So what a
//! crash can tear is the last batch and nothing else: when the journal is opened, broken lines of the last batch are cut
//! off, and broken lines before it, which no crash explains, are an error for people to look at. To tell the two apart, a
//! batch is named by the place of its first record in the file, counted from 1. Nothing is ever deleted here: whoever
//! collects the records moves the older files away.

mod file;

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::record::Record;

/// An open journal. It alone writes to its folder.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    file: File,
    number: u32,
    /// Octets of the file that are whole and synced.
    length: u64,
    /// How many records the file has.
    written: u64,
    /// The last write failed; what it left behind must be cut off first.
    dirty: bool,
    limits: Limits,
}

/// How far a journal may grow.
#[derive(Debug, Clone, Copy)]
struct Limits {
    file_octets: u64,
    files: u32,
}

/// What was found when a journal was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The newest records, oldest first.
    pub records: Vec<Record>,
    /// Octets of an unfinished batch that were cut off.
    pub torn_octets: u64,
}

/// Why a record can't be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// A call of the system failed.
    #[error("the journal {path}: {kind}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system says.
        kind: std::io::ErrorKind,
    },
    /// Another process has it open.
    #[error("the journal {path} is in use by another process")]
    InUse {
        /// The file.
        path: String,
    },
    /// A broken line that no crash explains.
    #[error("the journal {path}: line {line} is broken, and it is not the end; move the file away to go on")]
    Corrupt {
        /// The file.
        path: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// There are as many files as there may be.
    #[error("the journal {path} has {files} files, the most that it may have; move the older ones away")]
    Full {
        /// The folder.
        path: String,
        /// How many.
        files: u32,
    },
}

impl Journal {
    /// Opens the journal in a folder, and makes it if there is none. Cuts off what a crash tore.
    pub fn open(folder: &Path) -> Result<(Self, Recovered), JournalError> {
        Self::open_with(folder, Limits { file_octets: JOURNAL_FILE_OCTETS_MAX, files: JOURNAL_FILES_MAX })
    }

    fn open_with(folder: &Path, limits: Limits) -> Result<(Self, Recovered), JournalError> {
        make_folder(folder).map_err(|e| io(folder, &e))?;
        let numbers = file::numbers(folder)?;
        let number = numbers.last().copied().unwrap_or(1);
        let path = file::path(folder, number);
        let file = open_file(&path)?;
        sync_folder(folder)?;
        let mut recovered = Recovered::default();
        // The events of the file before may still be reported again.
        if let Some(previous) = numbers.iter().rev().nth(1) {
            let path = file::path(folder, *previous);
            let contents = file::read(&path)?;
            if contents.torn > 0 {
                return Err(file::corrupt(&path, contents.records.len()));
            }
            recovered.records = contents.records;
        }
        let contents = file::read(&path)?;
        let written = contents.records.len() as u64;
        recovered.records.extend(contents.records);
        recovered.torn_octets = contents.torn;
        if contents.torn > 0 {
            file.set_len(contents.whole).and_then(|()| file.sync_all()).map_err(|e| io(&path, &e))?;
        }
        let journal =
            Self { folder: folder.to_owned(), file, number, length: contents.whole, written, dirty: false, limits };
        Ok((journal, recovered))
    }

    /// Writes records as one batch and returns when they are on the disk. If it fails, none of them counts as recorded.
    pub fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.clean()?;
        if self.length >= self.limits.file_octets {
            self.rotate()?;
        }
        let batch = self.written + 1;
        let mut lines = Vec::new();
        for record in records {
            file::encode(batch, record, &mut lines);
        }
        // From here on the file may hold a part of the batch, until the sync says that it holds all of it.
        self.dirty = true;
        self.file.write_all(&lines).and_then(|()| self.file.sync_data()).map_err(|e| io(&self.path(), &e))?;
        self.dirty = false;
        self.written += records.len() as u64;
        self.length += lines.len() as u64;
        Ok(())
    }

    fn clean(&mut self) -> Result<(), JournalError> {
        if self.dirty {
            self.file.set_len(self.length).and_then(|()| self.file.sync_all()).map_err(|e| io(&self.path(), &e))?;
            self.dirty = false;
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), JournalError> {
        let count = u32::try_from(file::numbers(&self.folder)?.len()).unwrap_or(u32::MAX);
        if count >= self.limits.files {
            return Err(JournalError::Full { path: self.folder.display().to_string(), files: count });
        }
        let path = file::path(&self.folder, self.number + 1);
        let file = open_file(&path)?;
        // One that an attempt before this has left behind is empty, and as good as new.
        let octets = file.metadata().map_err(|e| io(&path, &e))?.len();
        if octets > 0 {
            return Err(JournalError::Io { path: path.display().to_string(), kind: std::io::ErrorKind::AlreadyExists });
        }
        sync_folder(&self.folder)?;
        if count + 1 >= self.limits.files / 4 * 3 {
            let (folder, files) = (self.folder.display(), count + 1);
            tracing::warn!(%folder, files, most = self.limits.files, "the journal fills up; move the older files away");
        }
        self.file = file;
        self.number += 1;
        self.length = 0;
        self.written = 0;
        Ok(())
    }

    fn path(&self) -> PathBuf {
        file::path(&self.folder, self.number)
    }
}

/// Only the edge may read who was where: the folder and what is in it are its own.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    std::fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
}

fn open_file(path: &Path) -> Result<File, JournalError> {
    let opened = OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(path);
    let file = opened.map_err(|e| io(path, &e))?;
    file.set_permissions(Permissions::from_mode(FILE_MODE)).map_err(|e| io(path, &e))?;
    lock(&file, path)?;
    Ok(file)
}

fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    file.try_lock().map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => JournalError::InUse { path: path.display().to_string() },
        std::fs::TryLockError::Error(error) => io(path, &error),
    })
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> Result<(), JournalError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| io(folder, &e))
}

fn io(path: &Path, error: &std::io::Error) -> JournalError {
    JournalError::Io { path: path.display().to_string(), kind: error.kind() }
}

/// A file that has grown to this is followed by the next.
pub(crate) const JOURNAL_FILE_OCTETS_MAX: u64 = 64 << 20;
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// How many files there may be in a folder.
pub(crate) const JOURNAL_FILES_MAX: u32 = 64;

#[cfg(test)]
mod tests;
