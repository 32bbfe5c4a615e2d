//! `radclient` and `radtest` against the AAA of a segment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

mod common;

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::{Files, slicectl, start, until};
use testbed::netns::Namespace;

const SECRET: &str = "s3cret-of-the-switch";

struct Rig {
    namespace: Namespace,
    files: Files,
    port: u64,
    _running: (testbed::netns::Running, testbed::netns::Running),
}

impl Rig {
    /// A manager and an edge with one segment whose profile is `smart-metering` (PAP) or `personal-health` (CHAP).
    fn new(profile: &str) -> Self {
        let namespace = Namespace::new(&format!("radius{}", profile.len())).unwrap();
        let files = Files::new(&format!("radius-{profile}"));
        files.secrets(
            "things",
            &format!("clients:\n  - {{ name: here, secret: \"{SECRET}\" }}\nusers:\n  - {{ name: meter, password: \"let-me-in\", address: 10.77.0.11 }}\n  - {{ name: monitor, password: \"let-me-in\", mac: \"02-00-00-00-77-12\" }}\n"),
        );
        let (access, core) = (files.path("access.pcap"), files.path("core.pcap"));
        let ports = [format!("access0=pcap:none,{access}"), format!("core0=pcap:none,{core}")];
        let running = start(&namespace, &files, &[&ports[0], &ports[1]]);
        until("the manager answers", Duration::from_secs(10), || {
            slicectl(&namespace, &files, &["node", "list"]).0 == 0
        });
        let world = files.write("world.yaml", &WORLD.replace("PROFILE", profile));
        let (code, said) = slicectl(&namespace, &files, &["apply", "-f", &world, "--wait"]);
        assert_eq!(code, 0, "{said}");
        until("the AAA is ready", Duration::from_secs(10), || {
            slicectl(&namespace, &files, &["segment", "show", "lab", "things", "-o", "json"])
                .1
                .contains("AAA_STATE_READY")
        });
        let (_, said) = slicectl(&namespace, &files, &["segment", "show", "lab", "things", "-o", "json"]);
        let segment: serde_json::Value = serde_json::from_str(&said).unwrap();
        Self { port: segment["accessPort"].as_u64().unwrap(), namespace, files, _running: running }
    }

    /// Sends a request by radclient: its attributes, to the access port or the accounting port after it.
    fn radclient(&self, kind: &str, secret: &str, attributes: &str) -> String {
        let port = self.port + u64::from(kind == "acct");
        let server = format!("127.0.0.1:{port}");
        let mut command = self.namespace.command("radclient");
        command.args(["-x", "-r", "1", "-t", "1", &server, kind, secret]);
        said(&feed(command, attributes))
    }

    fn sessions(&self) -> usize {
        let (code, said) = slicectl(&self.namespace, &self.files, &["aaa", "session", "list", "-o", "json"]);
        assert_eq!(code, 0, "{said}");
        serde_json::from_str::<serde_json::Value>(&said).unwrap()["sessions"].as_array().unwrap().len()
    }
}

