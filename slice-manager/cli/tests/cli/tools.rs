//! What needs no manager: certificates, completion, decoding; and outputs that are closed or full.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use api::v1;
use serde_json::Value;

use crate::intent::operation;
use crate::manager::{Answers, Manager, Step, authority};
use crate::process::{self, run, slicectl};
use crate::reading::session;

/// Every file below a folder: mode and contents.
fn files(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            found.insert(path.clone(), (mode, fs::read(&path).unwrap()));
        }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).keys().map(|path| path.strip_prefix(folder).unwrap().display().to_string()).collect()
}

#[test]
fn init_makes_an_authority_a_manager_and_an_operator_with_keys_for_their_owner_only() {
    let home = tempfile::tempdir().unwrap();
    // Without a mask: that keys are not for others is not left to it.
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000 && exec \"$0\" init --dir pki", env!("CARGO_BIN_EXE_slicectl")]);
    let out = process::run_with_input(command.current_dir(home.path()), b"").quietly();
    assert_eq!(
        out,
        "\
pki/ca.pem, ca-key.pem   the authority; keep the key to yourself
pki/manager/             for the manager, reached as localhost, 127.0.0.1, ::1
pki/operator/            for you
"
    );
    let pki = home.path().join("pki");
    let expected = ["ca-key.pem", "ca.pem"].map(str::to_owned).into_iter().chain(
        ["manager", "operator"]
            .iter()
            .flat_map(|owner| ["ca.pem", "certificate.pem", "key.pem"].map(|name| format!("{owner}/{name}"))),
    );
    assert_eq!(names(&pki), expected.collect::<Vec<_>>());
    for (path, (mode, contents)) in files(&pki) {
        let is_key = path.ends_with("ca-key.pem") || path.ends_with("key.pem");
        assert_eq!(mode, if is_key { 0o600 } else { 0o644 }, "{}", path.display());
        // RFC 7468, sections 5 and 10.
        let label = if is_key { "-----BEGIN PRIVATE KEY-----" } else { "-----BEGIN CERTIFICATE-----" };
        assert!(contents.starts_with(label.as_bytes()), "{}", path.display());
    }
}

#[test]
fn init_where_an_authority_is_changes_nothing() {
    let home = authority();
    let before = files(home.path());
    let said = run(home.path(), &["init", "--dir", "pki"]).refused(1);
    assert_eq!(
        said,
        "error: pki/ca.pem is there already; remove the folder to start anew, or choose another one with --dir\n"
    );
    assert_eq!(files(home.path()), before);
    // Its key alone is an authority, too.
    fs::remove_file(home.path().join("pki/ca.pem")).unwrap();
    let before = files(home.path());
    assert!(run(home.path(), &["init", "--dir", "pki"]).refused(1).contains("pki/ca-key.pem is there already"));
    assert_eq!(files(home.path()), before);
}

#[test]
fn init_with_a_name_that_no_certificate_can_have_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    // A dNSName is an IA5String (RFC 5280, section 4.2.1.6), and not the empty one.
    for name in ["m\u{e4}nager", ""] {
        run(home.path(), &["init", "--dir", "pki", "--manager-name", name]).refused(1);
        assert!(names(home.path()).is_empty(), "{name:?}: {:?}", names(home.path()));
    }
    run(home.path(), &["init", "--dir", "pki", "--manager-name", "manager.example"]).quietly();
}

#[test]
fn certificates_are_looked_for_in_the_configuration_folder() {
    let home = tempfile::tempdir().unwrap();
    let out = run(home.path(), &["init"]).quietly();
    let folder = home.path().join(".config/microslice");
    assert!(out.contains(&format!("{}/operator/", folder.display())), "{out}");
    let manager = Manager::start_with(home, &folder.join("ca.pem"), &folder.join("manager"), Answers::default());
    assert_eq!(run(manager.home(), &["--manager", &manager.url(), "slice", "list"]).quietly(), "none\n");
    // XDG Base Directory Specification: $XDG_CONFIG_HOME goes before ~/.config, and empty is as unset.
    let mut command = slicectl(manager.home(), &["--manager", &manager.url(), "slice", "list"]);
    let said = process::run_with_input(command.env_clear().env("XDG_CONFIG_HOME", "/nowhere"), b"").refused(1);
    assert!(said.starts_with("error: /nowhere/microslice/operator/ca.pem: "), "{said}");
    let mut command = slicectl(manager.home(), &["--manager", &manager.url(), "slice", "list"]);
    assert_eq!(process::run_with_input(command.env("XDG_CONFIG_HOME", ""), b"").quietly(), "none\n");
}

