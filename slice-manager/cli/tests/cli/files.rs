//! Files that are wrong, and refusals of the manager that are shown where they belong. Nothing is sent of a file that is
//! wrong.

use api::v1;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::intent::IOT;
use crate::manager::{Answers, Manager};
use crate::process;

/// What is said of such a file by each command that reads files; the manager must not have been asked.
#[track_caller]
fn refused(text: &[u8]) -> String {
    let manager = Manager::start(Answers::default());
    std::fs::write(manager.home().join("x.yaml"), text).unwrap();
    let said = manager.slicectl(&["apply", "-f", "x.yaml"]).refused(1);
    for command in ["plan", "diff", "delete"] {
        assert_eq!(manager.slicectl(&[command, "-f", "x.yaml"]).refused(1), said, "{command}");
    }
    assert!(manager.asked().is_empty());
    said
}

#[test]
fn what_is_not_yaml_is_refused_with_its_place() {
    let said = refused(b"apiVersion: microslice/v1\nkind: [Slice\n");
    assert!(said.starts_with("x.yaml:") && said.contains("not YAML"), "{said}");
}

#[test]
fn an_unknown_field_is_named_with_file_line_column_and_what_was_expected() {
    let text = IOT.replace("  template: miot\n", "  template: miot\n  templat: miot\n");
    let said = refused(text.as_bytes());
    assert!(said.starts_with("x.yaml:6:12: spec.templat: unknown field `templat`, expected one of "), "{said}");
    assert!(said.contains("`template`") && said.contains("`snssai`"), "{said}");
}

#[test]
fn a_value_out_of_range_is_named_with_its_range() {
    let said = refused(IOT.replace("vlan: 110", "vlan: 4095").as_bytes());
    assert_eq!(said, "x.yaml:12:56: spec.sdps[0].vlan: 4095 is not a VLAN identifier; expected 1 to 4094\n");
}

#[test]
fn a_missing_field_is_named() {
    let said = refused(IOT.replace("  template: miot\n", "").as_bytes());
    assert!(said.starts_with("x.yaml:4:1: spec: missing field `template`"), "{said}");
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let said = refused(IOT.replace("kind: Slice\n", "kind: Slice\nkind: Slice\n").as_bytes());
    assert_eq!(said, "x.yaml:3:1: kind: the key `kind` stands twice; expected each key once\n");
}

#[test]
fn an_unknown_kind_or_version_is_refused_with_those_that_are_known() {
    let said = refused(IOT.replace("kind: Slice", "kind: Slize").as_bytes());
    assert_eq!(
        said,
        "x.yaml:2:7: kind: `Slize` is not a kind that is read here; expected one of Topology, Slice, MicroSegment, Realm\n"
    );
    let said = refused(IOT.replace("microslice/v1", "microslice/v2").as_bytes());
    assert!(said.contains("expected `microslice/v1`"), "{said}");
}

#[test]
fn an_empty_file_holds_nothing() {
    for nothing in ["", "\n\n", "# a comment\n", "---\n---\n"] {
        assert_eq!(refused(nothing.as_bytes()), "error: the files hold no resource\n", "{nothing:?}");
    }
}

#[test]
fn a_resource_that_stands_twice_is_refused() {
    let said = refused(format!("{IOT}---\n{IOT}").as_bytes());
    assert!(said.starts_with("x.yaml:21:19: metadata.name: slice/iot stands twice in this file"), "{said}");
    let manager = Manager::start(Answers::default());
    let (one, two) = (manager.file("one.yaml", IOT), manager.file("two.yaml", IOT));
    let said = manager.slicectl(&["apply", "-f", one, "-f", two]).refused(1);
    assert_eq!(said, "two.yaml:3:19: metadata.name: slice/iot stands in another file, too; expected it once\n");
    assert!(manager.asked().is_empty());
}

#[test]
fn garbage_is_refused_by_the_name_of_its_file() {
    // Not UTF-8 (RFC 3629): ff stands in no text.
    let said = refused(b"\x00\xff\xfe\x01");
    assert_eq!(said, "x.yaml:1:2: not UTF-8; expected a text\n");
    let said = refused(b"kind: Slice\nname: \xc3\xa4\xc3");
    assert_eq!(said, "x.yaml:2:8: not UTF-8; expected a text\n");
    // UTF-8 that is no YAML (YAML 1.2.2, section 5.1: control characters are no printable ones).
    let said = refused(b"\x00\x01\x02\x03");
    assert!(said.starts_with("x.yaml:1:1: "), "{said}");
}

#[test]
fn a_file_that_is_not_there_and_a_folder_are_refused_by_name() {
    let manager = Manager::start(Answers::default());
    let said = manager.slicectl(&["apply", "-f", "nowhere.yaml"]).refused(1);
    assert!(said.starts_with("error: nowhere.yaml: No such file or directory"), "{said}");
    let said = manager.slicectl(&["apply", "-f", "pki"]).refused(1);
    assert!(said.starts_with("error: pki: Is a directory"), "{said}");
    assert!(manager.asked().is_empty());
}

