//! Managers that can't be reached, and peers that are not who they should be. All end, and all name the address.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use api::v1;
use tonic::Status;

use crate::intent::{IOT, operation};
use crate::manager::{Answers, Manager, Step, authority};
use crate::process::{self, Ended, text};
use crate::reading::session;

/// Runs a command against some address with some certificates.
fn ask(home: &Path, url: &str, tls_dir: &str, arguments: &[&str]) -> Ended {
    process::run(home, &[&["--manager", url, "--tls-dir", tls_dir], arguments].concat())
}

/// Exit code 3, the address, the folder of the certificates, and nothing on the output.
#[track_caller]
fn unreachable(ended: Ended, address: &str, cause: &str) {
    let said = ended.refused(3);
    assert!(said.starts_with(&format!("error: can't reach the manager at https://{address}")), "{said}");
    assert!(said.contains("\n  certificates: pki/operator\n"), "{said}");
    assert!(said.contains(cause), "{said}");
}

/// Somebody is there, and it is not asked whether the manager runs.
fn untrusted(ended: Ended, address: &str, cause: &str) {
    let said = ended.refused(3);
    assert!(said.starts_with(&format!("error: no TLS with the manager at https://{address}/: ")), "{said}");
    assert!(said.ends_with("\n  certificates: pki/operator\n"), "{said}");
    assert!(said.contains(cause), "{said}");
}

#[test]
fn a_manager_that_is_not_there_is_named_with_its_address() {
    let home = authority();
    // Bound and let go of: nobody listens there, and no other test binds to this address.
    let address = TcpListener::bind("127.0.0.3:0").unwrap().local_addr().unwrap();
    let commands: [&[&str]; 4] =
        [&["slice", "list"], &["delete", "slice/iot"], &["op", "watch", "op-1"], &["delete", "--wait", "slice/iot"]];
    for command in commands {
        let ended = ask(home.path(), &format!("https://{address}"), "pki/operator", command);
        unreachable(ended, &address.to_string(), "Connection refused");
    }
}

#[test]
fn a_name_that_does_not_resolve_is_named() {
    let home = authority();
    // RFC 6761, section 6.4: `invalid.` never resolves.
    let ended = ask(home.path(), "https://manager.invalid:7443", "pki/operator", &["slice", "list"]);
    unreachable(ended, "manager.invalid:7443", "");
}

#[test]
fn a_manager_that_accepts_and_never_answers_is_given_up() {
    let home = authority();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ended = ask(home.path(), &format!("https://{address}"), "pki/operator", &["slice", "list"]);
    unreachable(ended, &address.to_string(), "no answer in 5 s");
    drop(listener);
}

#[test]
fn a_manager_that_hangs_up_or_talks_of_something_else_is_named() {
    let home = authority();
    for greeting in [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.9\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = stream.unwrap().write_all(greeting);
            }
        });
        let ended = ask(home.path(), &format!("https://{address}"), "pki/operator", &["slice", "list"]);
        if greeting.is_empty() {
            unreachable(ended, &address.to_string(), "");
        } else {
            untrusted(ended, &address.to_string(), "");
        }
    }
}

/// A way to the manager on which answers are lost once it is broken, while every connection stays open.
fn breakable(manager: SocketAddr, broken: &Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let broken = broken.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(manager).unwrap();
            let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || forward(from_client, to_server, &AtomicBool::new(false)));
            let broken = broken.clone();
            thread::spawn(move || forward(server, client, &broken));
        }
    });
    address
}

fn forward(mut from: TcpStream, mut to: TcpStream, broken: &AtomicBool) {
    let mut octets = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut octets) {
        if !broken.load(Ordering::SeqCst) && to.write_all(&octets[..read]).is_err() {
            return;
        }
    }
}

