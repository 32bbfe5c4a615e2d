//! A Linux box as a core node: its kernel does the work, and what it does is read back from it.
//!
//! ```text
//!   manager ◀── agent ──▶ LinuxNode ── commands ──▶ keeper thread ──▶ driver ──▶ kernel
//!                             ▲                          │ looks every second
//!                             └──── what was found ◀─────┘
//! ```
//!
//! The kernel goes on by itself when the agent is gone, and so does the keeper when the manager is. A program is claimed
//! to be realised only when the kernel was read back and nothing differed. What somebody changes by hand is named, with
//! since when, and left alone until the program is sent again: who changed it may have had a reason, and whoever is to
//! repair it should know of it. Only what could not be done yet, and what went with a port that is up again, is done
//! without being asked.

mod keeper;
mod tell;
#[cfg(test)]
mod tests;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use api::{ConvertError, v1};
use model::program::Program;
use model::{Generation, NodeName};
use tokio::sync::{oneshot, watch};
use transport_southbound::Device;

use crate::node::{self, Node};
use crate::programs::Programs;

use keeper::Keeper;

/// The agent's hold on a kernel.
#[derive(Debug)]
pub(crate) struct LinuxNode {
    name: NodeName,
    commands: Sender<Command>,
    told: watch::Receiver<Told>,
}

/// The thread that owns the driver; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct KeeperThread {
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
}

/// What was found when it was last looked.
#[derive(Debug, Clone, PartialEq, Default)]
struct Told {
    ports: Vec<model::PortName>,
    realised: v1::Realised,
}

enum Command {
    Apply(Box<Program>, oneshot::Sender<()>),
    Refuse(Generation, Box<ConvertError>, oneshot::Sender<()>),
    Running(oneshot::Sender<Result<v1::Reading, String>>),
    Stop,
}

impl KeeperThread {
    /// Starts it; its first deed is to make the kernel do the program that was kept. Answers when that is done.
    pub(crate) async fn start(
        device: impl Device + Send + 'static,
        programs: Programs,
    ) -> std::io::Result<(Self, LinuxNode)> {
        let name = programs.name().clone();
        let (commands, incoming) = channel();
        let (found, told) = watch::channel(Told::default());
        let mut keeper = Keeper::new(device, programs);
        let (begun, is_begun) = oneshot::channel();
        let run = move || {
            keeper.resume(SystemTime::now());
            tell(&keeper, &found);
            let _ = begun.send(());
            attend(&mut keeper, &incoming, &found);
        };
        let thread = Some(std::thread::Builder::new().name("kernel".to_owned()).spawn(run)?);
        let _ = is_begun.await;
        Ok((Self { commands: commands.clone(), thread }, LinuxNode { name, commands, told }))
    }
}

impl Drop for KeeperThread {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that keeps the kernel ended by a fault of its own");
        }
    }
}

impl LinuxNode {
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, KeeperGone> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| KeeperGone)?;
        answer.await.map_err(|_| KeeperGone)
    }
}

/// The keeper does not answer: its thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the thread that keeps the kernel has stopped")]
struct KeeperGone;

impl Node for LinuxNode {
    type Pulse = (bool, v1::Realised);

    fn hello(&self) -> v1::Hello {
        node::hello(&self.name, self.told.borrow().ports.iter().map(|port| (port.clone(), DRIVER.into())))
    }

    async fn apply(&mut self, program: Program) {
        let _ = self.ask(|reply| Command::Apply(Box::new(program), reply)).await;
    }

    async fn refuse_unread(&mut self, generation: Generation, why: ConvertError) {
        let _ = self.ask(|reply| Command::Refuse(generation, Box::new(why), reply)).await;
    }

    async fn pulse(&self) -> Self::Pulse {
        (self.told.has_changed().is_ok(), self.told.borrow().realised.clone())
    }

    async fn realised(&self) -> v1::Realised {
        if self.told.has_changed().is_ok() {
            return self.told.borrow().realised.clone();
        }
        // Nobody looks any more, so nothing is claimed.
        let refusal = Some(v1::Refusal { generation: 0, reason: KeeperGone.to_string() });
        v1::Realised { refusal, ..v1::Realised::default() }
    }

    async fn read(&self, kind: v1::ReadKind) -> Result<v1::Reading, String> {
        match kind {
            v1::ReadKind::Running => self.ask(Command::Running).await.unwrap_or_else(|gone| Err(gone.to_string())),
            v1::ReadKind::Drops => Err("a Linux kernel counts its drops itself, and not by slice".to_owned()),
            v1::ReadKind::Meters => Err("a Linux kernel has classes, no meters".to_owned()),
            v1::ReadKind::Queues => Err("a Linux kernel keeps its queues itself: `tc -s class show` tells".to_owned()),
            v1::ReadKind::Sessions | v1::ReadKind::AaaCounters => Err("a Linux kernel has no AAA".to_owned()),
            v1::ReadKind::Paths => Err("a Linux kernel is on paths, and at the end of none".to_owned()),
            v1::ReadKind::Unspecified => Err(node::UNKNOWN_READING.to_owned()),
        }
    }

    /// The kernel goes on.
    async fn stop(&mut self) {}
}

/// Does what it is told, and looks in between.
fn attend<D: Device>(keeper: &mut Keeper<D>, commands: &Receiver<Command>, found: &watch::Sender<Told>) {
    let mut due = Instant::now() + LOOK;
    loop {
        let command = commands.recv_timeout(due.saturating_duration_since(Instant::now()));
        let now = SystemTime::now();
        match command {
            Ok(Command::Apply(program, reply)) => {
                keeper.apply(*program, now);
                tell(keeper, found);
                let _ = reply.send(());
            }
            Ok(Command::Refuse(generation, why, reply)) => {
                keeper.refuse(generation, &why);
                tell(keeper, found);
                let _ = reply.send(());
            }
            Ok(Command::Running(reply)) => {
                let running = keeper.running(now);
                tell(keeper, found);
                let _ = reply.send(running);
            }
            Err(RecvTimeoutError::Timeout) => {
                keeper.look(now);
                tell(keeper, found);
                due = Instant::now() + LOOK;
            }
            Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn tell<D: Device>(keeper: &Keeper<D>, found: &watch::Sender<Told>) {
    let told = Told { ports: keeper.ports(), realised: keeper.realised() };
    found.send_if_modified(|before| {
        let is_other = *before != told;
        *before = told;
        is_other
    });
}

/// From one look at the kernel to the next.
const LOOK: Duration = Duration::from_secs(1);

/// What ports are called that no driver of ours moves packets on.
const DRIVER: &str = "linux";
