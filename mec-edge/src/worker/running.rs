//! One worker's thread: what it owns, and its turns.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use arrayvec::ArrayVec;
use rtrb::Consumer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::sync::oneshot;
use transport_dataplane::{Burst, FramePool, Nanos, Outputs, PORTS_MAX, Pipeline, PortIndex, Tables};

use super::mesh::Mesh;
use super::{Command, WorkerReading, nanos};
use crate::clock;
use crate::ports::EdgePort;

/// Has this thread run on one core and on no other.
pub(super) fn pin(core: Option<usize>) -> std::io::Result<()> {
    let Some(core) = core else { return Ok(()) };
    if core >= CpuSet::MAX_CPU {
        return Err(std::io::Error::other(format!("core {core}: expected one below {}", CpuSet::MAX_CPU)));
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).map_err(|error| {
        let error = std::io::Error::from(error);
        std::io::Error::new(error.kind(), format!("core {core}: {error}; expected one that this process may run on"))
    })
}

/// Says so if the thread ends by a fault; the manager is told by the next report.
pub(super) struct Obituary;

impl Drop for Obituary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the dataplane worker ended by a fault of its own; nothing is forwarded any more");
        }
    }
}

/// What the thread owns.
pub(super) struct Running {
    pub(super) pipeline: Pipeline,
    /// Its own.
    pub(super) ports: Vec<(PortIndex, Box<dyn EdgePort>)>,
    pub(super) pool: FramePool,
    pub(super) outputs: Outputs,
    pub(super) burst: Burst,
    pub(super) mesh: Mesh,
    /// Never rests; so does no worker of the edge, or it would have to be woken for each handover.
    pub(super) is_busy_polled: bool,
    pub(super) commands: Consumer<Command>,
    pub(super) bell: Arc<OwnedFd>,
    pub(super) epoch: Instant,
    pub(super) ticked: Nanos,
    pub(super) clock_read: Nanos,
    /// Tables of a program have been swapped in.
    pub(super) programmed: bool,
    /// Tables that ran before, until the trees are as those that run now say, and who waits for that.
    pub(super) swapped: Vec<(Box<Tables>, oneshot::Sender<Box<Tables>>)>,
}

impl Running {
    pub(super) fn run(mut self) {
        let mut idle = 0_u32;
        loop {
            let now = nanos(self.epoch);
            let mut busy = false;
            for _ in 0..COMMANDS_PER_TURN_MAX {
                match self.commands.pop() {
                    Ok(Command::Stop) => return,
                    Ok(command) => {
                        busy = true;
                        self.obey(command);
                    }
                    Err(_) => break,
                }
            }
            busy |= self.do_what_is_due(now);
            for inlet in 0..self.mesh.inlets() {
                if self.mesh.take(inlet, now, &mut self.pipeline, (&mut self.pool, &mut self.outputs)) {
                    busy = true;
                    self.flush();
                }
            }
            for at in 0..self.ports.len() {
                let (index, port) = &mut self.ports[at];
                if port.is_replay() && !self.programmed {
                    continue;
                }
                port.receive(&mut self.pool, &mut self.burst);
                if !self.burst.is_empty() {
                    busy = true;
                    self.pipeline.process(now, *index, &mut self.burst, &mut self.pool, &mut self.outputs);
                    self.flush();
                }
            }
            // Where another does not keep up, what it is to get is tried again.
            busy |= self.mesh.hand(&mut self.pipeline);
            if self.mesh.is_broken() {
                // All end when one has: half of an edge would go on as it was told once, and never hear of a change.
                return;
            }
            idle = if busy { 0 } else { idle.saturating_add(1) };
            if idle > SPINS && !self.is_busy_polled {
                self.rest(now);
            }
        }
    }

    /// What the pipeline does without a packet that arrives. Answers whether it is to go on at once.
    fn do_what_is_due(&mut self, now: Nanos) -> bool {
        let is_shaped = self.pipeline.reshape(now);
        if is_shaped {
            for (before, reply) in self.swapped.drain(..) {
                drop(reply.send(before));
            }
        }
        let departs = self.pipeline.next_departure(now).is_some_and(|due| due <= now);
        if departs {
            self.pipeline.depart(now, &mut self.pool, &mut self.outputs);
        }
        let ticks = now.0.saturating_sub(self.ticked.0) >= TICK.0;
        if ticks {
            self.ticked = now;
            if now.0.saturating_sub(self.clock_read.0) >= CLOCK.0 {
                self.clock_read = now;
                self.pipeline.set_clock(clock::read(self.epoch));
            }
            self.pipeline.tick(now, &mut self.pool, &mut self.outputs);
        }
        let probes = self.pipeline.next_probe().is_some_and(|due| due <= now);
        if probes {
            self.pipeline.probe(now, &mut self.pool, &mut self.outputs);
        }
        if ticks || probes || departs {
            self.flush();
        }
        !is_shaped
    }

