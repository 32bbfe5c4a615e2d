//! Access requests: who is it, is it proved, and what is granted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use aaa_wire::authenticator::{chap_matches, pap_matches};
use aaa_wire::{Answer, Code, Malformed, Packet, TooLong, Type, Verified};
use model::profile::AaaFeature;
use model::{ClientName, Mac};

use super::refusal::{Rejection, check_features};
use super::{Outcome, PendingBind, Realm};
use crate::answers::RequestKey;
use crate::config::Now;
use crate::credentials::{User, is_endpoint_address};
use crate::grant::{Grant, SessionId};
use crate::reason::{DropReason, RejectReason};
use crate::record::nas_id;
use crate::sessions::Entry;

/// Why nothing is granted.
enum Refusal {
    Reject(Rejection),
    Drop(DropReason),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Reject(rejection)
    }
}

impl From<Malformed> for Refusal {
    fn from(error: Malformed) -> Self {
        Self::Reject(Rejection::new(RejectReason::MalformedValue, error.to_string()))
    }
}

impl Realm {
    pub(super) fn access(
        &mut self,
        now: Now,
        key: RequestKey,
        client: &ClientName,
        request: &Verified<'_>,
    ) -> Result<Outcome, DropReason> {
        let mut reject = Answer::to(request, Code::ACCESS_REJECT);
        match self.decide(now, client, request.packet()) {
            Ok(grant) => {
                let accept = self.accept(request, &grant).map_err(|_| DropReason::AnswerTooLong)?;
                if !self.answers.begin(key) {
                    return Err(DropReason::TooManyPending);
                }
                self.replays.note(key.authenticator);
                self.last = grant.session;
                let previous = self.sessions.insert(Entry {
                    deadline: now.monotonic + grant.lifetime,
                    grant: grant.clone(),
                    bound: false,
                    accounting: None,
                });
                self.replaced.extend(previous.map(|previous| (grant.session, previous)));
                Ok(Outcome::Bind(Box::new(PendingBind { key, grant, accept, reject })))
            }
            Err(Refusal::Reject(rejection)) => {
                rejection.write(&mut reject).map_err(|_| DropReason::AnswerTooLong)?;
                let answer = self.seal(now, key, reject, client).ok_or(DropReason::ClientWithoutSecret)?;
                self.counters.reject(rejection.reason);
                Ok(Outcome::Answer(answer))
            }
            Err(Refusal::Drop(reason)) => Err(reason),
        }
    }

    /// What is granted, if anything is. Nothing is changed yet.
    fn decide(&self, now: Now, client: &ClientName, packet: &Packet<'_>) -> Result<Grant, Refusal> {
        packet.iter().try_for_each(|attribute| attribute.decode().map(|_| ()))?;
        check_features(&self.config.program.features, packet)?;
        let identity = match packet.get(Type::USER_NAME) {
            Some(name) => name.text()?,
            None => return Err(Rejection::new(RejectReason::UserNameMissing, "no User-Name").into()),
        };
        let user = self.prove(client, identity, packet)?;
        let mac = endpoint(packet, user)?;
        if !self.credentials.may_have(identity, mac) {
            let message = "the endpoint belongs to another user";
            return Err(Rejection::new(RejectReason::CallingStationTaken, message).into());
        }
        let (address, address6) = self.addresses(identity, mac, user, packet)?;
        self.check_limits(identity, mac, user)?;
        Ok(Grant {
            segment: self.config.id.clone(),
            session: SessionId { number: self.last.number + 1, ..self.last },
            identity: identity.to_owned(),
            mac,
            address,
            address6,
            client: client.clone(),
            nas: nas_id(packet)?,
            since: now.wall,
            lifetime: Duration::from_secs(self.config.program.features.session_seconds.into()),
        })
    }

    /// The user, if the password is the user's. An unknown user costs the same work and gives the same answer.
    fn prove(&self, client: &ClientName, identity: &str, packet: &Packet<'_>) -> Result<&User, Refusal> {
        let known = self.credentials.user(identity);
        let password = &known.unwrap_or(&self.decoy).password;
        let secret = self.credentials.secret(client).ok_or(Refusal::Drop(DropReason::ClientWithoutSecret))?;
        let proved = if let Some(hidden) = packet.get(Type::USER_PASSWORD) {
            pap_matches(&hidden, packet.authenticator(), secret, password)?
        } else if let Some(response) = packet.get(Type::CHAP_PASSWORD) {
            let challenge = packet.get(Type::CHAP_CHALLENGE);
            chap_matches(&response, challenge.as_ref(), packet.authenticator(), password)?
        } else {
            false
        };
        known.filter(|_| proved).ok_or_else(|| Rejection::new(RejectReason::WrongCredentials, "").into())
    }

