//! Refusals name the field; what is accepted survives the way there and back.

use model::program::{Program, ProgramContent};
use model::resource::{Resource, Slice};
use model::{Generation, Latency};

use crate::v1;

fn slice() -> v1::Slice {
    v1::Slice {
        name: "iot".into(),
        template: "miot".into(),
        snssai: Some(v1::Snssai { sst: 3, sd: Some("0A1B2C".into()) }),
        service: v1::Service::L2Multipoint.into(),
        transport: v1::Transport::Vxlan.into(),
        rate: Some(v1::RateLimits { guaranteed_bits_per_second: 1, ceiling_bits_per_second: 2 }),
        latency_max_nanoseconds: Some(10),
        sdps: vec![
            v1::Sdp {
                name: "city".into(),
                edge: "edge-a".into(),
                port: "access0".into(),
                vlan: Some(110),
                ..v1::Sdp::default()
            },
            v1::Sdp {
                name: "dc".into(),
                edge: "edge-c".into(),
                port: "access0".into(),
                leaf: true,
                ..v1::Sdp::default()
            },
        ],
        paths: Some(v1::PathPolicy {
            exclude_nodes: vec!["core-2".into()],
            backup: v1::BackupMode::Node.into(),
            ..v1::PathPolicy::default()
        }),
    }
}

fn refusal(change: impl FnOnce(&mut v1::Slice)) -> String {
    let mut message = slice();
    change(&mut message);
    let resource = v1::Resource { kind: Some(v1::resource::Kind::Slice(message)) };
    Resource::try_from(resource).unwrap_err().to_string()
}

#[test]
fn a_slice_survives_the_way_there_and_back() {
    let model = Slice::try_from(slice()).unwrap();
    assert_eq!(model.spec.latency.unwrap().max, Latency::from_nanos(10));
    assert_eq!(v1::Slice::from(&model), slice());
}

#[test]
fn a_refusal_names_the_field_and_what_was_expected() {
    assert_eq!(
        refusal(|s| s.sdps[1].vlan = Some(4095)),
        "slice.sdps[1].vlan: 4095 is not a VLAN identifier; expected 1 to 4094"
    );
    assert_eq!(
        refusal(|s| s.sdps[1].name = "city".into()),
        "slice.sdps: two SDPs are named `city`; expected each name once"
    );
    assert_eq!(
        refusal(|s| s.snssai.as_mut().unwrap().sst = 256),
        "slice.snssai.sst: 256 is not an SST; expected 0 to 255"
    );
    assert_eq!(
        refusal(|s| s.snssai.as_mut().unwrap().sd = Some("FFFFFF".into())),
        "slice.snssai.sd: `FFFFFF` is not an SD: six hexadecimal digits, `000000` to `FFFFFE`"
    );
    assert_eq!(
        refusal(|s| s.rate.as_mut().unwrap().guaranteed_bits_per_second = 3),
        "slice.rate.guaranteedBitsPerSecond: guaranteed: 3 bit/s is more than the ceiling of 2 bit/s; expected at most 2 bit/s"
    );
    assert_eq!(refusal(|s| s.transport = 0), "slice.transport: 0 is not a value of Transport");
    assert_eq!(refusal(|s| s.transport = 99), "slice.transport: 99 is not a value of Transport");
    assert_eq!(refusal(|s| s.snssai = None), "slice.snssai: missing; expected an S-NSSAI");
    assert!(Resource::try_from(v1::Resource { kind: None }).is_err());
}

#[test]
fn a_program_that_was_changed_on_its_way_is_refused() {
    let content = ProgramContent::empty("edge-a".parse().unwrap());
    let program = Program { generation: Generation::new(7), content };
    let message = v1::Program::from(&program);
    assert_eq!(Program::try_from(message.clone()).unwrap(), program);
    let mut mangled = message.clone();
    mangled.loopback.push("192.0.2.1".into());
    assert_eq!(Program::try_from(mangled).unwrap_err().to_string(), "digest: the digest is not that of the content");
    let mut short = message;
    short.digest.pop();
    assert_eq!(
        Program::try_from(short).unwrap_err().to_string(),
        "digest: 31 octets; expected the 32 of a SHA-256 digest"
    );
}

#[test]
fn the_json_form_is_that_of_proto3() {
    let json = crate::to_json(&slice()).unwrap();
    assert_eq!(json["sdps"][0]["vlan"], 110);
    assert_eq!(json["rate"]["ceilingBitsPerSecond"], "2", "64-bit numbers are texts in proto3 JSON");
    assert_eq!(json["transport"], "TRANSPORT_VXLAN");
    assert!(json["sdps"][1].get("vlan").is_none(), "an absent optional field is left out");
}
