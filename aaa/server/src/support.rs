//! What the tests share: a realm, a NAS that asks it, and a reader of answers. All of it builds and checks octets by its
//! own means (MD5 included), so that what is expected is not our own output.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aaa_wire::Type;
use model::Mac;
use model::profile::{AaaFeature, AaaFeatures};
use model::program::RealmProgram;
use model::resource::{Client, SegmentId};

use crate::reason::{Counters, DropReason, RejectReason};
use crate::{
    Completion, Credentials, Grant, Now, Outcome, PendingBind, PendingRecord, Realm, RealmConfig, Record, Service,
};

/// The codes (RFC 2865, section 3; RFC 2866, section 3; RFC 5176, section 3).
pub(crate) const ACCESS_REQUEST: u8 = 1;
pub(crate) const ACCESS_ACCEPT: u8 = 2;
pub(crate) const ACCESS_REJECT: u8 = 3;
pub(crate) const ACCOUNTING_REQUEST: u8 = 4;
pub(crate) const ACCOUNTING_RESPONSE: u8 = 5;
pub(crate) const STATUS_SERVER: u8 = 12;
pub(crate) const DISCONNECT_REQUEST: u8 = 40;
pub(crate) const COA_REQUEST: u8 = 43;

/// Acct-Status-Type (RFC 2866, section 5.1).
pub(crate) const START: u32 = 1;
pub(crate) const STOP: u32 = 2;
pub(crate) const INTERIM: u32 = 3;
pub(crate) const ON: u32 = 7;

pub(crate) const SECRET: &[u8] = b"testing123";
pub(crate) const HARBOUR_SECRET: &[u8] = b"another secret";
pub(crate) const SESSION_SECONDS: u32 = 3_600;
pub(crate) const INTERIM_SECONDS: u32 = 900;

/// The secrets of the realm below. `mute-switch` has none.
pub(crate) const SECRETS: &str = r#"
clients:
  - { name: city-switch, secret: "testing123" }
  - { name: harbour-switch, secret: "another secret" }
users:
  - { name: meter-0042, password: "a password of more than sixteen octets", mac: "02-00-00-00-00-2A", address: 10.110.0.42 }
  - { name: guest, password: "heart" }
  - { name: monitor-7, password: "heart" }
  - { name: head-end, password: "arctangent", sessions: 2 }
  - { name: six, password: "heart", address6: "2001:db8::6" }
"#;
/// The password of meter-0042.
pub(crate) const METER_PASSWORD: &[u8] = b"a password of more than sixteen octets";
/// The password of guest.
pub(crate) const GUEST_PASSWORD: &[u8] = b"heart";

pub(crate) fn segment() -> SegmentId {
    SegmentId { slice: "iot".parse().unwrap(), segment: "smart-metering".parse().unwrap() }
}

pub(crate) fn config(include: &[AaaFeature]) -> RealmConfig {
    let client = |name: &str, prefix: &str| Client {
        name: name.parse().unwrap(),
        addresses: vec![prefix.parse().unwrap()],
        edge: None,
    };
    RealmConfig {
        id: segment(),
        program: RealmProgram {
            access_port: 1812,
            features: AaaFeatures {
                include: include.iter().copied().collect::<BTreeSet<_>>(),
                session_seconds: SESSION_SECONDS,
                interim_seconds: INTERIM_SECONDS,
                requests_per_second_max: 1_000_000,
            },
            clients: vec![
                client("city-switch", "192.0.2.1/32"),
                client("harbour-switch", "192.0.2.2/32"),
                client("mute-switch", "192.0.2.3/32"),
            ],
        },
        sessions_max: 100,
    }
}

/// A realm and its clock.
pub(crate) struct World {
    pub(crate) realm: Realm,
    pub(crate) clock: Duration,
    /// Where requests come from.
    pub(crate) from: SocketAddr,
}

impl World {
    /// One that has every feature.
    pub(crate) fn full() -> Self {
        Self::of(config(&AaaFeature::ALL))
    }

