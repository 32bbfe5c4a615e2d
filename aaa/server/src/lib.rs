//! The AAA of micro-segments: one instance each, with its own clients, users, limits, sockets and journal.
//!
//! The core, [`Realm`], takes a datagram and the time, and says what to do: drop it for a named reason, send an answer,
//! or first bind an endpoint or record an accounting event. It has no socket and no clock, so that each of its decisions
//! is a test. The [`host`] runs a core on tokio: it owns the sockets, sends an Access-Accept only after the dataplane
//! confirmed the binding, and an Accounting-Response only after the record is on the disk.
//!
//! ```text
//!            datagram                        Bind(grant)
//!  sockets -----------> host --handle--> Realm ----------> Binder (the edge's dataplane)
//!     ^                  |  <--bound/recorded--  |
//!     +----- answer -----+                       +-------> Journal (append, sync)
//!                                            Record
//! ```
//!
//! It is light on purpose: no handover, no location, no EAP method, no proxying, no dynamic authorisation. A request for
//! something that the profile of the segment leaves out is refused by name, or dropped for a named reason where the
//! protocol has no refusal. Secrets are read from files that only the edge can read; they are in no message, listing or
//! log.
#![forbid(unsafe_code)]

mod answers;
mod binder;
mod bucket;
mod clients;
mod config;
mod credentials;
mod events;
mod grant;
pub mod host;
mod journal;
mod readiness;
mod realm;
mod reason;
mod record;
mod sessions;
#[cfg(test)]
mod support;

pub use binder::{BindRefused, Binder};
pub use config::{Now, RealmConfig};
pub use credentials::{Credentials, SecretsError};
pub use grant::{EndCause, Grant, NasId, Session, SessionId, Unbind};
pub use journal::{Journal, JournalError};
pub use readiness::{NotReady, Readiness};
pub use realm::{Completion, Outcome, PendingBind, PendingRecord, Realm, Service};
pub use reason::{Counters, DropReason, RejectReason, Tally};
pub use record::{AccountingEvent, Record};