    /// Sends what waits, and hands over what is others'.
    fn flush(&mut self) {
        self.mesh.hand(&mut self.pipeline);
        for (index, port) in &mut self.ports {
            let queue = self.outputs.queue(*index);
            if !queue.is_empty() {
                port.transmit(queue, &mut self.pool);
            }
        }
    }

    fn obey(&mut self, command: Command) {
        // A reply that nobody waits for any more is dropped.
        match command {
            Command::Introduce(tables, reply) => {
                let introduced = self.pipeline.introduce(&tables);
                if !introduced.is_empty() {
                    self.ticked = Nanos(0);
                }
                // Whoever asked has the last hold on them, and frees them.
                drop(tables);
                drop(reply.send(introduced));
            }
            Command::Knows(introduced, reply) => drop(reply.send(self.pipeline.knows(introduced))),
            Command::Swap(tables, reply) => {
                self.programmed = true;
                self.swapped.push((self.pipeline.swap(tables), reply));
            }
            Command::FollowKernel(said, reply) => drop(reply.send(self.pipeline.follow_kernel(said))),
            Command::Bind(binding, reply) => drop(reply.send(self.pipeline.bind(&binding))),
            Command::Unbind(key, reply) => drop(reply.send(self.pipeline.unbind(&key))),
            Command::Pulse(reply) => drop(reply.send(self.pipeline.pulse())),
            Command::Read(reply) => {
                let losses = self.ports.iter_mut().map(|(index, port)| (*index, port.losses())).collect();
                let at = nanos(self.epoch);
                drop(reply.send(Box::new(WorkerReading { at, pipeline: self.pipeline.read(), losses })));
            }
            Command::Queues(port, reply) => {
                let now = nanos(self.epoch);
                drop(reply.send(self.pipeline.read_queues(port).map(|reading| (now, reading))));
            }
            Command::Watch(segment, reply) => drop(reply.send(self.pipeline.watch(&segment))),
            Command::Tree(port, from, reply) => drop(reply.send(self.pipeline.read_tree(port, from))),
            Command::Numbers(reply) => drop(reply.send(self.pipeline.read_numbers())),
            Command::Sessions(keys, reply) => {
                drop(reply.send(keys.iter().map(|key| self.pipeline.session(key)).collect()));
            }
            Command::Stop => {}
        }
    }

    /// Waits for a command, or for a frame on the ports that can tell, and not for long: not beyond the next probe, nor
    /// beyond the next frame that is due to leave. By how much the kernel wakes it late, trees make up for.
    fn rest(&mut self, now: Nanos) {
        if !self.mesh.may_sleep() {
            return;
        }
        let departs = self.pipeline.next_departure(now);
        let until_departure = departs.map_or(u64::MAX, |due| due.0.saturating_sub(now.0));
        let mut waits: ArrayVec<PollFd<'_>, { PORTS_MAX + 1 }> = ArrayVec::new();
        waits.push(PollFd::new(&self.bell, PollFlags::IN));
        waits.extend(
            self.ports
                .iter()
                .filter_map(|(_, port)| port.readiness())
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        let all_can_tell = waits.len() == self.ports.len() + 1;
        // Interrupted or not, everything is looked at next.
        let most = if all_can_tell { REST_WOKEN } else { REST };
        let until_probe = self.pipeline.next_probe().map_or(most, |due| Nanos(due.0.saturating_sub(now.0)));
        let nanos = most.min(until_probe).0.min(until_departure).cast_signed();
        let _ = poll(&mut waits, Some(&Timespec { tv_sec: 0, tv_nsec: nanos }));
        self.mesh.awake();
        if !waits[0].revents().is_empty() {
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        }
    }
}

/// Commands between two rounds of the ports: a flood of authentications must not stop the traffic.
const COMMANDS_PER_TURN_MAX: usize = 16;
/// How often the pipeline does what is due without a packet.
const TICK: Nanos = Nanos(100_000_000);
/// How often it is looked how well the clock is set.
const CLOCK: Nanos = Nanos(1_000_000_000);
/// Rounds without a frame before the worker rests: some microseconds where looking takes no call.
const SPINS: u32 = 64;
/// How long it rests where a port has no way to wake it.
const REST: Nanos = Nanos(100_000);
/// How long it rests where every port has.
const REST_WOKEN: Nanos = Nanos(1_000_000);
