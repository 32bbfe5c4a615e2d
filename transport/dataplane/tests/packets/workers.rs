//! Two workers by hand: what they hand over, when the other does not keep up, and whose buffers they use.

use model::Mac;
use model::program::Program;
use transport_dataplane::{
    Binding, Burst, Compiler, Config, DropReason, FramePool, LENT_MAX, Nanos, Outputs, Pipeline, PortIndex,
    PortSpec, Reading, StampClock, WORKERS_MAX, WorkerPlace,
};

use crate::frames;
use crate::rig::{
    ACCESS0, ACCESS1, CORE_V4, CORE_V6, CORE0, PORTS, ROUTER, ROUTER_V4, ROUTER_V6, Rig, circuit, device, frame, from_city, id, reference,
};

/// A worker with its buffers and what it sends.
struct Worker {
    pipeline: Pipeline,
    pool: FramePool,
    outputs: Outputs,
}

/// Two workers that run the reference program; ACCESS0 is of the first, ACCESS1 of the second. Devices 1 and 2 of slice iot, whose
/// worker is answered, and device 3 of slice embb are bound.
fn two() -> ([Worker; 2], usize) {
    two_with(&reference())
}

fn two_with(program: &Program) -> ([Worker; 2], usize) {
    let ports: Vec<_> =
        PORTS.iter().map(|(name, mac)| PortSpec { name: name.parse().unwrap(), mac: *mac }).collect();
    let mut compiler = Compiler::new(ports.clone()).unwrap();
    let tables = compiler.compile(program, NOW).unwrap();
    let mut workers = [0, 1].map(|index| {
        let worker = WorkerPlace::new(index, 2).unwrap();
        let clock = StampClock::FREE;
        let config = Config { ports: ports.clone(), sessions_max: 100, queued_frames_max: 2_048, worker, clock };
        let mut pipeline = Pipeline::new(config);
        pipeline.swap(tables.clone());
        while !pipeline.reshape(NOW) {}
        Worker { pipeline, pool: FramePool::new(BUFFERS), outputs: Outputs::new(PORTS.len()) }
    });
    let place = WorkerPlace::new(0, 2).unwrap();
    let owner = |slice: &str, segment: &str| {
        let uid = compiler.uid(&id(slice, segment)).unwrap();
        (uid, tables.owners(place).find(|(of, _)| *of == uid).unwrap().1)
    };
    for (slice, segment, number) in [("iot", "metering", 1), ("iot", "metering", 2), ("embb", "office", 3)] {
        let ((segment, owner), device) = (owner(slice, segment), device(number));
        let binding = Binding { segment, mac: device.mac, ipv4: Some(device.ipv4), ipv6: None };
        let key = workers[owner].pipeline.bind(&binding).unwrap();
        assert_eq!(key.owner(place), owner);
    }
    (workers, owner("iot", "metering").1)
}

impl Worker {
    fn put(&mut self, port: PortIndex, octets: &[u8]) {
        let mut burst = Burst::new();
        let mut frame = self.pool.take().unwrap();
        assert!(frame.copy_from(octets));
        burst.push(frame);
        self.pipeline.process(NOW, port, &mut burst, &mut self.pool, &mut self.outputs);
    }

    /// Sends what leaves by a port.
    fn sends(&mut self, port: PortIndex) {
        for frame in self.outputs.queue(port).drain(..) {
            self.pool.give(frame);
        }
    }
}

/// Carries what one hands to the other, so much at most.
fn carry(workers: &mut [Worker; 2], from: usize, most: usize) -> usize {
    let to = 1 - from;
    let handed = workers[from].pipeline.handovers(to).unwrap();
    let handed: Vec<_> = handed.drain(..most.min(handed.len())).collect();
    let (count, other) = (handed.len(), &mut workers[to]);
    other.pipeline.take_over(NOW, from, handed.into_iter(), &mut other.pool, &mut other.outputs);
    count
}

fn drops(workers: &[Worker; 2], port: PortIndex) -> Vec<(DropReason, u64)> {
    let reading = Reading::of_workers(workers.iter().map(|worker| worker.pipeline.read())).unwrap();
    reading.ports[port.get()].drops.iter().collect()
}

