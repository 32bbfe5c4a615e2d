//! What every engine must do, as one suite. Expected values follow from the contract of [`Store`].

use super::{Revision, Store, StoreError, Transaction};

/// Runs the whole suite; `make` gives an empty store each time.
pub(crate) fn run<S: Store>(mut make: impl FnMut() -> S) {
    an_absent_key_has_no_value(&make());
    a_commit_writes_removes_and_counts(&make());
    a_scan_gives_a_prefix_in_order(&make());
    a_check_that_fails_changes_nothing(&make());
    a_check_reads_the_version_of_its_own_key(&make());
    values_may_be_empty_and_large(&make());
    threads_that_race_lose_nothing(&make());
}

fn an_absent_key_has_no_value<S: Store>(store: &S) {
    assert_eq!(store.get("a").unwrap(), None);
    assert!(store.scan("").unwrap().is_empty());
}

fn a_commit_writes_removes_and_counts<S: Store>(store: &S) {
    let first = store.commit(&Transaction::new().put("a", b"1".to_vec()).put("b", b"2".to_vec())).unwrap();
    let second = store.commit(&Transaction::new().put("b", b"3".to_vec()).delete("a").delete("never")).unwrap();
    assert!(second > first);
    assert_eq!(store.get("a").unwrap(), None);
    let b = store.get("b").unwrap().unwrap();
    assert_eq!((b.version, b.value.as_slice()), (second, b"3".as_slice()));
}

fn a_scan_gives_a_prefix_in_order<S: Store>(store: &S) {
    let keys = ["intent/b", "intent/a", "intent", "target", "intenu", "intent/a/b"];
    let all = keys.iter().fold(Transaction::new(), |t, key| t.put(*key, key.as_bytes().to_vec()));
    store.commit(&all).unwrap();
    let found: Vec<String> = store.scan("intent/").unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, ["intent/a", "intent/a/b", "intent/b"]);
    assert_eq!(store.scan("").unwrap().len(), keys.len());
}

fn a_check_that_fails_changes_nothing<S: Store>(store: &S) {
    let version = store.commit(&Transaction::new().put("a", b"1".to_vec())).unwrap();
    let before = store.scan("").unwrap();
    let change = |t: Transaction| t.put("a", b"2".to_vec()).put("b", b"2".to_vec()).delete("a");
    let wrong = [
        change(Transaction::new().check("a", None)),
        change(Transaction::new().check("a", Some(Revision(version.0 + 1)))),
        change(Transaction::new().check("absent", Some(version))),
        change(Transaction::new().check("a", Some(version)).check("absent", Some(version))),
    ];
    for transaction in wrong {
        assert!(matches!(store.commit(&transaction), Err(StoreError::Conflict { .. })));
        assert_eq!(store.scan("").unwrap(), before);
    }
    store.commit(&Transaction::new().check("a", Some(version)).check("b", None).put("b", b"2".to_vec())).unwrap();
    assert_eq!(store.get("b").unwrap().unwrap().value, b"2");
}

fn a_check_reads_the_version_of_its_own_key<S: Store>(store: &S) {
    let a = store.commit(&Transaction::new().put("a", b"1".to_vec())).unwrap();
    let b = store.commit(&Transaction::new().put("b", b"1".to_vec())).unwrap();
    store.commit(&Transaction::new().check("a", Some(a)).check("b", Some(b)).put("c", Vec::new())).unwrap();
    // Written again with the same value is another version all the same.
    store.commit(&Transaction::new().put("a", b"1".to_vec())).unwrap();
    let stale = Transaction::new().check("a", Some(a)).put("c", b"2".to_vec());
    assert!(matches!(store.commit(&stale), Err(StoreError::Conflict { key, .. }) if key == "a"));
}

fn values_may_be_empty_and_large<S: Store>(store: &S) {
    let large: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    store.commit(&Transaction::new().put("empty", Vec::new()).put("large", large.clone())).unwrap();
    assert_eq!(store.get("empty").unwrap().unwrap().value, Vec::<u8>::new());
    assert_eq!(store.get("large").unwrap().unwrap().value, large);
}

/// Each thread counts one shared number up by compare-and-set. If one update were lost, the sum would be short.
fn threads_that_race_lose_nothing<S: Store>(store: &S) {
    const THREADS: u32 = 4;
    const STEPS: u32 = 10;
    let step = || loop {
        let entry = store.get("sum").unwrap();
        let sum = entry.as_ref().map_or(0, |e| u32::from_be_bytes(e.value.as_slice().try_into().unwrap()));
        let version = entry.map(|e| e.version);
        match store.commit(&Transaction::new().check("sum", version).put("sum", (sum + 1).to_be_bytes().to_vec())) {
            Ok(_) => break,
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..STEPS).for_each(|_| step()));
        }
    });
    assert_eq!(store.get("sum").unwrap().unwrap().value, (THREADS * STEPS).to_be_bytes());
}
