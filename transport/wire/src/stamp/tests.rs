//! Packets as scapy 2.8 writes them (`STAMPSessionSenderTestUnauthenticated`, `STAMPSessionReflectorTestUnauthenticated`).

use proptest::prelude::*;

use super::*;

/// Sent half a second past 2000-01-01, NTP second 3,155,673,600 (RFC 5905, figure 4).
const PROBE: [u8; 44] = [
    0x01, 0x02, 0x03, 0x04, 0xbc, 0x17, 0xc2, 0x00, 0x80, 0x00, 0x00, 0x00, 0x8a, 0x21, 0xab, 0xcd, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

/// Its reply, received 125 ms later and sent 125 ms after that, to a probe with time to live 253.
const REPLY: [u8; 44] = [
    0x00, 0x00, 0x00, 0x07, 0xbc, 0x17, 0xc2, 0x00, 0xc0, 0x00, 0x00, 0x00, 0x01, 0x02, 0xab, 0xcd, 0xbc, 0x17, 0xc2,
    0x00, 0xa0, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0xbc, 0x17, 0xc2, 0x00, 0x80, 0x00, 0x00, 0x00, 0x8a, 0x21,
    0x00, 0x00, 0xfd, 0x00, 0x00, 0x00,
];

/// 2000-01-01 in seconds since 1970.
const YEAR_2000: u64 = 946_684_800;

fn probe() -> Probe {
    Probe {
        sequence: 0x0102_0304,
        timestamp: Timestamp::new(YEAR_2000 * A_SECOND + A_SECOND / 2, Clock::Ntp),
        error: ErrorEstimate(0x8a21),
        session: 0xabcd,
    }
}

#[test]
fn a_probe_reads_and_writes_both_ways() {
    assert_eq!(Probe::read(&PROBE), Ok(probe()));
    assert_eq!(Probe::read(&[&PROBE[..], &[1, 2, 3]].concat()), Ok(probe()));
    let mut out = [0xa5; PACKET_OCTETS];
    probe().emit(&mut out);
    assert_eq!(out, PROBE);
}

#[test]
fn a_reply_reads_and_writes_both_ways() {
    let reply = Reply {
        sequence: 7,
        timestamp: Timestamp::new(YEAR_2000 * A_SECOND + A_SECOND / 4 * 3, Clock::Ntp),
        error: ErrorEstimate(0x0102),
        received: Timestamp::new(YEAR_2000 * A_SECOND + A_SECOND / 8 * 5, Clock::Ntp),
        probe: probe(),
        ttl: 253,
    };
    assert_eq!(Reply::read(&REPLY), Ok(reply));
    let mut out = [0xa5; PACKET_OCTETS];
    reply.emit(&mut out);
    assert_eq!(out, REPLY);
}

#[test]
fn cut_packets_and_errors_of_nothing_are_refused() {
    for length in 0..PACKET_OCTETS {
        let error = Layer::Stamp.truncated(44, length);
        assert_eq!(Probe::read(&PROBE[..length]), Err(error));
        assert_eq!(Reply::read(&REPLY[..length]), Err(error));
    }
    for place in [13, 37] {
        let mut octets = REPLY;
        octets[place] = 0;
        assert_eq!(Reply::read(&octets), Err(Layer::Stamp.length(place, 0, 1, 255)));
        assert_eq!(Probe::read(&octets).is_err(), place == 13);
    }
}

#[test]
fn times_are_those_of_rfc_5905() {
    // Figure 4: 1970-01-01 is second 2,208,988,800 of era 0; era 1 begins on 2036-02-07 at 06:28:16.
    assert_eq!(Timestamp::new(0, Clock::Ntp), Timestamp(2_208_988_800 << 32));
    let era_1 = 2_085_978_496 * A_SECOND;
    assert_eq!(Timestamp::new(era_1 - 1, Clock::Ntp).0 >> 32, 0xffff_ffff);
    assert_eq!(Timestamp::new(era_1, Clock::Ntp), Timestamp(0));
    assert_eq!(Timestamp(0).unix_nanoseconds(Clock::Ntp), era_1);
    // Before 1970 there is nothing.
    assert_eq!(Timestamp(0x8000_0000 << 32).unix_nanoseconds(Clock::Ntp), 0);
    assert_eq!(Timestamp::new(1_500_000_000, Clock::Ptp), Timestamp(0x0000_0001_1dcd_6500));
}

#[test]
fn an_error_estimate_is_that_of_rfc_4656() {
    // S is set; 0x21 * 2^(10 - 32) s = 7,867.8 ns.
    let estimate = ErrorEstimate(0x8a21);
    assert!(estimate.is_synchronized() && estimate.clock() == Clock::Ntp);
    assert_eq!(estimate.nanoseconds(), 7_868);
    assert_eq!(ErrorEstimate(0x4001).clock(), Clock::Ptp);
    // 2^-32 s is the least, 255 * 2^31 s the most.
    assert_eq!(ErrorEstimate::new(false, Clock::Ntp, 0), ErrorEstimate(0x0001));
    assert_eq!(ErrorEstimate::new(true, Clock::Ptp, 1), ErrorEstimate(0xc005));
    assert_eq!(ErrorEstimate(0x3fff).nanoseconds(), u64::MAX);
    // A second is 128 * 2^(25 - 32) s.
    assert_eq!(ErrorEstimate::new(false, Clock::Ntp, A_SECOND), ErrorEstimate(0x1980));
}

proptest! {
    #[test]
    fn every_packet_survives(numbers: [u32; 2], times: [u64; 3], errors: [u64; 2], session: u16, ttl: u8, s: bool, is_ptp: bool) {
        let clock = if is_ptp { Clock::Ptp } else { Clock::Ntp };
        let [error, probe_error] = errors.map(|error| ErrorEstimate::new(s, clock, error));
        let [timestamp, received, sent] = times.map(Timestamp);
        let probe = Probe { sequence: numbers[0], timestamp: sent, error: probe_error, session };
        let reply = Reply { sequence: numbers[1], timestamp, error, received, probe, ttl };
        let mut out = [0xa5; PACKET_OCTETS];
        probe.emit(&mut out);
        prop_assert_eq!(Probe::read(&out), Ok(probe));
        reply.emit(&mut out);
        prop_assert_eq!(Reply::read(&out), Ok(reply));
    }

    #[test]
    fn every_nanosecond_survives(nanoseconds in 0..4_200_000_000 * A_SECOND) {
        for clock in [Clock::Ntp, Clock::Ptp] {
            prop_assert_eq!(Timestamp::new(nanoseconds, clock).unix_nanoseconds(clock), nanoseconds);
        }
    }

    #[test]
    fn an_estimate_is_never_less_than_the_error_nor_much_more(nanoseconds: u64) {
        let estimate = ErrorEstimate::new(true, Clock::Ntp, nanoseconds).nanoseconds();
        prop_assert!(estimate >= nanoseconds && estimate / 65 * 64 <= nanoseconds + 1, "{estimate}");
    }

    #[test]
    fn random_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(reply) = Reply::read(&octets) {
            let _ = (reply.timestamp.unix_nanoseconds(reply.error.clock()), reply.error.nanoseconds());
        }
        let _ = Probe::read(&octets);
    }
}
