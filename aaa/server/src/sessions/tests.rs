use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use proptest::prelude::*;

use super::*;
use crate::grant::NasId;
use crate::support::{mac, segment};

fn id(number: u64) -> SessionId {
    SessionId { start: 1, number }
}

fn client() -> ClientName {
    "city-switch".parse().unwrap()
}

fn entry(number: u64, last: u8, identity: &str, address: Option<[u8; 4]>, deadline: u64) -> Entry {
    let grant = Grant {
        segment: segment(),
        session: id(number),
        identity: identity.to_owned(),
        mac: mac(last),
        address: address.map(Ipv4Addr::from),
        address6: None,
        client: client(),
        nas: NasId::default(),
        since: SystemTime::UNIX_EPOCH,
        lifetime: Duration::from_secs(deadline),
    };
    Entry { grant, deadline: Duration::from_secs(deadline), bound: true, accounting: None }
}

#[test]
fn a_session_is_found_by_every_name_and_by_none_when_it_is_gone() {
    let mut sessions = Sessions::default();
    let one = entry(1, 1, "meter", Some([10, 0, 0, 1]), 60);
    assert_eq!(sessions.insert(one.clone()), None);
    assert_eq!(sessions.get(mac(1)), Some(&one));
    assert_eq!((sessions.by_id(id(1)), sessions.by_id(id(2))), (Some(&one), None));
    assert_eq!(sessions.holder([10, 0, 0, 1].into()), Some(mac(1)));
    assert_eq!((sessions.count_of("meter"), sessions.count_of("guest"), sessions.len()), (1, 0, 1));
    assert_eq!(sessions.next_deadline(), Some(Duration::from_mins(1)));
    assert_eq!(sessions.remove(id(1)), Some(one));
    assert_eq!(sessions.remove(id(1)), None);
    assert_eq!(
        (sessions.get(mac(1)), sessions.by_id(id(1)), sessions.holder([10, 0, 0, 1].into())),
        (None, None, None)
    );
    assert_eq!((sessions.count_of("meter"), sessions.len(), sessions.next_deadline()), (0, 0, None));
    assert!(sessions.has_ended(id(1), &client()) && !sessions.has_ended(id(1), &"other".parse().unwrap()));
}

#[test]
fn one_endpoint_has_one_session_and_the_older_one_gives_way() {
    let mut sessions = Sessions::default();
    let old = entry(1, 1, "meter", Some([10, 0, 0, 1]), 60);
    sessions.insert(old.clone());
    assert_eq!(sessions.insert(entry(2, 1, "guest", Some([10, 0, 0, 2]), 90)), Some(old));
    assert_eq!((sessions.len(), sessions.count_of("meter"), sessions.count_of("guest")), (1, 0, 1));
    assert_eq!((sessions.holder([10, 0, 0, 1].into()), sessions.holder([10, 0, 0, 2].into())), (None, Some(mac(1))));
    assert_eq!((sessions.by_id(id(1)), sessions.next_deadline()), (None, Some(Duration::from_secs(90))));
    assert!(sessions.has_ended(id(1), &client()) && !sessions.has_ended(id(2), &client()));
}

#[test]
fn an_address_stays_with_the_session_that_came_back_when_another_one_gives_it_up() {
    // 1 is being bound anew without its address, 2 is being bound with it; both are refused, so that 1 is as it was.
    let mut sessions = Sessions::default();
    let address = IpAddr::from([10, 0, 0, 1]);
    sessions.insert(entry(1, 1, "meter", Some([10, 0, 0, 1]), 60));
    let previous = sessions.insert(entry(2, 1, "meter", None, 60)).unwrap();
    sessions.insert(entry(3, 2, "guest", Some([10, 0, 0, 1]), 60));
    sessions.remove(id(2));
    sessions.insert(previous);
    sessions.remove(id(3));
    assert_eq!(sessions.holder(address), Some(mac(1)));
}

