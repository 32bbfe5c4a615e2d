//! How much CPU time a request costs.

use std::time::Duration;

use crate::support::*;
use crate::{Outcome, Service};

/// The CPU time of this thread so far, as the kernel counts it: `schedstat`, in nanoseconds on the CPU.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// `cargo test --release -p aaa-server -- --ignored --nocapture cpu_time`
#[test]
#[ignore = "a measurement"]
fn the_cpu_time_of_an_access_request_by_pap_and_by_chap() {
    const REQUESTS: u32 = 100_000;
    type Kind = fn(u32) -> Ask;
    let kinds: [(&str, Kind); 5] = [
        ("PAP, granted", |seed| Ask::user("guest", 1, 1).fresh(seed).pap(GUEST_PASSWORD)),
        ("CHAP, granted", |seed| Ask::user("guest", 1, 1).fresh(seed).chap(GUEST_PASSWORD)),
        ("PAP, rejected", |seed| Ask::user("guest", 1, 1).fresh(seed).pap(b"wrong")),
        ("CHAP, rejected", |seed| Ask::user("guest", 1, 1).fresh(seed).chap(b"wrong")),
        ("wrong seal, dropped", |seed| Ask::user("guest", 1, 1).fresh(seed).under(HARBOUR_SECRET).pap(b"wrong")),
    ];
    for (name, kind) in kinds {
        let mut world = World::full();
        let datagrams: Vec<Vec<u8>> = (0..REQUESTS).map(|seed| kind(seed).sealed()).collect();
        let mut answered = 0;
        let before = cpu();
        for (datagram, microsecond) in datagrams.iter().zip(0..) {
            world.clock = Duration::from_micros(microsecond);
            let now = world.now();
            match world.realm.handle(now, Service::Access, world.from, datagram) {
                Outcome::Bind(pending) => {
                    answered += u32::from(world.realm.bound(now, *pending, Ok(())).answer.is_some());
                }
                Outcome::Answer(_) => answered += 1,
                Outcome::Dropped(_) | Outcome::Record(_) => {}
            }
        }
        let spent = cpu().saturating_sub(before);
        println!(
            "{name}: {} ns of CPU time for one ({answered} of {REQUESTS} answered)",
            (spent / REQUESTS).as_nanos()
        );
    }
}