#[test]
fn a_certificate_is_issued_for_each_role_and_lets_its_owner_in() {
    let manager = Manager::start(Answers::default());
    for role in ["edge", "viewer", "mano", "operator"] {
        let issue = ["certificate", "issue", role, "some-one", "--dir", "pki", "--out", role];
        let expected = format!("{role}/ ca.pem, certificate.pem, key.pem for urn:microslice:{role}:some-one\n");
        assert_eq!(run(manager.home(), &issue).quietly(), expected);
        let key = manager.home().join(role).join("key.pem");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        manager.slicectl(&["slice", "list", "--tls-dir", role]).quietly();
        // Issued anew, it has a new key; a key that others could read does not stay so.
        let before = fs::read(&key).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let said = run(manager.home(), &issue).refused(1);
        assert!(said.contains("key.pem is there already"), "{said}");
        assert_eq!(fs::read(&key).unwrap(), before);
        run(manager.home(), &[&issue[..], &["--replace"]].concat()).quietly();
        assert_ne!(fs::read(&key).unwrap(), before);
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_certificate_that_can_not_be_issued_is_refused_with_its_reason() {
    let home = authority();
    let issue = |arguments: &[&str]| run(home.path(), &[&["certificate", "issue"], arguments].concat());
    let said = issue(&["king", "x", "--dir", "pki", "--out", "x"]).refused(2);
    assert!(said.contains("[possible values: manager, operator, mano, edge, viewer]"), "{said}");
    let said = issue(&["manager", "x", "--dir", "pki", "--out", "x"]).refused(1);
    assert!(said.contains("needs the names by which it is reached; give them with --name"), "{said}");
    for name in ["Edge_A", "", "a b", "../x", &"x".repeat(64)] {
        issue(&["edge", name, "--dir", "pki", "--out", "x"]).refused(2);
    }
    let said = issue(&["edge", "edge-a", "--dir", "nowhere", "--out", "x"]).refused(1);
    assert!(said.starts_with("error: nowhere/ca.pem can't be read: No such file"), "{said}");
    let said = issue(&["edge", "edge-a", "--dir", "pki", "--out", "pki/ca.pem/x"]).refused(1);
    assert!(said.contains("pki/ca.pem/x"), "{said}");
    fs::write(home.path().join("pki/ca-key.pem"), "no key").unwrap();
    let said = issue(&["edge", "edge-a", "--dir", "pki", "--out", "x"]).refused(1);
    assert!(said.starts_with("error: the certificate can't be made: "), "{said}");
    assert!(!home.path().join("x").exists());
}

#[test]
fn a_completion_script_knows_every_command() {
    let home = tempfile::tempdir().unwrap();
    let commands = [
        "init",
        "certificate",
        "apply",
        "plan",
        "diff",
        "delete",
        "slice",
        "segment",
        "node",
        "op",
        "aaa",
        "dataplane",
        "template",
        "decode",
        "completion",
    ];
    for shell in ["bash", "zsh", "fish"] {
        let script = run(home.path(), &["completion", shell]).quietly();
        for command in commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let script = run(home.path(), &["completion", "bash"]).quietly();
    fs::write(home.path().join("script"), script).unwrap();
    let checked = Command::new("bash").args(["-n", "script"]).current_dir(home.path()).status();
    assert!(checked.is_ok_and(|status| status.success()), "bash can't read it");
    run(home.path(), &["completion", "tcsh"]).refused(2);
}

#[test]
fn help_and_version_are_answers_and_a_missing_command_is_a_mistake() {
    let home = tempfile::tempdir().unwrap();
    let help = run(home.path(), &["--help"]).quietly();
    assert!(help.contains("Exit codes: 0 it is so") && help.contains("within 5 s"), "{help}");
    assert_eq!(run(home.path(), &["--version"]).quietly(), format!("slicectl {}\n", env!("CARGO_PKG_VERSION")));
    for arguments in [&[][..], &["slice"], &["nothing"], &["slice", "list", "-o", "xml"]] {
        run(home.path(), arguments).refused(2);
    }
}

/// Two ARP packets in a classic file, little-endian, link type 1 (draft-ietf-opsawg-pcap, sections 4 and 5).
fn capture() -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];
    for second in [1, 2] {
        file.extend([second, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 42, 0, 0, 0]);
        file.extend([0xff; 6]);
        file.extend([2, 0, 0, 0, 0, second, 0x08, 0x06]);
        file.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, second, 192, 0, 2, second, 0, 0, 0, 0, 0, 0, 192, 0, 2, 9]);
    }
    file
}

#[test]
fn decode_prints_a_json_line_for_each_packet() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("x.pcap"), capture()).unwrap();
    let out = run(home.path(), &["decode", "x.pcap"]).quietly();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    for (line, second) in lines.iter().zip(1..) {
        assert_eq!(line["frame.number"], second);
        assert_eq!(line["frame.time_epoch"], format!("{second}.000000000"));
        assert_eq!(line["frame.protocols"], "eth:ethertype:arp");
        assert_eq!(line["layers"][1]["arp"]["arp.src.proto_ipv4"], format!("192.0.2.{second}"));
    }
}