#[test]
fn sessions_are_overdue_in_the_order_of_their_deadlines() {
    let mut sessions = Sessions::default();
    for (number, deadline) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
        let last = u8::try_from(number).unwrap();
        sessions.insert(entry(number, last, "head-end", None, deadline));
    }
    let mut order = Vec::new();
    for now in 0..=30 {
        while let Some(overdue) = sessions.overdue(Duration::from_secs(now)) {
            order.push((now, overdue.number));
            sessions.remove(overdue);
        }
    }
    assert_eq!(order, [(10, 2), (10, 4), (20, 3), (30, 1)]);
}

#[test]
fn what_the_dataplane_has_not_confirmed_is_counted_and_not_listed() {
    let mut sessions = Sessions::default();
    for (number, last) in [(1, 9), (2, 3), (3, 5)] {
        sessions.insert(entry(number, last, "head-end", None, 60));
    }
    sessions.by_id_mut(id(3)).unwrap().bound = false;
    let listed: Vec<Mac> = sessions.list().into_iter().map(|session| session.grant.mac).collect();
    assert_eq!((listed, sessions.len()), (vec![mac(3), mac(9)], 3));
}

#[test]
fn so_many_ended_sessions_are_remembered_and_the_oldest_goes_first() {
    let mut sessions = Sessions::default();
    let most = ENDED_SESSIONS_MAX as u64;
    for number in 0..most {
        sessions.note_ended(id(number), client());
        // Once more changes nothing.
        sessions.note_ended(id(number), client());
    }
    assert!(sessions.has_ended(id(0), &client()));
    sessions.note_ended(id(most), client());
    assert!(!sessions.has_ended(id(0), &client()) && sessions.has_ended(id(1), &client()));
    assert_eq!((sessions.ended.len(), sessions.ended_order.len()), (ENDED_SESSIONS_MAX, ENDED_SESSIONS_MAX));
}

proptest! {
    /// Whatever comes and goes, every index says what a plain list of the sessions says.
    #[test]
    fn every_index_agrees_with_the_sessions(
        steps in proptest::collection::vec((any::<bool>(), 0u8..6, 0usize..3, proptest::option::of(0u8..6), 0u64..50), 1..80)
    ) {
        let users = ["meter", "guest", "head-end"];
        let mut sessions = Sessions::default();
        let mut plain: BTreeMap<Mac, Entry> = BTreeMap::new();
        for (number, (add, last, user, address, deadline)) in (1..).zip(steps) {
            let address = address.map(|last| [10, 0, 0, last]);
            // The realm grants no address that another endpoint holds.
            let free = address.is_none_or(|a| sessions.holder(a.into()).is_none_or(|holder| holder == mac(last)));
            if add && free {
                let entry = entry(number, last, users[user], address, deadline);
                prop_assert_eq!(sessions.insert(entry.clone()), plain.insert(mac(last), entry));
            } else if let Some(gone) = plain.remove(&mac(last)) {
                prop_assert_eq!(sessions.remove(gone.grant.session), Some(gone));
            }
            let count = |test: &dyn Fn(&Entry) -> bool| plain.values().filter(|entry| test(entry)).count();
            prop_assert_eq!((sessions.len(), sessions.by_id.len(), sessions.deadlines.len()), (plain.len(), plain.len(), plain.len()));
            prop_assert_eq!(sessions.by_address.len(), count(&|entry| entry.grant.address.is_some()));
            for user in users {
                prop_assert_eq!(sessions.count_of(user) as usize, count(&|entry| entry.grant.identity == user));
            }
            for entry in plain.values() {
                prop_assert_eq!(sessions.by_id(entry.grant.session), Some(entry));
                for address in entry.grant.addresses() {
                    prop_assert_eq!(sessions.holder(address), Some(entry.grant.mac));
                }
            }
            prop_assert_eq!(sessions.next_deadline(), plain.values().map(|entry| entry.deadline).min());
        }
    }
}