#[test]
fn a_watch_over_a_way_that_breaks_ends() {
    let manager = Manager::start(Answers { watch: vec![Step::tell(operation()), Step::Silence], ..Answers::default() });
    let broken = Arc::new(AtomicBool::new(false));
    let url = format!("https://{}", breakable(manager.address, &broken));
    let mut command = manager.command(&["op", "watch", "op-7", "--manager", &url]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It has begun.
    let mut first = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    broken.store(true, Ordering::SeqCst);
    let ended = process::end(child);
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(ended.err.starts_with(&format!("error: can't reach the manager at {url}")), "{}", ended.err);
}

#[test]
fn a_manager_that_takes_a_question_and_never_answers_is_given_up() {
    let manager = Manager::start(Answers { silent: true, ..Answers::default() });
    let file = manager.file("iot.yaml", IOT);
    let commands: [&[&str]; 4] =
        [&["slice", "list"], &["apply", "-f", file], &["op", "watch", "op-1"], &["dataplane", "drops"]];
    thread::scope(|scope| {
        for command in commands {
            let manager = &manager;
            scope.spawn(move || {
                let said = manager.slicectl(command).refused(3);
                let expected = format!("error: can't reach the manager at {}/: no answer in 30 s\n", manager.url());
                assert!(said.starts_with(&expected), "{command:?}: {said}");
            });
        }
    });
}

#[test]
fn a_manager_of_another_authority_is_not_believed() {
    let manager = Manager::start(Answers::default());
    let other = authority();
    let ended = ask(other.path(), &manager.url(), "pki/operator", &["slice", "list"]);
    untrusted(ended, &manager.address.to_string(), "invalid peer certificate");
    assert!(manager.asked().is_empty());
}

#[test]
fn a_server_with_a_client_s_certificate_is_not_believed() {
    // An edge's certificate of the right authority, which is for clients only (RFC 5280, section 4.2.1.12).
    let folder = authority();
    let issue = ["certificate", "issue", "edge", "edge-a", "--dir", "pki", "--out", "pki/edge-a"];
    process::run(folder.path(), &issue).quietly();
    let pki = folder.path().join("pki");
    let manager = Manager::start_with(folder, &pki.join("ca.pem"), &pki.join("edge-a"), Answers::default());
    let ended = ask(manager.home(), &manager.url(), "pki/operator", &["slice", "list"]);
    untrusted(ended, &manager.address.to_string(), "invalid peer certificate");
    assert!(manager.asked().is_empty());
}

#[test]
fn a_manager_under_a_name_that_its_certificate_has_not_is_not_believed() {
    let manager = Manager::start(Answers::default());
    // 127.0.0.2 is this machine, too (RFC 1122, section 3.2.1.3), but no name of the certificate.
    let address = format!("127.0.0.2:{}", manager.address.port());
    let proxy = TcpListener::bind(&address).unwrap();
    let to = manager.address;
    thread::spawn(move || {
        let (client, server) = (proxy.accept().unwrap().0, TcpStream::connect(to).unwrap());
        let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || forward(from_client, to_server, &AtomicBool::new(false)));
        forward(server, client, &AtomicBool::new(false));
    });
    let ended = ask(manager.home(), &format!("https://{address}"), "pki/operator", &["slice", "list"]);
    untrusted(ended, &address, "invalid peer certificate");
    assert!(manager.asked().is_empty());
}

#[test]
fn a_client_of_another_authority_is_turned_away_by_the_manager() {
    let manager = Manager::start(Answers::default());
    let other = authority();
    // It trusts the manager's authority, and has a certificate of its own.
    std::fs::copy(manager.home().join("pki/ca.pem"), other.path().join("pki/operator/ca.pem")).unwrap();
    let ended = ask(other.path(), &manager.url(), "pki/operator", &["slice", "list"]);
    unreachable(ended, &manager.address.to_string(), "");
    assert!(manager.asked().is_empty());
}

#[test]
fn an_expired_certificate_is_turned_away_on_either_side() {
    use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
    let manager = Manager::start(Answers::default());
    let pki = manager.home().join("pki");
    let read = |name: &str| std::fs::read_to_string(pki.join(name)).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read("ca.pem"), KeyPair::from_pem(&read("ca-key.pem")).unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let key = KeyPair::generate().unwrap();
    let expired = params.signed_by(&key, &issuer).unwrap().pem();
    let folder = pki.join("expired");
    std::fs::create_dir(&folder).unwrap();
    for (name, text) in [("ca.pem", read("ca.pem")), ("certificate.pem", expired), ("key.pem", key.serialize_pem())] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let said = ask(manager.home(), &manager.url(), "pki/expired", &["slice", "list"]).refused(3);
    assert!(said.contains(&manager.address.to_string()), "{said}");
    assert!(manager.asked().is_empty());

    let home = authority();
    let (ca, own) = (pki.join("ca.pem"), folder);
    std::fs::copy(&ca, home.path().join("pki/operator/ca.pem")).unwrap();
    let past = Manager::start_with(home, &ca, &own, Answers::default());
    let ended = ask(past.home(), &past.url(), "pki/operator", &["slice", "list"]);
    untrusted(ended, &past.address.to_string(), "expired");
}

