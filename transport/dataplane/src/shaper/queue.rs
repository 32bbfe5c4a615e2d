//! Queues of frames: lists through one slab, and the state of those queues that carry something or lately did.
//!
//! An idle queue is a number in its segment. Its state is taken when a frame comes, and kept for its counters until another
//! queue needs the place: the queue that ran empty last gives it up first, because its state is still in the cache. What it
//! counted is then added to the totals of its slice and class.

use super::calendar::Tag;
use super::codel;
use super::counts::{QueueCounts, QueueDrop};
use super::pace::Pace;
use super::spec::CLASSES;
use super::{Arrival, Class, Codel, Fate};

/// A frame that waits. The frame itself is its owner's; its handle is its place here.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// The one behind, if there is one, and its octets: so that it need not be read when this one leaves.
    next: u32,
    next_octets: u16,
    /// With overhead, and [`MARKABLE`]; 0 if the handle is not queued.
    octets: u16,
    /// When it came.
    at: u64,
}

/// A queue that carries frames or lately did: one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Queue {
    /// Virtual time of the segment at which the head may start, and at which it will have finished.
    pub(super) start: Tag,
    pub(super) finish: Tag,
    /// Sent so far.
    sent_frames: u64,
    sent_octets: u64,
    head: u32,
    tail: u32,
    pub(super) octets: u32,
    pub(super) frames: u32,
    /// Segment and class: whose it is.
    owner: u32,
    /// The segment's slice.
    slice: u16,
    /// One more than the place of its segment among those that are watched, or 0.
    pub(super) watched: u8,
    /// Of its class.
    pub(super) weight: u8,
    /// Is it on the list of those that may be given up?
    listed: bool,
    /// Has it counted anything in its [`Cold`] state?
    stained: bool,
    /// Is CoDel counting time or dropping?
    pub(super) stands: bool,
}

/// What is seldom needed of a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cold {
    pub(super) codel: codel::State,
    /// Marked and dropped; what was sent is counted beside the queue.
    pub(super) counts: QueueCounts,
}

/// The head of a queue, taken out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) handle: u32,
    pub(super) octets: u32,
    pub(super) markable: bool,
    /// How long it stayed.
    pub(super) sojourn: u64,
    /// Is none behind it?
    pub(super) last: bool,
}

/// All queues of a tree.
#[derive(Debug)]
pub(super) struct Queues {
    waiting: Box<[Waiting]>,
    states: Box<[Queue]>,
    cold: Box<[Cold]>,
    /// Taken in turn the first time.
    fresh: u32,
    /// Those that ran empty, the last one on top; some may carry frames again.
    idle: Vec<u32>,
    /// So many frames more can wait.
    free: u32,
}

impl Queues {
    pub(super) fn new(frames: u32, states: u32) -> Self {
        let empty = Waiting { next: NONE, next_octets: 0, octets: 0, at: 0 };
        Self {
            waiting: vec![empty; frames as usize].into(),
            states: vec![Queue::of(NONE, 0); states as usize].into(),
            cold: vec![Cold::NEW; states as usize].into(),
            fresh: 0,
            idle: Vec::with_capacity(states as usize),
            free: frames,
        }
    }

