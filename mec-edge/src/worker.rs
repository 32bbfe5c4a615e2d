//! The workers: threads that own pipelines and ports, and move bursts.
//!
//! ```text
//!   control (async)  ── commands: swap, bind, unbind, read ──▶  worker threads: ports → pipeline → ports
//!                    ◀─ replies: old tables, keys, readings ──        │ ▲ rings: what is another's
//!                                                                     ▼ │
//! ```
//!
//! Commands are taken between two bursts. For a packet a worker allocates nothing, takes no lock and, but for one call a
//! burst on kernel ports, makes no system call. When nothing arrives it rests, so that several edges can share a core.
//! Most edges have one worker. Of several, each owns some of the ports and of the slices; what is asked of all of them is
//! asked of each, and what one of them alone knows, of that one.

mod mesh;
mod running;

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::resource::SegmentId;
use rtrb::{Producer, RingBuffer};
use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::oneshot;
use transport_dataplane::{
    BindError, Binding, Burst, Config, FramePool, KernelPort, LENT_MAX, Nanos, Numbers, Outputs, Pipeline, PortIndex,
    PortSpec, Pulse, QueuesReading, Reading, SegmentUid, SessionCounters, SessionKey, Tables, TreePlace, TreeReading,
    WORKERS_MAX, WorkerPlace,
};

use crate::clock;
use crate::ports::{EdgePort, Losses};
use running::{Obituary, Running, pin};

/// The control side's hold on the workers of an edge. Clones speak to the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    channels: Arc<[Channel]>,
    /// Of the first one.
    place: WorkerPlace,
    /// Which worker has each segment.
    owners: Arc<RwLock<BTreeMap<SegmentUid, usize>>>,
    epoch: Instant,
}

/// The way to one worker.
#[derive(Debug)]
struct Channel {
    commands: Mutex<Producer<Command>>,
    bell: Arc<OwnedFd>,
}

/// What the dataplane runs and has counted, and what its ports have lost.
#[derive(Debug)]
pub(crate) struct WorkersReading {
    /// When it was read.
    pub(crate) at: Nanos,
    pub(crate) pipeline: Reading,
    /// By port index.
    pub(crate) losses: Vec<Losses>,
}

/// The same of one worker.
#[derive(Debug)]
struct WorkerReading {
    at: Nanos,
    pipeline: Reading,
    /// Of its own ports.
    losses: Vec<(PortIndex, Losses)>,
}

/// The workers' threads; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct WorkerThreads {
    workers: Workers,
    threads: Vec<JoinHandle<()>>,
}

/// A worker does not answer: its thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the dataplane worker has stopped")]
pub struct WorkerGone;

#[derive(Debug)]
enum Command {
    Introduce(Arc<Tables>, oneshot::Sender<Range<usize>>),
    Knows(Range<usize>, oneshot::Sender<bool>),
    Swap(Box<Tables>, oneshot::Sender<Box<Tables>>),
    FollowKernel(Box<KernelPort>, oneshot::Sender<Option<Box<KernelPort>>>),
    Bind(Binding, oneshot::Sender<Result<SessionKey, BindError>>),
    Unbind(SessionKey, oneshot::Sender<Option<SessionCounters>>),
    Read(oneshot::Sender<Box<WorkerReading>>),
    Queues(PortIndex, oneshot::Sender<Option<(Nanos, QueuesReading)>>),
    Watch(Arc<SegmentId>, oneshot::Sender<bool>),
    Tree(PortIndex, TreePlace, oneshot::Sender<Option<TreeReading>>),
    Numbers(oneshot::Sender<Numbers>),
    Pulse(oneshot::Sender<Pulse>),
    Sessions(Vec<SessionKey>, oneshot::Sender<Vec<Option<SessionCounters>>>),
    Stop,
}

impl Workers {
    /// Now, by the workers' clock.
    pub(crate) fn now(&self) -> Nanos {
        nanos(self.epoch)
    }

