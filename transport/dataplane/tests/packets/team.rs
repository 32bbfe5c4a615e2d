//! The workers of one edge, one after the other, so that each test sees the same every time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use model::resource::SegmentId;
use transport_dataplane::{
    BindError, Binding, Burst, Config, FramePool, KernelPort, Nanos, Outputs, Pipeline, PortIndex, QueuesReading, Reading, SegmentUid,
    SessionCounters, SessionKey, Tables, TreePlace, TreeReading, WorkerPlace,
};

/// As many workers as the tests are run with, who are asked as one pipeline is.
pub(crate) struct Team {
    workers: Vec<Pipeline>,
    place: WorkerPlace,
    owners: BTreeMap<SegmentUid, usize>,
    /// How long what one hands to another is under way, at most.
    pub(crate) lateness: Nanos,
    exchanged: Nanos,
}

impl Team {
    pub(crate) fn new(config: &Config) -> Self {
        let places = (0..WORKERS).map(|index| WorkerPlace::new(index, WORKERS).unwrap());
        let workers = places.map(|worker| Pipeline::new(Config { worker, ..config.clone() })).collect();
        Self { workers, place: WorkerPlace::new(0, WORKERS).unwrap(), owners: BTreeMap::new(), lateness: Nanos(0), exchanged: Nanos(0) }
    }

    #[allow(clippy::needless_pass_by_value, reason = "as a pipeline has it")]
    pub(crate) fn swap(&mut self, tables: Box<Tables>) {
        self.owners = tables.owners(self.place).collect();
        for worker in &mut self.workers {
            worker.swap(tables.clone());
        }
    }

    /// Exchanges the tables of one worker after the other, the slices' first, and does something after each.
    pub(crate) fn exchange_one_by_one<T>(&mut self, tables: &Tables, mut then: impl FnMut(&mut Self) -> T) -> Vec<T> {
        self.owners = tables.owners(self.place).collect();
        let mut order: Vec<usize> = (0..self.workers.len()).collect();
        let is_owner: BTreeSet<usize> = self.owners.values().copied().collect();
        order.sort_by_key(|worker| !is_owner.contains(worker));
        let exchanged = order.into_iter().map(|worker| {
            self.workers[worker].swap(Box::new(tables.clone()));
            while !self.reshape(Nanos(6_000_000_000)) {}
            then(self)
        });
        exchanged.collect()
    }

    pub(crate) fn reshape(&mut self, now: Nanos) -> bool {
        let done: Vec<bool> = self.workers.iter_mut().map(|worker| worker.reshape(now)).collect();
        done.iter().all(|done| *done)
    }

    pub(crate) fn introduce(&mut self, tables: &Tables) -> Range<usize> {
        let introduced = self.workers.iter_mut().map(|worker| worker.introduce(tables));
        introduced.collect::<Vec<_>>().swap_remove(0)
    }

    pub(crate) fn knows(&self, introduced: Range<usize>) -> bool {
        self.workers.iter().all(|worker| worker.knows(introduced.clone()))
    }

    pub(crate) fn follow_kernel(&mut self, said: &KernelPort) -> Option<Box<KernelPort>> {
        let before = self.workers.iter_mut().map(|worker| worker.follow_kernel(Box::new(said.clone())));
        before.collect::<Vec<_>>().swap_remove(0)
    }

    pub(crate) fn bind(&mut self, binding: &Binding) -> Result<SessionKey, BindError> {
        let owner = self.owners.get(&binding.segment).copied().unwrap_or(0);
        self.workers[owner].bind(binding)
    }

    pub(crate) fn unbind(&mut self, key: &SessionKey) -> Option<SessionCounters> {
        self.workers[key.owner(self.place)].unbind(key)
    }

    pub(crate) fn session(&self, key: &SessionKey) -> Option<SessionCounters> {
        self.workers[key.owner(self.place)].session(key)
    }

    pub(crate) fn process(
        &mut self,
        now: Nanos,
        port: PortIndex,
        burst: &mut Burst,
        pool: &mut FramePool,
        out: &mut Outputs,
    ) {
        self.workers[self.place.of_port(port)].process(now, port, burst, pool, out);
        self.exchange(now, pool, out);
    }

    pub(crate) fn depart(&mut self, now: Nanos, pool: &mut FramePool, out: &mut Outputs) {
        self.workers.iter_mut().for_each(|worker| worker.depart(now, pool, out));
        self.exchange(now, pool, out);
    }

    pub(crate) fn tick(&mut self, now: Nanos, pool: &mut FramePool, out: &mut Outputs) {
        self.workers.iter_mut().for_each(|worker| worker.tick(now, pool, out));
        self.exchange(now, pool, out);
    }

    pub(crate) fn probe(&mut self, now: Nanos, pool: &mut FramePool, out: &mut Outputs) {
        self.workers.iter_mut().for_each(|worker| worker.probe(now, pool, out));
        self.exchange(now, pool, out);
    }

    pub(crate) fn next_departure(&mut self, now: Nanos) -> Option<Nanos> {
        self.workers.iter_mut().filter_map(|worker| worker.next_departure(now)).min()
    }

    pub(crate) fn queued(&self) -> usize {
        self.workers.iter().map(Pipeline::queued).sum()
    }

    pub(crate) fn read(&self) -> Reading {
        Reading::of_workers(self.workers.iter().map(Pipeline::read)).unwrap()
    }

    pub(crate) fn read_queues(&self, port: PortIndex) -> Option<QueuesReading> {
        self.workers[self.place.of_port(port)].read_queues(port)
    }

    pub(crate) fn read_tree(&self, port: PortIndex, from: TreePlace) -> Option<TreeReading> {
        self.workers[self.place.of_port(port)].read_tree(port, from)
    }

    pub(crate) fn watch(&mut self, segment: &SegmentId) -> bool {
        let watched: Vec<bool> = self.workers.iter_mut().map(|worker| worker.watch(segment)).collect();
        watched.contains(&true)
    }

    /// Carries what each hands to the others, until nothing is left.
    fn exchange(&mut self, now: Nanos, pool: &mut FramePool, out: &mut Outputs) {
        if self.lateness.0 > 0 && now.0 < self.exchanged.0 + self.lateness.0 {
            return;
        }
        self.exchanged = now;
        let count = self.workers.len();
        let mut is_quiet = false;
        while !is_quiet {
            is_quiet = true;
            for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
                let handed: Vec<_> = self.workers[from].handovers(to).unwrap().drain(..).collect();
                if !handed.is_empty() {
                    is_quiet = false;
                    self.workers[to].take_over(now, from, handed.into_iter(), pool, out);
                }
            }
        }
    }
}

/// One alone; and in the same tests once more, three who have to hand over most of what they get.
const WORKERS: u8 = if matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"packets") { 1 } else { 3 };
