//! The real process, killed without warning at any moment, over many rounds: between the intent and the push, in the
//! middle of a commit, while edges report. What it acknowledged holds, nothing is there by halves, no number is lost or
//! doubled, and in the end every operation is completed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use api::v1;
use tokio::task::JoinHandle;
use v1::intent_service_client::IntentServiceClient;
use v1::node_service_client::NodeServiceClient;
use v1::operation_service_client::OperationServiceClient;
use v1::segment_service_client::SegmentServiceClient;
use v1::slice_service_client::SliceServiceClient;

use crate::world::{EDGES, FakeEdge, World, reference, soon, yaml};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_that_is_killed_at_any_moment_loses_and_doubles_nothing() {
    let mut trial = Trial::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut changes = 0;
    for round in 0..ROUNDS {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let process = trial.raise().await;
        trial.check(round).await;
        changes += trial.change_until_killed(process, Duration::from_micros(seed % KILL_WITHIN_MICROSECONDS)).await;
    }
    assert!(changes > ROUNDS, "{changes} changes in {ROUNDS} rounds are no trial");
    let mut process = trial.raise().await;
    trial.check(ROUNDS).await;
    trial.settle().await;
    process.kill().unwrap();
    process.wait().unwrap();
}

/// A change of transport takes steps; wherever between them the manager dies, it goes on from there, and does not call the
/// change completed before every edge sends by the new transport.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_that_is_killed_between_the_steps_of_a_change_goes_on_with_it() {
    let mut trial = Trial::new();
    let mut process = trial.raise().await;
    trial.world.apply(small_world()).await.unwrap();
    trial.world.apply((0..3).flat_map(segment_and_realm).collect()).await.unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for transport in ["srv6", "mpls", "vxlan", "mpls", "srv6", "vxlan", "srv6", "mpls"] {
        let operation = trial.world.apply(small_slice(transport)).await.unwrap().unwrap();
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        tokio::time::sleep(Duration::from_millis(seed % STEPS_MILLIS)).await;
        process.kill().unwrap();
        process.wait().unwrap();
        process = trial.raise().await;
        trial.world.completed(&operation.id).await;
        let plan = trial.world.plan(small_topology()).await.unwrap().plan.unwrap();
        let segments = plan.programs.iter().flat_map(|program| &program.slices).flat_map(|slice| &slice.segments);
        let remotes: Vec<&v1::Remote> = segments.flat_map(|segment| &segment.remotes).collect();
        assert_eq!(remotes.len(), 6);
        for remote in remotes {
            let sent = match remote.tunnel.as_ref().unwrap() {
                v1::remote::Tunnel::Vxlan(_) => "vxlan",
                v1::remote::Tunnel::Srv6(_) => "srv6",
                v1::remote::Tunnel::Mpls(_) => "mpls",
            };
            assert_eq!(sent, transport, "{remote:?}");
        }
        let is_over = |plan: &v1::Plan| plan.awaiting.is_empty() && plan.quarantine.is_empty();
        let plan = trial.world.plan_when(&small_topology(), is_over).await;
        let segments = plan.programs.iter().flat_map(|program| &program.slices).flat_map(|slice| &slice.segments);
        assert!(segments.flat_map(|segment| &segment.remotes).all(|remote| remote.inbound.is_empty()));
    }
    process.kill().unwrap();
    process.wait().unwrap();
}

struct Trial {
    world: World,
    /// The segments that are declared, as far as the manager has acknowledged it.
    declared: BTreeSet<usize>,
    /// The change whose answer was cut off: it was made, or it was not.
    in_flight: Option<BTreeSet<usize>>,
    edges: Vec<JoinHandle<FakeEdge>>,
    turn: usize,
}

impl Trial {
    fn new() -> Self {
        Self { world: World::prepare(), declared: BTreeSet::new(), in_flight: None, edges: Vec::new(), turn: 0 }
    }