#[test]
fn without_certificates_nothing_is_sent() {
    let manager = Manager::start(Answers::default());
    let ended = ask(manager.home(), &manager.url(), "nowhere", &["slice", "list"]);
    let said = ended.refused(1);
    assert!(said.starts_with("error: nowhere/ca.pem: No such file or directory"), "{said}");
    assert!(said.contains("`slicectl init` makes certificates; --tls-dir says where they are"), "{said}");
    // The default is in the home, which has none.
    let said = process::run(manager.home(), &["--manager", &manager.url(), "slice", "list"]).refused(1);
    assert!(said.contains(".config/microslice/operator/ca.pem: No such file"), "{said}");
    assert!(manager.asked().is_empty());
}

#[test]
fn certificates_that_are_none_are_named() {
    for name in ["ca.pem", "certificate.pem", "key.pem"] {
        for text in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let manager = Manager::start(Answers::default());
            std::fs::write(manager.home().join("pki/operator").join(name), text).unwrap();
            let ended = ask(manager.home(), &manager.url(), "pki/operator", &["slice", "list"]);
            assert!(matches!(ended.code, 1 | 3), "{name} {text:?}: {}", ended.code);
            assert!(ended.err.contains("pki/operator"), "{name} {text:?}: {}", ended.err);
            assert!(manager.asked().is_empty());
        }
    }
}

#[test]
fn only_https_is_spoken() {
    // A listener without TLS that a typing error could lead to.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let home = authority();
    for url in [format!("http://{address}"), address.to_string(), format!("ftp://{address}"), "/x".to_owned()] {
        let said = ask(home.path(), &url, "pki/operator", &["slice", "list"]).refused(2);
        assert!(said.contains(&format!("`{url}`")) && said.contains("https://"), "{url}: {said}");
    }
    assert!(listener.accept().is_err(), "something was sent without TLS");
}

#[test]
fn a_manager_that_is_stopping_is_unreachable() {
    let refusal = Some(Status::unavailable("the manager is stopping"));
    let manager = Manager::start(Answers { refusal, ..Answers::default() });
    for command in [&["slice", "list"][..], &["delete", "slice/iot"], &["op", "watch", "op-7"]] {
        let said = manager.slicectl(command).refused(3);
        assert!(said.contains(&manager.url()) && said.contains("the manager is stopping"), "{said}");
    }
}

#[test]
fn an_answer_of_many_mebioctets_is_shown() {
    // 60,000 sessions: far above the 4 MiB that gRPC libraries take if they are told nothing.
    let many = vec![session(); 60_000];
    let sessions = v1::ListSessionsResponse { sessions: many, unreachable: vec![] };
    let manager = Manager::start(Answers { sessions, ..Answers::default() });
    let out = manager.slicectl(&["aaa", "session", "list"]).quietly();
    assert_eq!(out.lines().count(), 60_001);
}

#[test]
fn control_characters_in_answers_do_not_reach_the_terminal() {
    // An identity is what a device said (RFC 2865, section 5.1), and a reason is what an edge said.
    let evil = text("\u{1b}]0;owned\u{7}\r\nfake row\u{9b}2J");
    let shown = r"\u{1b}]0;owned\u{7}\r\nfake row\u{9b}2J";
    let sessions = v1::ListSessionsResponse {
        sessions: vec![v1::Session { identity: evil.clone(), ..session() }],
        unreachable: vec![],
    };
    let slice = v1::SliceStatus { name: text("iot"), reason: evil, ..v1::SliceStatus::default() };
    let manager = Manager::start(Answers { slice, sessions, ..Answers::default() });
    for command in [&["aaa", "session", "list"][..], &["slice", "show", "iot"]] {
        let out = manager.slicectl(command).quietly();
        assert!(out.contains(shown), "{out}");
        assert!(!out.contains(|c: char| c.is_control() && c != '\n'), "{out:?}");
    }
}
