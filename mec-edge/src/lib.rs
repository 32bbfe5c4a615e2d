//! An edge at a MEC site: it runs what the manager has decided, and goes on when the manager is away.
//!
//! ```text
//!   manager ◀── agent ──▶ control ── tables, bindings ──▶ worker thread ◀──▶ ports
//!                            │                                 ▲
//!                            └──▶ realms (AAA, one a segment) ─┘ bind, unbind
//! ```
//!
//! The agent takes programs and sends reports. The control compiles a program, keeps it on disk, and hands whole tables to
//! the worker, which owns the packet path. Each micro-segment has an AAA of its own; an endpoint is forwarded for only
//! after its AAA has had it bound. What is reported is read back from the worker and the realms.
//!
//! Where a port is a kernel interface and the kernel has its addresses, the kernel finds the next hops, and the worker is told.
//!
//! An edge makes no choice of its own: it does not link the planner.

mod agent;
mod clock;
mod config;
mod control;
mod daemon;
mod edge;
mod linux;
mod neighbours;
mod node;
pub mod ports;
mod programs;
mod realms;
mod report;
mod shown;
mod state;
mod told;
mod worker;

pub use config::{Config, KernelConfig, SESSIONS_DEFAULT, TlsError};
pub use daemon::{command, run};
pub use edge::{Edge, RunningEdge, StartError};
pub use shown::METRICS;
pub use state::StateError;
pub use worker::WorkerGone;
