//! Answers that were given, for requests that come again (RFC 5080, section 2.2.2).

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use aaa_wire::{Authenticator, Code, Identifier};

/// A request is the same if it comes from the same socket with the same identifier and authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RequestKey {
    pub(crate) from: SocketAddr,
    pub(crate) code: Code,
    pub(crate) identifier: Identifier,
    pub(crate) authenticator: Authenticator,
}

/// What is known of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    No,
    InProgress,
    Answered(Vec<u8>),
}

/// Bounded in number and in time.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    given: HashMap<RequestKey, Vec<u8>>,
    /// In the order in which they were given, with the moment at which they are forgotten.
    order: VecDeque<(Duration, RequestKey)>,
    in_progress: HashSet<RequestKey>,
}

impl Answers {
    pub(crate) fn look(&mut self, key: &RequestKey, now: Duration) -> Known {
        self.forget(now);
        match self.given.get(key) {
            Some(answer) => Known::Answered(answer.clone()),
            None if self.in_progress.contains(key) => Known::InProgress,
            None => Known::No,
        }
    }

    /// Takes a request into work; not if there are too many.
    pub(crate) fn begin(&mut self, key: RequestKey) -> bool {
        self.in_progress.len() < PENDING_REQUESTS_MAX && self.in_progress.insert(key)
    }

    /// The request is no longer worked on, and has no answer: if it comes again, it is worked on again.
    pub(crate) fn abandon(&mut self, key: &RequestKey) {
        self.in_progress.remove(key);
    }

    /// Keeps an answer. True if an older one had to go for it.
    pub(crate) fn give(&mut self, key: RequestKey, answer: Vec<u8>, now: Duration) -> bool {
        self.in_progress.remove(&key);
        let full = self.given.len() >= ANSWERS_MAX;
        if full && let Some((_, oldest)) = self.order.pop_front() {
            self.given.remove(&oldest);
        }
        if self.given.insert(key, answer).is_none() {
            self.order.push_back((now + ANSWER_AGE_MAX, key));
        }
        full
    }

    fn forget(&mut self, now: Duration) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, key)) = self.order.pop_front() {
                self.given.remove(&key);
            }
        }
    }
}

/// Authenticators of access requests that were granted. A client never uses one again (RFC 2865, section 3), so whoever
/// does replays what a client has sent once. Bounded: the oldest are forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    known: HashSet<Authenticator>,
    order: VecDeque<Authenticator>,
}

impl Replays {
    pub(crate) fn knows(&self, authenticator: Authenticator) -> bool {
        self.known.contains(&authenticator)
    }

    pub(crate) fn note(&mut self, authenticator: Authenticator) {
        if self.known.insert(authenticator) {
            self.order.push_back(authenticator);
        }
        if self.order.len() > AUTHENTICATORS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// How many authenticators are remembered.
pub(crate) const AUTHENTICATORS_MAX: usize = 65_536;
/// How many answers are kept.
pub(crate) const ANSWERS_MAX: usize = 8192;
/// How many requests may be in work at once.
pub(crate) const PENDING_REQUESTS_MAX: usize = 1024;
/// How long an answer is kept: longer than the usual clients retry (RFC 5080, section 2.2.1: up to 30 s).
pub(crate) const ANSWER_AGE_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u16) -> RequestKey {
        let from = SocketAddr::from(([192, 0, 2, 1], number));
        RequestKey { from, code: Code::ACCESS_REQUEST, identifier: Identifier(0), authenticator: Authenticator::ZERO }
    }

    #[test]
    fn an_answer_is_kept_for_its_time() {
        let mut answers = Answers::default();
        assert!(answers.begin(key(1)));
        assert_eq!(answers.look(&key(1), Duration::ZERO), Known::InProgress);
        assert!(!answers.begin(key(1)));
        assert!(!answers.give(key(1), vec![7], Duration::ZERO));
        let last = ANSWER_AGE_MAX.checked_sub(Duration::from_nanos(1)).unwrap();
        assert_eq!(answers.look(&key(1), last), Known::Answered(vec![7]));
        assert_eq!(answers.look(&key(2), last), Known::No);
        assert_eq!(answers.look(&key(1), ANSWER_AGE_MAX), Known::No);
        assert!(answers.given.is_empty() && answers.order.is_empty());
    }

    #[test]
    fn what_is_abandoned_is_worked_on_again() {
        let mut answers = Answers::default();
        assert!(answers.begin(key(1)));
        answers.abandon(&key(1));
        assert_eq!(answers.look(&key(1), Duration::ZERO), Known::No);
        assert!(answers.begin(key(1)));
    }

    #[test]
    fn the_oldest_goes_first_and_the_number_is_bounded() {
        let mut answers = Answers::default();
        for number in 0..ANSWERS_MAX {
            assert!(!answers.give(key(u16::try_from(number).unwrap()), vec![], Duration::ZERO));
        }
        assert!(answers.give(key(60_000), vec![], Duration::ZERO));
        assert_eq!(answers.look(&key(0), Duration::ZERO), Known::No);
        assert_eq!(answers.look(&key(1), Duration::ZERO), Known::Answered(vec![]));
        assert_eq!((answers.given.len(), answers.order.len()), (ANSWERS_MAX, ANSWERS_MAX));
    }

    #[test]
    fn so_many_requests_are_in_work_and_no_more() {
        let mut answers = Answers::default();
        let most = u16::try_from(PENDING_REQUESTS_MAX).unwrap();
        assert!((0..most).all(|number| answers.begin(key(number))));
        assert!(!answers.begin(key(most)));
        answers.abandon(&key(0));
        assert!(answers.begin(key(most)));
    }
}
