//! A node: the product's packet path, its buffers, and its own clock.

use std::ops::Range;

use model::program::Program;
use model::resource::{Port, SegmentId};
use model::{Generation, Mac, NodeName, PortName};
use transport_dataplane::{
    BURST_FRAMES_MAX, BindError, Binding, Burst, CompileError, Compiler, Config, FramePool, Nanos, Outputs, Pipeline,
    PortIndex, PortSpec, Reading, StampClock, Tables, WorkerPlace,
};

use crate::world::bytes::local_mac;

/// A node of the simulated network.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: NodeName,
    pub(super) ports: Vec<PortName>,
    compiler: Compiler,
    pipeline: Pipeline,
    pool: FramePool,
    outputs: Outputs,
    /// What its clock shows beyond that of the world.
    ahead: u64,
    /// By the world's clock.
    ticks: Nanos,
    next: Option<Next>,
    /// Frames that wait at each port for their burst.
    pub(super) arrived: Vec<Vec<Vec<u8>>>,
    pub(super) is_alive: bool,
}

/// Tables that are to run as soon as their next hops are known, or when it has taken too long.
#[derive(Debug)]
struct Next {
    tables: Box<Tables>,
    introduced: Range<usize>,
    patience: Nanos,
}

impl Node {
    /// With the ports of the topology. `ahead` tells its clock from others; `phase` is when it first does what is due.
    pub(super) fn new(
        name: NodeName,
        ports: impl IntoIterator<Item = Port>,
        number: u8,
        ahead: u64,
        phase: u64,
    ) -> Result<Self, CompileError> {
        let ports: Vec<PortName> = ports.into_iter().map(|port| port.name).collect();
        let spec = |(at, port): (u8, &PortName)| PortSpec { name: port.clone(), mac: Mac(local_mac(number, at)) };
        let specs: Vec<PortSpec> = (0..).zip(&ports).map(spec).collect();
        let count = ports.len();
        Ok(Self {
            name,
            compiler: Compiler::new(specs.clone())?,
            pipeline: Pipeline::new(Config {
                ports: specs,
                sessions_max: SESSIONS_MAX,
                queued_frames_max: QUEUED_FRAMES_MAX,
                worker: WorkerPlace::ALONE,
                clock: StampClock::FREE,
            }),
            pool: FramePool::new((FRAMES_OF_PORT + QUEUED_FRAMES_MAX as usize) * count.max(1)),
            outputs: Outputs::new(count),
            ports,
            ahead,
            ticks: Nanos(phase),
            next: None,
            arrived: vec![Vec::new(); count],
            is_alive: true,
        })
    }

    fn local(&self, now: Nanos) -> Nanos {
        Nanos(now.0 + self.ahead)
    }

    /// Runs another program, as the edge's daemon does it: at once if it is the first, else when new next hops are known.
    pub(super) fn run(&mut self, now: Nanos, program: &Program) -> Result<(), CompileError> {
        let tables = self.compiler.compile(program, self.local(now))?;
        if self.pipeline.pulse().generation == Generation::NONE {
            drop(self.pipeline.swap(tables));
        } else {
            let introduced = self.pipeline.introduce(&tables);
            self.next = Some(Next { tables, introduced, patience: Nanos(now.0 + PATIENCE.0) });
            self.ticks = now;
        }
        Ok(())
    }

    fn change(&mut self, now: Nanos) {
        let is_ready = |next: &mut Next| self.pipeline.knows(next.introduced.clone()) || next.patience <= now;
        if let Some(next) = self.next.take_if(is_ready) {
            drop(self.pipeline.swap(next.tables));
        }
    }

    /// Binds an endpoint.
    pub(super) fn bind(&mut self, segment: &SegmentId, mac: Mac, address: std::net::Ipv4Addr) -> Result<(), BindError> {
        let segment = self.compiler.uid(segment).ok_or(BindError::UnknownSegment)?;
        self.pipeline.bind(&Binding { segment, mac, ipv4: Some(address), ipv6: None }).map(drop)
    }

    /// Takes what has arrived, and does what is due. What leaves is handed to `left`, with the place of its port.
    pub(super) fn turn(&mut self, now: Nanos, mut left: impl FnMut(usize, Vec<u8>)) {
        let local = self.local(now);
        self.change(now);
        for at in 0..self.ports.len() {
            let mut waiting = std::mem::take(&mut self.arrived[at]).into_iter().peekable();
            while waiting.peek().is_some() {
                let mut burst = Burst::new();
                for octets in waiting.by_ref().take(BURST_FRAMES_MAX) {
                    if let Some(mut frame) = self.pool.take() {
                        frame.copy_from(&octets);
                        burst.push(frame);
                    }
                }
                self.pipeline.process(local, index(at), &mut burst, &mut self.pool, &mut self.outputs);
                self.empty(&mut left);
            }
        }
        self.pipeline.reshape(local);
        self.pipeline.depart(local, &mut self.pool, &mut self.outputs);
        if self.ticks <= now {
            self.ticks = Nanos(now.0 + TICK.0);
            self.pipeline.tick(local, &mut self.pool, &mut self.outputs);
        }
        if self.pipeline.next_probe().is_some_and(|due| due <= local) {
            self.pipeline.probe(local, &mut self.pool, &mut self.outputs);
        }
        self.empty(&mut left);
    }

    fn empty(&mut self, left: &mut impl FnMut(usize, Vec<u8>)) {
        for at in 0..self.ports.len() {
            for frame in self.outputs.queue(index(at)).drain(..) {
                left(at, frame.octets().to_vec());
                self.pool.give(frame);
            }
        }
    }

    pub(super) fn read(&self) -> Reading {
        self.pipeline.read()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a pipeline has few ports")]
const fn index(at: usize) -> PortIndex {
    PortIndex(at as u8)
}

const SESSIONS_MAX: usize = 256;
const FRAMES_OF_PORT: usize = 1_024;
const QUEUED_FRAMES_MAX: u32 = 1_024;
/// How long new next hops are waited for.
const PATIENCE: Nanos = Nanos(500_000_000);
/// As often as an edge does it.
const TICK: Nanos = Nanos(100_000_000);
