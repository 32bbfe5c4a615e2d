//! The worker: a thread of its own that owns the pipeline and the ports, and moves bursts.
//!
//! ```text
//!   control (async)  ── commands: swap, bind, unbind, read ──▶  worker thread: ports → pipeline → ports
//!                    ◀─ replies: old tables, keys, readings ──
//! ```
//!
//! Commands are taken between two bursts. For a packet the worker allocates nothing, takes no lock and, but for one call a
//! burst on kernel ports, makes no system call. When nothing arrives it rests, so that several edges can share a core.

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use model::resource::SegmentId;
use rtrb::{Consumer, Producer, RingBuffer};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::sync::oneshot;
use transport_dataplane::{
    BindError, Binding, Burst, Config, FramePool, KernelPort, Nanos, Numbers, Outputs, PORTS_MAX, Pipeline, PortIndex,
    PortSpec, Pulse, QueuesReading, Reading, SessionCounters, SessionKey, Tables, TreePlace, TreeReading,
};

use crate::clock;
use crate::ports::{EdgePort, Losses};

/// The control side's hold on a worker. Clones speak to the same worker.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    commands: Arc<Mutex<Producer<Command>>>,
    bell: Arc<OwnedFd>,
    epoch: Instant,
}

/// What the dataplane runs and has counted, and what its ports have lost.
#[derive(Debug)]
pub(crate) struct WorkerReading {
    /// When it was read.
    pub(crate) at: Nanos,
    pub(crate) pipeline: Reading,
    /// By port index.
    pub(crate) losses: Vec<Losses>,
}

/// The worker's thread; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct WorkerThread {
    worker: Worker,
    thread: Option<JoinHandle<()>>,
}

/// The worker does not answer: its thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the dataplane worker has stopped")]
pub struct WorkerGone;

#[derive(Debug)]
enum Command {
    Introduce(Box<Tables>, oneshot::Sender<(Box<Tables>, Range<usize>)>),
    Knows(Range<usize>, oneshot::Sender<bool>),
    Swap(Box<Tables>, oneshot::Sender<Box<Tables>>),
    FollowKernel(Box<KernelPort>, oneshot::Sender<Option<Box<KernelPort>>>),
    Bind(Binding, oneshot::Sender<Result<SessionKey, BindError>>),
    Unbind(SessionKey, oneshot::Sender<Option<SessionCounters>>),
    Read(oneshot::Sender<Box<WorkerReading>>),
    Queues(PortIndex, oneshot::Sender<Option<(Nanos, QueuesReading)>>),
    Watch(Box<SegmentId>, oneshot::Sender<bool>),
    Tree(PortIndex, TreePlace, oneshot::Sender<Option<TreeReading>>),
    Numbers(oneshot::Sender<Numbers>),
    Pulse(oneshot::Sender<Pulse>),
    Sessions(Vec<SessionKey>, oneshot::Sender<Vec<Option<SessionCounters>>>),
    Stop,
}

impl Worker {
    /// Now, by the worker's clock.
    pub(crate) fn now(&self) -> Nanos {
        nanos(self.epoch)
    }

    /// Finds the next hops that other tables need and those that run do not; answers when they are known, or after some
    /// patience.
    pub(crate) async fn introduce(&self, tables: Box<Tables>) -> Result<Box<Tables>, WorkerGone> {
        let (tables, introduced) = self.ask(|reply| Command::Introduce(tables, reply)).await?;
        for _ in 0..INTRODUCTION_LOOKS {
            if self.ask(|reply| Command::Knows(introduced.clone(), reply)).await? {
                break;
            }
            tokio::time::sleep(INTRODUCTION_LOOK).await;
        }
        Ok(tables)
    }

    /// Runs other tables from the next burst on; answers when it does.
    pub(crate) async fn swap(&self, tables: Box<Tables>) -> Result<(), WorkerGone> {
        // The old tables come back to be freed here.
        self.ask(|reply| Command::Swap(tables, reply)).await.map(drop)
    }

    /// Believes what the kernel of a port says of its next hops, from the next burst on; answers when it does.
    pub(crate) async fn follow_kernel(&self, said: KernelPort) -> Result<(), WorkerGone> {
        let said = Box::new(said);
        // What it said before comes back to be freed here.
        self.ask(|reply| Command::FollowKernel(said, reply)).await.map(drop)
    }

    /// Binds an endpoint; answers when its frames are forwarded.
    pub(crate) async fn bind(&self, binding: Binding) -> Result<Result<SessionKey, BindError>, WorkerGone> {
        self.ask(|reply| Command::Bind(binding, reply)).await
    }

    /// Unbinds; answers when nothing is forwarded any more.
    pub(crate) async fn unbind(&self, key: SessionKey) -> Result<Option<SessionCounters>, WorkerGone> {
        self.ask(|reply| Command::Unbind(key, reply)).await
    }

