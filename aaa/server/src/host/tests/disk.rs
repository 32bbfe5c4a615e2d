//! Accounting and the disk: one that is slow, full, in use, torn, or read after a restart.

use super::*;
use crate::journal::Journal;
use crate::record::AccountingEvent;

/// A realm whose records come to the test instead of to a disk, and a way to hand them back.
struct SlowDisk {
    host: Host,
    records: mpsc::Receiver<(Box<PendingRecord>, SocketAddr)>,
    written: mpsc::Sender<Written>,
}

impl SlowDisk {
    async fn start(site: &Site, queue: usize) -> Self {
        let (sender, records) = mpsc::channel(queue);
        let mut written = None;
        let host = start_with(site, |back| {
            written = Some(back);
            sender
        });
        until(&host, |status| status.readiness == Readiness::Ready).await;
        Self { host, records, written: written.unwrap() }
    }

    async fn give_back(&self, records: Vec<(Box<PendingRecord>, SocketAddr)>, error: Option<JournalError>) {
        assert!(self.written.send(Written { records, error }).await.is_ok());
    }
}

/// A realm with a journal of the test's.
fn start_with(
    site: &Site,
    journal: impl FnOnce(mpsc::Sender<Written>) -> mpsc::Sender<(Box<PendingRecord>, SocketAddr)>,
) -> Host {
    let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
    let status = Status { readiness: Readiness::NotReady(Vec::new()), counters: Counters::default(), sessions: 0 };
    let status = Arc::new(Mutex::new(status));
    let mut work = Work::new(site.config(), site.place(), site.dataplane.clone(), status.clone());
    work.journal = Some(journal(work.written.0.clone()));
    Host { commands, status, task: tokio::spawn(work.run(receiver)) }
}

fn storage_full() -> JournalError {
    JournalError::Io { path: "the journal".into(), kind: std::io::ErrorKind::StorageFull }
}

#[tokio::test]
async fn an_accounting_response_goes_out_only_when_the_record_is_on_the_disk() {
    let site = Site::new();
    let mut disk = SlowDisk::start(&site, 16).await;
    let nas = site.nas().await;
    let accept = nas.ask(&Ask::meter(1)).await;
    let stop = Ask::accounting(2, STOP, "s").add(Type::CLASS, accept.class());
    nas.send(&stop).await;
    let record = disk.records.recv().await.unwrap();
    assert_eq!(record.0.record().event, AccountingEvent::Stop);
    assert!(nas.has_no_answer_before_a_status(Service::Accounting, 9).await);
    // Nor does the session end before; sent again meanwhile, it is written no second time.
    assert_eq!((site.dataplane.unbound(), disk.host.sessions().await.len()), (vec![], 1));
    nas.send(&stop).await;
    assert!(nas.has_no_answer_before_a_status(Service::Accounting, 10).await);
    assert!(disk.records.try_recv().is_err());
    disk.give_back(vec![record], None).await;
    assert_eq!(stop.read(&nas.receive().await).code, ACCOUNTING_RESPONSE);
    assert_eq!(site.dataplane.unbound(), [(mac(0x2a), EndCause::ClientStop)]);
    disk.host.stop().await;
}

#[tokio::test]
async fn records_that_can_t_be_written_are_not_confirmed_and_the_realm_says_so_until_they_can() {
    let site = Site::new();
    let mut disk = SlowDisk::start(&site, 16).await;
    let nas = site.nas().await;
    let accept = nas.ask(&Ask::meter(1)).await;
    let stop = Ask::accounting(2, STOP, "s").add(Type::CLASS, accept.class());
    for tries in 1..=2 {
        nas.send(&stop).await;
        let record = disk.records.recv().await.unwrap();
        disk.give_back(vec![record], Some(storage_full())).await;
        let status = until(&disk.host, |status| status.counters.dropped(DropReason::NotRecorded) == tries).await;
        assert_eq!(status.readiness, Readiness::NotReady(vec![NotReady::Journal(storage_full())]));
        let identifier = 100 + u8::try_from(tries).unwrap();
        assert!(nas.has_no_answer_before_a_status(Service::Accounting, identifier).await);
        assert_eq!((status.sessions, site.dataplane.unbound()), (1, vec![]));
    }
    // The same request again, as a client sends it that has no answer.
    nas.send(&stop).await;
    let record = disk.records.recv().await.unwrap();
    disk.give_back(vec![record], None).await;
    assert_eq!(stop.read(&nas.receive().await).code, ACCOUNTING_RESPONSE);
    until(&disk.host, |status| status.readiness == Readiness::Ready && status.sessions == 0).await;
    disk.host.stop().await;
}

#[tokio::test]
async fn records_for_which_the_queue_has_no_room_are_dropped_under_that_one_reason() {
    let site = Site::new();
    let mut disk = SlowDisk::start(&site, 1).await;
    let nas = site.nas().await;
    nas.send(&Ask::accounting(1, START, "a")).await;
    let refused = Ask::accounting(2, START, "b");
    nas.send(&refused).await;
    let status = until(&disk.host, |status| status.counters.iter().count() > 0).await;
    assert_eq!(status.counters.iter().collect::<Vec<_>>(), [("drop", "queue-full", 1)]);
    let record = disk.records.recv().await.unwrap();
    disk.give_back(vec![record], None).await;
    assert_eq!(Ask::accounting(1, START, "a").read(&nas.receive().await).code, ACCOUNTING_RESPONSE);
    // There is room again, and the one that was refused is taken when it comes again.
    nas.send(&refused).await;
    let record = disk.records.recv().await.unwrap();
    disk.give_back(vec![record], None).await;
    assert_eq!(refused.read(&nas.receive().await).code, ACCOUNTING_RESPONSE);
    disk.host.stop().await;
}

