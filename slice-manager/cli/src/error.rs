//! What can go wrong, in words and in exit codes.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use model::file::FileError;

use crate::decode::DecodeError;

/// How `slicectl` ended. Scripts may rely on the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked is so. With `--wait`: it was observed.
    Success,
    /// It was refused, or it failed.
    Failed,
    /// The command line is wrong.
    Usage,
    /// The manager can't be reached.
    Unreachable,
    /// The time for `--wait` is over; the operation goes on.
    TimedOut,
}

impl Exit {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::TimedOut => 4,
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that was given can't be read.
    #[error("{file}: {source}")]
    Read { file: String, source: std::io::Error },
    /// A file that was given is no text.
    #[error("{file}:{line}:{column}: not UTF-8; expected a text")]
    NotText { file: String, line: usize, column: usize },
    /// A file that was given is wrong.
    #[error(transparent)]
    File(#[from] FileError),
    /// The files hold nothing.
    #[error("the files hold no resource")]
    NothingGiven,
    /// The manager refused, with a reason for each field.
    #[error("refused; nothing was changed")]
    Refused(Vec<String>),
    /// The manager refused or failed, with one sentence.
    #[error("{0}")]
    Status(String),
    /// The manager can't be reached.
    #[error("can't reach the manager at {manager}: {cause}\n  certificates: {}\n  is it running? --manager and --tls-dir say where", tls_dir.display())]
    Unreachable { manager: String, tls_dir: PathBuf, cause: String },
    /// There is somebody at the manager's address, and no trust between us.
    #[error("no TLS with the manager at {manager}: {cause}\n  certificates: {}", tls_dir.display())]
    Tls { manager: String, tls_dir: PathBuf, cause: String },
    /// A slice is not as was asked in time.
    #[error("slice `{slice}` is {state} after {after:?}: {reason}")]
    NotSettled { slice: String, state: String, after: Duration, reason: String },
    /// A certificate folder can't be read.
    #[error("{}: {source}\n  `slicectl init` makes certificates; --tls-dir says where they are", file.display())]
    Certificates { file: PathBuf, source: std::io::Error },
    /// An operation ended otherwise than it should.
    #[error("{id} is {state}{}", reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    Operation { id: String, state: &'static str, reason: Option<String> },
    /// An operation has not ended in time.
    #[error("{id} is still {state} after {after:?}; it goes on, awaiting {awaiting}")]
    TimedOut { id: String, state: &'static str, after: Duration, awaiting: String },
    /// What was looked for is not so.
    #[error("{0}")]
    NotSo(String),
    /// A watch ended, and the operation had not.
    #[error("the manager ended the watch of {0} before it had ended")]
    WatchEnded(String),
    /// Certificates can't be made.
    #[error(transparent)]
    Pki(#[from] crate::pki::PkiError),
    /// A capture could not be decoded to its end.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A message has no JSON form.
    #[error("the answer can't be shown: {0}")]
    Json(String),
    /// What was written went nowhere.
    #[error("can't write the output: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } | Self::Tls { .. } => Exit::Unreachable,
            Self::TimedOut { .. } | Self::NotSettled { .. } => Exit::TimedOut,
            _ => Exit::Failed,
        }
    }

    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) | Self::Decode(DecodeError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// As it is shown: what is wrong with a file stands alone, in the form that editors follow.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::File(error) => format!("{error}\n"),
            Self::NotText { .. } => format!("{self}\n"),
            Self::Refused(reasons) => {
                let mut text = String::new();
                for reason in reasons {
                    let _ = writeln!(text, "{reason}");
                }
                let _ = writeln!(text, "error: {self}");
                text
            }
            _ => format!("error: {self}\n"),
        }
    }
}

impl From<api::JsonError> for Error {
    fn from(error: api::JsonError) -> Self {
        Self::Json(error.to_string())
    }
}