    /// Finds the next hops that other tables need and those that run do not; answers when they are known, or after some
    /// patience.
    pub(crate) async fn introduce(&self, tables: Box<Tables>) -> Result<Box<Tables>, WorkerGone> {
        let tables = Arc::new(*tables);
        let introduced = self.ask_all(|reply| Command::Introduce(tables.clone(), reply)).await?;
        for _ in 0..INTRODUCTION_LOOKS {
            let mut all_known = true;
            for (channel, introduced) in self.channels.iter().zip(&introduced) {
                all_known &= channel.ask(|reply| Command::Knows(introduced.clone(), reply)).await?;
            }
            if all_known {
                break;
            }
            tokio::time::sleep(INTRODUCTION_LOOK).await;
        }
        // They have let go of them before they answered.
        Arc::into_inner(tables).map(Box::new).ok_or(WorkerGone)
    }

    /// Runs other tables from the next burst on; answers when all workers do.
    pub(crate) async fn swap(&self, tables: Box<Tables>) -> Result<(), WorkerGone> {
        let owners: BTreeMap<SegmentUid, usize> = tables.owners(self.place).collect();
        // Those that run know what there was before for a moment more.
        self.owners.write().unwrap_or_else(PoisonError::into_inner).extend(&owners);
        let mut copies: Vec<Box<Tables>> = (1..self.channels.len()).map(|_| tables.clone()).collect();
        copies.push(tables);
        let mut waits = Vec::with_capacity(copies.len());
        for (channel, tables) in self.channels.iter().zip(copies) {
            waits.push((channel, channel.tell(|reply| Command::Swap(tables, reply)).await?));
        }
        // The old tables come back to be freed here.
        answers(waits).await?;
        *self.owners.write().unwrap_or_else(PoisonError::into_inner) = owners;
        Ok(())
    }

    /// Believes what the kernel of a port says of its next hops, from the next burst on; answers when all workers do.
    pub(crate) async fn follow_kernel(&self, said: KernelPort) -> Result<(), WorkerGone> {
        // What it said before comes back to be freed here.
        self.ask_all(|reply| Command::FollowKernel(Box::new(said.clone()), reply)).await.map(drop)
    }

    /// Binds an endpoint; answers when its frames are forwarded.
    pub(crate) async fn bind(&self, binding: Binding) -> Result<Result<SessionKey, BindError>, WorkerGone> {
        let owner = self.owners.read().unwrap_or_else(PoisonError::into_inner).get(&binding.segment).copied();
        // No worker has a segment that is unknown; any can say so.
        self.channel(owner.unwrap_or(0))?.ask(|reply| Command::Bind(binding, reply)).await
    }

    /// Unbinds; answers when nothing is forwarded any more.
    pub(crate) async fn unbind(&self, key: SessionKey) -> Result<Option<SessionCounters>, WorkerGone> {
        self.channel(key.owner(self.place))?.ask(|reply| Command::Unbind(key, reply)).await
    }

    /// What runs, and what it has counted.
    pub(crate) async fn read(&self) -> Result<WorkersReading, WorkerGone> {
        let parts = self.ask_all(Command::Read).await?;
        let at = parts.iter().map(|part| part.at).min().unwrap_or_default();
        let mut losses: Vec<_> = parts.iter().flat_map(|part| part.losses.iter().copied()).collect();
        losses.sort_by_key(|(port, _)| *port);
        let pipeline = Reading::of_workers(parts.into_iter().map(|part| part.pipeline)).ok_or(WorkerGone)?;
        Ok(WorkersReading { at, pipeline, losses: losses.into_iter().map(|(_, losses)| losses).collect() })
    }

    /// What waits at a port, and when it was read; `None` if there is no such port.
    pub(crate) async fn queues(&self, port: PortIndex) -> Result<Option<(Nanos, QueuesReading)>, WorkerGone> {
        self.channel(self.place.of_port(port))?.ask(|reply| Command::Queues(port, reply)).await
    }

    /// Tells from now on how long frames stay in each queue of a segment; answers whether there is such a segment.
    pub(crate) async fn watch(&self, segment: SegmentId) -> Result<bool, WorkerGone> {
        let segment = Arc::new(segment);
        let watched = self.ask_all(|reply| Command::Watch(segment.clone(), reply)).await?;
        Ok(watched.into_iter().any(|watched| watched))
    }

