//! What is done for a port beside the packet path: the program learns which addresses the kernel has, and an interface that
//! was away is opened anew.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Polling;
use super::attached::{Allowed, Attached};
use super::program::KernelAddresses;
use crate::ports::system::{Interface, index_of, kernel_addresses};
use crate::told::in_full;

/// The port's hold on its keeper, a thread that ends with it.
#[derive(Debug)]
pub(super) struct Keeper {
    interface: String,
    words: Receiver<Word>,
    is_lost: Arc<AtomicBool>,
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a keeper says.
#[derive(Debug)]
pub(super) enum Word {
    /// The interface is gone, down, or another one: the sockets are to be closed.
    Gone,
    /// It is back.
    Back(Box<Attached>),
}

impl Keeper {
    /// Starts a keeper for an interface that is attached, in the network namespace of this thread.
    pub(super) fn start(
        interface: String,
        link: Interface,
        index: i32,
        addresses: KernelAddresses,
        polling: Polling,
        allowed: Allowed,
    ) -> io::Result<Self> {
        let (say, words) = sync_channel(WORDS_MAX);
        let (stop, stopped) = channel();
        let is_lost = Arc::new(AtomicBool::new(false));
        let mut watch = Watch {
            name: interface.clone(),
            link,
            attached: Some((index, addresses)),
            is_lost: is_lost.clone(),
            polling,
            allowed,
            told: String::new(),
        };
        // The kernel's addresses are known before the first frame passes by.
        watch.follow_addresses();
        let thread = std::thread::Builder::new().name(format!("port-{interface}")).spawn(move || {
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if let Some(word) = watch.look()
                    && say.send(word).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(Self { interface, words, is_lost, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn interface(&self) -> &str {
        &self.interface
    }

    /// What it has said, if anything.
    pub(super) fn hear(&self) -> Option<Word> {
        self.words.try_recv().ok()
    }

    /// The sockets did not work: they have been closed.
    pub(super) fn ask_again(&self) {
        self.is_lost.store(true, Ordering::Release);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop = None;
        // It may wait for room to say something.
        while self.words.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watch {
    name: String,
    link: Interface,
    /// The number of the interface, and what its program knows.
    attached: Option<(i32, KernelAddresses)>,
    is_lost: Arc<AtomicBool>,
    polling: Polling,
    allowed: Allowed,
    /// What went wrong last, so that it is told once.
    told: String,
}

impl Watch {
    fn look(&mut self) -> Option<Word> {
        let is_up = self.link.is_up().unwrap_or(false);
        let is_lost = self.is_lost.swap(false, Ordering::AcqRel);
        if let Some((index, _)) = &self.attached {
            let is_same = index_of(self.link.name()) == Some(*index);
            if is_same && is_up && !is_lost {
                self.follow_addresses();
                return None;
            }
            tracing::warn!(interface = self.name, "the interface is gone or down; it is looked for");
            self.attached = None;
            // Its program goes with its sockets, so they are opened anew at the next look.
            return Some(Word::Gone);
        }
        if !is_up {
            return None;
        }
        match Attached::open(&self.link, &self.name, self.polling, self.allowed) {
            Ok((attached, addresses)) => {
                tracing::info!(interface = self.name, mode = attached.mode(), "the interface is back");
                self.attached = Some((attached.index(), addresses));
                self.told.clear();
                self.follow_addresses();
                Some(Word::Back(Box::new(attached)))
            }
            Err(error) => {
                self.tell_once(in_full(&error), "the interface can't be opened anew; it is tried again");
                None
            }
        }
    }

    fn follow_addresses(&mut self) {
        let Some((_, addresses)) = &mut self.attached else { return };
        if let Err(error) = kernel_addresses().and_then(|now| addresses.follow(now)) {
            self.tell_once(in_full(&error), "the program can't be told the kernel's addresses");
        }
    }

    fn tell_once(&mut self, why: String, what: &'static str) {
        if why != self.told {
            tracing::warn!(interface = self.name, why, "{what}");
            self.told = why;
        }
    }
}

/// How often it looks.
const LOOK: Duration = Duration::from_millis(250);
/// Words that wait; the port hears them when it has nothing else to do, and every few bursts.
const WORDS_MAX: usize = 4;
