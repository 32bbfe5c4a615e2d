//! The edge's side of a realm: it binds endpoints in the dataplane.

use std::future::Future;

use crate::grant::{Grant, Unbind};

/// Binds and unbinds endpoints. The edge has one for each segment.
pub trait Binder: Send + Sync + 'static {
    /// Binds the endpoint's MAC address, and its addresses where it has some, to the segment, and returns when the
    /// dataplane has confirmed it. A binding of the same MAC address in the segment is replaced; if the new one is refused,
    /// the old one stays.
    fn bind(&self, grant: Grant) -> impl Future<Output = Result<(), BindRefused>> + Send;

    /// Takes the binding away if it is still that session's, and returns when the dataplane has confirmed that it forwards
    /// nothing more for the endpoint.
    fn unbind(&self, unbind: Unbind) -> impl Future<Output = ()> + Send;
}

/// Why the dataplane did not bind an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BindRefused {
    /// Its table has no room.
    #[error("the session table is full")]
    TableFull,
    /// The address is bound to another endpoint.
    #[error("the address is in use")]
    AddressInUse,
    /// The endpoint has a session in another segment of the slice, which must end first.
    #[error("the endpoint has a session in another segment")]
    BoundElsewhere,
    /// The MAC address, or an IP address to be bound, is none that one station can have.
    #[error("the address is none that a station can have")]
    NotAStation,
    /// It does not run the segment.
    #[error("the segment is not running")]
    NotRunning,
    /// It did not answer in time; nobody knows whether it bound the endpoint.
    #[error("the dataplane did not answer")]
    TimedOut,
}
