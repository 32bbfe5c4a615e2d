//! The process: its arguments, its signals, its log.

use std::io::Read;
use std::process::{Command, Stdio};

use tonic::Code;

use crate::world::{World, reference, soon};

fn slice_manager() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slice-manager"));
    command.env("RUST_LOG", "slice_manager=info").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn wrong_arguments_and_missing_files_have_their_exit_codes_and_are_named() {
    let help = slice_manager().arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8(help.stdout).unwrap().contains("--tls-dir <DIR>"));
    let usage = slice_manager().args(["--tls-dir", "x", "--listen", "nowhere"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    let folder = tempfile::tempdir().unwrap();
    let tls = folder.path().join("none");
    let missing = slice_manager().arg("--tls-dir").arg(&tls).arg("--store").arg(folder.path()).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    let said = String::from_utf8(missing.stderr).unwrap();
    let certificate = tls.join("ca.pem");
    let start = format!("slice-manager: the manager can't start: {} can't be read", certificate.display());
    assert!(said.starts_with(&start), "{said}");
}

#[tokio::test]
async fn it_stops_when_told_and_its_audit_log_says_who_did_what_from_where() {
    let mut world = World::prepare();
    let mut process = slice_manager()
        .args(["--listen", "127.0.0.1:0", "--log", "json"])
        .arg("--tls-dir")
        .arg(world.tls_dir())
        .arg("--store")
        .arg(world.store_dir())
        .spawn()
        .unwrap();
    let mut log = process.stderr.take().unwrap();
    let (address, listening) = tokio::sync::oneshot::channel();
    let reader = std::thread::spawn(move || {
        let (mut text, mut buffer, mut address) = (String::new(), [0; 4096], Some(address));
        while let Ok(count @ 1..) = log.read(&mut buffer) {
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
            let found = text.split("\"address\":\"").nth(1).and_then(|rest| rest.split_once('"'));
            if let (Some((found, _)), true) = (found, address.is_some()) {
                address.take().unwrap().send(found.to_owned()).unwrap();
            }
        }
        text
    });
    world.at(soon(listening).await.unwrap().parse().unwrap());
    world.apply(reference(&["topology", "iot"])).await.unwrap();
    world.apply(reference(&["topology", "iot"])).await.unwrap();
    assert_eq!(world.delete(&["slice/iot"]).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(world.delete(&["no resource"]).await.unwrap_err().code(), Code::InvalidArgument);
    let mut viewer = api::v1::intent_service_client::IntentServiceClient::new(world.channel("viewer", "vera"));
    let denied = viewer.delete(api::v1::DeleteRequest::default()).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);

    let told = Command::new("sh").args(["-c", &format!("kill -TERM {}", process.id())]).status().unwrap();
    assert!(told.success());
    let code = tokio::task::spawn_blocking(move || process.wait().unwrap());
    assert_eq!(soon(code).await.unwrap().code(), Some(0));
    let text = reader.join().unwrap();
    let events: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let audit: Vec<_> =
        events.iter().filter(|event| event["target"] == "audit").map(|event| &event["fields"]).collect();
    let results: Vec<_> = audit.iter().map(|fields| (fields["action"].as_str(), fields["result"].as_str())).collect();
    let (apply, delete) = (Some("apply"), Some("delete"));
    let expected = [
        (apply, Some("accepted")),
        (apply, Some("unchanged")),
        (delete, Some("refused")),
        (delete, Some("ill-formed")),
        (None, None),
    ];
    assert_eq!(results, expected);
    for fields in &audit[..4] {
        assert_eq!(fields["principal"], "urn:microslice:operator:olga");
        assert!(fields["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    }
    assert!(audit[0]["resources"].as_str().unwrap().contains("slice/iot microsegment/iot/smart-metering"));
    assert_eq!(audit[0]["detail"], "op-1");
    assert_eq!(audit[2]["resources"], "slice/iot");
    assert_eq!(audit[4]["path"], "/microslice.v1.IntentService/Delete");
    assert!(audit[4]["denied"].as_str().unwrap().starts_with("role viewer of `vera` may not call"));
}
