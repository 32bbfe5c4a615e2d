use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SEGMENTS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    /// Into a segment, with an IPv4 address or without; from wherever it was.
    Join(u8, usize, Option<u8>),
    Remove(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u8..24, 0..SEGMENTS, prop::option::of(1_u8..10)).prop_map(|(mac, segment, address)| Step::Join(mac, segment, address)),
        1 => (0_u8..24).prop_map(Step::Remove),
    ]
}

fn key_of(number: u8) -> u64 {
    session_key(SliceSlot(7), Mac([2, 0, 0, 0, 0, number]))
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, number)
}

/// The sessions of a segment as its list has them, walked forwards; checked backwards, too.
fn listed(sessions: &Sessions, members: &Members) -> Vec<u8> {
    let mut slots = Vec::new();
    let mut at = sessions.member(members, None);
    while let Some(slot) = at {
        slots.push(slot);
        at = sessions.member(members, Some(slot));
    }
    assert_eq!(slots.len(), members.count as usize);
    let open = slots.iter().filter(|slot| sessions.at(**slot).is_open()).count();
    assert!(slots[..open].iter().all(|slot| sessions.at(*slot).is_open()), "those without address come first");
    let mut back = members.last;
    for slot in slots.iter().rev() {
        assert_eq!(back, slot.0);
        back = sessions.at(*slot).previous;
    }
    assert_eq!(back, END);
    let mut macs: Vec<u8> = slots.iter().map(|slot| sessions.at(*slot).mac().0[5]).collect();
    macs.sort_unstable();
    macs
}

proptest! {
    /// Against plain maps, with room for 16 and 24 who ask.
    #[test]
    fn sessions_lists_and_addresses_agree(steps in proptest::collection::vec(step(), 0..200)) {
        let mut sessions = Sessions::new(16);
        let mut members = [Members::default(); SEGMENTS];
        let mut map: BTreeMap<u8, (usize, Option<u8>)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Join(mac, segment, bound) => {
                    let uid = SegmentUid(u32::try_from(segment).unwrap() + 1);
                    let binding =
                        Binding { segment: uid, mac: Mac([2, 0, 0, 0, 0, mac]), ipv4: bound.map(address), ipv6: None };
                    let slot = sessions.find(key_of(mac));
                    prop_assert_eq!(slot.is_some(), map.contains_key(&mac));
                    let taken = map.iter().any(|(of, held)| *of != mac && bound.is_some() && *held == (segment, bound));
                    prop_assert_eq!(sessions.conflict(&binding, slot).is_some(), taken);
                    if taken {
                        continue;
                    }
                    let slot = if let Some(slot) = slot {
                        sessions.leave(slot, Some(&mut members[map[&mac].0]));
                        slot
                    } else {
                        let added = sessions.add(key_of(mac));
                        prop_assert_eq!(added.is_some(), map.len() < 16);
                        let Some(slot) = added else { continue };
                        slot
                    };
                    sessions.join(slot, &binding, SessionCounters::default(), &mut members[segment]);
                    map.insert(mac, (segment, bound));
                }
                Step::Remove(mac) => {
                    let slot = sessions.find(key_of(mac));
                    let gone = map.remove(&mac);
                    prop_assert_eq!(slot.is_some(), gone.is_some());
                    if let (Some(slot), Some((segment, _))) = (slot, gone) {
                        sessions.leave(slot, Some(&mut members[segment]));
                        sessions.remove(slot);
                    }
                }
            }
            prop_assert_eq!(sessions.len(), map.len());
            for (segment, members) in members.iter().enumerate() {
                let expected: Vec<u8> = map.iter().filter(|(_, held)| held.0 == segment).map(|(mac, _)| *mac).collect();
                prop_assert_eq!(listed(&sessions, members), expected);
                let uid = SegmentUid(u32::try_from(segment).unwrap() + 1);
                for number in 1..10 {
                    let owner = sessions.owner(uid, address(number).into()).map(|slot| sessions.at(slot).mac().0[5]);
                    let expected = map.iter().find(|(_, held)| **held == (segment, Some(number))).map(|(mac, _)| *mac);
                    prop_assert_eq!(owner, expected);
                }
            }
        }
    }
}

#[test]
fn a_table_without_room_takes_nobody() {
    assert_eq!(Sessions::new(0).add(key_of(1)), None);
}
