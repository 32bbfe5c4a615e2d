//! The reference: the same tree for a fluid instead of frames. Slow, obvious, in whole numbers, and without anything in
//! common with what it is the reference of.
//!
//! At each level every child first gets its guarantee, as far as it can use it; what is left is poured out by weight, and
//! who can use no more stops taking part. Between two events (an arrival, a queue that runs empty) all rates stay as they are.

/// Rates are in bit/s times this, volumes in bit times 10^9 times this.
const UNIT: i128 = 1 << 20;
const GIGA: i128 = 1_000_000_000;

/// A slice, a segment, or a class.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) guaranteed: u64,
    pub(super) ceiling: u64,
    pub(super) weight: u32,
    /// Nobody: then it has a backlog of its own.
    pub(super) children: Vec<Node>,
    backlog: i128,
    sent: i128,
    rate: i128,
}

impl Node {
    pub(super) fn new(guaranteed: u64, ceiling: u64, weight: u32, children: Vec<Self>) -> Self {
        Self { guaranteed, ceiling, weight, children, backlog: 0, sent: 0, rate: 0 }
    }

    /// Octets arrive at a leaf.
    pub(super) fn arrive(&mut self, octets: u64) {
        self.backlog += i128::from(octets) * 8 * GIGA * UNIT;
    }

    /// Octets sent so far, of this and all below it.
    pub(super) fn sent_octets(&self) -> u64 {
        u64::try_from(self.sent / (8 * GIGA * UNIT)).unwrap()
    }

    /// Lets time go by, as what the port gives to the root.
    pub(super) fn run(&mut self, nanos: u64) {
        let mut left = i128::from(nanos);
        while left > 0 {
            let wanted = self.wanted();
            self.give(wanted);
            let step = self.until_empty().map_or(left, |empty| empty.clamp(1, left));
            self.flow(step);
            left -= step;
        }
    }

    /// The rate that it could use.
    fn wanted(&self) -> i128 {
        let below = if self.children.is_empty() {
            if self.backlog > 0 { i128::MAX } else { 0 }
        } else {
            self.children.iter().fold(0_i128, |sum, child| sum.saturating_add(child.wanted()))
        };
        below.min(i128::from(self.ceiling) * UNIT)
    }

    /// Shares out a rate that it was given.
    fn give(&mut self, rate: i128) {
        self.rate = rate;
        let wanted: Vec<_> = self.children.iter().map(Self::wanted).collect();
        let mut given: Vec<_> = self
            .children
            .iter()
            .zip(&wanted)
            .map(|(child, wanted)| (i128::from(child.guaranteed) * UNIT).min(*wanted))
            .collect();
        let mut left = rate - given.iter().sum::<i128>();
        loop {
            let thirsty: Vec<_> = (0..given.len()).filter(|at| given[*at] < wanted[*at]).collect();
            let weights: i128 = thirsty.iter().map(|at| i128::from(self.children[*at].weight)).sum();
            if weights == 0 || left < weights {
                break;
            }
            // As much as until the first of them has enough.
            let level = thirsty
                .iter()
                .map(|at| (wanted[*at] - given[*at]) / i128::from(self.children[*at].weight))
                .min()
                .unwrap()
                .min(left / weights)
                .max(1);
            for at in &thirsty {
                let more = (level * i128::from(self.children[*at].weight)).min(wanted[*at] - given[*at]);
                given[*at] += more;
                left -= more;
            }
        }
        for (child, rate) in self.children.iter_mut().zip(given) {
            child.give(rate);
        }
    }

    /// How long until the first leaf runs empty.
    fn until_empty(&self) -> Option<i128> {
        let own = (self.children.is_empty() && self.rate > 0).then(|| (self.backlog + self.rate - 1) / self.rate);
        self.children.iter().filter_map(Self::until_empty).chain(own).min()
    }

    fn flow(&mut self, nanos: i128) {
        if self.children.is_empty() {
            let sent = (self.rate * nanos).min(self.backlog);
            self.backlog -= sent;
            self.sent += sent;
            return;
        }
        self.children.iter_mut().for_each(|child| child.flow(nanos));
        self.sent = self.children.iter().map(|child| child.sent).sum();
    }
}

#[test]
fn the_reference_does_what_can_be_worked_out_by_hand() {
    const SECOND: u64 = 1_000_000_000;
    let leaf = |guaranteed, ceiling, weight| Node::new(guaranteed, ceiling, weight, Vec::new());
    // 100: 20 and 30 are guaranteed, 50 are left and shared 1 to 3.
    let mut port = Node::new(0, 100_000, 1, vec![leaf(20_000, 100_000, 1), leaf(30_000, 100_000, 3)]);
    port.children.iter_mut().for_each(|child| child.arrive(1 << 30));
    port.run(8 * SECOND);
    assert_eq!([32_500, 67_500], [0, 1].map(|child: usize| port.children[child].sent_octets()));
    // The second may have 60: the first gets what is left.
    let mut port = Node::new(0, 100_000, 1, vec![leaf(20_000, 100_000, 1), leaf(30_000, 60_000, 3)]);
    port.children.iter_mut().for_each(|child| child.arrive(1 << 30));
    port.run(8 * SECOND);
    assert_eq!([40_000, 60_000], [0, 1].map(|child: usize| port.children[child].sent_octets()));
    // The first has 1,000 octets only, done after 0.2 s of 40 kbit/s; then the second has all that it may.
    let mut port = Node::new(0, 100_000, 1, vec![leaf(20_000, 100_000, 1), leaf(30_000, 60_000, 3)]);
    port.children[0].arrive(1_000);
    port.children[1].arrive(1 << 30);
    port.run(SECOND);
    assert_eq!((port.children[0].sent_octets(), port.children[1].sent_octets()), (1_000, 7_500));
}