    /// The tree of a port, in parts, so that bursts go on in between; none if there is no such port.
    pub(crate) async fn tree(&self, port: PortIndex) -> Result<Vec<TreeReading>, WorkerGone> {
        let owner = self.channel(self.place.of_port(port))?;
        let (mut parts, mut from) = (Vec::new(), Some(TreePlace::default()));
        while let Some(place) = from {
            let part = owner.ask(|reply| Command::Tree(port, place, reply)).await?;
            from = part.as_ref().and_then(|part| part.next);
            parts.extend(part);
        }
        Ok(parts)
    }

    /// The SIDs and labels that run.
    pub(crate) async fn numbers(&self) -> Result<Numbers, WorkerGone> {
        self.channel(0)?.ask(Command::Numbers).await
    }

    /// By what it is seen whether something else runs than before.
    pub(crate) async fn pulse(&self) -> Result<Pulse, WorkerGone> {
        Pulse::of_workers(self.ask_all(Command::Pulse).await?).ok_or(WorkerGone)
    }

    /// The counters of sessions, in parts, so that bursts go on in between.
    pub(crate) async fn sessions(&self, keys: &[SessionKey]) -> Result<Vec<Option<SessionCounters>>, WorkerGone> {
        let mut counters = vec![None; keys.len()];
        for (owner, channel) in self.channels.iter().enumerate() {
            let own = (0..keys.len()).filter(|at| keys[*at].owner(self.place) == owner);
            let own: Vec<usize> = own.collect();
            for part in own.chunks(SESSIONS_PART_MAX) {
                let keys: Vec<_> = part.iter().map(|at| keys[*at]).collect();
                let read = channel.ask(|reply| Command::Sessions(keys, reply)).await?;
                part.iter().zip(read).for_each(|(at, read)| counters[*at] = read);
            }
        }
        Ok(counters)
    }

    fn channel(&self, worker: usize) -> Result<&Channel, WorkerGone> {
        self.channels.get(worker).ok_or(WorkerGone)
    }

    /// Asks every worker, all at once; answers in the order of their places.
    async fn ask_all<T>(&self, mut command: impl FnMut(oneshot::Sender<T>) -> Command) -> Result<Vec<T>, WorkerGone> {
        let mut waits = Vec::with_capacity(self.channels.len());
        for channel in self.channels.iter() {
            waits.push((channel, channel.tell(&mut command).await?));
        }
        answers(waits).await
    }
}

/// What each of them replies.
async fn answers<T>(waits: Vec<(&Channel, oneshot::Receiver<T>)>) -> Result<Vec<T>, WorkerGone> {
    let mut answers = Vec::with_capacity(waits.len());
    for (channel, answer) in waits {
        answers.push(channel.answer(answer).await?);
    }
    Ok(answers)
}

impl Channel {
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, WorkerGone> {
        let answer = self.tell(command).await?;
        self.answer(answer).await
    }

