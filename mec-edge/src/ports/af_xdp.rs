//! A port on a kernel interface, by AF_XDP: a program in the interface's driver hands frames to a socket whose memory is shared
//! with the kernel, before anything else looks at them. Needs CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and CAP_IPC_LOCK.
//!
//! ```text
//!             ┌ a socket for each receive queue ◀── the edge's ──┐
//!   the port ─┤                                                  ├─ program ◀── interface
//!             └ packet socket ◀── copy ── kernel ◀── the rest ───┘
//! ```
//!
//! The [program](program) lets pass what the kernel needs, so that where the kernel has an address it answers ARP, neighbour
//! discovery and everything else as before. A packet socket beside it sees a copy of that, so that the edge misses nothing:
//! not what goes to groups, not what arrives on a queue that came later. Frames with a tag inside go to the edge alone.
//!
//! A thread of the port's keeps the program in step with the kernel's addresses, and opens the sockets anew when the interface
//! comes back.

mod attached;
mod bpf;
mod keeper;
mod program;
mod rings;

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use model::Mac;
use rustix::event::epoll;
use transport_dataplane::{Burst, Frame, FramePool, Port};
use transport_southbound::{NeighbourEvents, Neighbours};

use super::af_packet::{AfPacketError, AfPacketPort};
use super::system::Interface;
use super::{EdgePort, Loss, Losses, Polling};
use attached::{Allowed, Attached, QUEUES_MAX};
use keeper::{Keeper, Word};

/// A port on a kernel interface.
#[derive(Debug)]
pub struct AfXdpPort {
    keeper: Keeper,
    /// `None` while the interface is away or down.
    attached: Option<Attached>,
    /// Readable when one of the sockets is.
    any: OwnedFd,
    beside: AfPacketPort,
    losses: Losses,
    /// Looks for frames, to see now and then what else there is.
    turn: u8,
    polling: Polling,
    mode: String,
}

/// An interface that can't be used so.
#[derive(Debug, thiserror::Error)]
pub enum AfXdpError {
    /// There is none of that name here.
    #[error("there is no interface `{0}` in this network namespace")]
    NoInterface(String),
    /// It is down.
    #[error("interface `{0}` is down; `ip link set {0} up` first")]
    Down(String),
    /// Its packets are longer than the memory has room for.
    #[error("interface `{interface}` has an MTU of {mtu}; AF_XDP carries {most} at most")]
    Mtu {
        /// The interface.
        interface: String,
        /// Its MTU.
        mtu: usize,
        /// The largest that can be.
        most: usize,
    },
    /// It receives by more queues than there can be sockets.
    #[error(
        "interface `{interface}` has {queues} receive queues; expected {QUEUES_MAX} at most (`ethtool -L {interface}`)"
    )]
    Queues {
        /// The interface.
        interface: String,
        /// How many.
        queues: u32,
    },
    /// Somebody else's program is on it.
    #[error(
        "interface `{0}` has an XDP program of somebody else's (`ip link show {0}` tells its number); take it off first"
    )]
    Taken(String),
    /// Its driver puts VLAN tags beside the frame, and can't be had to leave them in it.
    #[error("interface `{0}` puts VLAN tags beside the frame, where AF_XDP does not see them; {1}")]
    Tags(String, &'static str),
    /// It is made of others, whose tags can't be asked for.
    #[error("interface `{interface}` is a {driver}: what it is made of puts VLAN tags where AF_XDP does not see them")]
    Stacked {
        /// The interface.
        interface: String,
        /// What it is.
        driver: String,
    },
    /// The driver knows no XDP.
    #[error("the driver of interface `{interface}` takes no XDP program{}", driver_hint(.source))]
    NotNative {
        /// The interface.
        interface: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A packet socket is better there.
    #[error("on a veth such as `{0}`, frames cost more by AF_XDP")]
    NotBest(String),
    /// The packet socket beside it.
    #[error(transparent)]
    Beside(#[from] AfPacketError),
    /// The system refused a call.
    #[error("interface `{interface}`: {call} failed{}", hint(.source))]
    Call {
        /// The interface.
        interface: String,
        /// The call.
        call: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied {
        " (AF_XDP needs root, or CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_IPC_LOCK)"
    } else {
        ""
    }
}

/// What drivers mean by what they answer.
fn driver_hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOSPC) => " (a veth needs as many receive queues as its peer sends by: `ethtool -L`)",
        Some(libc::ERANGE) => " (the MTU is too large for it, here or at a veth's peer)",
        _ => "",
    }
}

impl AfXdpPort {
    /// Opens an interface, in its driver if that knows XDP, else above it.
    pub fn open(interface: &str, polling: Polling) -> Result<Self, AfXdpError> {
        Self::open_as(interface, polling, Allowed::Generic)
    }