#[test]
fn a_capture_that_was_cut_gives_what_was_whole_and_fails() {
    let home = tempfile::tempdir().unwrap();
    let whole = capture();
    fs::write(home.path().join("x.pcap"), &whole[..whole.len() - 1]).unwrap();
    let ended = run(home.path(), &["decode", "x.pcap"]);
    assert_eq!((ended.code, ended.out.lines().count()), (1, 1));
    // The header has 24 octets, a record's 16, the packets 42: the second one begins at 24 + 16 + 42 + 16 = 98.
    assert_eq!(ended.err, "error: x.pcap: octet 98: the file is cut: 42 octets needed, 41 are there\n");
}

#[test]
fn what_is_no_capture_is_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("x.pcap"), "GIF89a").unwrap();
    let said = run(home.path(), &["decode", "x.pcap"]).refused(1);
    assert_eq!(said, "error: x.pcap: octet 0: begins with 47 49 46 38; expected pcap or pcapng\n");
    let said = run(home.path(), &["decode", "nowhere.pcap"]).refused(1);
    assert!(said.starts_with("error: nowhere.pcap: No such file or directory"), "{said}");
    let said = run(home.path(), &["decode", "."]).refused(1);
    assert!(said.starts_with("error: .: octet 0: Is a directory"), "{said}");
    let said = run(home.path(), &["decode", "x.pcap", "--decode-as", "udp.port==1,dns"]).refused(2);
    assert!(said.contains("expected udp.port==PORT,PROTOCOL with one of radius, vxlan, mpls, gtp"), "{said}");
}

/// Commands that write, those of the last kind a lot.
const WRITERS: [&[&str]; 9] = [
    &["slice", "list"],
    &["op", "watch", "op-7"],
    &["op", "show", "op-7", "-o", "json"],
    &["--help"],
    &["decode", "x.pcap"],
    &["decode", "long.pcap"],
    &["completion", "bash"],
    &["aaa", "session", "list"],
    &["aaa", "session", "list", "-o", "yaml"],
];

fn writing() -> Manager {
    let sessions = v1::ListSessionsResponse { sessions: vec![session(); 2_000], unreachable: vec![] };
    let completed = v1::Operation { state: v1::OperationState::Completed.into(), ..operation() };
    let watch = vec![Step::tell(operation()), Step::tell(completed)];
    let manager = Manager::start(Answers { watch, sessions, ..Answers::default() });
    fs::write(manager.home().join("x.pcap"), capture()).unwrap();
    let mut long = capture();
    let records = long.split_off(24);
    (0..2_000).for_each(|_| long.extend(&records));
    fs::write(manager.home().join("long.pcap"), long).unwrap();
    manager
}

#[test]
fn an_output_that_nobody_reads_is_no_reason_for_a_word() {
    let manager = writing();
    for arguments in WRITERS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = manager.command(arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        assert_eq!(process::end(child).err, "", "{arguments:?}");
    }
}

#[test]
fn an_output_that_is_read_to_the_first_line_is_no_reason_for_a_word() {
    let manager = writing();
    for arguments in WRITERS {
        let mut child = manager.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut head =
            Command::new("head").arg("-1").stdin(child.stdout.take().unwrap()).stdout(Stdio::null()).spawn().unwrap();
        let ended = process::end(child);
        assert_eq!(ended.err, "", "{arguments:?}");
        assert!(head.wait().unwrap().success());
    }
}

#[test]
fn an_output_that_is_full_is_failure() {
    let manager = writing();
    for arguments in WRITERS.iter().filter(|arguments| arguments != &&["--help"]) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let child = manager.command(arguments).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let ended = process::end(child);
        assert_eq!(ended.code, 1, "{arguments:?}");
        assert!(ended.err.contains("can't write the output: No space left on device"), "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn an_error_output_that_is_closed_does_not_hide_the_code() {
    let manager = writing();
    for (arguments, code) in [(&["slice", "show", "UPPER"][..], 2), (&["apply", "-f", "nowhere"], 1)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = manager.command(arguments).stdout(Stdio::null()).stderr(writer).spawn().unwrap();
        assert_eq!(process::end(child).code, code);
    }
}

#[test]
fn an_interrupt_ends_a_watch() {
    let watch = vec![Step::tell(operation()), Step::Silence];
    let manager = Manager::start(Answers { watch, ..Answers::default() });
    let mut child =
        manager.command(&["op", "watch", "op-7"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    // SIGINT is 2 (POSIX.1-2017, kill).
    assert_eq!(output.status.signal(), Some(2));
    assert!(output.stderr.is_empty());
}