    pub(crate) fn with(include: &[AaaFeature]) -> Self {
        Self::of(config(include))
    }

    pub(crate) fn of(config: RealmConfig) -> Self {
        let credentials = Credentials::parse("secrets.yaml", SECRETS);
        let realm = Realm::new(config, credentials, 0xfeed, at(Duration::ZERO));
        Self { realm, clock: Duration::ZERO, from: city_switch() }
    }

    pub(crate) fn now(&self) -> Now {
        at(self.clock)
    }

    pub(crate) fn pass(&mut self, seconds: u32) {
        self.clock += Duration::from_secs(seconds.into());
    }

    pub(crate) fn hand(&mut self, service: Service, datagram: &[u8]) -> Outcome {
        self.realm.handle(self.now(), service, self.from, datagram)
    }

    pub(crate) fn ask(&mut self, ask: &Ask) -> Outcome {
        let service = if ask.code == ACCOUNTING_REQUEST { Service::Accounting } else { Service::Access };
        self.hand(service, &ask.sealed())
    }

    /// A request that comes as far as the dataplane.
    pub(crate) fn pend(&mut self, ask: &Ask) -> PendingBind {
        match self.ask(ask) {
            Outcome::Bind(pending) => *pending,
            other => panic!("expected a binding: {other:?}"),
        }
    }

    /// An accounting request that comes as far as the disk.
    pub(crate) fn record(&mut self, ask: &Ask) -> PendingRecord {
        match self.ask(ask) {
            Outcome::Record(pending) => *pending,
            other => panic!("expected a record: {other:?}"),
        }
    }

    /// A request that is granted, with the dataplane's consent.
    pub(crate) fn admit(&mut self, ask: &Ask) -> (Grant, Reply) {
        let pending = self.pend(ask);
        let grant = pending.grant().clone();
        let Completion { unbind, answer } = self.realm.bound(self.now(), pending, Ok(()));
        assert_eq!(unbind, []);
        let reply = ask.read(&answer.unwrap());
        assert_eq!(reply.code, ACCESS_ACCEPT);
        (grant, reply)
    }

    /// A request that is rejected: the answer and the one reason that was counted.
    pub(crate) fn reject(&mut self, ask: &Ask) -> (RejectReason, Reply) {
        let before = self.realm.counters().clone();
        let Outcome::Answer(answer) = self.ask(ask) else { panic!("expected an answer") };
        let reply = ask.read(&answer);
        assert_eq!(reply.code, ACCESS_REJECT);
        (rejected_since(&before, self.realm.counters()), reply)
    }

    /// An accounting request that is written and answered.
    pub(crate) fn account(&mut self, ask: &Ask) -> (Record, Completion) {
        let pending = self.record(ask);
        let record = pending.record().clone();
        let completion = self.realm.recorded(self.now(), pending, true);
        let reply = ask.read(completion.answer.as_deref().unwrap());
        assert_eq!(reply.code, ACCOUNTING_RESPONSE);
        (record, completion)
    }
}

/// The one reason for which a request was rejected in between; nothing else was counted.
pub(crate) fn rejected_since(before: &Counters, after: &Counters) -> RejectReason {
    let (_, name) = *changed(before, after).first().unwrap();
    assert_eq!(changed(before, after), [("reject", name)]);
    *RejectReason::ALL.iter().find(|reason| reason.as_str() == name).unwrap()
}

/// The one reason for which a datagram was dropped in between; nothing else was counted.
pub(crate) fn dropped_since(before: &Counters, after: &Counters) -> DropReason {
    let (_, name) = *changed(before, after).first().unwrap();
    assert_eq!(changed(before, after), [("drop", name)]);
    *DropReason::ALL.iter().find(|reason| reason.as_str() == name).unwrap()
}

/// What was counted in between, by kind and name, as often as it was.
pub(crate) fn changed(before: &Counters, after: &Counters) -> Vec<(&'static str, &'static str)> {
    let old: Vec<_> = before.iter().collect();
    let mut changed = Vec::new();
    for (kind, name, count) in after.iter() {
        let had = old.iter().find(|entry| (entry.0, entry.1) == (kind, name)).map_or(0, |entry| entry.2);
        changed.extend((had..count).map(|_| (kind, name)));
    }
    changed
}