#[test]
fn what_another_worker_does_not_keep_up_with_is_dropped_by_name_and_every_buffer_returns() {
    let (mut workers, iot) = two();
    // The slice of one of both ports is the other worker's: it is put where it does not belong.
    let port = if iot == 1 { ACCESS0 } else { ACCESS1 };
    let octets = if iot == 1 { from_city(device(1), device(2), b"x") } else { frame(None, device(1), device(2), b"x") };
    for _ in 0..HANDED_MAX + 10 {
        workers[1 - iot].put(port, &octets);
    }
    assert_eq!(drops(&workers, port), [(DropReason::WorkerFull, 10)]);
    assert_eq!(workers[1 - iot].pool.left(), BUFFERS - HANDED_MAX);
    // It keeps up again: nothing of what was handed over is lost, and as many buffers come back as went.
    let mut carried = 0;
    while carried < HANDED_MAX {
        carried += carry(&mut workers, 1 - iot, 100);
        carry(&mut workers, iot, usize::MAX);
        (0..4).for_each(|port| workers[iot].sends(PortIndex(port)));
    }
    assert_eq!(carried, HANDED_MAX);
    let held = |workers: &[Worker; 2]| workers.iter().map(|of| of.pool.left() + of.pipeline.queued()).sum::<usize>();
    assert_eq!(held(&workers), 2 * BUFFERS, "a buffer was lost");
    assert_eq!(workers[1 - iot].pool.left(), BUFFERS);
    // Both devices are on one circuit, whose access network has shown the one what the other sends.
    let reading = Reading::of_workers(workers.iter().map(|worker| worker.pipeline.read())).unwrap();
    assert_eq!(reading.ports[port.get()].received.frames, HANDED_MAX as u64 + 10);
    let seen: u64 = reading.ports.iter().map(|port| port.drops.total() + port.sent.frames).sum();
    assert_eq!(seen, HANDED_MAX as u64 + 10);
}

/// A flood that nobody has looked at takes no room from what is finished; and however much comes, what stands still elsewhere
/// leaves a worker buffers for slices of its own.
#[test]
fn a_flood_leaves_room_for_what_is_finished() {
    let mut program = reference();
    program.content.slices[0].circuits.push(circuit("depot", "access1", Some(120)));
    let (mut workers, iot) = two_with(&program);
    assert_eq!(iot, 1, "embb is of the first worker, as the core port is");
    // The second worker is told where the next hop is that the first has found.
    let asks = frames::arp(1, (ROUTER, ROUTER_V4), (Mac([0; 6]), CORE_V4));
    workers[0].put(CORE0, &frames::ethernet(frames::BROADCAST, ROUTER, None, 0x0806, &asks));
    let question = frames::neighbour(135, CORE_V6, Some(ROUTER));
    let packet = frames::icmpv6(ROUTER_V6, CORE_V6, 255, question);
    workers[0].put(CORE0, &frames::ethernet(PORTS[2].1, ROUTER, None, 0x86dd, &packet));
    assert_ne!(carry(&mut workers, 0, usize::MAX), 0);
    let waits = |workers: &mut [Worker; 2]| workers[1].pipeline.handovers(0).unwrap().len();
    for _ in 0..BUFFERS {
        workers[1].put(ACCESS1, &frame(Some(120), device(7), device(8), b"x"));
    }
    assert_eq!((waits(&mut workers), workers[1].pool.left()), (HANDED_MAX, BUFFERS - HANDED_MAX));
    // What device 1 sends to all leaves by the core port, to two edges.
    workers[1].put(ACCESS1, &frame(None, device(1), device(9), b"x"));
    assert_eq!(waits(&mut workers), HANDED_MAX + 2);
    for _ in 0..BUFFERS {
        workers[1].put(ACCESS1, &frame(None, device(1), device(9), b"x"));
    }
    assert_eq!((waits(&mut workers), workers[1].pool.left()), (LENT_MAX * 7 / 8, BUFFERS - LENT_MAX * 7 / 8));
}

