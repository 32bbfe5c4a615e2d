//! Names for everything that can happen to a request, and how often it did.

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As it is written in logs and counters.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// Why a datagram was dropped without an answer.
    DropReason {
        /// No client may ask from its source address.
        UnknownClient = "unknown-client",
        /// The secrets file has no secret for the client.
        ClientWithoutSecret = "client-without-secret",
        /// The client has asked more often than the profile allows.
        RateLimited = "rate-limited",
        /// It has no RADIUS form.
        Malformed = "malformed",
        /// An access code on the accounting port, or the other way round.
        WrongPort = "wrong-port",
        /// It is no request.
        NotARequest = "not-a-request",
        /// It must have a Message-Authenticator and has none.
        MessageAuthenticatorMissing = "message-authenticator-missing",
        /// It has more than one Message-Authenticator.
        MessageAuthenticatorRepeated = "message-authenticator-repeated",
        /// Its Message-Authenticator does not hold under the client's secret.
        MessageAuthenticatorWrong = "message-authenticator-wrong",
        /// The Request Authenticator of an accounting request does not hold under the client's secret.
        RequestAuthenticatorWrong = "request-authenticator-wrong",
        /// It was sent again while the first one is still being worked on.
        DuplicateInProgress = "duplicate-in-progress",
        /// Another request for the same endpoint is still being worked on.
        EndpointBusy = "endpoint-busy",
        /// The realm works on as many requests as it may.
        TooManyPending = "too-many-pending",
        /// Disconnect-Request, which no profile includes.
        DisconnectLeftOut = "disconnect-left-out",
        /// CoA-Request, which no profile includes.
        CoaLeftOut = "coa-left-out",
        /// Status-Server, which the profile leaves out.
        StatusServerLeftOut = "status-server-left-out",
        /// Accounting, which the profile leaves out.
        AccountingLeftOut = "accounting-left-out",
        /// An Acct-Status-Type other than Start, Stop, Interim-Update, Accounting-On and Accounting-Off.
        AccountingStatusLeftOut = "accounting-status-left-out",
        /// An accounting request without what RFC 2866 asks for, or with a value of the wrong form.
        AccountingInvalid = "accounting-invalid",
        /// An access request whose authenticator was used before, and not just now: a replay.
        RequestReplayed = "request-replayed",
        /// The record could not be written, so that it is not confirmed.
        NotRecorded = "not-recorded",
        /// The answer, with the Proxy-States of the request, would have more than 4096 octets.
        AnswerTooLong = "answer-too-long",
        /// The realm's queue was full.
        QueueFull = "queue-full",
    }
}

named! {
    /// Why access was rejected.
    RejectReason {
        /// There is no such user, or the password is another one. Which of the two is not told.
        WrongCredentials = "wrong-credentials",
        /// EAP, which the profile leaves out.
        EapLeftOut = "eap-left-out",
        /// PAP, which the profile leaves out.
        PapLeftOut = "pap-left-out",
        /// CHAP, which the profile leaves out.
        ChapLeftOut = "chap-left-out",
        /// ARAP, which no profile includes.
        ArapLeftOut = "arap-left-out",
        /// A Service-Type other than Framed.
        ServiceTypeLeftOut = "service-type-left-out",
        /// Attributes of mobility (RFC 5447, RFC 6572), which no profile includes.
        MobilityLeftOut = "mobility-left-out",
        /// Attributes of location (RFC 5580), which no profile includes.
        LocationLeftOut = "location-left-out",
        /// A State, though nothing was challenged.
        UnexpectedState = "unexpected-state",
        /// No User-Name.
        UserNameMissing = "user-name-missing",
        /// Neither a password nor a CHAP response.
        NoCredentials = "no-credentials",
        /// A password and a CHAP response (RFC 2865, section 4.1).
        TwoCredentials = "two-credentials",
        /// An attribute's value has the wrong form (RFC 2865, section 5).
        MalformedValue = "malformed-value",
        /// No Calling-Station-Id, and the credential names no MAC address, so that there is nothing to bind.
        CallingStationMissing = "calling-station-missing",
        /// A Calling-Station-Id that is no unicast MAC address.
        CallingStationUnusable = "calling-station-unusable",
        /// The credential belongs to another MAC address.
        CallingStationForeign = "calling-station-foreign",
        /// The MAC address is that of another user's credential.
        CallingStationTaken = "calling-station-taken",
        /// The address asked for is no unicast address.
        AddressUnusable = "address-unusable",
        /// The address belongs to another user or is in use by another session.
        AddressTaken = "address-taken",
        /// The user has as many sessions as the credential allows.
        UserSessions = "user-sessions",
        /// The segment has as many sessions as its profile allows.
        SegmentSessions = "segment-sessions",
        /// The dataplane did not bind the endpoint.
        BindRefused = "bind-refused",
    }
}