#[test]
fn a_file_longer_than_16_mib_is_refused() {
    let mut long = IOT.as_bytes().to_vec();
    long.resize((16 << 20) + 1, b'\n');
    let manager = Manager::start(Answers::default());
    std::fs::write(manager.home().join("long.yaml"), &long).unwrap();
    let said = manager.slicectl(&["apply", "-f", "long.yaml"]).refused(1);
    assert_eq!(said, "long.yaml:1:1: longer than 16777216 octets\n");
    let ended = process::run_with_input(manager.command(&["apply", "-f", "-"]), &long);
    assert_eq!(ended.refused(1), "standard input:1:1: longer than 16777216 octets\n");
    assert!(manager.asked().is_empty());
}

#[test]
fn a_file_without_end_is_not_read_without_end() {
    let manager = Manager::start(Answers::default());
    let said = manager.slicectl(&["apply", "-f", "/dev/zero"]).refused(1);
    assert_eq!(said, "/dev/zero:1:1: longer than 16777216 octets\n");
}

#[test]
fn a_file_without_the_flag_is_a_wrong_command_line() {
    let manager = Manager::start(Answers::default());
    for arguments in [&["apply"][..], &["apply", "x.yaml"], &["plan"], &["diff"], &["apply", "-f"]] {
        let said = manager.slicectl(arguments).refused(2);
        assert!(said.contains("--file <FILE>"), "{arguments:?}: {said}");
    }
}

fn violations(code: Code, violations: &[(&str, &str)]) -> Status {
    let violations: Vec<_> = violations.iter().map(|(field, what)| FieldViolation::new(*field, *what)).collect();
    Status::with_error_details(code, "a summary", ErrorDetails::with_bad_request(violations))
}

#[test]
fn a_refusal_of_the_manager_is_shown_where_it_stands_in_the_file() {
    let refusal = violations(
        Code::FailedPrecondition,
        &[
            ("slice/iot:spec.rate.guaranteed", "200 Mbit/s is more than is left; largest that fits: 140 Mbit/s"),
            ("microsegment/iot/smart-metering:spec.at[1]", "edge-c is no edge"),
            // A field that has no line of its own is shown at the nearest one above it.
            ("slice/iot:spec.transport.tunnel", "not here"),
            // What is in no file is named as the manager names it.
            ("slice/other:spec.template", "gone"),
            ("resources", "too many"),
            ("", "7 more are not told; correct these first"),
        ],
    );
    let manager = Manager::start(Answers { refusal: Some(refusal), ..Answers::default() });
    for command in ["apply", "plan", "diff", "delete"] {
        let said = manager.slicectl(&[command, "-f", manager.file("iot.yaml", IOT)]).refused(1);
        assert_eq!(
            said,
            "\
iot.yaml:9:23: spec.rate.guaranteed: 200 Mbit/s is more than is left; largest that fits: 140 Mbit/s
iot.yaml:17:47: spec.at[1]: edge-c is no edge
iot.yaml:8:14: spec.transport.tunnel: not here
slice/other:spec.template: gone
resources: too many
7 more are not told; correct these first
error: refused; nothing was changed
",
            "{command}"
        );
    }
}

#[test]
fn a_refusal_without_fields_is_shown_in_the_manager_s_words() {
    let statuses = [
        Status::not_found("no slice `iot`"),
        Status::permission_denied("viewer/v may not do this"),
        Status::internal("the store failed; look at the manager's log"),
        Status::unauthenticated("no certificate"),
    ];
    for status in statuses {
        let expected = format!("error: {}\n", status.message());
        let manager = Manager::start(Answers { refusal: Some(status), ..Answers::default() });
        let commands: [&[&str]; 6] = [
            &["slice", "show", "iot"],
            &["delete", "slice/iot"],
            &["op", "watch", "op-1"],
            &["op", "show", "op-1"],
            &["dataplane", "drops"],
            &["apply", "--wait", "-f", manager.file("iot.yaml", IOT)],
        ];
        for command in commands {
            assert_eq!(manager.slicectl(command).refused(1), expected, "{command:?}");
        }
    }
}

#[test]
fn a_deletion_by_name_that_is_refused_names_the_resource() {
    let refusal = violations(Code::NotFound, &[("slice/iot:metadata.name", "slice/iot is not declared")]);
    let manager = Manager::start(Answers { refusal: Some(refusal), ..Answers::default() });
    let said = manager.slicectl(&["delete", "slice/iot"]).refused(1);
    assert_eq!(said, "slice/iot:metadata.name: slice/iot is not declared\nerror: refused; nothing was changed\n");
    assert_eq!(manager.request::<v1::DeleteRequest>("Delete").resources[0].id, "slice/iot");
}