    /// Starts the process, and brings back the edges with what they ran when it was killed.
    async fn raise(&mut self) -> Child {
        let mut process = Command::new(env!("CARGO_BIN_EXE_slice-manager"))
            .args(["--listen", "127.0.0.1:0", "--log", "json"])
            .arg("--tls-dir")
            .arg(self.world.tls_dir())
            .arg("--store")
            .arg(self.world.store_dir())
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (send, address) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut send = Some(send);
            let mut said = Vec::new();
            while let Some(Ok(line)) = lines.next() {
                let address = line.split("\"address\":\"").nth(1).and_then(|rest| rest.split('"').next());
                match (address, send.take()) {
                    (Some(address), Some(send)) => send.send(address.to_owned()).unwrap(),
                    (_, still) => send = still,
                }
                said.push(line);
            }
            assert!(send.is_none(), "it did not start: {said:?}");
        });
        self.world.at(soon(address).await.unwrap().parse().unwrap());
        let mut runs: BTreeMap<String, _> = BTreeMap::new();
        for edge in self.edges.drain(..) {
            let edge = edge.await.unwrap();
            runs.insert(edge.name, edge.runs);
        }
        for name in EDGES {
            let mut edge = FakeEdge::attach(self.world.channel("edge", name), name).await;
            edge.report(runs.remove(name).flatten().as_ref()).await;
            self.edges.push(edge.obey());
        }
        process
    }

    /// What is declared is what was acknowledged, and the plan is made for just that.
    async fn check(&mut self, round: usize) {
        if round == 0 {
            self.world.apply(small_world()).await.unwrap();
        }
        let mut client = SegmentServiceClient::new(self.world.operator());
        let listed = client.list_segments(v1::ListSegmentsRequest::default()).await.unwrap().into_inner().segments;
        let found: BTreeSet<usize> = listed.iter().map(|s| s.name.trim_start_matches('s').parse().unwrap()).collect();
        let expected = [Some(self.declared.clone()), self.in_flight.take()];
        assert!(expected.contains(&Some(found.clone())), "round {round}: {found:?}, not one of {expected:?}");
        self.declared = found;
        // What an edge was sent before the kill was durable before it was sent: nobody runs what is not known here.
        let mut nodes = NodeServiceClient::new(self.world.operator());
        for edge in EDGES {
            let known = async {
                loop {
                    let node = nodes.get_node(v1::GetNodeRequest { name: edge.to_owned() }).await.unwrap().into_inner();
                    let realisation = node.realisation.unwrap();
                    if realisation.realised_generation.is_some() {
                        return realisation;
                    }
                    tokio::task::yield_now().await;
                }
            };
            let known = soon(known).await;
            assert!(known.problem.is_empty(), "round {round}: {known:?}");
        }
        // A segment and its realm came in one change, so neither is there without the other: a program says so.
        let plan = self.world.plan(small_world()).await.unwrap().plan.unwrap();
        let segments = plan.programs.iter().flat_map(|p| &p.slices).flat_map(|s| &s.segments);
        assert!(segments.into_iter().all(|segment| segment.realm.is_some()));
        assert_eq!(plan.allocations.len(), self.declared.len());
        let mut vnis: Vec<u32> = plan.allocations.iter().map(|a| a.vni).collect();
        vnis.extend(plan.quarantine.iter().map(|q| q.allocation.as_ref().unwrap().vni));
        assert_eq!(vnis.iter().collect::<BTreeSet<_>>().len(), vnis.len(), "a VNI is there twice");
        assert!(vnis.iter().all(|vni| (100..100 + POOL).contains(vni)));
    }

    /// Declares and removes segments, one change after another, until the process is killed.
    async fn change_until_killed(&mut self, mut process: Child, after: Duration) -> usize {
        let killer = std::thread::spawn(move || {
            std::thread::sleep(after);
            process.kill().unwrap();
            process.wait().unwrap();
        });
        let mut client = IntentServiceClient::new(self.world.operator());
        let mut changes = 0;
        loop {
            self.turn += 1;
            let segment = self.turn * 7 % SEGMENTS;
            let mut next = self.declared.clone();
            let answer = if next.remove(&segment) {
                let ids = [format!("microsegment/small/s{segment}"), format!("realm/small/s{segment}")];
                let resources = ids.map(|id| v1::ResourceRef { id }).into();
                client.delete(v1::DeleteRequest { resources }).await.map(drop)
            } else {
                next.insert(segment);
                client.apply(v1::ApplyRequest { resources: segment_and_realm(segment) }).await.map(drop)
            };
            match answer {
                Ok(()) => self.declared = next,
                // All numbers are taken while edges let go of those that were removed. Nothing was changed.
                Err(status) if status.code() == tonic::Code::FailedPrecondition => {
                    assert!(status.message().contains("quarantine"), "{status:?}");
                }
                Err(status) => {
                    assert!(
                        [tonic::Code::Unavailable, tonic::Code::Unknown, tonic::Code::Cancelled]
                            .contains(&status.code()),
                        "{status:?}"
                    );
                    self.in_flight = Some(next);
                    break;
                }
            }
            changes += 1;
        }
        killer.join().unwrap();
        changes
    }

    /// Every operation comes to its end, edges run the target, and every number of the pool can be used again.
    async fn settle(&mut self) {
        let mut client = OperationServiceClient::new(self.world.operator());
        let list = v1::ListOperationsRequest { page_size: 1_000 };
        for operation in client.list_operations(list).await.unwrap().into_inner().operations {
            self.world.completed(&operation.id).await;
        }
        let all: Vec<v1::Resource> = (0..SEGMENTS).flat_map(segment_and_realm).collect();
        // Numbers that were removed last are let go of when every edge has said so.
        self.world.plan_when(&small_world(), |plan| plan.quarantine.is_empty()).await;
        self.world.apply(all).await.unwrap();
        let mut slices = SliceServiceClient::new(self.world.operator());
        let active = async {
            loop {
                let slices = slices.list_slices(v1::ListSlicesRequest {}).await.unwrap().into_inner().slices;
                if slices[0].state() == v1::SliceState::Active {
                    return slices;
                }
                tokio::task::yield_now().await;
            }
        };
        let slices = soon(active).await;
        assert_eq!(slices[0].segments.len(), SEGMENTS);
        let vnis: BTreeSet<u32> = slices[0].segments.iter().map(|segment| segment.vni).collect();
        assert_eq!(vnis, (100..100 + POOL).collect(), "every number of the pool is in use, none is lost");
        for segment in &slices[0].segments {
            assert!(segment.realised.iter().all(|realised| realised.vni == segment.vni));
        }
    }
}

