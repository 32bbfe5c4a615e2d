//! A port on a TAP device: what runs on this machine's kernel, such as a local MEC application, is the device at the other end.
//! Needs CAP_NET_ADMIN.
//!
//! The device is made if there is none of that name, set up, and goes with the edge; one that somebody made to stay
//! (`ip tuntap add`) is used and stays. The kernel may leave checksums and the cutting of long TCP segments to us, which
//! spares calls: a device hands over one frame a call, merged or not.

use std::borrow::Cow;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use model::Mac;
use rustix::io::{Errno, readv, writev};
use transport_dataplane::{Burst, Frame, FramePool, Port};

use super::mend::{self, Merged, OFFLOAD_OCTETS, Offload};
use super::system::{Interface, open_tap};
use super::{EdgePort, Loss, Losses, Polling, mac_of};

/// A port on a TAP device.
#[derive(Debug)]
pub struct TapPort {
    interface: String,
    /// `None` while there is none.
    device: Option<OwnedFd>,
    mac: Mac,
    losses: Losses,
    /// Where frames are received, merged or not.
    merged: Merged,
    /// When a device that is gone is made anew.
    retry: Instant,
    polling: Polling,
}

/// A TAP device that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// Its name is too long.
    #[error("`{0}` can't be the name of an interface")]
    Name(String),
    /// The system refused a call.
    #[error("TAP device `{interface}`: {call} failed{}", hint(.source))]
    Call {
        /// The interface at the other end.
        interface: String,
        /// The call.
        call: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => " (it needs root or CAP_NET_ADMIN)",
        io::ErrorKind::ResourceBusy => " (somebody else has it open)",
        io::ErrorKind::InvalidInput => " (an interface of that name may be there, and be no TAP device)",
        _ => "",
    }
}

impl TapPort {
    /// Opens a TAP device, or makes it. `number` makes the MAC address of the port; the interface has one of its own.
    pub fn open(interface: &str, number: u8, polling: Polling) -> Result<Self, TapError> {
        Ok(Self {
            interface: interface.to_owned(),
            device: Some(open(interface)?),
            mac: mac_of(number),
            losses: Losses::default(),
            merged: Merged::new(),
            retry: Instant::now(),
            polling,
        })
    }

    /// Reads one frame; false if there is none.
    fn read(&mut self, frame: &mut Frame) -> Result<bool, Errno> {
        let Some(device) = &self.device else { return Ok(false) };
        let mut offload = [0; OFFLOAD_OCTETS];
        let mut parts = [IoSliceMut::new(&mut offload), IoSliceMut::new(self.merged.room())];
        let length = readv(device, &mut parts)?.saturating_sub(OFFLOAD_OCTETS);
        let offload = Offload::read(offload);
        if offload.is_merged() {
            let is_known = self.merged.take_apart(length, offload, None);
            self.losses.count(Loss::Merged, u64::from(!is_known));
            return Ok(false);
        }
        let loss = if !frame.copy_from(self.merged.octets(length)) {
            Loss::TooLong
        } else if !mend::mend(frame, offload, None) {
            Loss::Mangled
        } else {
            return Ok(true);
        };
        self.losses.count(loss, 1);
        Ok(false)
    }

    /// The device does not work: it was deleted.
    fn fails(&mut self, error: Errno) {
        tracing::warn!(interface = self.interface, %error, "the TAP device fails; it is made anew");
        self.device = None;
        self.retry = Instant::now() + RETRY;
    }

    fn make_anew(&mut self) {
        let now = Instant::now();
        if now < self.retry {
            return;
        }
        self.retry = now + RETRY;
        if let Ok(device) = open(&self.interface) {
            tracing::info!(interface = self.interface, "the TAP device is there again");
            self.device = Some(device);
        }
    }
}

impl Port for TapPort {
    fn receive(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        if self.device.is_none() {
            return self.make_anew();
        }
        // Frames that are lost count, too: a receiver must come to an end.
        for _ in burst.len()..burst.capacity() {
            let Some(mut frame) = pool.take() else { return };
            if self.merged.next(&mut frame) {
                burst.push(frame);
                continue;
            }
            match self.read(&mut frame) {
                Ok(true) => burst.push(frame),
                Ok(false) => pool.give(frame),
                Err(error) => {
                    pool.give(frame);
                    match error {
                        Errno::AGAIN | Errno::INTR => {}
                        error => self.fails(error),
                    }
                    return;
                }
            }
        }
    }

    fn transmit(&mut self, frames: &mut Vec<Frame>, pool: &mut FramePool) -> usize {
        let mut sent = 0;
        for frame in frames.drain(..) {
            let parts = [IoSlice::new(&[0; OFFLOAD_OCTETS]), IoSlice::new(frame.octets())];
            let is_sent = self.device.as_ref().is_some_and(|device| writev(device, &parts).is_ok());
            sent += usize::from(is_sent);
            self.losses.count(Loss::NotSent, u64::from(!is_sent));
            pool.give(frame);
        }
        sent
    }
}

impl EdgePort for TapPort {
    fn driver(&self) -> Cow<'static, str> {
        "tap".into()
    }

    fn mac(&self) -> Mac {
        self.mac
    }

    fn losses(&mut self) -> Losses {
        self.losses
    }

    fn is_busy_polled(&self) -> bool {
        self.polling == Polling::Busy
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.device.as_ref().map(AsFd::as_fd)
    }
}

fn open(interface: &str) -> Result<OwnedFd, TapError> {
    let call = |call| move |source| TapError::Call { interface: interface.to_owned(), call, source };
    let link = Interface::new(interface).ok_or_else(|| TapError::Name(interface.to_owned()))?;
    let device = open_tap(link.name()).map_err(|(name, source)| call(name)(source))?;
    link.set_up().map_err(call("SIOCSIFFLAGS"))?;
    Ok(device)
}

/// How often a lost device is tried.
const RETRY: Duration = Duration::from_secs(1);