/// Whoever runs newer tables than the port's worker loses nothing: what it has finished leaves.
#[test]
fn workers_that_exchange_their_tables_one_after_the_other_lose_nothing() {
    let mut rig = Rig::new();
    rig.admit("iot", "metering", device(1));
    let frames = [from_city(device(1), device(9), b"x")];
    assert_eq!(rig.put_and_wait(ACCESS0, &frames).len(), 2);
    let mut next = rig.program.clone();
    // Another circuit of the slice: what waits from before is known by other numbers than what comes.
    next.content.slices[1].circuits.push(circuit("mast", "access1", Some(130)));
    let tables = rig.compiler.compile(&next, rig.now).unwrap();
    let left = rig.pipeline.exchange_one_by_one(&tables, |team| {
        let mut burst = Burst::new();
        let mut frame = rig.pool.take().unwrap();
        assert!(frame.copy_from(&frames[0]));
        burst.push(frame);
        team.process(rig.now, ACCESS0, &mut burst, &mut rig.pool, &mut rig.outputs);
        while let Some(next) = team.next_departure(rig.now) {
            team.depart(next, &mut rig.pool, &mut rig.outputs);
        }
        rig.outputs.queue(CORE0).drain(..).map(|frame| rig.pool.give(frame)).count()
    });
    // A copy for each of two edges, however far the exchange has come.
    assert!(left.iter().all(|left| *left == 2), "{left:?}");
}

#[test]
fn a_worker_without_buffers_to_spare_owes_them_and_pays_when_it_can() {
    let (mut workers, iot) = two();
    let port = if iot == 1 { ACCESS0 } else { ACCESS1 };
    let octets = if iot == 1 { from_city(device(1), device(2), b"x") } else { frame(None, device(1), device(2), b"x") };
    let kept: Vec<_> = (0..BUFFERS - 64).map(|_| workers[iot].pool.take().unwrap()).collect();
    (0..100).for_each(|_| workers[1 - iot].put(port, &octets));
    carry(&mut workers, 1 - iot, usize::MAX);
    // It had 64 and got 100; it keeps two bursts for itself.
    assert_eq!(carry(&mut workers, iot, usize::MAX), 64 + 100 - 128);
    for frame in kept {
        workers[iot].pool.give(frame);
    }
    workers[1 - iot].put(port, &octets);
    carry(&mut workers, 1 - iot, usize::MAX);
    assert_eq!(carry(&mut workers, iot, usize::MAX), 101 - 36);
    assert_eq!(workers[1 - iot].pool.left(), BUFFERS);
}

#[test]
fn there_are_so_many_places_and_no_more() {
    assert_eq!(WorkerPlace::new(0, 1), Some(WorkerPlace::ALONE));
    let most = u8::try_from(WORKERS_MAX).unwrap();
    assert!(WorkerPlace::new(most - 1, most).is_some());
    for (index, count) in [(0, 0), (1, 1), (2, 2), (0, most + 1), (u8::MAX, u8::MAX)] {
        assert_eq!(WorkerPlace::new(index, count), None, "{index} of {count}");
    }
}

/// What a device sends comes out in the order in which it went in, whoever works on it.
#[test]
fn a_flow_keeps_its_order() {
    let mut rig = Rig::new();
    rig.admit("iot", "metering", device(1));
    let numbered = |number: u8| from_city(device(1), device(9), &[number; 8]);
    let frames: Vec<_> = (0..50).map(numbered).collect();
    let left = rig.put_and_wait(ACCESS0, &frames);
    let numbers: Vec<u8> = left.iter().map(|(_, octets)| *octets.last().unwrap()).collect();
    // To both other edges, for it is not known where device 9 is.
    let one_each: Vec<u8> = (0..50).flat_map(|number| [number; 2]).collect();
    assert_eq!(numbers, one_each);
}

const NOW: Nanos = Nanos(5_000_000_000);
const BUFFERS: usize = 1_024;
/// So many frames of slices may be on their way to the only other worker before anybody has looked who sends them.
const HANDED_MAX: usize = LENT_MAX / 2;