    /// What runs, and what it has counted.
    pub(crate) async fn read(&self) -> Result<Box<WorkerReading>, WorkerGone> {
        self.ask(Command::Read).await
    }

    /// What waits at a port, and when it was read; `None` if there is no such port.
    pub(crate) async fn queues(&self, port: PortIndex) -> Result<Option<(Nanos, QueuesReading)>, WorkerGone> {
        self.ask(|reply| Command::Queues(port, reply)).await
    }

    /// Tells from now on how long frames stay in each queue of a segment; answers whether there is such a segment.
    pub(crate) async fn watch(&self, segment: SegmentId) -> Result<bool, WorkerGone> {
        let segment = Box::new(segment);
        self.ask(|reply| Command::Watch(segment, reply)).await
    }

    /// The tree of a port, in parts, so that bursts go on in between; none if there is no such port.
    pub(crate) async fn tree(&self, port: PortIndex) -> Result<Vec<TreeReading>, WorkerGone> {
        let (mut parts, mut from) = (Vec::new(), Some(TreePlace::default()));
        while let Some(place) = from {
            let part = self.ask(|reply| Command::Tree(port, place, reply)).await?;
            from = part.as_ref().and_then(|part| part.next);
            parts.extend(part);
        }
        Ok(parts)
    }

    /// The SIDs and labels that run.
    pub(crate) async fn numbers(&self) -> Result<Numbers, WorkerGone> {
        self.ask(Command::Numbers).await
    }

    /// By what it is seen whether something else runs than before.
    pub(crate) async fn pulse(&self) -> Result<Pulse, WorkerGone> {
        self.ask(Command::Pulse).await
    }

    /// The counters of sessions, in parts, so that bursts go on in between.
    pub(crate) async fn sessions(&self, keys: &[SessionKey]) -> Result<Vec<Option<SessionCounters>>, WorkerGone> {
        let mut counters = Vec::with_capacity(keys.len());
        for part in keys.chunks(SESSIONS_PART_MAX) {
            counters.extend(self.ask(|reply| Command::Sessions(part.to_vec(), reply)).await?);
        }
        Ok(counters)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, WorkerGone> {
        let (reply, mut answer) = oneshot::channel();
        let mut command = command(reply);
        while let Err(back) = self.push(command)? {
            command = back;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // A worker that ends leaves what is in the ring as it is: neither answered nor dropped.
        loop {
            match tokio::time::timeout(LOOK, &mut answer).await {
                Ok(answer) => return answer.map_err(|_| WorkerGone),
                Err(_) if self.has_ended() => return answer.try_recv().map_err(|_| WorkerGone),
                Err(_) => {}
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).is_abandoned()
    }

    /// Hands over a command, or gives it back if the ring is full.
    fn push(&self, command: Command) -> Result<Result<(), Command>, WorkerGone> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        if commands.is_abandoned() {
            return Err(WorkerGone);
        }
        let pushed = commands.push(command).map_err(|rtrb::PushError::Full(back)| back);
        drop(commands);
        // A worker that is awake looks by itself; a bell that rings already is as good.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        Ok(pushed)
    }
}

impl WorkerThread {
    /// Starts a worker for these ports, on this core if one is named.
    pub(crate) fn start(
        name: &str,
        ports: Vec<(model::PortName, Box<dyn EdgePort>)>,
        sessions_max: usize,
        core: Option<usize>,
    ) -> std::io::Result<Self> {
        let (pinned, was_pinned) = std::sync::mpsc::channel();
        let (producer, commands) = RingBuffer::new(COMMANDS_MAX);
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let worker = Worker { commands: Arc::new(Mutex::new(producer)), bell: bell.clone(), epoch: Instant::now() };
        let specs = ports.iter().map(|(name, port)| PortSpec { name: name.clone(), mac: port.mac() }).collect();
        let ports: Vec<Box<dyn EdgePort>> = ports.into_iter().map(|(_, port)| port).collect();
        let epoch = worker.epoch;
        let thread = std::thread::Builder::new().name(format!("worker-{name}")).spawn(move || {
            let is_pinned = pin(core);
            let fails = is_pinned.is_err();
            // Whoever starts it waits for this.
            let _ = pinned.send(is_pinned);
            if fails {
                return;
            }
            let _obituary = Obituary;
            let queued_frames_max = QUEUED_FRAMES_PER_PORT;
            let config = Config { ports: specs, sessions_max, queued_frames_max, clock: clock::read(epoch) };
            let frames = FRAMES_PER_PORT + queued_frames_max as usize;
            let running = Running {
                pool: FramePool::new(frames * ports.len().max(1)),
                outputs: Outputs::new(ports.len()),
                pipeline: Pipeline::new(config),
                burst: Burst::new(),
                ports,
                commands,
                bell,
                epoch,
                ticked: Nanos(0),
                clock_read: Nanos(0),
                programmed: false,
                swapped: Vec::new(),
            };
            running.run();
        })?;
        was_pinned.recv().unwrap_or(Ok(()))?;
        Ok(Self { worker, thread: Some(thread) })
    }

    pub(crate) const fn worker(&self) -> &Worker {
        &self.worker
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let mut command = Command::Stop;
        while let Ok(Err(back)) = self.worker.push(command) {
            command = back;
            std::thread::sleep(Duration::from_millis(1));
        }
        // If it ended by a fault, that was said when it did.
        let _ = thread.join();
    }
}

/// Has this thread run on one core and on no other.
fn pin(core: Option<usize>) -> std::io::Result<()> {
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
struct Obituary;

impl Drop for Obituary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the dataplane worker ended by a fault of its own; nothing is forwarded any more");
        }
    }
}