pub(crate) fn at(clock: Duration) -> Now {
    Now { monotonic: clock, wall: wall_start() + clock }
}

/// 2023-11-14 22:13:20 UTC.
pub(crate) fn wall_start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

pub(crate) fn city_switch() -> SocketAddr {
    ([192, 0, 2, 1], 40_000).into()
}

pub(crate) fn harbour_switch() -> SocketAddr {
    ([192, 0, 2, 2], 40_000).into()
}

pub(crate) fn mute_switch() -> SocketAddr {
    ([192, 0, 2, 3], 40_000).into()
}

pub(crate) fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

/// As RFC 3580, section 3.21, writes it.
pub(crate) fn station(last: u8) -> String {
    format!("02-00-00-00-00-{last:02X}")
}

/// A request in the making. The seal is put on when the octets are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) code: u8,
    pub(crate) identifier: u8,
    pub(crate) authenticator: [u8; 16],
    pub(crate) attributes: Vec<(Type, Vec<u8>)>,
    pub(crate) secret: &'static [u8],
}

impl Ask {
    /// A request of a code, with a Message-Authenticator where it must have one.
    pub(crate) fn new(code: u8, identifier: u8) -> Self {
        let mut ask = Self {
            code,
            identifier,
            authenticator: md5(&[b"authenticator ", [code, identifier].as_slice()].concat()),
            attributes: Vec::new(),
            secret: SECRET,
        };
        if ask.code == ACCESS_REQUEST || ask.code == STATUS_SERVER {
            ask.attributes.push((Type::MESSAGE_AUTHENTICATOR, vec![0; 16]));
        }
        ask
    }

    /// guest by PAP, from the station of that number.
    pub(crate) fn guest(identifier: u8, last: u8) -> Self {
        Self::user("guest", identifier, last).pap(GUEST_PASSWORD)
    }

    /// meter-0042 by PAP, from its own station.
    pub(crate) fn meter(identifier: u8) -> Self {
        Self::user("meter-0042", identifier, 0x2a).pap(METER_PASSWORD)
    }

    /// A user without a credential.
    pub(crate) fn user(name: &str, identifier: u8, last: u8) -> Self {
        Self::new(ACCESS_REQUEST, identifier).add(Type::USER_NAME, name).add(Type::CALLING_STATION_ID, station(last))
    }

    /// An accounting request about a session of the client's.
    pub(crate) fn accounting(identifier: u8, status: u32, session: &str) -> Self {
        Self::new(ACCOUNTING_REQUEST, identifier)
            .add(Type::ACCT_STATUS_TYPE, status.to_be_bytes())
            .add(Type::ACCT_SESSION_ID, session)
    }

    pub(crate) fn add(mut self, kind: Type, value: impl AsRef<[u8]>) -> Self {
        self.attributes.push((kind, value.as_ref().to_vec()));
        self
    }

    pub(crate) fn number(self, kind: Type, value: u32) -> Self {
        self.add(kind, value.to_be_bytes())
    }

    pub(crate) fn without(mut self, kind: Type) -> Self {
        self.attributes.retain(|(other, _)| *other != kind);
        self
    }

    pub(crate) fn under(mut self, secret: &'static [u8]) -> Self {
        self.secret = secret;
        self
    }

    /// With another authenticator than the identifier gives. Before a password is added.
    pub(crate) fn fresh(mut self, seed: u32) -> Self {
        self.authenticator = md5(&[b"fresh ".as_slice(), &seed.to_be_bytes()].concat());
        self
    }

    /// User-Password as RFC 2865, section 5.2, hides it.
    pub(crate) fn pap(self, password: &[u8]) -> Self {
        let mut padded = password.to_vec();
        padded.resize(password.len().max(1).next_multiple_of(16), 0);
        let mut hidden = Vec::new();
        let mut previous = self.authenticator.to_vec();
        for block in padded.chunks(16) {
            let pad = md5(&[self.secret, &previous].concat());
            previous = block.iter().zip(pad).map(|(octet, pad)| octet ^ pad).collect();
            hidden.extend(&previous);
        }
        self.add(Type::USER_PASSWORD, hidden)
    }