    /// The addresses to bind: the credential's, else what the request asks for if the profile takes hints. A hint that the
    /// profile does not take is left aside, as RFC 2865 section 5.8 allows.
    fn addresses(
        &self,
        identity: &str,
        mac: Mac,
        user: &User,
        packet: &Packet<'_>,
    ) -> Result<(Option<Ipv4Addr>, Option<Ipv6Addr>), Refusal> {
        let hints = self.config.program.features.has(AaaFeature::FramedAddressHint);
        let hint = |kind| packet.get(kind).filter(|_| hints);
        let hinted = hint(Type::FRAMED_IP_ADDRESS).map(|attribute| attribute.ipv4()).transpose()?;
        // All ones, or all ones but the last: the choice is the server's (RFC 2865, section 5.8), and we make none.
        let hinted = hinted.filter(|address| address.to_bits() < u32::MAX - 1);
        let hinted6 = hint(Type::FRAMED_IPV6_ADDRESS).map(|attribute| attribute.ipv6()).transpose()?;
        let (address, address6) = (user.address.or(hinted), user.address6.or(hinted6));
        for address in address.map(IpAddr::V4).into_iter().chain(address6.map(IpAddr::V6)) {
            if !is_endpoint_address(address) {
                let message = format!("{address} is no address of an endpoint");
                return Err(Rejection::new(RejectReason::AddressUnusable, message).into());
            }
            let foreign = self.credentials.owner(address).is_some_and(|owner| owner != identity)
                || self.sessions.holder(address).is_some_and(|holder| holder != mac);
            if foreign {
                return Err(Rejection::new(RejectReason::AddressTaken, format!("{address} is taken")).into());
            }
        }
        Ok((address, address6))
    }

    fn check_limits(&self, identity: &str, mac: Mac, user: &User) -> Result<(), Refusal> {
        let replaced = self.sessions.get(mac);
        if replaced.is_some_and(|entry| !entry.bound) {
            return Err(Refusal::Drop(DropReason::EndpointBusy));
        }
        if replaced.is_none() && self.sessions.len() >= self.config.sessions_max as usize {
            return Err(Rejection::new(RejectReason::SegmentSessions, "the segment has no room for a session").into());
        }
        let own = u32::from(replaced.is_some_and(|entry| entry.grant.identity == identity));
        if self.sessions.count_of(identity) - own >= user.sessions_max {
            return Err(Rejection::new(RejectReason::UserSessions, "the user has no room for a session").into());
        }
        Ok(())
    }

    fn accept(&self, request: &Verified<'_>, grant: &Grant) -> Result<Answer, TooLong> {
        let features = &self.config.program.features;
        let mut answer = Answer::to(request, Code::ACCESS_ACCEPT);
        if let Some(address) = grant.address {
            answer.ipv4(Type::FRAMED_IP_ADDRESS, address)?;
        }
        if let Some(address) = grant.address6 {
            answer.ipv6(Type::FRAMED_IPV6_ADDRESS, address)?;
        }
        answer.integer(Type::SESSION_TIMEOUT, features.session_seconds)?;
        answer.attribute(Type::CLASS, grant.session.to_string().as_bytes())?;
        if features.has(AaaFeature::Accounting) {
            answer.integer(Type::ACCT_INTERIM_INTERVAL, features.interim_seconds)?;
        }
        Ok(answer)
    }
}

/// The MAC address to bind: the one of Calling-Station-Id (RFC 3580, section 3.21); from a client that sends none, the one
/// that the credential is for.
fn endpoint(packet: &Packet<'_>, user: &User) -> Result<Mac, Rejection> {
    let reject = |reason, message: &'static str| Err(Rejection::new(reason, message));
    let Some(station) = packet.get(Type::CALLING_STATION_ID) else {
        let missing = || reject(RejectReason::CallingStationMissing, "no Calling-Station-Id: nothing to bind");
        return user.mac.map_or_else(missing, Ok);
    };
    let mac = station.text().ok().and_then(|text| text.parse::<Mac>().ok()).filter(|mac| mac.is_unicast());
    match mac {
        None => reject(RejectReason::CallingStationUnusable, "Calling-Station-Id is no unicast MAC address"),
        Some(mac) if user.mac.is_some_and(|wanted| wanted != mac) => {
            reject(RejectReason::CallingStationForeign, "Calling-Station-Id is not the credential's")
        }
        Some(mac) => Ok(mac),
    }
}
