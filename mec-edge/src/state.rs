//! The program on disk: an edge starts from it with the manager away.
//!
//! A file holds one program. It is written beside, synced, and put into place by renaming; the one before is kept. A file
//! that was torn or changed is noticed by its digest and passed over.
//!
//! ```text
//!  "MSEDGE1\n" | length of the message (8) | SHA-256 of the message (32) | v1.Program
//! ```

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::v1;
use model::program::Program;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

/// The folder that an edge keeps its program in. It is this process's alone while one of these lives.
#[derive(Debug, Clone)]
pub(crate) struct StateFolder {
    folder: PathBuf,
    _lock: Arc<File>,
}

/// Why the folder is no good.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file can't be written or made.
    #[error("the program can't be kept in {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another edge works on it.
    #[error("{} is in use by another edge", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// Why a file holds no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotWhole {
    /// It ends too early, or goes on too long.
    #[error("its length is not what it says")]
    Length,
    /// It does not begin as it should.
    #[error("it is not a program file of this version")]
    Foreign,
    /// Its digest is another.
    #[error("it was changed")]
    Changed,
    /// It is whole, and not a program that this build can read.
    #[error("it holds no program that this build can read")]
    Unreadable,
    /// The system does not let it be read.
    #[error("it can't be read: {0}")]
    Io(io::ErrorKind),
}

/// A file that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is passed over: {why}", path.display())]
pub(crate) struct PassedOver {
    pub(crate) path: PathBuf,
    pub(crate) why: NotWhole,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The newest whole program.
    pub(crate) program: Option<Program>,
    /// Files that were not whole, and where they are now.
    pub(crate) passed_over: Vec<PassedOver>,
}

impl StateFolder {
    /// Opens the folder; makes it if it is not there.
    pub(crate) fn open(folder: &Path) -> Result<Self, StateError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StateError::Io { path, source }
        };
        // Who is where, and what for: only the edge's to read.
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
        let path = folder.join(LOCK);
        let lock = File::create(&path).map_err(failed(&path))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => StateError::InUse { path: folder.to_owned() },
            fs::TryLockError::Error(source) => failed(&path)(source),
        })?;
        Ok(Self { folder: folder.to_owned(), _lock: Arc::new(lock) })
    }

    /// Where accounting records of a segment are kept.
    pub(crate) fn accounting(&self, id: &model::resource::SegmentId) -> PathBuf {
        self.folder.join("accounting").join(id.slice.as_str()).join(id.segment.as_str())
    }

    /// The newest program that is whole. If a crash came in the middle of a change, the change is completed or undone, so
    /// that a later start finds the same. A file that is not whole is put aside for people to look at.
    pub(crate) fn load(&self) -> Result<Found, StateError> {
        let mut passed_over = Vec::new();
        let current = self.read(CURRENT, &mut passed_over);
        let previous = self.read(PREVIOUS, &mut passed_over);
        // A torn one is what a crash leaves of a change that was never confirmed.
        let incoming = self.read(INCOMING, &mut Vec::new());
        for PassedOver { path, why } in &mut passed_over {
            if !matches!(why, NotWhole::Io(_)) {
                let aside = self.folder.join(BROKEN);
                fs::rename(&*path, &aside).map_err(|source| StateError::Io { path: path.clone(), source })?;
                *path = aside;
            }
        }
        let program = match (incoming, current.or(previous)) {
            (Some(incoming), older) if older.as_ref().is_none_or(|older| incoming.generation > older.generation) => {
                self.put_into_place()?;
                Some(incoming)
            }
            (_, older) => older,
        };
        Ok(Found { program, passed_over })
    }

    fn read(&self, name: &str, passed_over: &mut Vec<PassedOver>) -> Option<Program> {
        let path = self.folder.join(name);
        let result = match fs::read(&path) {
            Ok(octets) => decode(&octets),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(NotWhole::Io(error.kind())),
        };
        result.map_err(|why| passed_over.push(PassedOver { path, why })).ok()
    }

    /// Keeps a program. When this returns, a restart finds it. The one before stays as a fallback.
    pub(crate) fn keep(&self, program: &Program) -> Result<(), StateError> {
        let path = self.folder.join(INCOMING);
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(&encode(program))?;
            file.sync_all()
        });
        written.map_err(|source| StateError::Io { path, source })?;
        self.put_into_place()
    }

    /// The second half of a change.
    fn put_into_place(&self) -> Result<(), StateError> {
        let [current, incoming, previous] = [CURRENT, INCOMING, PREVIOUS].map(|name| self.folder.join(name));
        let moved = match fs::rename(&current, &previous) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::rename(&incoming, &current).and_then(|()| self.sync()),
        };
        moved.map_err(|source| StateError::Io { path: current, source })
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

fn encode(program: &Program) -> Vec<u8> {
    let message = v1::Program::from(program).encode_to_vec();
    let mut octets = Vec::with_capacity(HEADER_OCTETS + message.len());
    octets.extend(MAGIC);
    octets.extend((message.len() as u64).to_be_bytes());
    octets.extend(Sha256::digest(&message));
    octets.extend(message);
    octets
}

