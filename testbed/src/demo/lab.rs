//! Where the demo happens: in one process, or in namespaces with a process for each part. The script is the same.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::cast::Actor;
use crate::world::nas::Answer;

/// A place with three edges, two core nodes, access networks and room for a manager.
#[allow(async_fn_in_trait, reason = "both labs are here, and both are driven by one task")]
pub trait Lab {
    /// What it is, for people.
    fn describe(&self) -> String;

    /// Where the files are that were made for this run.
    fn files(&self) -> &Path;

    /// Starts the manager and waits until it answers.
    async fn start_manager(&mut self) -> Result<(), LabError>;

    /// Stops the manager.
    async fn stop_manager(&mut self) -> Result<(), LabError>;

    /// Starts an edge or a core node.
    async fn start_node(&mut self, node: &str) -> Result<(), LabError>;

    /// Stops an edge or a core node.
    async fn stop_node(&mut self, node: &str) -> Result<(), LabError>;

    /// Runs `slicectl` as the operator.
    async fn slicectl(&mut self, arguments: &[&str]) -> Result<Told, LabError>;

    /// Has the access switch of a device's edge ask the AAA of a segment.
    async fn authenticate(&mut self, actor: &Actor, password: &str, port: u16) -> Result<Answer, LabError>;

    /// Has the access switch send an accounting record.
    async fn account(&mut self, actor: &Actor, status: u32, class: Option<&[u8]>, port: u16) -> Result<(), LabError>;

    /// Has each device find its peer by ARP; answers how many of them did within the time.
    async fn resolve(&mut self, pairs: &[(Actor, Actor)], patience: Duration) -> Result<usize, LabError>;

    /// Sends flows at once and answers what became of each.
    async fn traffic(&mut self, flows: &[Flow], duration: Duration) -> Result<Vec<Delivery>, LabError>;

    /// The same, and half-way through a node dies.
    async fn traffic_past_death(
        &mut self,
        flows: &[Flow],
        duration: Duration,
        node: &str,
    ) -> Result<Vec<Delivery>, LabError>;

    /// Does the access network hand no frame from one of its ports to another, not even by way of the edge?
    fn access_keeps_ports_apart(&self) -> bool;

    /// Ends the capture of what crossed the core; answers how many frames are in the file.
    async fn capture(&mut self, file: &Path) -> Result<u64, LabError>;

    /// What passwords of this run are made from.
    fn seed(&self) -> u64;

    /// Ends everything in order.
    async fn finish(&mut self) -> Result<(), LabError>;
}

/// Datagrams from one device to another.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// The sender.
    pub from: Actor,
    /// The receiver.
    pub to: Actor,
    /// The length of each frame, in octets.
    pub frame_octets: usize,
    /// How much is offered, in bit/s.
    pub offered: u64,
    /// The sender is told the receiver's MAC address, as an attacker would know it, instead of asking for it.
    pub forged: bool,
}

/// What became of a flow.
#[derive(Debug, Clone, Copy, Default)]
pub struct Delivery {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams received.
    pub received: u64,
    /// Octets of the received frames.
    pub octets: u64,
    /// How long it was sent for.
    pub duration: Duration,
    /// From the first that arrived to the last, which may have waited for its turn.
    pub arriving: Duration,
}

impl Delivery {
    /// What arrived, in bit/s, while it arrived.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a figure for people"
    )]
    pub fn rate(&self) -> u64 {
        (self.octets as f64 * 8.0 / self.arriving.as_secs_f64().max(1e-9)) as u64
    }
}

/// What `slicectl` said.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its exit code.
    pub code: i32,
    /// What it wrote.
    pub out: String,
    /// What it complained of.
    pub err: String,
}

impl Told {
    /// Its answer as JSON.
    pub fn json(&self) -> Result<Value, LabError> {
        serde_json::from_str(&self.out)
            .map_err(|_| LabError::new(format!("slicectl wrote no JSON: {}{}", self.out, self.err)))
    }

    /// Itself, if it succeeded.
    pub fn success(self) -> Result<Self, LabError> {
        if self.code == 0 {
            Ok(self)
        } else {
            Err(LabError::new(format!("slicectl ended with {}: {}", self.code, self.err)))
        }
    }
}

/// The demo can't go on.
#[derive(Debug)]
pub struct LabError(String);

impl LabError {
    /// Because of this.
    pub fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }

    /// Because of an error, with what it was about.
    pub fn of(what: &str) -> impl Fn(&dyn std::error::Error) -> Self {
        move |error| {
            let mut text = format!("{what}: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            Self(text)
        }
    }
}

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for LabError {
    fn from(error: E) -> Self {
        Self::of("failed")(&error)
    }
}
