//! What crosses the core, captured where it arrives, and what tshark says of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mec_edge::ports::{AfPacketPort, Polling};
use testbed::world::capture::Capture as File;
use transport_dataplane::{Burst, FramePool, Port};

use crate::program::{Below, Side};
use crate::world::{World, inside};

/// A capture that goes on.
pub(crate) struct Capture {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
    file: PathBuf,
}

impl Capture {
    /// Every frame that arrives at an edge from the core, or at a core node.
    pub(crate) fn start(world: &World, name: &str) -> Self {
        let edges = Side::BOTH.into_iter().flat_map(|side| [(side.edge(), "core0"), (side.edge(), "core1")]);
        let cores = [("core-1", "to-core-2"), ("core-2", "to-core-1")].into_iter();
        let cores = cores.flat_map(|(core, other)| [(core, "to-edge-a"), (core, "to-edge-c"), (core, other)]);
        Self::start_at(world, name, edges.chain(cores))
    }

    /// Every frame that arrives at these interfaces.
    pub(crate) fn start_at(world: &World, name: &str, at: impl Iterator<Item = (&'static str, &'static str)>) -> Self {
        let mut ports: Vec<AfPacketPort> = at
            .map(|(node, port)| inside(world.space(node), || AfPacketPort::open(port, Polling::Interrupt).unwrap()))
            .collect();
        let file = world.file(name);
        let mut capture = File::create(&file).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut pool = FramePool::new(256);
            loop {
                // Once more after the end, for what has arrived by then.
                let last = stopped.load(Ordering::Relaxed);
                let mut quiet = true;
                for port in &mut ports {
                    let mut burst = Burst::new();
                    port.receive(&mut pool, &mut burst);
                    for frame in burst.drain(..) {
                        quiet = false;
                        capture.add(frame.octets()).unwrap();
                        pool.give(frame);
                    }
                }
                if quiet && last {
                    return capture.finish().unwrap();
                }
                if quiet {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        Self { stop, thread, file }
    }

    /// Ends it; answers the file, and how many frames are in it.
    pub(crate) fn finish(self) -> (PathBuf, u64) {
        self.stop.store(true, Ordering::Relaxed);
        (self.file, self.thread.join().unwrap())
    }
}

/// Frames that tshark finds malformed, or whose checksums don't hold.
pub(crate) fn malformed(file: &Path, below: Below) -> Vec<String> {
    // A checksum of ones is as good as one of zeros (RFC 1624), and what Linux writes for every protocol; tshark holds it for
    // an error in TCP.
    let bad = "_ws.malformed || udp.checksum.status == 0 || ip.checksum.status == 0 || icmp.checksum.status == 0 || \
               icmpv6.checksum.status == 0 || \
               (tcp.checksum.status == 0 || _ws.expert.severity == error) && !(tcp.checksum == 0xffff)";
    by_label(file, below, bad, &[]).lines().map(str::to_owned).collect()
}

/// Runs tshark, which is told what the labels of services lead to.
pub(crate) fn by_label(file: &Path, below: Below, filter: &str, more: &[&str]) -> String {
    let frames = match below {
        Below::Packets => return tshark(file, &[&["-Y", filter], more].concat()),
        Below::Frames => "mpls.label==16-1048575,pwethnocw",
        Below::WordAndFrames => "mpls.label==16-1048575,pwethcw",
    };
    // It is the last label that it goes by, and the probes have one of the way.
    let [a, c] = Side::BOTH.map(|side| side.label().get());
    let service = format!("(mpls.label == {a} || mpls.label == {c})");
    let labelled = tshark(file, &[&["-d", frames, "-Y", &format!("{service} && ({filter})")], more].concat());
    labelled + &tshark(file, &[&["-Y", &format!("!{service} && ({filter})")], more].concat())
}

/// Runs tshark, which looks at every checksum.
fn tshark(file: &Path, arguments: &[&str]) -> String {
    let options = ["ip.check_checksum", "udp.check_checksum", "tcp.check_checksum"];
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(file);
    command.args(options.iter().flat_map(|option| ["-o".to_owned(), format!("{option}:TRUE")]));
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