    /// Is that place the state of a queue of that owner?
    #[inline]
    pub(super) fn is(&self, number: u32, owner: u32) -> bool {
        self.states.get(number as usize).is_some_and(|queue| queue.owner == owner)
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> &Queue {
        &self.states[number as usize]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> &mut Queue {
        &mut self.states[number as usize]
    }

    /// What a queue has counted since it got its state.
    pub(super) fn counts(&self, number: u32) -> QueueCounts {
        let queue = &self.states[number as usize];
        QueueCounts { frames: queue.sent_frames, octets: queue.sent_octets, ..self.cold[number as usize].counts }
    }

    /// Frames that wait.
    #[allow(clippy::cast_possible_truncation, reason = "made of a u32")]
    pub(super) const fn queued(&self) -> u32 {
        self.waiting.len() as u32 - self.free
    }

    /// Is there a place for state that was never taken?
    #[inline]
    pub(super) fn has_fresh(&self) -> bool {
        (self.fresh as usize) < self.states.len()
    }

    /// A place for state: one that was never taken, or that of an idle queue, whose slice and class are told.
    #[inline]
    pub(super) fn vacant(&mut self) -> Option<(u32, Option<(u16, usize)>)> {
        if self.has_fresh() {
            self.fresh += 1;
            return Some((self.fresh - 1, None));
        }
        for _ in 0..GIVEN_UP_LOOKS_MAX {
            let number = self.idle.pop()?;
            let queue = &mut self.states[number as usize];
            queue.listed = false;
            if queue.frames == 0 {
                let last = (queue.owner != NONE).then_some((queue.slice, owned(queue.owner).1));
                return Some((number, last));
            }
        }
        None
    }

    /// An idle queue gives up its state; what it has counted is added to the totals.
    #[inline]
    pub(super) fn give_up(&mut self, number: u32, totals: &mut QueueCounts) {
        let queue = &mut self.states[number as usize];
        queue.owner = NONE;
        totals.frames += queue.sent_frames;
        totals.octets += queue.sent_octets;
        // The cold part of most has never been touched.
        if std::mem::take(&mut queue.stained) {
            totals.add(&self.cold[number as usize].counts);
            self.cold[number as usize] = Cold::NEW;
        }
    }

    /// A queue begins in a vacant place.
    #[inline]
    pub(super) fn begin(&mut self, number: u32, owner: u32, slice: u16, now: Tag) -> &mut Queue {
        let queue = &mut self.states[number as usize];
        *queue = Queue { finish: now, ..Queue::of(owner, slice) };
        queue
    }

    /// Makes the place of an idle queue vacant.
    pub(super) fn release(&mut self, number: u32, totals: &mut QueueCounts) {
        self.give_up(number, totals);
        let queue = &mut self.states[number as usize];
        if !queue.listed {
            queue.listed = true;
            self.idle.push(number);
        }
    }

    /// Reads what a frame will need that arrives, and answers anything: it is for the cache.
    #[inline]
    pub(super) fn touch(&self, number: u32, handle: u32) -> u32 {
        let queue = self.states.get(number as usize).map_or(0, |queue| queue.frames);
        queue ^ self.waiting.get(handle as usize).map_or(0, |waiting| waiting.next)
    }

    /// Reads the state of a queue, and answers its head.
    #[inline]
    pub(super) fn touch_head(&self, number: u32) -> u32 {
        self.states.get(number as usize).map_or(NONE, |queue| queue.head)
    }

    /// Reads a frame that waits.
    #[inline]
    pub(super) fn touch_frame(&self, handle: u32) -> u32 {
        self.waiting.get(handle as usize).map_or(0, |waiting| waiting.next)
    }

    /// Appends a frame. Answers the queue if it is the first one, or why it is refused.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "one caller, for each frame")]
    pub(super) fn push(
        &mut self,
        number: u32,
        arrival: &Arrival,
        octets: u32,
        now: u64,
        (class, pace): (&Class, Pace),
    ) -> Result<Option<&mut Queue>, QueueDrop> {
        let queue = &mut self.states[number as usize];
        let handle = arrival.handle;
        // A handle that is queued has octets.
        let Some(waiting) = self.waiting.get_mut(handle as usize).filter(|waiting| waiting.octets == 0) else {
            return Err(refuse(queue, &mut self.cold[number as usize], QueueDrop::Handle));
        };
        let after = queue.octets + octets;
        // An empty queue takes any frame, so that no limit stops a class for good.
        if queue.frames != 0 {
            let refused = if after > class.octets_max {
                Some(QueueDrop::QueueOctets)
            } else if pace.nanos(after) > class.time_max {
                Some(QueueDrop::QueueTime)
            } else if queue.frames >= self.free {
                // A threshold that moves with what is free (Choudhury and Hahne, 1998, alpha = 1): n queues that are flooded leave
                // one part of n + 1 to who comes next.
                Some(QueueDrop::QueueFrames)
            } else {
                None
            };
            if let Some(reason) = refused {
                return Err(refuse(queue, &mut self.cold[number as usize], reason));
            }
        }
        #[allow(clippy::cast_possible_truncation, reason = "at most FRAME_OCTETS_MOST")]
        let short = octets as u16;
        let marked = short | if arrival.markable { MARKABLE } else { 0 };
        *waiting = Waiting { next: NONE, next_octets: 0, octets: marked, at: now };
        queue.octets = after;
        queue.frames += 1;
        self.free -= 1;
        let tail = std::mem::replace(&mut queue.tail, handle);
        if queue.frames == 1 {
            queue.head = handle;
            return Ok(Some(queue));
        }
        let before = &mut self.waiting[tail as usize];
        (before.next, before.next_octets) = (handle, short);
        Ok(None)
    }

    /// Takes the head of a queue that has one, and counts it as sent; the next one becomes due by its length and weight. `None` if
    /// the turn has begun and is too short for it.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "one caller, for each frame")]
    pub(super) fn pop(&mut self, number: u32, turn: u32, class: &Class, now: u64) -> Option<(Head, &mut Queue)> {
        let queue = &mut self.states[number as usize];
        let handle = queue.head;
        let waiting = &mut self.waiting[handle as usize];
        let octets = u32::from(waiting.octets & !MARKABLE);
        if turn > TURN_OCTETS.saturating_sub(octets) {
            return None;
        }
        let sojourn = now - waiting.at;
        let markable = std::mem::take(&mut waiting.octets) & MARKABLE != 0;
        queue.octets -= octets;
        queue.frames -= 1;
        queue.sent_frames += 1;
        queue.start = queue.finish;
        self.free += 1;
        let last = queue.frames == 0;
        if !last {
            queue.head = waiting.next;
            queue.finish = queue.start.after(u32::from(waiting.next_octets), class.inverse);
            queue.weight = class.weight;
        } else if !queue.listed {
            // Each state is on the list at most once, and there is room for all.
            queue.listed = true;
            self.idle.push(number);
        }
        queue.sent_octets += u64::from(octets);
        Some((Head { handle, octets, markable, sojourn, last }, queue))
    }

    /// Counts a frame of an empty queue as sent that need not be queued. `None`, if that is not so simple.
    #[inline]
    pub(super) fn pass(&mut self, number: u32, handle: u32, octets: u32) -> Option<&mut Queue> {
        let is_free = self.waiting.get(handle as usize).is_some_and(|waiting| waiting.octets == 0);
        let queue = &mut self.states[number as usize];
        // What lately stood has yet to come to rest.
        if !is_free || queue.stands {
            return None;
        }
        queue.sent_frames += 1;
        queue.sent_octets += u64::from(octets);
        if !queue.listed {
            queue.listed = true;
            self.idle.push(number);
        }
        Some(queue)
    }

    /// What becomes of a frame that was taken from the head of a queue that stands or did so lately.
    #[cold]
    pub(super) fn manage(&mut self, number: u32, codel: &Codel, now: u64, head: &Head, stands: bool) -> Fate {
        let (queue, cold) = (&mut self.states[number as usize], &mut self.cold[number as usize]);
        (queue.stands, queue.stained) = (stands, true);
        if !stands {
            cold.codel.rest();
            return Fate::Send;
        }
        if !cold.codel.acts(codel, now) {
            return Fate::Send;
        }
        if head.markable {
            cold.counts.marked += 1;
            return Fate::SendMarked;
        }
        queue.sent_frames -= 1;
        queue.sent_octets -= u64::from(head.octets);
        cold.counts.count_drop(QueueDrop::Codel);
        Fate::Drop(QueueDrop::Codel)
    }

    /// Every queue that has state: whose it is, and its number.
    pub(super) fn owners(&self) -> impl Iterator<Item = (u32, u32)> {
        (0_u32..).zip(&self.states).map(|(number, queue)| (queue.owner, number)).filter(|(owner, _)| *owner != NONE)
    }

    /// What it takes in memory for frames, and for states, in octets.
    pub(super) fn octets(&self) -> (usize, usize) {
        let state = size_of::<Queue>() + size_of::<Cold>() + 4;
        (self.waiting.len() * size_of::<Waiting>(), self.states.len() * state)
    }
}

impl Queue {
    const fn of(owner: u32, slice: u16) -> Self {
        Self {
            start: Tag::ZERO,
            finish: Tag::ZERO,
            sent_frames: 0,
            sent_octets: 0,
            head: NONE,
            tail: NONE,
            octets: 0,
            frames: 0,
            owner,
            slice,
            watched: 0,
            weight: 1,
            listed: false,
            stained: false,
            stands: false,
        }
    }

    /// Its first frame has come.
    #[inline]
    pub(super) const fn starts(&mut self, now: Tag, octets: u32, class: &Class) {
        self.start = self.finish.resumed(now);
        self.finish = self.start.after(octets, class.inverse);
        self.weight = class.weight;
    }
}

impl Cold {
    const NEW: Self = Self { codel: codel::State::NEW, counts: QueueCounts::NONE };
}

/// Counts a frame that is not taken.
#[cold]
fn refuse(queue: &mut Queue, cold: &mut Cold, reason: QueueDrop) -> QueueDrop {
    queue.stained = true;
    cold.counts.count_drop(reason);
    reason
}

/// Segment and class as one number.
#[inline]
pub(super) const fn owner(segment: u32, class: usize) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "a class is below 16")]
    let class = class as u32;
    segment << CLASS_BITS | class
}

/// Segment and class of such a number.
pub(super) const fn owned(owner: u32) -> (u32, usize) {
    (owner >> CLASS_BITS, (owner & ((1 << CLASS_BITS) - 1)) as usize)
}

/// Congestion can be marked in it.
const MARKABLE: u16 = 1 << 15;
pub(super) const NONE: u32 = u32::MAX;
/// What a turn may be made of, if it is more than one frame: less than a frame that is not short.
const TURN_OCTETS: u32 = 512;
const CLASS_BITS: u32 = 4;
/// Segments have numbers below this.
pub(super) const SEGMENTS_MOST: u32 = 1 << (31 - CLASS_BITS);
/// So many queues are looked at for one that may be given up; those that carry frames leave the list.
const GIVEN_UP_LOOKS_MAX: usize = 64;

const _: () = assert!(CLASSES <= 1 << CLASS_BITS);
const _: () = assert!(size_of::<Queue>() == 64 && size_of::<Waiting>() == 16);
const _: () = assert!(super::FRAME_OCTETS_MOST < MARKABLE as u32);