    /// CHAP-Password with the Request Authenticator as the challenge (RFC 2865, section 2.2).
    pub(crate) fn chap(self, password: &[u8]) -> Self {
        let challenge = self.authenticator;
        let response = md5(&[[7].as_slice(), password, &challenge].concat());
        self.add(Type::CHAP_PASSWORD, [[7].as_slice(), &response].concat())
    }

    /// CHAP-Password with a CHAP-Challenge of its own (RFC 2865, section 5.40).
    pub(crate) fn chap_of(self, password: &[u8], challenge: &[u8]) -> Self {
        let response = md5(&[[9].as_slice(), password, challenge].concat());
        self.add(Type::CHAP_PASSWORD, [[9].as_slice(), &response].concat()).add(Type::CHAP_CHALLENGE, challenge)
    }

    /// The octets as they stand, with no seal.
    pub(crate) fn plain(&self) -> Vec<u8> {
        let mut octets = vec![self.code, self.identifier, 0, 0];
        octets.extend(self.authenticator);
        for (kind, value) in &self.attributes {
            octets.extend([kind.0, u8::try_from(value.len() + 2).unwrap()]);
            octets.extend(value);
        }
        let length = u16::try_from(octets.len()).unwrap();
        octets[2..4].copy_from_slice(&length.to_be_bytes());
        octets
    }

    /// The octets under every seal that belongs on them.
    pub(crate) fn sealed(&self) -> Vec<u8> {
        let mut octets = self.plain();
        let computed = self.code != ACCESS_REQUEST && self.code != STATUS_SERVER;
        if computed {
            octets[4..20].fill(0);
        }
        if let Some(at) = place(&octets, Type::MESSAGE_AUTHENTICATOR) {
            octets[at + 2..at + 18].fill(0);
            let seal = hmac_md5(self.secret, &octets);
            octets[at + 2..at + 18].copy_from_slice(&seal);
        }
        if computed {
            let digest = md5(&[&octets, self.secret].concat());
            octets[4..20].copy_from_slice(&digest);
        }
        octets
    }

    /// Reads the answer to it and checks every seal that must be on it.
    pub(crate) fn read(&self, answer: &[u8]) -> Reply {
        Reply::read(&self.sealed(), answer, self.secret)
    }
}

/// An answer whose seals hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u8,
    pub(crate) attributes: Vec<(Type, Vec<u8>)>,
}

impl Reply {
    /// Response Authenticator: RFC 2865, section 3. Message-Authenticator: RFC 3579, section 3.2, and first.
    pub(crate) fn read(request: &[u8], answer: &[u8], secret: &[u8]) -> Self {
        assert_eq!(usize::from(u16::from_be_bytes([answer[2], answer[3]])), answer.len());
        assert_eq!(answer[1], request[1], "the identifier");
        let asked = &request[4..20];
        assert_eq!(
            answer[4..20],
            md5(&[&answer[..4], asked, &answer[20..], secret].concat()),
            "Response Authenticator"
        );
        let attributes = split(&answer[20..]);
        if answer[0] != ACCOUNTING_RESPONSE || request[0] == STATUS_SERVER {
            let (kind, value) = attributes.first().unwrap();
            assert_eq!(*kind, Type::MESSAGE_AUTHENTICATOR, "it stands first");
            let mut open = [&answer[..4], asked, &answer[20..]].concat();
            open[22..38].fill(0);
            assert_eq!(*value, hmac_md5(secret, &open), "Message-Authenticator");
        }
        Self { code: answer[0], attributes }
    }

    pub(crate) fn all(&self, kind: Type) -> Vec<&[u8]> {
        self.attributes.iter().filter(|(other, _)| *other == kind).map(|(_, value)| value.as_slice()).collect()
    }

