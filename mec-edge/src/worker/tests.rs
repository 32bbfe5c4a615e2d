use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::Mac;
use transport_dataplane::{Frame, Port};

use super::*;
use crate::ports::Losses;

/// A port on which nothing arrives, but at some moment a fault.
struct Faulty {
    number: u8,
    is_due: Arc<AtomicBool>,
    turns: Arc<AtomicU64>,
}

impl Port for Faulty {
    fn receive(&mut self, _: &mut FramePool, _: &mut Burst) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        assert!(!self.is_due.load(Ordering::Relaxed), "a fault that was asked for");
    }

    fn transmit(&mut self, frames: &mut Vec<Frame>, pool: &mut FramePool) -> usize {
        let sent = frames.len();
        frames.drain(..).for_each(|frame| pool.give(frame));
        sent
    }
}

impl EdgePort for Faulty {
    fn driver(&self) -> Cow<'static, str> {
        "faulty".into()
    }

    fn mac(&self) -> Mac {
        Mac([2, 0, 0, 0, 0, self.number])
    }

    fn losses(&mut self) -> Losses {
        Losses::default()
    }
}

#[tokio::test]
async fn when_one_worker_ends_all_end_and_say_so() {
    let names = ["access0", "core0", "core1"];
    let signs: Vec<_> = names.iter().map(|_| (Arc::default(), Arc::default())).collect();
    let ports = (0_u8..).zip(names).zip(&signs).map(|((number, name), (is_due, turns))| {
        let port = Faulty { number, is_due: Arc::clone(is_due), turns: Arc::clone(turns) };
        (name.parse().unwrap(), Box::new(port) as Box<dyn EdgePort>)
    });
    let threads = WorkerThreads::start("edge-a", ports.collect(), 10, (3, &[])).unwrap();
    let reading = threads.workers().read().await.unwrap();
    assert_eq!((reading.pipeline.ports.len(), reading.losses.len()), (3, 3));
    signs[1].0.store(true, Ordering::Relaxed);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !threads.threads.iter().all(JoinHandle::is_finished) {
        assert!(Instant::now() < deadline, "a worker goes on alone");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let turns: Vec<u64> = signs.iter().map(|sign: &(_, Arc<AtomicU64>)| sign.1.load(Ordering::Relaxed)).collect();
    assert!(turns.iter().all(|turns| *turns > 0), "{turns:?}");
    let workers = threads.workers();
    assert_eq!(workers.read().await.unwrap_err(), WorkerGone);
    assert_eq!(workers.swap(Box::new(Tables::empty(3))).await.unwrap_err(), WorkerGone);
}

#[tokio::test]
async fn a_core_that_is_not_there_is_named_and_nothing_is_left_running() {
    let error = WorkerThreads::start("edge-a", Vec::new(), 10, (2, &[0, 1_023])).unwrap_err();
    assert!(error.to_string().contains("core 1023"), "{error}");
    let error = WorkerThreads::start("edge-a", Vec::new(), 10, (9, &[])).unwrap_err();
    assert_eq!(error.to_string(), "9 workers: expected 1 to 8");
}
