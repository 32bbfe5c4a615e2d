//! What nodes have been seen to run for a moment. Packets that were sent before a node took a program may be on their way
//! still when it reports it, so whoever forgets what they need waits for them to arrive.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::{Generation, NodeName};

/// Since when each node has confirmed what. One that comes and goes holds up nobody but itself.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    nodes: BTreeMap<NodeName, Node>,
}

#[derive(Debug)]
struct Node {
    settled: Generation,
    /// Confirmed too, and since when; of several, the one that will be settled first.
    next: Option<(Generation, Instant)>,
}

impl Settled {
    /// Takes in what is confirmed now; answers what has been for a moment.
    pub(crate) fn look(
        &mut self,
        confirmed: &BTreeMap<NodeName, Generation>,
        now: Instant,
    ) -> BTreeMap<NodeName, Generation> {
        self.nodes.retain(|node, _| confirmed.contains_key(node));
        for (node, running) in confirmed {
            let new = || Node { settled: Generation::NONE, next: None };
            self.nodes.entry(node.clone()).or_insert_with(new).look(*running, now);
        }
        let known = self.nodes.iter().filter(|(_, node)| node.settled > Generation::NONE);
        known.map(|(name, node)| (name.clone(), node.settled)).collect()
    }

    /// When more will be settled, if nothing else happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.nodes.values().filter_map(|node| node.next).map(|(_, since)| since + LINGER).min()
    }
}

impl Node {
    fn look(&mut self, running: Generation, now: Instant) {
        match self.next {
            // It has gone back.
            Some((next, _)) if running < next => self.next = None,
            Some((next, since)) if now >= since + LINGER => (self.settled, self.next) = (next, None),
            _ => {}
        }
        self.settled = self.settled.min(running);
        if self.next.is_none() && running > self.settled {
            self.next = Some((running, now));
        }
    }
}

/// Longer than a packet is under way.
const LINGER: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    /// What of `a` and `b` is settled at a moment, in milliseconds.
    fn look(settled: &mut Settled, start: Instant, at: u64, a: u64, b: u64) -> (u64, u64) {
        let name = |name: &str| name.parse::<NodeName>().unwrap();
        let confirmed = [(name("a"), Generation::new(a)), (name("b"), Generation::new(b))].into();
        let known = settled.look(&confirmed, start + Duration::from_millis(at));
        let of = |node: &str| known.get(&name(node)).map_or(0, |generation| generation.get());
        (of("a"), of("b"))
    }

    #[test]
    fn a_generation_counts_a_moment_after_it_was_confirmed() {
        let (mut settled, start) = (Settled::default(), Instant::now());
        assert_eq!(look(&mut settled, start, 0, 5, 5), (0, 0));
        assert_eq!(settled.due(), Some(start + LINGER));
        assert_eq!(look(&mut settled, start, 199, 5, 5), (0, 0));
        assert_eq!(look(&mut settled, start, 200, 5, 5), (5, 5));
        assert_eq!(settled.due(), None);
        assert_eq!(look(&mut settled, start, 300, 6, 5), (5, 5));
        assert_eq!(look(&mut settled, start, 500, 6, 5), (6, 5));
    }

    #[test]
    fn who_confirms_one_after_another_gets_on_and_who_comes_and_goes_holds_up_itself_alone() {
        let (mut settled, start) = (Settled::default(), Instant::now());
        look(&mut settled, start, 0, 1, 1);
        assert_eq!(look(&mut settled, start, 200, 1, 1), (1, 1));
        // Every 50 ms a later one is confirmed here; there, it is now the old one and now the new one.
        for step in 1..=20 {
            let (a, b) = look(&mut settled, start, 200 + 50 * step, 1 + step, 1 + step % 2);
            assert!(a + 8 > step, "{a} at step {step}");
            assert_eq!(b, 1);
        }
        // One that confirms nothing any more is not known.
        assert_eq!(settled.look(&BTreeMap::new(), start + LINGER * 20), BTreeMap::new());
        assert_eq!(settled.due(), None);
    }
}