    /// The value of an attribute that is there once.
    pub(crate) fn only(&self, kind: Type) -> &[u8] {
        let [value] = self.all(kind)[..] else { panic!("{kind}: {self:?}") };
        value
    }

    pub(crate) fn message(&self) -> &str {
        std::str::from_utf8(self.only(Type::REPLY_MESSAGE)).unwrap()
    }

    pub(crate) fn class(&self) -> &str {
        std::str::from_utf8(self.only(Type::CLASS)).unwrap()
    }
}

/// The attributes in octets whose lengths hold.
fn split(mut octets: &[u8]) -> Vec<(Type, Vec<u8>)> {
    let mut attributes = Vec::new();
    while let [kind, length, ..] = *octets {
        let (attribute, rest) = octets.split_at(length.into());
        attributes.push((Type(kind), attribute[2..].to_vec()));
        octets = rest;
    }
    assert!(octets.is_empty());
    attributes
}

/// Where the first attribute of a type stands.
pub(crate) fn place(octets: &[u8], kind: Type) -> Option<usize> {
    let mut at = 20;
    while at < octets.len() && octets[at] != kind.0 {
        at += usize::from(octets[at + 1]);
    }
    (at < octets.len()).then_some(at)
}

/// The octets of a hexadecimal text; spaces are ignored.
pub(crate) fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// RFC 1321, section 3.
pub(crate) fn md5(message: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend((message.len() as u64 * 8).to_le_bytes());
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded.as_chunks::<64>().0 {
        let words: Vec<u32> = block.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64 {
            let (mixed, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((b & d) | (c & !d), (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), 7 * step % 16),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(words[word]).wrapping_add(sine(step));
            (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4])));
        }
        for (word, add) in state.iter_mut().zip([a, b, c, d]) {
            *word = word.wrapping_add(add);
        }
    }
    state.map(u32::to_le_bytes).as_flattened().try_into().unwrap()
}

/// The integer part of 4294967296 times abs(sin(step)), counted from 1.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive and below 2^32")]
fn sine(step: usize) -> u32 {
    let radians = f64::from(u32::try_from(step + 1).unwrap());
    (radians.sin().abs() * 4_294_967_296.0) as u32
}

/// RFC 2104, section 2.
pub(crate) fn hmac_md5(key: &[u8], message: &[u8]) -> [u8; 16] {
    let mut padded = if key.len() > 64 { md5(key).to_vec() } else { key.to_vec() };
    padded.resize(64, 0);
    let inner: Vec<u8> = padded.iter().map(|octet| octet ^ 0x36).chain(message.iter().copied()).collect();
    let outer: Vec<u8> = padded.iter().map(|octet| octet ^ 0x5c).chain(md5(&inner)).collect();
    md5(&outer)
}

#[test]
fn md5_and_hmac_are_those_of_rfc_1321_and_rfc_2202() {
    // RFC 1321, appendix A.5.
    assert_eq!(md5(b"").to_vec(), octets("d41d8cd98f00b204e9800998ecf8427e"));
    assert_eq!(md5(b"abc").to_vec(), octets("900150983cd24fb0d6963f7d28e17f72"));
    assert_eq!(md5(b"abcdefghijklmnopqrstuvwxyz").to_vec(), octets("c3fcd3d76192e4007dfb496cca67e13b"));
    assert_eq!(md5(&b"1234567890".repeat(8)).to_vec(), octets("57edf4a22be3c955ac49da2e2107b67a"));
    // RFC 2202, section 2, cases 1, 2 and 6.
    assert_eq!(hmac_md5(&[0x0b; 16], b"Hi There").to_vec(), octets("9294727a3638bb1c13f48ef8158bfc9d"));
    assert_eq!(hmac_md5(b"Jefe", b"what do ya want for nothing?").to_vec(), octets("750c783e6ab0b503eaa86e310a5db738"));
    let long = hmac_md5(&[0xaa; 80], b"Test Using Larger Than Block-Size Key - Hash Key First");
    assert_eq!(long.to_vec(), octets("6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"));
}
