//! A network namespace of the kernel, made and deleted by `ip`, with the crate's driver for it.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use transport_southbound::{Desired, Linux, Report, reconcile, verify};

#[derive(Debug)]
pub(crate) struct Namespace(String);

impl Namespace {
    /// Makes one that forwards and takes its addresses at once; the name says whose it is.
    pub(crate) fn new(role: &str) -> Self {
        let namespace = Self(format!("ms{}sb{role}", std::process::id()));
        let made = Command::new("ip").args(["netns", "add", &namespace.0]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        namespace.script(
            "sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0
             sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv4.ip_forward=1
             sysctl -qw net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.rp_filter=0
             ip link set lo up",
        );
        namespace
    }

    /// The driver, in the namespace.
    pub(crate) fn device(&self) -> Linux {
        Linux::open_in(&self.0, &Path::new("/run/netns").join(&self.0)).unwrap()
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    pub(crate) fn output(&self, command: &str) -> Output {
        let arguments = ["netns", "exec", &self.0].into_iter().chain(command.split_whitespace());
        Command::new("ip").args(arguments).output().unwrap()
    }

    /// What a command says; it must succeed.
    pub(crate) fn run(&self, command: &str) -> String {
        let output = self.output(command);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Commands, one a line.
    pub(crate) fn script(&self, lines: &str) {
        lines.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| drop(self.run(line)));
    }

    pub(crate) fn spawn(&self, command: &str) -> std::process::Child {
        let arguments = ["netns", "exec", &self.0].into_iter().chain(command.split_whitespace());
        Command::new("ip").args(arguments).stdout(std::process::Stdio::piped()).spawn().unwrap()
    }

    /// Joins two by a veth pair that is up at both ends.
    pub(crate) fn join(&self, port: &str, other: &Self, other_port: &str) {
        self.run(&format!("ip link add {port} type veth peer name {other_port} netns {}", other.0));
        self.run(&format!("ip link set {port} up"));
        other.run(&format!("ip link set {other_port} up"));
    }

    /// Does a ping get through? The first may wait for neighbours.
    pub(crate) fn reaches(&self, to: &str) -> bool {
        (0..5).any(|_| self.output(&format!("ping -c 1 -W 1 {to}")).status.success())
    }
}

/// Reconciles. A new IPv6 address is tentative until the kernel comes to it, even where nobody is asked; that is waited for.
pub(crate) fn reach(device: &mut Linux, desired: &Desired) -> Report {
    let mut report = reconcile(device, desired).unwrap();
    for _ in 0..100 {
        if !report.differs.iter().any(|difference| difference.to_string().contains("not known yet")) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        report.differs = verify(device, desired).unwrap();
    }
    report
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}
