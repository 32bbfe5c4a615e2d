//! The packet path allocates nothing for a packet: counted by an allocator that counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]
#![allow(unsafe_code, reason = "a global allocator can't be had without; it hands everything on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use testbed::bench::lab::{Lab, Underlay};
use testbed::bench::qos::runs::{arrive, due, warmed};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends has no counter any more, and nobody who asks.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, octets: *mut u8, layout: Layout) {
        count();
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(octets, layout) }
    }

    unsafe fn realloc(&self, octets: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(octets, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often memory was taken, given back or resized meanwhile.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 2);
}

#[test]
fn no_packet_of_any_kind_allocates() {
    for underlay in [Underlay::Ipv4, Underlay::Ipv6] {
        let mut lab = Lab::new(1_000, underlay);
        let broadcast = {
            let mut frame = Lab::to_far_end(5, 1_024, 100);
            frame[..6].fill(0xff);
            frame
        };
        let kinds = [
            ("into a tunnel", (0..64).map(|number| Lab::to_far_end(number, 1_024, 1_500)).collect()),
            ("to another segment", vec![Lab::to_stranger(1, 68)]),
            ("from a stranger", vec![Lab::to_far_end(5_000, 1_024, 68)]),
            ("to everybody", vec![broadcast.clone(); 8]),
            ("cut short", vec![vec![0; 5], Lab::to_far_end(1, 1, 68)[..30].to_vec()]),
        ];
        for (kind, frames) in &kinds {
            let frames: &Vec<Vec<u8>> = frames;
            lab.load(frames.iter().map(Vec::as_slice));
            assert_eq!(allocations(|| lab.from_access()), 0, "{kind}, {underlay:?}");
            lab.drain();
        }
        let tunnelled = (0..64).map(|number| lab.to_device(number, 1_400)).collect::<Vec<_>>();
        let mut changed = tunnelled.clone();
        for (at, frame) in changed.iter_mut().enumerate() {
            // Somewhere in the outer or the inner headers.
            frame[12 + at] ^= 0x15;
        }
        for (kind, frames) in [("out of a tunnel", &tunnelled), ("out of a tunnel, changed", &changed)] {
            lab.load(frames.iter().map(Vec::as_slice));
            assert_eq!(allocations(|| lab.from_core()), 0, "{kind}, {underlay:?}");
            lab.drain();
        }
    }
}

#[test]
fn queues_and_rates_allocate_nothing_for_a_frame() {
    for promised in [true, false] {
        // Fewer queue states than queues, so that they change hands, too.
        let mut bed = warmed(2, 1_024, 2_048, promised);
        let count = allocations(|| {
            for _ in 0..1_000 {
                bed.enqueue();
                bed.clear();
                bed.now += 8_000;
                bed.poll();
                bed.drain(|_, _| ());
                arrive(&mut bed, 1_024);
            }
        });
        assert_eq!(count, 0);
    }
    let mut bed = due(1_024);
    let count = allocations(|| {
        for _ in 0..1_000 {
            bed.now += 10_000;
            bed.poll();
            bed.drain(|_, _| ());
        }
    });
    assert_eq!(count, 0);
}