    /// Hands over a command; answers where its reply will be.
    async fn tell<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<oneshot::Receiver<T>, WorkerGone> {
        let (reply, answer) = oneshot::channel();
        let mut command = command(reply);
        while let Err(back) = self.push(command)? {
            command = back;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(answer)
    }

    async fn answer<T>(&self, mut answer: oneshot::Receiver<T>) -> Result<T, WorkerGone> {
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

/// A worker that waits for its thread.
struct Prepared {
    place: WorkerPlace,
    core: Option<usize>,
    commands: rtrb::Consumer<Command>,
    bell: Arc<OwnedFd>,
    mesh: mesh::Mesh,
    is_busy_polled: bool,
    ports: Vec<(PortIndex, Box<dyn EdgePort>)>,
}

impl WorkerThreads {
    /// Starts so many workers for these ports, each on a core if cores are named.
    pub(crate) fn start(
        name: &str,
        ports: Vec<(model::PortName, Box<dyn EdgePort>)>,
        sessions_max: usize,
        (count, cores): (u8, &[usize]),
    ) -> std::io::Result<Self> {
        let too_many = || std::io::Error::other(format!("{count} workers: expected 1 to {WORKERS_MAX}"));
        let place = WorkerPlace::new(0, count).ok_or_else(too_many)?;
        let bells = (0..count).map(|_| Ok(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)));
        let bells: Vec<Arc<OwnedFd>> = bells.collect::<std::io::Result<_>>()?;
        let specs: Vec<PortSpec> =
            ports.iter().map(|(name, port)| PortSpec { name: name.clone(), mac: port.mac() }).collect();
        let is_busy_polled = ports.iter().any(|(_, port)| port.is_busy_polled());
        let (mut channels, mut prepared) = (Vec::new(), Vec::new());
        for ((index, mesh), bell) in (0_u8..).zip(mesh::meshes(&bells)).zip(bells) {
            let (producer, commands) = RingBuffer::new(COMMANDS_MAX);
            channels.push(Channel { commands: Mutex::new(producer), bell: bell.clone() });
            let place = WorkerPlace::new(index, count).ok_or_else(too_many)?;
            let core = cores.get(place.index()).copied();
            prepared.push(Prepared { place, core, commands, bell, mesh, is_busy_polled, ports: Vec::new() });
        }
        for (at, (_, port)) in (0_u8..).map(PortIndex).zip(ports) {
            prepared[place.of_port(at)].ports.push((at, port));
        }
        let epoch = Instant::now();
        let workers = Workers { channels: channels.into(), place, owners: Arc::default(), epoch };
        // Those that were started end with it, if another can't be.
        let mut started = Self { workers, threads: Vec::new() };
        for prepared in prepared {
            started.threads.push(prepared.start(name, specs.clone(), sessions_max, epoch)?);
        }
        Ok(started)
    }

    pub(crate) const fn workers(&self) -> &Workers {
        &self.workers
    }
}

impl Prepared {
    fn start(
        self,
        name: &str,
        specs: Vec<PortSpec>,
        sessions_max: usize,
        epoch: Instant,
    ) -> std::io::Result<JoinHandle<()>> {
        let (pinned, was_pinned) = std::sync::mpsc::channel();
        let Self { place: worker, core, commands, bell, mesh, is_busy_polled, ports } = self;
        let name = if worker.count() == 1 { format!("worker-{name}") } else { format!("{}-{name}", worker.index()) };
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let is_pinned = pin(core);
            let fails = is_pinned.is_err();
            // Whoever starts it waits for this.
            let _ = pinned.send(is_pinned);
            if fails {
                return;
            }
            let _obituary = Obituary;
            let queued_frames_max = QUEUED_FRAMES_PER_PORT;
            let per_port = FRAMES_PER_PORT + queued_frames_max as usize;
            // One without ports makes copies, too.
            let (frames, all) = (per_port * ports.len().max(1), per_port * (specs.len() + worker.count()));
            let outputs = Outputs::new(specs.len());
            let config = Config { ports: specs, sessions_max, queued_frames_max, worker, clock: clock::read(epoch) };
            let running = Running {
                pool: FramePool::with_room(frames, all),
                outputs,
                pipeline: Pipeline::new(config),
                burst: Burst::new(),
                ports,
                mesh,
                is_busy_polled,
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
        Ok(thread)
    }
}

impl Drop for WorkerThreads {
    fn drop(&mut self) {
        for channel in self.workers.channels.iter().take(self.threads.len()) {
            let mut command = Command::Stop;
            while let Ok(Err(back)) = channel.push(command) {
                command = back;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        for thread in self.threads.drain(..) {
            // If it ended by a fault, that was said when it did.
            let _ = thread.join();
        }
    }
}

fn nanos(epoch: Instant) -> Nanos {
    // 584 years fit.
    Nanos(u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// Commands that wait for the worker.
const COMMANDS_MAX: usize = 1_024;
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

const _: () = assert!(FRAMES_PER_PORT >= 2 * transport_dataplane::OUTPUT_FRAMES_MAX && FRAMES_PER_PORT > LENT_MAX);

#[cfg(test)]
mod tests;