#[tokio::test]
async fn a_full_disk_confirms_nothing_and_lets_devices_in() {
    let site = Site::new();
    let folder = site.folder.path().to_owned();
    let host = start_with(&site, |back| start_journal(Journal::on_a_full_disk(&folder), back));
    until(&host, |status| status.readiness == Readiness::Ready).await;
    let nas = site.nas().await;
    nas.send(&Ask::accounting(1, START, "s")).await;
    let status = until(&host, |status| status.counters.dropped(DropReason::NotRecorded) == 1).await;
    let reason = status.readiness.reason();
    assert!(reason.contains("journal") && reason.contains("storage"), "{reason}");
    assert!(nas.has_no_answer_before_a_status(Service::Accounting, 9).await);
    assert_eq!(nas.ask(&Ask::meter(2)).await.code, ACCESS_ACCEPT);
    host.stop().await;
}

#[tokio::test]
async fn records_that_wait_together_are_all_written_once_and_each_answered() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    // On one thread: the task takes them one after another while the disk syncs.
    for identifier in 0..100 {
        nas.send(&Ask::accounting(identifier, START, &format!("s-{identifier}"))).await;
    }
    let mut answered: Vec<u8> = Vec::new();
    for _ in 0..100 {
        answered.push(nas.receive_code(ACCOUNTING_RESPONSE).await[1]);
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..100).collect::<Vec<_>>());
    assert_eq!(journalled(&site.journal()).len(), 100);
    host.stop().await;
}

#[tokio::test]
async fn after_a_restart_what_was_recorded_is_confirmed_and_not_recorded_again() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    let accept = nas.ask(&Ask::meter(1)).await;
    let stop = Ask::accounting(2, STOP, "s").add(Type::CLASS, accept.class());
    assert_eq!(nas.ask(&stop).await.code, ACCOUNTING_RESPONSE);
    host.stop().await;
    let host = site.start_ready().await;
    assert_eq!(nas.ask(&stop).await.code, ACCOUNTING_RESPONSE);
    let again = Ask::accounting(3, STOP, "s").add(Type::CLASS, accept.class()).number(Type::ACCT_DELAY_TIME, 7);
    assert_eq!(nas.ask(&again).await.code, ACCOUNTING_RESPONSE);
    assert_eq!(journalled(&site.journal()), ["stop"]);
    let status = until(&host, |status| status.counters.tally(Tally::RecordedAgain) == 2).await;
    assert_eq!(status.counters.tally(Tally::Recorded), 0);
    host.stop().await;
}

#[tokio::test]
async fn a_torn_journal_is_cut_and_goes_on_and_a_damaged_one_is_named() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    for identifier in 1..=4 {
        let start = Ask::accounting(identifier, START, &format!("s-{identifier}"));
        assert_eq!(nas.ask(&start).await.code, ACCOUNTING_RESPONSE);
    }
    host.stop().await;
    let file = site.journal().join("accounting-000001.journal");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 9);
    std::fs::write(&file, &bytes).unwrap();
    let host = site.start_ready().await;
    // Of the torn one the realm knows nothing, so that it is recorded when it is reported again.
    for identifier in 3..=4 {
        let start = Ask::accounting(identifier, START, &format!("s-{identifier}"));
        assert_eq!(nas.ask(&start).await.code, ACCOUNTING_RESPONSE);
    }
    assert_eq!(journalled(&site.journal()).len(), 4);
    host.stop().await;
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let host = site.start();
    let status = until(&host, |status| !status.readiness.reason().is_empty()).await;
    let wanted = format!("the journal {}: line 1 is broken", file.display());
    assert!(status.readiness.reason().contains(&wanted), "{}", status.readiness.reason());
    // Moved away, it goes on.
    std::fs::remove_file(&file).unwrap();
    until(&host, |status| status.readiness == Readiness::Ready).await;
    host.stop().await;
}

#[tokio::test]
async fn a_journal_that_is_in_use_is_opened_when_it_is_free_also_while_datagrams_keep_coming() {
    let site = Site::new();
    let (other, _) = Journal::open(&site.journal()).unwrap();
    let host = site.start();
    let in_use = |status: &Status| {
        matches!(&status.readiness, Readiness::NotReady(reasons)
            if matches!(&reasons[..], [NotReady::Journal(JournalError::InUse { path })] if path.contains("000001")))
    };
    until(&host, in_use).await;
    let nas = site.nas().await;
    assert_eq!(nas.ask(&Ask::meter(1)).await.code, ACCESS_ACCEPT);
    let start = Ask::accounting(2, START, "s");
    nas.send(&start).await;
    let status = until(&host, |status| status.counters.dropped(DropReason::NotRecorded) == 1).await;
    assert_eq!(status.counters.dropped(DropReason::QueueFull), 0);
    drop(other);
    // More often than the journal is tried.
    assert_eq!(nas.ask_until_answered(&start).await.code, ACCOUNTING_RESPONSE);
    until(&host, |status| status.readiness == Readiness::Ready).await;
    host.stop().await;
}
