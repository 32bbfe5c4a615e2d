//! Rings between the workers of an edge: one from each to each other, each with one writer and one reader.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use rtrb::{Consumer, Producer, RingBuffer};
use transport_dataplane::{BURST_FRAMES_MAX, FramePool, Handover, Nanos, Outputs, Pipeline};

/// One worker's ends of the rings.
pub(super) struct Mesh {
    inlets: Vec<(usize, Consumer<Handover>)>,
    outlets: Vec<Outlet>,
    /// Is this worker asleep, so that whoever hands it something must wake it?
    is_asleep: Arc<AtomicBool>,
}

/// The way to another worker.
struct Outlet {
    to: usize,
    ring: Producer<Handover>,
    bell: Arc<OwnedFd>,
    is_asleep: Arc<AtomicBool>,
}

/// The rings between workers that are woken by these bells.
pub(super) fn meshes(bells: &[Arc<OwnedFd>]) -> Vec<Mesh> {
    let asleep: Vec<Arc<AtomicBool>> = bells.iter().map(|_| Arc::default()).collect();
    let mesh =
        |is_asleep: &Arc<AtomicBool>| Mesh { inlets: Vec::new(), outlets: Vec::new(), is_asleep: is_asleep.clone() };
    let mut meshes: Vec<Mesh> = asleep.iter().map(mesh).collect();
    for (from, to) in (0..bells.len()).flat_map(|from| (0..bells.len()).map(move |to| (from, to))) {
        if from != to {
            let (ring, inlet) = RingBuffer::new(RING_HANDOVERS);
            let (bell, is_asleep) = (bells[to].clone(), asleep[to].clone());
            meshes[from].outlets.push(Outlet { to, ring, bell, is_asleep });
            meshes[to].inlets.push((from, inlet));
        }
    }
    meshes
}

impl Mesh {
    /// From how many others something may come.
    pub(super) const fn inlets(&self) -> usize {
        self.inlets.len()
    }

    /// Takes some of what one of them has handed over. Answers whether there was any.
    pub(super) fn take(
        &mut self,
        inlet: usize,
        now: Nanos,
        pipeline: &mut Pipeline,
        (pool, outputs): (&mut FramePool, &mut Outputs),
    ) -> bool {
        let Some((from, inlet)) = self.inlets.get_mut(inlet) else { return false };
        let count = inlet.slots().min(TAKEN_MAX);
        match inlet.read_chunk(count) {
            Ok(handed) if count > 0 => {
                pipeline.take_over(now, *from, handed.into_iter(), pool, outputs);
                true
            }
            _ => false,
        }
    }

    /// Hands over what is others', as far as there is room; the rest stays with the pipeline, which bounds it. Answers whether
    /// any stays.
    pub(super) fn hand(&mut self, pipeline: &mut Pipeline) -> bool {
        let mut any_stays = false;
        for outlet in &mut self.outlets {
            let Some(outbox) = pipeline.handovers(outlet.to).filter(|outbox| !outbox.is_empty()) else { continue };
            let count = outbox.len().min(outlet.ring.slots());
            if let Ok(room) = outlet.ring.write_chunk_uninit(count) {
                room.fill_from_iter(outbox.drain(..count));
                outlet.wake();
            }
            any_stays |= !outbox.is_empty();
        }
        any_stays
    }

    /// Has another worker ended?
    pub(super) fn is_broken(&self) -> bool {
        self.outlets.iter().any(|outlet| outlet.ring.is_abandoned())
    }

    /// Says that this worker goes to sleep; false if it must not, for something was handed to it meanwhile.
    pub(super) fn may_sleep(&self) -> bool {
        self.is_asleep.store(true, Ordering::Relaxed);
        // Either the other sees that we sleep, or we see what it has handed over.
        fence(Ordering::SeqCst);
        let is_quiet = self.inlets.iter().all(|(_, inlet)| inlet.is_empty());
        if !is_quiet {
            self.awake();
        }
        is_quiet
    }

    /// Says that it is awake.
    pub(super) fn awake(&self) {
        self.is_asleep.store(false, Ordering::Relaxed);
    }
}

impl Outlet {
    fn wake(&self) {
        fence(Ordering::SeqCst);
        // A third worker that sees it awake between the swap and the write does not ring; it is woken all the same.
        if self.is_asleep.load(Ordering::Relaxed) && self.is_asleep.swap(false, Ordering::Relaxed) {
            // A bell that rings already is as good.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }
}

/// Handovers under way from one worker to another.
const RING_HANDOVERS: usize = 4_096;
/// So many are taken from one before others and the ports have their turn: a burst, and buffers for one.
const TAKEN_MAX: usize = 2 * BURST_FRAMES_MAX;
