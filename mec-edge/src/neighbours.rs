//! Neighbours that the kernel resolves: where a port is a kernel interface and the kernel has an address of the program on
//! it, the kernel answers for that address and finds the next hops; the worker believes what it has found.
//!
//! One task a port looks when the kernel says that something has changed, and once a second, and tells the worker if the
//! answer is another than before. Nothing of it is on the way of a packet. An address that the kernel does not have is
//! answered for by the dataplane's own ARP and neighbour discovery.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use model::PortName;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::{Notify, mpsc, oneshot};
use transport_dataplane::{KernelPort, PortIndex, Tables};
use transport_southbound::{NeighbourEvents, Neighbours, Resolved};

use crate::told::in_full;
use crate::worker::{WorkerGone, Workers};

/// The ports that are kernel interfaces.
#[derive(Debug, Default)]
pub(crate) struct KernelPorts(Vec<Followed>);

/// What a port's driver gives away for this.
pub(crate) type KernelSide = (Neighbours, NeighbourEvents);

#[derive(Debug)]
struct Followed {
    port: PortIndex,
    wanted: Wanted,
    wishes: mpsc::Sender<(Wanted, oneshot::Sender<()>)>,
}

/// What tables need of a port's kernel.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Wanted {
    /// The port's own addresses.
    addresses: Vec<IpAddr>,
    /// Next hops, and from which address each is asked.
    next_hops: Vec<(IpAddr, IpAddr)>,
}

impl KernelPorts {
    /// Follows these kernels from now on. Needs a tokio runtime; ends when this is dropped.
    pub(crate) fn start(ports: Vec<(PortIndex, PortName, KernelSide)>, workers: &Workers) -> Self {
        let followed = ports.into_iter().map(|(port, name, (neighbours, events))| {
            let (wishes, asked) = mpsc::channel(1);
            let (said, wanted) = (Resolved::default(), Wanted::default());
            let follower = Follower { port, name, neighbours: Some(neighbours), wanted, said, failed: false };
            tokio::spawn(follower.run(events, asked, workers.clone()));
            Followed { port, wanted: Wanted::default(), wishes }
        });
        Self(followed.collect())
    }

    /// Finds what other tables need beside those that run. When this returns, the worker knows which addresses the kernel
    /// has, so that it does not talk over it.
    pub(crate) async fn find(&mut self, tables: &Tables) {
        for followed in &mut self.0 {
            followed.wanted.add(Wanted::of(tables, followed.port));
            followed.tell().await;
        }
    }

    /// Follows what these tables need, which run, and nothing else.
    pub(crate) async fn keep(&mut self, needed: Needed) {
        for (followed, wanted) in self.0.iter_mut().zip(needed.0) {
            if followed.wanted != wanted {
                followed.wanted = wanted;
                followed.tell().await;
            }
        }
    }

    /// What tables need of each.
    pub(crate) fn needed(&self, tables: &Tables) -> Needed {
        Needed(self.0.iter().map(|followed| Wanted::of(tables, followed.port)).collect())
    }
}

/// What tables need of each port's kernel.
#[derive(Debug)]
pub(crate) struct Needed(Vec<Wanted>);

impl Followed {
    async fn tell(&self) {
        let (reply, done) = oneshot::channel();
        if self.wishes.send((self.wanted.clone(), reply)).await.is_ok() {
            // One that has ended has said why.
            let _ = done.await;
        }
    }
}

impl Wanted {
    fn of(tables: &Tables, port: PortIndex) -> Self {
        let next_hops = tables.next_hops().filter(|next_hop| next_hop.port == port);
        Self {
            addresses: tables.addresses(port).collect(),
            next_hops: next_hops.map(|next_hop| (next_hop.address, next_hop.from)).collect(),
        }
    }

    fn add(&mut self, other: Self) {
        self.addresses.extend(other.addresses);
        self.addresses.sort_unstable();
        self.addresses.dedup();
        self.next_hops.extend(other.next_hops);
        self.next_hops.sort_unstable();
        self.next_hops.dedup();
    }
}

