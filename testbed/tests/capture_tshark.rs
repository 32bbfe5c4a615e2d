//! What the demo says it sent across the core is what tshark reads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "needs tshark"]
fn the_demos_capture_holds_its_segments_tunnels_and_no_malformed_packet() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, report) = (folder.path().join("core.pcap"), folder.path().join("report.json"));
    let demo = Command::new(env!("CARGO_BIN_EXE_testbed"))
        .arg("demo")
        .args(["--pcap".as_ref(), capture.as_os_str(), "--report".as_ref(), report.as_os_str()])
        .output()
        .unwrap();
    assert!(demo.status.success(), "{}", String::from_utf8_lossy(&demo.stdout));

    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let checks = report.as_array().unwrap();
    let listed = checks.iter().find(|check| check["name"] == "VNIs after the restart").unwrap();
    // As slicectl listed them.
    let listed: BTreeSet<u32> = serde_json::from_str(listed["measured"].as_str().unwrap()).unwrap();
    let seen: BTreeSet<u32> =
        tshark(&capture, &["-T", "fields", "-e", "vxlan.vni"]).lines().filter_map(|vni| vni.parse().ok()).collect();
    assert_eq!(seen, listed);

    let bad = "_ws.malformed || udp.checksum.status == 0 || ip.checksum.status == 0 || _ws.expert.severity == error";
    let checked = ["-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y", bad];
    assert_eq!(tshark(&capture, &checked), "");
    // Whatever is no question of the underlay, and no probe of a path (RFC 8762, section 4.1: port 862), is in a tunnel.
    assert!(tshark(&capture, &["-Y", "!vxlan && !icmpv6 && !arp && !(udp.port == 862)"]).is_empty());
}

fn tshark(capture: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark").arg("-r").arg(capture).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