    /// Opens an interface if its driver knows XDP, and gains by it; above the driver, and on a veth, whose driver makes and
    /// clears a page for each frame, a packet socket is no worse.
    pub(super) fn open_best(interface: &str, polling: Polling) -> Result<Self, AfXdpError> {
        Self::open_as(interface, polling, Allowed::Native)
    }

    fn open_as(interface: &str, polling: Polling, allowed: Allowed) -> Result<Self, AfXdpError> {
        let call = |call| move |source| AfXdpError::Call { interface: interface.to_owned(), call, source };
        let link = Interface::new(interface).ok_or_else(|| AfXdpError::NoInterface(interface.to_owned()))?;
        // What passes the program from now on is seen there.
        let beside = AfPacketPort::open(interface, polling)?;
        let (attached, addresses) = Attached::open(&link, interface, polling, allowed)?;
        let any = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| call("epoll_create")(error.into()))?;
        let (mode, index) = (attached.mode(), attached.index());
        let keeper = Keeper::start(interface.to_owned(), link, index, addresses, polling, allowed)
            .map_err(call("starting a thread"))?;
        let losses = Losses::default();
        let mut port = Self { keeper, attached: None, any, beside, losses, turn: 0, polling, mode };
        port.beside
            .readiness()
            .map_or(Ok(()), |socket| port.watch(socket))
            .and_then(|()| port.use_sockets(attached))
            .map_err(call("epoll_ctl"))?;
        Ok(port)
    }

    fn watch(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::add(&self.any, socket, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?)
    }

    fn use_sockets(&mut self, attached: Attached) -> io::Result<()> {
        attached.sockets().try_for_each(|socket| self.watch(socket))?;
        self.attached = Some(attached);
        Ok(())
    }

    /// The interface is gone or down: what was on its way is lost. Closing the sockets takes them off the watch.
    fn detach(&mut self) {
        if let Some(mut attached) = self.attached.take() {
            self.losses.count(Loss::Overrun, attached.overruns());
            self.losses.count(Loss::NotSent, attached.waiting() as u64);
            // Taking the program off and giving the memory back takes its time, and other ports have frames.
            let name = "af-xdp-detach".to_owned();
            let _ = std::thread::Builder::new().name(name).spawn(move || drop(attached));
        }
    }

    /// What the keeper says.
    fn hear(&mut self) {
        while let Some(word) = self.keeper.hear() {
            self.detach();
            if let Word::Back(attached) = word
                && let Err(error) = self.use_sockets(*attached)
            {
                tracing::warn!(%error, "the sockets of the interface can't be waited for");
            }
        }
    }
}

impl Port for AfXdpPort {
    fn receive(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let before = burst.len();
        if let Some(attached) = &mut self.attached {
            attached.receive(pool, burst, &mut self.losses);
            if burst.len() == before {
                attached.offer_again();
                if self.polling == Polling::Busy {
                    attached.poll();
                }
            }
        }
        self.turn = (self.turn + 1) % TURNS;
        if self.turn == 0 {
            self.hear();
        }
        if burst.len() == before || self.turn == 0 {
            self.beside.receive(pool, burst);
        }
    }

    fn transmit(&mut self, frames: &mut Vec<Frame>, pool: &mut FramePool) -> usize {
        let all = frames.len();
        let sent = self.attached.as_mut().map_or(Ok(0), |attached| attached.transmit(frames));
        frames.drain(..).for_each(|frame| pool.give(frame));
        match sent {
            Ok(sent) => {
                self.losses.count(Loss::NotSent, (all - sent) as u64);
                sent
            }
            Err((sent, error)) => {
                tracing::warn!(interface = self.keeper.interface(), %error, "the interface fails; it is tried again");
                self.losses.count(Loss::NotSent, (all - sent) as u64);
                self.detach();
                self.keeper.ask_again();
                0
            }
        }
    }
}

impl EdgePort for AfXdpPort {
    fn driver(&self) -> Cow<'static, str> {
        self.mode.clone().into()
    }

    fn mac(&self) -> Mac {
        self.beside.mac()
    }

    fn losses(&mut self) -> Losses {
        let mut losses = self.losses;
        losses.count(Loss::Overrun, self.attached.as_ref().map_or(0, Attached::overruns));
        self.beside.losses().iter().for_each(|(reason, frames)| losses.count(reason, frames));
        losses
    }

    fn kernel(&self) -> Option<io::Result<(Neighbours, NeighbourEvents)>> {
        self.beside.kernel()
    }

    fn is_busy_polled(&self) -> bool {
        self.polling == Polling::Busy
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        Some(self.any.as_fd())
    }
}

/// One look of so many is for what is beside, if there are always frames.
const TURNS: u8 = 8;
