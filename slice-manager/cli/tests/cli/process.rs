//! Runs the binary: with an environment of its own, and never for ever.

use std::borrow::BorrowMut;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use prost_types::Timestamp;
use serde_json::Value;

use crate::manager::Manager;

/// How a run ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Exit code 0 and nothing on the error output.
    #[track_caller]
    pub(crate) fn quietly(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// That exit code and nothing on the output.
    #[track_caller]
    pub(crate) fn refused(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.err);
        self.err
    }
}

/// The binary with a home that is empty, and nothing else from around.
pub(crate) fn slicectl(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slicectl"));
    command.args(arguments).env_clear().env("HOME", home).current_dir(home);
    command
}

/// Runs to the end.
pub(crate) fn run(home: &Path, arguments: &[&str]) -> Ended {
    run_with_input(slicectl(home, arguments), b"")
}

/// Runs to the end with something on the standard input.
pub(crate) fn run_with_input(mut command: impl BorrowMut<Command>, input: &[u8]) -> Ended {
    let command = command.borrow_mut();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Who refuses early reads no input.
    thread::spawn(move || drop(stdin.write_all(&input)));
    end(child)
}

/// Waits for the end; a run that has none is killed, and fails the test.
pub(crate) fn end(mut child: Child) -> Ended {
    let out = child.stdout.take().map(drain);
    let err = child.stderr.take().map(drain);
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("did not end in {PATIENCE:?}; said {:?}", err.map(|reader| reader.join().unwrap()));
        }
        thread::sleep(Duration::from_millis(5));
    };
    let said = |reader: Option<thread::JoinHandle<String>>| reader.map(|r| r.join().unwrap()).unwrap_or_default();
    let (out, err) = (said(out), said(err));
    assert!(!err.contains("panicked"), "{err}");
    let code = status.code().unwrap_or_else(|| panic!("ended by {status}: {err}"));
    Ended { code, out, err }
}

fn drain(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut octets = Vec::new();
        from.read_to_end(&mut octets).unwrap();
        String::from_utf8(octets).unwrap()
    })
}

/// A YAML text by another reader than the writer that is tested.
pub(crate) fn yaml(text: &str) -> Value {
    model::file::read_one("answer", text).unwrap()
}

/// A text of its own.
pub(crate) fn text(text: &str) -> String {
    text.to_owned()
}

/// The three forms of one answer: the table as it is, and JSON and YAML that say the same.
#[track_caller]
pub(crate) fn forms(manager: &Manager, arguments: &[&str], table: &str, message: &Value) {
    let form = |name: &str| manager.slicectl(&[arguments, &["--output", name]].concat()).quietly();
    assert_eq!(manager.slicectl(arguments).quietly(), table);
    assert_eq!(form("table"), table);
    assert_eq!(&serde_json::from_str::<Value>(&form("json")).unwrap(), message);
    assert_eq!(&yaml(&form("yaml")), message);
}

/// 2026-01-02T03:04:05Z (`date -u -d 2026-01-02T03:04:05Z +%s`).
pub(crate) const MOMENT: Timestamp = Timestamp { seconds: 1_767_323_045, nanos: 6_000 };

/// Far more than anything here may take.
const PATIENCE: Duration = Duration::from_mins(2);
