//! The real program, killed again and again while it applies programs: after each start it runs the last one that it had
//! confirmed, or one that was sent after that, and never anything else.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use model::program::Program;

use crate::manager::FakeManager;
use crate::world::{HEALTH, METERING, Side, World, limits, program};

/// Each generation says something else.
fn numbered(generation: u64) -> Program {
    let segments: &[_] = if generation.is_multiple_of(2) { &[METERING, HEALTH] } else { &[METERING] };
    let mut program = program(Side::A, generation, segments);
    program.content.slices[0].limits = limits(100 + generation);
    program
}

fn start(world: &World, manager: &FakeManager) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mec-edge"));
    world
        .arguments(&mut command, Side::A, &manager.uri(), world.aaa(Side::A))
        .arg(format!("--port=access0=pcap:none,{}", world.path(Side::A, "access0.pcap").display()))
        .arg(format!("--port=core0=pcap:none,{}", world.path(Side::A, "core0.pcap").display()))
        .env("RUST_LOG", "off")
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_is_killed_while_it_applies_starts_from_a_whole_program() {
    let world = World::new();
    let mut manager = FakeManager::start(&world.authority).await;
    // Of what is sent and what is confirmed.
    let (mut sent, mut confirmed) = (0, 0);
    for round in 0..ROUNDS {
        let mut child = start(&world, &manager);
        let mut stream = manager.attached().await;
        let realised = stream.realised().await;
        assert_eq!(realised.refusal, None, "round {round}");
        assert!((confirmed..=sent).contains(&realised.generation), "{realised:?}: {confirmed} to {sent}");
        if realised.generation > 0 {
            assert_eq!(realised.digest, numbered(realised.generation).digest().as_bytes());
        }
        // What was sent and is not running was lost, and is sent again.
        confirmed = realised.generation;
        sent = confirmed;
        // Spread over what a few changes take.
        let life = tokio::time::sleep(Duration::from_micros(u64::from(round) * 7_919 % 120_000));
        tokio::pin!(life);
        let programs = stream.sender();
        loop {
            let next = numbered(sent + 1);
            tokio::select! {
                () = &mut life => break,
                // Two at a time, so that there is always one under way.
                () = programs.send(&next), if sent < confirmed + 2 => sent += 1,
                Some(realised) = stream.try_realised() => {
                    assert_eq!(realised.refusal, None);
                    assert!((confirmed..=sent).contains(&realised.generation));
                    confirmed = realised.generation;
                }
            }
        }
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had confirmed before it died may still be on its way here.
        while let Some(realised) = stream.try_realised().await {
            confirmed = realised.generation;
        }
    }
    assert!(confirmed > u64::from(ROUNDS), "the edge had no time to do anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_stops_in_order_when_it_is_told_to() {
    let world = World::new();
    let mut manager = FakeManager::start(&world.authority).await;
    let mut child = start(&world, &manager);
    let mut stream = manager.attached().await;
    let ports: Vec<_> = stream.hello.ports.iter().map(|port| (port.port.as_str(), port.driver.as_str())).collect();
    assert_eq!(ports, [("access0", "pcap"), ("core0", "pcap")]);
    stream.realised().await;
    stream.run(&program(Side::A, 1, &[METERING])).await;
    // SIGTERM.
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

const ROUNDS: u32 = 30;