fn decode(octets: &[u8]) -> Result<Program, NotWhole> {
    let (magic, rest) = octets.split_at_checked(MAGIC.len()).ok_or(NotWhole::Length)?;
    if magic != MAGIC {
        return Err(NotWhole::Foreign);
    }
    let (length, rest) = rest.split_first_chunk::<8>().ok_or(NotWhole::Length)?;
    let (digest, message) = rest.split_first_chunk::<32>().ok_or(NotWhole::Length)?;
    if u64::from_be_bytes(*length) != message.len() as u64 {
        return Err(NotWhole::Length);
    }
    if Sha256::digest(message)[..] != digest[..] {
        return Err(NotWhole::Changed);
    }
    let message = v1::Program::decode(message).map_err(|_| NotWhole::Unreadable)?;
    Program::try_from(message).map_err(|_| NotWhole::Unreadable)
}

const MAGIC: &[u8] = b"MSEDGE1\n";
const HEADER_OCTETS: usize = MAGIC.len() + 8 + 32;
const CURRENT: &str = "program";
const INCOMING: &str = "program.incoming";
const PREVIOUS: &str = "program.previous";
/// The last file that was found not to be whole.
const BROKEN: &str = "program.broken";
const LOCK: &str = "lock";

#[cfg(test)]
mod tests {
    use model::Generation;
    use model::program::ProgramContent;

    use super::*;

    fn program(generation: u64) -> Program {
        let loopback = vec!["fd00:0:a::1".parse().unwrap()];
        let content = ProgramContent { loopback, ..ProgramContent::empty("edge-a".parse().unwrap()) };
        Program { generation: Generation::new(generation), content }
    }

    fn open() -> (tempfile::TempDir, StateFolder) {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(folder.path()).unwrap();
        (folder, state)
    }

    fn found(state: &StateFolder) -> (Option<u64>, usize) {
        let found = state.load().unwrap();
        (found.program.map(|program| program.generation.get()), found.passed_over.len())
    }

    #[test]
    fn the_newest_program_is_found_again() {
        let (_folder, state) = open();
        assert_eq!(found(&state), (None, 0));
        for generation in 1..=3 {
            state.keep(&program(generation)).unwrap();
            assert_eq!(state.load().unwrap().program, Some(program(generation)));
        }
    }

    #[test]
    fn a_file_that_is_cut_or_changed_at_any_octet_is_put_aside_and_the_one_before_is_used() {
        let (folder, state) = open();
        state.keep(&program(1)).unwrap();
        state.keep(&program(2)).unwrap();
        let path = folder.path().join(CURRENT);
        let whole = fs::read(&path).unwrap();
        let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
        let changed = (0..whole.len()).map(|at| {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            changed
        });
        let longer = [[&whole[..], &[0]].concat()];
        for broken in cut.chain(changed).chain(longer) {
            fs::write(&path, &broken).unwrap();
            assert_eq!(found(&state), (Some(1), 1), "{broken:x?}");
            assert_eq!(fs::read(folder.path().join(BROKEN)).unwrap(), broken);
            assert_eq!(found(&state), (Some(1), 0), "a second start finds the same");
        }
        // The next program is kept as ever, and the good old one is its fallback.
        state.keep(&program(3)).unwrap();
        fs::write(&path, b"").unwrap();
        assert_eq!(found(&state), (Some(1), 1));
    }

    #[test]
    fn if_no_file_is_whole_there_is_no_program() {
        let (folder, state) = open();
        state.keep(&program(1)).unwrap();
        state.keep(&program(2)).unwrap();
        fs::write(folder.path().join(CURRENT), b"MSEDGE1\n").unwrap();
        fs::write(folder.path().join(PREVIOUS), b"MSEDGE9\n").unwrap();
        assert_eq!(found(&state), (None, 2));
    }

    #[test]
    fn a_crash_at_any_step_of_a_change_leaves_the_old_program_or_the_new_one_for_good() {
        let whole = encode(&program(3));
        for (moved, written, expected) in [
            (false, 0, 2),
            (false, whole.len() - 1, 2),
            (false, whole.len(), 3),
            // After the first of the two renames.
            (true, whole.len(), 3),
        ] {
            let (folder, state) = open();
            state.keep(&program(1)).unwrap();
            state.keep(&program(2)).unwrap();
            if moved {
                fs::rename(folder.path().join(CURRENT), folder.path().join(PREVIOUS)).unwrap();
            }
            fs::write(folder.path().join(INCOMING), &whole[..written]).unwrap();
            assert_eq!(found(&state), (Some(expected), 0));
            // The next change begins, and tears: what was run before is still what is run.
            fs::write(folder.path().join(INCOMING), &encode(&program(4))[..9]).unwrap();
            assert_eq!(found(&state), (Some(expected), 0));
        }
    }

    #[test]
    fn a_second_edge_is_kept_out_of_the_folder() {
        let (folder, state) = open();
        let refused = StateFolder::open(folder.path()).unwrap_err();
        assert!(matches!(refused, StateError::InUse { .. }), "{refused}");
        drop(state);
        StateFolder::open(folder.path()).unwrap();
    }
}
