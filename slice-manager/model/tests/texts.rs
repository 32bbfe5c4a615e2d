//! What is printed is read back as the same value, and texts that are nothing are refused without panic.

use std::net::IpAddr;

use model::operation::OperationId;
use model::{Dscp, Label, Pcp, TrafficClass, Vlan, Vni};
use model::{InterfaceAddress, Latency, Locator, Mac, Prefix, Rate, RateLimits, Sd, Share, Sid, Snssai, Sst};
use proptest::prelude::*;

proptest! {
    #[test]
    fn rates_latencies_and_shares_survive_their_text(bits in any::<u64>(), nanos in any::<u64>(), points in 1_u32..=10_000) {
        let rate = Rate::from_bits_per_second(bits);
        prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        let latency = Latency::from_nanos(nanos);
        prop_assert_eq!(latency.to_string().parse::<Latency>(), Ok(latency));
        let share = Share::from_basis_points(points).unwrap();
        prop_assert_eq!(share.to_string().parse::<Share>(), Ok(share));
    }

    #[test]
    fn addresses_survive_their_text(octets in any::<[u8; 6]>(), address in any::<IpAddr>(), length in 0_u8..=128) {
        let mac = Mac(octets);
        prop_assert_eq!(mac.to_string().parse::<Mac>(), Ok(mac));
        if let Some(prefix) = Prefix::new(address, length) {
            prop_assert_eq!(prefix.to_string().parse::<Prefix>(), Ok(prefix));
            prop_assert!(prefix.contains(address));
        }
        if let Some(interface) = InterfaceAddress::new(address, length) {
            prop_assert_eq!(interface.to_string().parse::<InterfaceAddress>(), Ok(interface));
            prop_assert!(interface.is_on_link(address));
        }
    }

    #[test]
    fn ids_survive_their_text(number in any::<u64>(), sd in 0_u32..0x00FF_FFFF, sst in 0_u64..=255) {
        let id = OperationId(number);
        prop_assert_eq!(id.to_string().parse::<OperationId>().unwrap(), id);
        let sd = Sd::new(sd).unwrap();
        prop_assert_eq!(sd.to_string().parse::<Sd>(), Ok(sd));
        let snssai = Snssai { sst: Sst::new(sst).unwrap(), sd: Some(sd) };
        let json = serde_json::to_string(&snssai).unwrap();
        prop_assert_eq!(serde_json::from_str::<Snssai>(&json).unwrap(), snssai);
    }

    #[test]
    fn any_text_is_a_value_or_an_error(text in "\\PC*") {
        let _ = (text.parse::<Rate>(), text.parse::<Latency>(), text.parse::<Share>(), text.parse::<Mac>());
        let _ = (text.parse::<Prefix>(), text.parse::<InterfaceAddress>(), text.parse::<Sid>(), text.parse::<Locator>());
        let _ = (text.parse::<Sd>(), text.parse::<OperationId>());
        let _ = model::resource::read("any.yaml", &text);
    }

    #[test]
    fn a_number_that_exists_is_in_range(value in any::<u64>()) {
        // RFC 7348 section 5, RFC 3032 section 2.1, IEEE 802.1Q clause 9.6, RFC 2474 section 3, RFC 5462.
        prop_assert_eq!(Vni::new(value).is_ok(), (1..1 << 24).contains(&value));
        prop_assert_eq!(Label::new(value).is_ok(), (16..1 << 20).contains(&value));
        prop_assert_eq!(Vlan::new(value).is_ok(), (1..4095).contains(&value));
        prop_assert_eq!(Dscp::new(value).is_ok(), value < 64);
        prop_assert_eq!(Pcp::new(value).is_ok(), value < 8);
        prop_assert_eq!(TrafficClass::new(value).is_ok(), value < 8);
    }

    #[test]
    fn a_share_of_a_rate_is_never_more_than_the_rate(bits in any::<u64>(), points in 1_u32..=10_000) {
        let (rate, share) = (Rate::from_bits_per_second(bits), Share::from_basis_points(points).unwrap());
        prop_assert!(rate.share(share) <= rate);
        // By long division in 128 bits: at most one bit/s is lost.
        let exact = u128::from(bits) * u128::from(points);
        let found = u128::from(rate.share(share).bits_per_second()) * 10_000;
        prop_assert!(found <= exact && exact < found + 10_000);
    }
}

#[test]
fn limits_are_read_as_they_are_written() {
    let limits: RateLimits = serde_json::from_str(r#"{"guaranteed":"1 Mbit/s","ceiling":"2 Mbit/s"}"#).unwrap();
    assert_eq!(serde_json::to_string(&limits).unwrap(), r#"{"guaranteed":"1 Mbit/s","ceiling":"2 Mbit/s"}"#);
    let error = serde_json::from_str::<RateLimits>(r#"{"guaranteed":"1 Mbit/s","ceiling":"2 Mbit/s","burst":1}"#);
    assert!(error.unwrap_err().to_string().contains("unknown field `burst`"));
}
