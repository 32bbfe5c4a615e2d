//! The slice manager: takes what operators declare, decides every number, hands each edge its program, and tells what
//! edges report that they run.
//!
//! A change takes one road: the message is checked ([`api`]), the planner decides ([`plan`]), the auditor looks again,
//! one transaction of the [`store`] makes it durable, the caller has its answer, and then the edges are sent what is
//! new. Status is computed from the target and from what edges report, each time anew; nothing observed is stored. A
//! manager that starts again reads its store and goes on where it was.
//!
//! The manager forwards no packet and knows no secret of a client or a user.
#![forbid(unsafe_code)]

mod audit;
mod auth;
mod core;
pub mod daemon;
mod decided;
mod edges;
mod incoming;
mod manager;
mod objective;
mod observed;
mod operations;
mod profiles;
mod records;
mod services;
mod settled;
mod shown;
mod status;
pub mod store;
mod tls;
mod transport;
mod writer;

pub use daemon::{command, run};
pub use manager::{Config, Manager, RunningManager, StartError, StopError};
pub use profiles::ProfilesError;
pub use records::RecordError;
pub use shown::METRICS;
pub use tls::{TlsError, TlsPaths};
