//! Network namespaces of our own, joined by veth pairs, for running the product and real peers as separate hosts.
//!
//! Made by `ip` (iproute2) as root; deleted when dropped, with everything in them. Names carry the process id, so that
//! two runs do not meet.

use std::io;
use std::process::{Child, Command, Output, Stdio};

/// A namespace that was made here.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

/// A command in a namespace that failed.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// It could not be started.
    #[error("`{command}` can't be started")]
    Start {
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended with an error.
    #[error("`{command}` failed: {message}")]
    Failed {
        /// The command.
        command: String,
        /// What it said.
        message: String,
    },
}

/// Are namespaces to be had here: root, and `ip`?
pub fn available() -> bool {
    // Listing works for everybody; making one is what matters.
    let probe = format!("ms{}probe", std::process::id());
    let made = Command::new("ip").args(["netns", "add", &probe]).output().is_ok_and(|o| o.status.success());
    let _ = Command::new("ip").args(["netns", "del", &probe]).output();
    made
}

impl Namespace {
    /// Makes a namespace; its loopback is up.
    pub fn new(role: &str) -> Result<Self, NetnsError> {
        let namespace = Self { name: format!("ms{}{role}", std::process::id()) };
        host(&["ip", "netns", "add", &namespace.name])?;
        namespace.run(&["ip", "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Its name, for `ip netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command to its end; answers what it wrote.
    pub fn run(&self, command: &[&str]) -> Result<String, NetnsError> {
        host(&[&["ip", "netns", "exec", &self.name], command].concat())
    }

    /// Runs commands, one a line, words split at blanks.
    pub fn script(&self, lines: &str) -> Result<(), NetnsError> {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.run(&line.split_whitespace().collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Runs a command to its end, whatever that is.
    pub fn output(&self, command: &[&str]) -> Result<Output, NetnsError> {
        output(&[&["ip", "netns", "exec", &self.name], command].concat())
    }

    /// A command that will run in the namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Joins two namespaces by a veth pair. Segmentation and checksum offload are left as the kernel has them.
    pub fn join(&self, port: &str, other: &Self, other_port: &str, mtu: u16) -> Result<(), NetnsError> {
        let mtu = mtu.to_string();
        host(&[
            "ip",
            "link",
            "add",
            port,
            "netns",
            &self.name,
            "mtu",
            &mtu,
            "type",
            "veth",
            "peer",
            "name",
            other_port,
            "netns",
            &other.name,
            "mtu",
            &mtu,
        ])?;
        for (namespace, port) in [(self, port), (other, other_port)] {
            namespace.run(&["ip", "link", "set", port, "up"])?;
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = output(&["ip", "netns", "del", &self.name]);
    }
}

/// A process that is ended, and waited for, when it is dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts it; what it writes goes to a file.
    pub fn start(mut command: Command, log: &std::path::Path) -> io::Result<Self> {
        let log = std::fs::File::create(log)?;
        let errors = log.try_clone()?;
        command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().map(Self)
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

fn host(command: &[&str]) -> Result<String, NetnsError> {
    let output = output(command)?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(NetnsError::Failed { command: command.join(" "), message })
    }
}

fn output(command: &[&str]) -> Result<Output, NetnsError> {
    let (program, arguments) = command.split_first().unwrap_or((&"true", &[]));
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| NetnsError::Start { command: command.join(" "), source })
}