/// Follows the kernel of one port.
struct Follower {
    port: PortIndex,
    name: PortName,
    /// None while it is asked.
    neighbours: Option<Neighbours>,
    wanted: Wanted,
    /// What the worker was told last.
    said: Resolved,
    /// The kernel can't be asked; that was said.
    failed: bool,
}

impl Follower {
    async fn run(
        mut self,
        events: NeighbourEvents,
        mut asked: mpsc::Receiver<(Wanted, oneshot::Sender<()>)>,
        workers: Workers,
    ) {
        let changed = Arc::new(Notify::new());
        let bell = Arc::downgrade(&changed);
        let listener = std::thread::Builder::new().name(format!("neighbours-{}", self.name));
        if let Err(error) = listener.spawn(move || listen(&events, &bell)) {
            return self.fails(&error);
        }
        let mut refresh = tokio::time::interval(REFRESH);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let waits = tokio::select! {
                wish = asked.recv() => match wish {
                    Some((wanted, reply)) => {
                        self.wanted = wanted;
                        Some(reply)
                    }
                    None => return,
                },
                _ = refresh.tick() => None,
                () = changed.notified() => None,
            };
            if self.look(&workers).await.is_err() {
                return;
            }
            if let Some(reply) = waits {
                let _ = reply.send(());
            }
        }
    }

    /// Asks the kernel, and tells the worker what is new.
    async fn look(&mut self, workers: &Workers) -> Result<(), WorkerGone> {
        let found = match self.ask().await {
            Ok(found) => {
                self.failed = false;
                found
            }
            Err(error) => {
                self.fails(&error);
                Resolved::default()
            }
        };
        if found == self.said {
            return Ok(());
        }
        if found.addresses != self.said.addresses {
            self.announce(&found);
        }
        let Resolved { addresses, next_hops } = found.clone();
        workers.follow_kernel(KernelPort { port: self.port, addresses, next_hops }).await?;
        self.said = found;
        Ok(())
    }

    async fn ask(&mut self) -> io::Result<Resolved> {
        if self.wanted.addresses.is_empty() {
            return Ok(Resolved::default());
        }
        let Some(mut neighbours) = self.neighbours.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let Wanted { addresses, next_hops } = self.wanted.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let found = neighbours.look(&addresses, &next_hops);
            (neighbours, found)
        });
        let (neighbours, found) = asked.await.map_err(io::Error::other)?;
        self.neighbours = Some(neighbours);
        found
    }

    fn announce(&self, found: &Resolved) {
        let port = &self.name;
        if found.addresses.is_empty() {
            tracing::info!(%port, "the kernel has none of the port's addresses: the edge resolves its neighbours itself");
        } else {
            let addresses = found.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::info!(%port, addresses, "the kernel has these addresses: it resolves their neighbours");
        }
    }

    fn fails(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failed, true) {
            let (port, error) = (&self.name, in_full(error));
            tracing::warn!(%port, error, "the kernel can't be asked for neighbours: the edge resolves them itself");
        }
    }
}

/// Rings when the kernel says that something has changed, until nobody listens any more. It says so on a socket that a
/// runtime can't watch without `unsafe`, so a thread does, which sleeps.
fn listen(events: &NeighbourEvents, bell: &Weak<Notify>) {
    loop {
        let mut waits = [PollFd::new(events, PollFlags::IN)];
        // Interrupted or not, it is looked next whether anybody listens.
        let _ = poll(&mut waits, Some(&LOOK));
        let is_ready = !waits[0].revents().is_empty();
        let Some(bell) = bell.upgrade() else { return };
        if is_ready {
            // Changes come in swarms, and who floods the kernel with neighbours does not keep us busy.
            std::thread::sleep(SETTLE);
            events.drain();
            bell.notify_one();
        }
    }
}

/// How often the kernel is asked although it has not said that anything changed; it does not tell when an entry gets stale.
const REFRESH: Duration = Duration::from_secs(1);
/// How often it is looked whether anybody listens to a kernel that has nothing to say.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// For so long changes are gathered.
const SETTLE: Duration = Duration::from_millis(10);
