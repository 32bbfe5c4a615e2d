//! The fuzz targets without a fuzzer: on random octets, on seeds that were changed, on what is made to break a codec, and
//! on what a fuzzer has found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a target fails by panic")]
#![allow(unreachable_pub, reason = "the targets are a library for the fuzzer")]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use targets::{TARGETS, Target};

/// The inputs of a target in one of the folders of `fuzz/`, by name.
fn inputs(folder: &str, target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder).join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| (file.display().to_string(), std::fs::read(file).unwrap())).collect()
}

#[test]
fn every_target_has_seeds_and_holds_on_them_cut_anywhere() {
    for (name, target) in TARGETS {
        let seeds = inputs("seeds", name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for (_, octets) in &seeds {
            (0..=octets.len()).for_each(|end| target(&octets[..end]));
        }
    }
}

#[test]
fn what_was_made_to_break_a_codec_or_once_did_does_not() {
    let mut replayed = 0;
    for (name, target) in TARGETS {
        for (file, octets) in inputs("crashes", name) {
            println!("{file}");
            target(&octets);
            replayed += 1;
        }
    }
    assert!(replayed > 0, "nothing was replayed");
}

fn a_target() -> impl Strategy<Value = (&'static str, Target)> {
    prop::sample::select(TARGETS.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn targets_hold_on_random_octets((_, target) in a_target(), octets in prop::collection::vec(any::<u8>(), 0..300)) {
        target(&octets);
    }

    #[test]
    fn targets_hold_on_changed_seeds(
        (name, target) in a_target(),
        seed in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        tail in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let seeds = inputs("seeds", name);
        let mut octets = seeds[seed.index(seeds.len())].1.clone();
        for (at, value) in changes {
            let at = at.index(octets.len());
            octets[at] = value;
        }
        if let Some(cut) = cut {
            octets.truncate(cut.index(octets.len() + 1));
        }
        octets.extend(tail);
        target(&octets);
    }
}
