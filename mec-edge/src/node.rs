//! What the agent speaks for: our own dataplane with its realms, or the kernel of a Linux box.

use std::borrow::Cow;
use std::future::Future;

use api::{ConvertError, v1};
use model::program::Program;
use model::resource::SegmentId;
use model::{Generation, NodeName, PortName};

/// A node that runs programs and tells what it runs.
pub(crate) trait Node: Send + Sync + 'static {
    /// Another value whenever it would report something else than before.
    type Pulse: PartialEq + Send;

    /// Who it is.
    fn hello(&self) -> v1::Hello;

    /// Runs a program, or says why not; either is part of the next report.
    fn apply(&mut self, program: Program) -> impl Future<Output = ()> + Send;

    /// Notes a program that could not even be read.
    fn refuse_unread(&mut self, generation: Generation, why: ConvertError) -> impl Future<Output = ()> + Send;

    /// By what it is seen whether [`Node::realised`] would say something else.
    fn pulse(&self) -> impl Future<Output = Self::Pulse> + Send;

    /// What it runs, read back.
    fn realised(&self) -> impl Future<Output = v1::Realised> + Send;

    /// A reading, or why there is none.
    fn read(&self, kind: v1::ReadKind) -> impl Future<Output = Result<v1::Reading, String>> + Send;

    /// Tells from now on how long frames stay in each queue of a segment; a node that has no queues of ours does not.
    fn watch(&self, segment: SegmentId) -> impl Future<Output = ()> + Send {
        let _ = segment;
        async {}
    }

    /// Ends what it does only while an agent speaks for it.
    fn stop(&mut self) -> impl Future<Output = ()> + Send;
}

/// Who speaks, with which ports.
pub(crate) fn hello(name: &NodeName, ports: impl Iterator<Item = (PortName, Cow<'static, str>)>) -> v1::Hello {
    let port = |(name, driver): (PortName, Cow<'_, str>)| v1::PortStatus {
        port: name.to_string(),
        driver: driver.into_owned(),
    };
    v1::Hello {
        edge: name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ports: ports.map(port).collect(),
    }
}

/// Why a reading of a kind that came later than this build is not given.
pub(crate) const UNKNOWN_READING: &str = "this node does not know that kind of reading";