fn feed(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

const PAP: &str = "User-Name = meter\nUser-Password = let-me-in\nCalling-Station-Id = 02-00-00-00-77-11\nMessage-Authenticator = 0x00\n";

#[test]
#[ignore = "needs root and radclient"]
fn radclient_authenticates_by_pap_and_accounts() {
    let rig = Rig::new("smart-metering");
    let answer = rig.radclient("auth", SECRET, PAP);
    assert!(answer.contains("Received Access-Accept"), "{answer}");
    assert!(answer.contains("Framed-IP-Address = 10.77.0.11"), "{answer}");
    assert!(answer.contains("Session-Timeout = 86400"), "{answer}");
    // The first attribute of the answer signs it (CVE-2024-3596).
    let first = answer.split("Received Access-Accept").nth(1).and_then(|rest| rest.lines().nth(1)).unwrap_or_default();
    assert!(first.contains("Message-Authenticator"), "{answer}");
    assert_eq!(rig.sessions(), 1);
    let class = answer.lines().find_map(|line| line.trim().strip_prefix("Class = ")).unwrap();

    let event = |status: &str| {
        format!(
            "Acct-Status-Type = {status}\nAcct-Session-Id = \"s1\"\nUser-Name = meter\nCalling-Station-Id = 02-00-00-00-77-11\nClass = {class}\nNAS-Identifier = switch\n"
        )
    };
    for status in ["Start", "Interim-Update", "Stop"] {
        let answer = rig.radclient("acct", SECRET, &event(status));
        assert!(answer.contains("Received Accounting-Response"), "{status}: {answer}");
    }
    assert_eq!(rig.sessions(), 0, "the stop ends the session");
    let journal = rig.files.folder.join("state/accounting/lab/things/accounting-000001.journal");
    assert_eq!(std::fs::read_to_string(journal).unwrap().lines().count(), 3);
}

#[test]
#[ignore = "needs root and radclient"]
fn a_wrong_password_is_rejected_and_a_wrong_secret_or_signature_is_not_answered() {
    let rig = Rig::new("smart-metering");
    let answer = rig.radclient("auth", SECRET, &PAP.replace("let-me-in", "wrong"));
    assert!(answer.contains("Received Access-Reject"), "{answer}");
    let answer = rig.radclient("auth", "another-secret", PAP);
    assert!(answer.contains("No reply from server"), "{answer}");
    let unsigned = PAP.replace("Message-Authenticator = 0x00\n", "");
    let answer = rig.radclient("auth", SECRET, &unsigned);
    assert!(answer.contains("No reply from server"), "{answer}");
    let answer = rig.radclient("acct", "another-secret", "Acct-Status-Type = Start\nAcct-Session-Id = \"s1\"\n");
    assert!(answer.contains("No reply from server"), "{answer}");
    assert_eq!(rig.sessions(), 0);
    // Each of them is counted by name; radclient asks once.
    let (code, said) = slicectl(&rig.namespace, &rig.files, &["aaa", "counters", "-o", "json"]);
    assert_eq!(code, 0, "{said}");
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    for reason in ["message-authenticator-wrong", "message-authenticator-missing", "request-authenticator-wrong"] {
        let mut rows = answer["counters"].as_array().unwrap().iter();
        assert!(
            rows.any(|row| row["kind"] == "drop" && row["name"] == reason && row["count"] == "1"),
            "{reason}: {answer}"
        );
    }
}

#[test]
#[ignore = "needs root and radtest"]
fn radtest_authenticates_by_chap_where_the_profile_has_it_and_pap_is_refused_by_name() {
    let rig = Rig::new("personal-health");
    let chap = "User-Name = meter\nCHAP-Password = let-me-in\nCalling-Station-Id = 02-00-00-00-77-11\nMessage-Authenticator = 0x00\n";
    let answer = rig.radclient("auth", SECRET, chap);
    assert!(answer.contains("Received Access-Accept"), "{answer}");
    let answer = rig.radclient("auth", SECRET, PAP);
    assert!(answer.contains("Received Access-Reject") && answer.to_lowercase().contains("pap"), "{answer}");
    // radtest sends no Calling-Station-Id: a credential that names its endpoint needs none, another one is told why.
    let server = format!("127.0.0.1:{}", rig.port);
    let radtest = |user: &str| {
        let command = ["radtest", "-t", "chap", user, "let-me-in", &server, "0", SECRET];
        said(&rig.namespace.output(&command).unwrap())
    };
    let answer = radtest("monitor");
    assert!(answer.contains("Access-Accept"), "{answer}");
    assert_eq!(rig.sessions(), 2);
    let answer = radtest("meter");
    assert!(answer.contains("Access-Reject") && answer.contains("Calling-Station-Id"), "{answer}");
}

const WORLD: &str = "\
apiVersion: microslice/v1
kind: Topology
metadata: { name: lab }
spec:
  pools: { vni: { first: 7700, last: 7799 }, radiusPorts: { first: 20000, last: 20099 } }
  nodes:
    - name: edge-a
      role: edge
      loopback: { ipv6: \"fd00:0:a::1\" }
      ports: [{ name: access0, rate: 1 Gbit/s }, { name: core0, rate: 1 Gbit/s, mtu: 1600 }]
  links: []
---
apiVersion: microslice/v1
kind: Slice
metadata: { name: lab }
spec:
  template: miot
  snssai: { sst: 3, sd: \"00BEEF\" }
  rate: { guaranteed: 10 Mbit/s, ceiling: 100 Mbit/s }
  sdps:
    - { name: here, edge: edge-a, port: access0, vlan: 110 }
---
apiVersion: microslice/v1
kind: MicroSegment
metadata: { name: things, slice: lab }
spec: { profile: PROFILE, at: [edge-a] }
---
apiVersion: microslice/v1
kind: Realm
metadata: { name: things, slice: lab }
spec:
  clients:
    - { name: here, addresses: [127.0.0.1/32] }
";
