//! What is known without a kernel: what is refused beforehand, and how answers are taken apart.

use super::socket::{split, verdict};
use super::*;
use crate::object::{Bridge, Encap, LocalSid, Route};
use crate::value::{LinkName, Metric, Table};

const NO_VRF: Features = Features { vrf: false };

fn sid(action: Action) -> Object {
    let (table, metric) = (Table::MAIN, Metric::DEFAULT);
    let link = LinkName::new("eth0").unwrap();
    Object::LocalSid(LocalSid { sid: "fc00::1/128".parse().unwrap(), table, metric, link, action })
}

fn steered(prefix: &str, mode: EncapMode, segments: usize) -> Object {
    let (table, metric) = (Table::MAIN, Metric::DEFAULT);
    let segments = vec!["fc00::9".parse().unwrap(); segments];
    let (prefix, link) = (prefix.parse().unwrap(), LinkName::new("eth0").unwrap());
    Object::Route(Route { prefix, table, metric, link, via: None, encap: Some(Encap { mode, segments }) })
}

#[test]
fn what_no_kernel_does_is_refused_before_it_is_tried() {
    let plain = Flavours::default();
    let via = "fd00::1".parse().unwrap();
    let refused = [
        (sid(Action::End(Flavours { usp: true, ..plain })), "flavours"),
        (sid(Action::End(Flavours { usd: true, ..plain })), "flavours"),
        (sid(Action::EndX(via, Flavours { psp: true, ..plain })), "PSP for End only"),
        (sid(Action::EndDt4(Table::MAIN)), "VRF"),
        (sid(Action::EndDt46(Table::MAIN)), "VRF"),
        (steered("10.0.0.0/8", EncapMode::Inline, 1), "only into an IPv6 packet"),
        (steered("10.0.0.0/8", EncapMode::Encaps, 0), "1 to 126 segments"),
        (steered("10.0.0.0/8", EncapMode::Encaps, 127), "1 to 126 segments"),
        (Object::Bridge(Bridge { name: LinkName::new("br0").unwrap(), up: true }), "starts with `ms-`"),
    ];
    for (object, why) in refused {
        assert!(why_not(&object, NO_VRF).is_some_and(|said| said.contains(why)), "{object}");
    }
    let fine = [
        sid(Action::End(Flavours { psp: true, ..plain })),
        sid(Action::EndX(via, plain)),
        sid(Action::EndDt6(Table::MAIN)),
        steered("fd00::/8", EncapMode::Inline, 126),
        steered("10.0.0.0/8", EncapMode::EncapsL2Red, 1),
    ];
    for object in fine {
        assert_eq!(why_not(&object, NO_VRF), None, "{object}");
    }
    assert_eq!(why_not(&sid(Action::EndDt46(Table::MAIN)), Features { vrf: true }), None);
}

/// What Linux 6.18 answered to `ip link add ms-x type nosuch`; with the request's header only, and with all of it.
const CAPPED: &str = "3c0000000200000307000000a50b0000a1ffffff3c0000001000050607000000\
                      0000000018000100556e6b6e6f776e20646576696365207479706500";
const WHOLE: &str = "680000000200000207000000a50b0000a1ffffff3c0000001000050607000000\
                     0000000000000000000000000000000000000000090003006d732d7800000000\
                     100012000a0001006e6f73756368000018000100556e6b6e6f776e2064657669\
                     6365207479706500";

fn octets(hex: &str) -> Vec<u8> {
    let digit = |b: u8| u8::try_from(char::from(b).to_digit(16).unwrap()).unwrap();
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn the_words_of_the_kernel_are_found_behind_the_request() {
    for answer in [CAPPED, WHOLE].map(octets) {
        let (message, rest) = split(&answer).unwrap();
        assert!(rest.is_empty());
        let refusal = verdict(&message).unwrap_err();
        assert_eq!((refusal.code(), refusal.said.as_str()), (95, "Unknown device type"));
    }
}

#[test]
fn an_answer_that_is_cut_short_is_none_and_its_length_is_not_believed() {
    for answer in [CAPPED, WHOLE].map(octets) {
        for length in 0..answer.len() {
            assert!(split(&answer[..length]).is_none(), "{length} octets");
            // As if the header told the truth about less.
            let mut short = answer[..length].to_vec();
            if let Some(field) = short.first_chunk_mut::<4>() {
                *field = u32::try_from(length).unwrap().to_ne_bytes();
            }
            let _ = split(&short).map(|(message, _)| verdict(&message));
        }
        for length in [0, 15, u32::MAX] {
            let mut lying = answer.clone();
            *lying.first_chunk_mut().unwrap() = length.to_ne_bytes();
            assert!(split(&lying).is_none());
        }
        for at in 0..answer.len() {
            let mut wrong = answer.clone();
            wrong[at] ^= 0xff;
            let _ = split(&wrong).map(|(message, _)| verdict(&message));
        }
    }
}