/// What the thread owns.
struct Running {
    pipeline: Pipeline,
    ports: Vec<Box<dyn EdgePort>>,
    pool: FramePool,
    outputs: Outputs,
    burst: Burst,
    commands: Consumer<Command>,
    bell: Arc<OwnedFd>,
    epoch: Instant,
    ticked: Nanos,
    clock_read: Nanos,
    /// Tables of a program have been swapped in.
    programmed: bool,
    /// Tables that ran before, until the trees are as those that run now say, and who waits for that.
    swapped: Vec<(Box<Tables>, oneshot::Sender<Box<Tables>>)>,
}

impl Running {
    fn run(mut self) {
        let mut idle = 0_u32;
        let is_busy_polled = self.ports.iter().any(|port| port.is_busy_polled());
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
            for at in 0..self.ports.len() {
                if self.ports[at].is_replay() && !self.programmed {
                    continue;
                }
                self.ports[at].receive(&mut self.pool, &mut self.burst);
                if self.burst.is_empty() {
                    continue;
                }
                busy = true;
                #[allow(clippy::cast_possible_truncation, reason = "at most PORTS_MAX")]
                let port = PortIndex(at as u8);
                self.pipeline.process(now, port, &mut self.burst, &mut self.pool, &mut self.outputs);
                self.flush();
            }
            idle = if busy { 0 } else { idle.saturating_add(1) };
            if idle > SPINS && !is_busy_polled {
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

    /// Sends what waits.
    fn flush(&mut self) {
        for (at, port) in self.ports.iter_mut().enumerate() {
            #[allow(clippy::cast_possible_truncation, reason = "at most PORTS_MAX")]
            let queue = self.outputs.queue(PortIndex(at as u8));
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
                drop(reply.send((tables, introduced)));
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
                let losses = self.ports.iter_mut().map(|port| port.losses()).collect();
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
        let departs = self.pipeline.next_departure(now);
        let until_departure = departs.map_or(u64::MAX, |due| due.0.saturating_sub(now.0));
        let mut waits: ArrayVec<PollFd<'_>, { PORTS_MAX + 1 }> = ArrayVec::new();
        waits.push(PollFd::new(&self.bell, PollFlags::IN));
        waits.extend(
            self.ports.iter().filter_map(|port| port.readiness()).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        let all_can_tell = waits.len() == self.ports.len() + 1;
        // Interrupted or not, everything is looked at next.
        let most = if all_can_tell { REST_WOKEN } else { REST };
        let until_probe = self.pipeline.next_probe().map_or(most, |due| Nanos(due.0.saturating_sub(now.0)));
        let nanos = most.min(until_probe).0.min(until_departure).cast_signed();
        let _ = poll(&mut waits, Some(&Timespec { tv_sec: 0, tv_nsec: nanos }));
        if !waits[0].revents().is_empty() {
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        }
    }
}

fn nanos(epoch: Instant) -> Nanos {
    // 584 years fit.
    Nanos(u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// Commands that wait for the worker.
const COMMANDS_MAX: usize = 1_024;
/// Commands between two rounds of the ports: a flood of authentications must not stop the traffic.
const COMMANDS_PER_TURN_MAX: usize = 16;
/// How often one who waits for an answer looks whether the worker is still there.
const LOOK: Duration = Duration::from_millis(100);
/// How often, and how many times, it is looked whether next hops are known before a program runs without them.
const INTRODUCTION_LOOK: Duration = Duration::from_millis(5);
const INTRODUCTION_LOOKS: u32 = 100;
/// Sessions read between two rounds of the ports.
const SESSIONS_PART_MAX: usize = 1_000;
/// Buffers for each port: bursts in flight and full output queues.
const FRAMES_PER_PORT: usize = 1_024;
/// Buffers for each port that may hold frames that wait for their turn: 49 ms of 1,500 octets at 1 Gbit/s.
const QUEUED_FRAMES_PER_PORT: u32 = 4_096;
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

const _: () = assert!(FRAMES_PER_PORT >= 2 * transport_dataplane::OUTPUT_FRAMES_MAX);
