//! One edge and its manager in a namespace, for tests against a real peer.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use testbed::netns::{Namespace, Running};

pub(crate) const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");

/// A folder with certificates, secrets and files; kept where logs go.
pub(crate) struct Files {
    pub(crate) folder: PathBuf,
}

impl Files {
    pub(crate) fn new(name: &str) -> Self {
        Self::of(name, "127.0.0.1", &["edge-a"])
    }

    /// For a manager that is reached by this name, and these nodes.
    pub(crate) fn of(name: &str, manager: &str, nodes: &[&str]) -> Self {
        let logs = std::env::var_os("MICROSLICE_LOGS").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = logs.join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let files = Self { folder };
        let tls = files.path("tls");
        Self::slicectl_offline(&["init", "--dir", &tls, "--manager-name", manager]);
        for node in nodes {
            let out = files.path(&format!("tls/{node}"));
            Self::slicectl_offline(&["certificate", "issue", "edge", node, "--dir", &tls, "--out", &out]);
        }
        files
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.folder.join(name), text).unwrap();
        self.path(name)
    }

    /// A secrets file, readable by its owner only.
    pub(crate) fn secrets(&self, segment: &str, text: &str) {
        use std::io::Write;
        let file = self.folder.join("secrets").join("lab").join(format!("{segment}.yaml"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(file).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn slicectl_offline(arguments: &[&str]) {
        let output = std::process::Command::new(TESTBED).args(["part", "slicectl"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Starts a manager and edge-a in a namespace; both speak over its loopback.
pub(crate) fn start(namespace: &Namespace, files: &Files, ports: &[&str]) -> (Running, Running) {
    let mut manager = namespace.command(TESTBED);
    manager.args(["part", "slice-manager", "--listen", "127.0.0.1:7443"]);
    manager.args(["--tls-dir", &files.path("tls/manager"), "--store", &files.path("store")]);
    // Other profiles than those that are built in.
    if files.folder.join("profiles").is_dir() {
        manager.args(["--profiles", &files.path("profiles")]);
    }
    let manager = Running::start(manager, Path::new(&files.path("slice-manager.log"))).unwrap();
    let mut edge = namespace.command(TESTBED);
    edge.args(["part", "mec-edge", "--name", "edge-a", "--manager", "https://127.0.0.1:7443"]);
    edge.args(["--tls-dir", &files.path("tls/edge-a"), "--state", &files.path("state")]);
    edge.args(["--secrets", &files.path("secrets")]);
    for port in ports {
        edge.args(["--port", port]);
    }
    let edge = Running::start(edge, Path::new(&files.path("mec-edge.log"))).unwrap();
    (manager, edge)
}

/// Runs slicectl in the namespace; answers its exit code, and what it wrote: complaints, if it failed.
pub(crate) fn slicectl(namespace: &Namespace, files: &Files, arguments: &[&str]) -> (i32, String) {
    let tls = files.path("tls/operator");
    let global = [TESTBED, "part", "slicectl", "--manager", "https://127.0.0.1:7443", "--tls-dir", &tls];
    let output = namespace.output(&[&global[..], arguments].concat()).unwrap();
    let said = if output.status.success() { output.stdout } else { output.stderr };
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.code().unwrap_or(-1), said)
}

/// Asks until it is so.
pub(crate) fn until(what: &str, patience: Duration, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The packets dropped for a reason, by what slicectl says.
pub(crate) fn drops(namespace: &Namespace, files: &Files, reason: &str) -> u64 {
    let (code, said) = slicectl(namespace, files, &["dataplane", "drops", "-o", "json"]);
    assert_eq!(code, 0, "{said}");
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    let rows = answer["drops"].as_array().unwrap().iter().filter(|row| row["reason"] == reason);
    rows.map(|row| row["packets"].as_str().unwrap().parse::<u64>().unwrap()).sum()
}

/// Has the AAA of a segment let a device in, asked from the namespace of its edge.
pub(crate) fn admit(edge: &Namespace, access_port: u64, mac: &str, address: &str) {
    let server = format!("127.0.0.1:{access_port}");
    let asks = [TESTBED, "part", "nas", "--server", &server, "--from", "127.0.0.1", "--seed", "7"];
    let shows = ["--secret", "not-much-of-a-secret", "--user", "dev", "--password", "let-me-in"];
    let request = [&asks[..], &shows, &["--mac", mac, "--address", address]].concat();
    let answer: serde_json::Value = serde_json::from_str(&edge.run(&request).unwrap()).unwrap();
    assert_eq!(answer["code"], 2, "{answer}");
}