named! {
    /// What else is counted.
    Tally {
        /// Access was granted.
        Accepted = "accepted",
        /// A request that came again was answered as before.
        AnsweredAgain = "answered-again",
        /// An answer was forgotten early, to make room for another.
        AnswerEvicted = "answer-evicted",
        /// A Status-Server was answered.
        StatusAnswered = "status-answered",
        /// An accounting event was recorded.
        Recorded = "recorded",
        /// An accounting event that is recorded already was confirmed again.
        RecordedAgain = "recorded-again",
        /// An accounting event of a session that was never authenticated here was recorded.
        RecordedUnauthenticated = "recorded-unauthenticated",
        /// A session took the place of an older one of the same endpoint.
        SessionReplaced = "session-replaced",
        /// A session ended by its Session-Timeout.
        SessionTimedOut = "session-timed-out",
        /// A session ended because its client or its NAS said so.
        SessionStopped = "session-stopped",
        /// A session ended because its credential or its client went.
        SessionRevoked = "session-revoked",
    }
}

/// How often each of them happened since the realm started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    dropped: [u64; DropReason::ALL.len()],
    rejected: [u64; RejectReason::ALL.len()],
    tallied: [u64; Tally::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            dropped: [0; DropReason::ALL.len()],
            rejected: [0; RejectReason::ALL.len()],
            tallied: [0; Tally::ALL.len()],
        }
    }
}

impl Counters {
    /// Datagrams dropped for a reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or(0)
    }

    /// Access requests rejected for a reason.
    pub fn rejected(&self, reason: RejectReason) -> u64 {
        self.rejected.get(reason as usize).copied().unwrap_or(0)
    }

    /// How often something happened.
    pub fn tally(&self, what: Tally) -> u64 {
        self.tallied.get(what as usize).copied().unwrap_or(0)
    }

    /// Everything that happened at least once: its kind (`drop`, `reject` or `count`), its name, how often.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let dropped = DropReason::ALL.iter().map(|r| ("drop", r.as_str(), self.dropped(*r)));
        let rejected = RejectReason::ALL.iter().map(|r| ("reject", r.as_str(), self.rejected(*r)));
        let tallied = Tally::ALL.iter().map(|t| ("count", t.as_str(), self.tally(*t)));
        tallied.chain(rejected).chain(dropped).filter(|(_, _, count)| *count > 0)
    }

    pub(crate) fn drop(&mut self, reason: DropReason) {
        count(self.dropped.get_mut(reason as usize));
    }

    pub(crate) fn reject(&mut self, reason: RejectReason) {
        count(self.rejected.get_mut(reason as usize));
    }

    pub(crate) fn add(&mut self, what: Tally) {
        count(self.tallied.get_mut(what as usize));
    }
}

fn count(cell: Option<&mut u64>) {
    if let Some(cell) = cell {
        *cell = cell.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_used_once_and_counted_on_its_own() {
        let names: BTreeSet<&str> = DropReason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(names.len(), DropReason::ALL.len());
        let mut counters = Counters::default();
        for (times, reason) in (1..).zip(DropReason::ALL) {
            (0..times).for_each(|_| counters.drop(*reason));
        }
        counters.reject(RejectReason::PapLeftOut);
        counters.add(Tally::Accepted);
        for (times, reason) in (1..).zip(DropReason::ALL) {
            assert_eq!(counters.dropped(*reason), times);
        }
        assert_eq!(counters.iter().count(), DropReason::ALL.len() + 2);
    }
}
