//! The demo in namespaces: a process for each part, kernel sockets, real traffic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

use std::process::Command;

#[test]
#[ignore = "needs root"]
fn the_demo_holds_in_namespaces() {
    let logs = std::env::var("MICROSLICE_LOGS").unwrap_or_else(|_| std::env::temp_dir().display().to_string());
    let report = format!("{logs}/checks.json");
    let capture = format!("{logs}/core.pcap");
    let output = Command::new(env!("CARGO_BIN_EXE_testbed"))
        .args(["demo", "--netns", "--report", &report, "--pcap", &capture])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    std::fs::write(format!("{logs}/demo.txt"), &said).unwrap();
    assert!(output.status.success(), "{said}");
    let checks: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
    assert!(checks.len() > 30, "{} checks", checks.len());
    assert!(checks.iter().all(|check| check["pass"] == true));
    assert!(std::fs::metadata(&capture).unwrap().len() > 1_000, "nothing was captured");
}