/// The reference topology with a pool of just as many numbers as there may be segments, and a slice for them.
fn small_world() -> Vec<v1::Resource> {
    let mut resources = small_topology();
    resources.extend(small_slice("vxlan"));
    resources
}

fn small_topology() -> Vec<v1::Resource> {
    let mut resources = reference(&["topology"]);
    let Some(v1::resource::Kind::Topology(topology)) = &mut resources[0].kind else { panic!() };
    topology.pools.as_mut().unwrap().vni_first = 100;
    topology.pools.as_mut().unwrap().vni_last = 100 + POOL - 1;
    resources
}

fn small_slice(transport: &str) -> Vec<v1::Resource> {
    yaml(&format!(
        "apiVersion: microslice/v1\nkind: Slice\nmetadata: {{ name: small }}\nspec:\n  template: miot\n  \
         transport: {transport}\n  snssai: {{ sst: 3 }}\n  rate: {{ guaranteed: 10 Mbit/s, ceiling: 20 Mbit/s }}\n  sdps:\n    \
         - {{ name: a, edge: edge-a, port: access0, vlan: 1 }}\n    - {{ name: b, edge: edge-b, port: access0, vlan: 1 }}\n    \
         - {{ name: c, edge: edge-c, port: access0, vlan: 1 }}\n"
    ))
}

fn segment_and_realm(n: usize) -> Vec<v1::Resource> {
    let edges = [EDGES[n % 3], EDGES[(n + 1) % 3]].join(", ");
    yaml(&format!(
        "apiVersion: microslice/v1\nkind: MicroSegment\nmetadata: {{ name: s{n}, slice: small }}\nspec: \
         {{ profile: smart-metering, at: [{edges}], share: 1 % }}\n---\napiVersion: microslice/v1\nkind: Realm\n\
         metadata: {{ name: s{n}, slice: small }}\nspec:\n  clients:\n    - {{ name: switch, addresses: [192.0.2.{n}/32] }}\n"
    ))
}

const ROUNDS: usize = 20;
const KILL_WITHIN_MICROSECONDS: u64 = 150_000;
/// A change of transport and what is left of it are over in about this time.
const STEPS_MILLIS: u64 = 700;
const SEGMENTS: usize = 6;
const POOL: u32 = 6;

const _: () = assert!(POOL as usize == SEGMENTS);
