//! The script of the demo: what is done, in which order, and what must come of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cast;
use super::checks::Report;
use super::lab::{Flow, Lab, LabError, Told};

type Outcome = Result<(), LabError>;

/// Plays the whole script.
pub(super) async fn play<L: Lab>(lab: &mut L, report: &mut Report, seed: u64) -> Outcome {
    let mut play = Play { lab, report, seed, ports: BTreeMap::new(), classes: BTreeMap::new() };
    play.raise().await?;
    play.provision().await?;
    play.strangers().await?;
    play.admit().await?;
    play.deliver().await?;
    play.read_back().await?;
    play.hold_rates().await?;
    play.lateral().await?;
    play.core_dies().await?;
    play.edge_away().await?;
    play.manager_away().await?;
    play.settle_accounts().await
}

struct Play<'a, L> {
    lab: &'a mut L,
    report: &'a mut Report,
    seed: u64,
    /// The access port of each segment's AAA.
    ports: BTreeMap<String, u16>,
    /// The Class attribute that each device's session was given.
    classes: BTreeMap<&'static str, Vec<u8>>,
}

impl<L: Lab> Play<'_, L> {
    async fn raise(&mut self) -> Outcome {
        self.report.step(format!("Raise the reference world: {}", self.lab.describe()));
        self.lab.start_manager().await?;
        self.report.note("slice-manager answers, mutual TLS");
        let nodes: Vec<&str> = cast::EDGES.into_iter().map(|(edge, _, _)| edge).chain(cast::CORES).collect();
        for node in &nodes {
            self.lab.start_node(node).await?;
        }
        self.apply("topology.yaml").await?;
        let connected = self
            .until(Duration::from_secs(10), &["node", "list", "-o", "json"], |nodes| {
                count(nodes, "nodes", is_connected) == NODES
            })
            .await?;
        self.report.equal(
            "edges and core nodes attached to the manager",
            NODES,
            count(&connected, "nodes", is_connected),
        );
        Ok(())
    }

    async fn provision(&mut self) -> Outcome {
        self.report.step("Provision slice iot with its micro-segments: slicectl apply -f iot.yaml --wait");
        let started = Instant::now();
        let told = self.apply("iot.yaml").await?;
        let elapsed = started.elapsed();
        self.report.note(told.err.trim());
        let slice = self
            .until(Duration::from_secs(5), &["slice", "show", "iot", "-o", "json"], |slice| {
                text(slice, "state") == "SLICE_STATE_ACTIVE"
            })
            .await?;
        self.state("state of slice iot", &slice);
        self.report.equal("edges that run their target generation", 3, realised(&slice));
        for segment in slice["segments"].as_array().into_iter().flatten() {
            let name = text(segment, "name").to_owned();
            let (vni, port) = (number(segment, "vni"), number(segment, "accessPort"));
            self.report.note(format!("segment {name}: VNI {vni}, AAA on port {port}"));
            self.ports.insert(name, u16::try_from(port).unwrap_or_default());
        }
        self.report.equal("micro-segments with an AAA", 2, self.ports.len());
        self.report.figure(
            "time to provision, from apply to observed on 3 edges",
            format!("{:.0} ms", elapsed.as_secs_f64() * 1e3),
        );

        for other in ["vehicles.yaml", "handsets.yaml", "factory.yaml"] {
            self.apply(other).await?;
        }
        let slices = self.ctl(&["slice", "list", "-o", "json"]).await?.json()?;
        self.report.equal("slices", 4, slices["slices"].as_array().map_or(0, Vec::len));
        let greedy = self.ctl(&["apply", "-f", &self.file("too-much.yaml")]).await?;
        self.report.check(
            "a slice that does not fit is refused",
            "exit code 1 and the link by name",
            format!("{}: {}", greedy.code, greedy.err.lines().next().unwrap_or_default()),
            greedy.code == 1 && greedy.err.contains("core-1--edge-a"),
        );
        Ok(())
    }

    async fn strangers(&mut self) -> Outcome {
        self.report.step("Before anybody is authenticated, nothing passes");
        let flow = Flow { from: cast::INTRUDER, to: cast::HEAD_END, frame_octets: 200, offered: 500_000, forged: true };
        let sent = self.lab.traffic(&[flow], Duration::from_millis(500)).await?;
        let delivered: u64 = sent.iter().map(|d| d.received).sum();
        let offered: u64 = sent.iter().map(|d| d.sent).sum();
        self.report.equal("frames of the intruder that arrived", 0, delivered);
        let drops = self.drops().await?;
        let counted = drops.get(&key("edge-a", "unauthenticated")).copied().unwrap_or(0);
        self.report.check(
            "frames dropped as unauthenticated on edge-a",
            format!("at least {offered}"),
            counted,
            counted >= offered && offered > 0,
        );

        let port = self.port(cast::METER_1.segment);
        let rejected = self.lab.authenticate(&cast::METER_1, "not the password", port).await?;
        self.report.equal("answer to a wrong password (3 is Access-Reject)", 3, rejected.code);
        let password = cast::METER_1.password(self.seed);
        let crossed = self.lab.authenticate(&cast::METER_1, &password, self.port(cast::MONITOR_HOME.segment)).await?;
        self.report.equal("answer of the health segment's AAA to a meter", 3, crossed.code);
        Ok(())
    }

    async fn admit(&mut self) -> Outcome {
        self.report.step("Devices authenticate, each with the AAA of its own segment");
        for actor in cast::MEMBERS {
            let answer = self.lab.authenticate(&actor, &actor.password(self.seed), self.port(actor.segment)).await?;
            self.report.equal(&format!("answer to {} (2 is Access-Accept)", actor.name), 2, answer.code);
            let class = answer.get(CLASS).map(<[u8]>::to_vec);
            let port = self.port(actor.segment) + 1;
            self.lab.account(&actor, START, class.as_deref(), port).await?;
            self.classes.insert(actor.name, class.unwrap_or_default());
        }
        let sessions = self.sessions().await?;
        self.report.equal("sessions", cast::MEMBERS.len(), sessions.len());
        Ok(())
    }

    async fn deliver(&mut self) -> Outcome {
        self.report.step("Packets cross the core, each segment in its own tunnel");
        let pairs = [
            (cast::METER_1, cast::HEAD_END),
            (cast::METER_2, cast::HEAD_END),
            (cast::MONITOR_HOME, cast::BACK_END),
            (cast::MONITOR_WARD, cast::BACK_END),
            (cast::HEAD_END, cast::METER_1),
            (cast::BACK_END, cast::MONITOR_WARD),
        ];
        let found = self.lab.resolve(&pairs, Duration::from_secs(5)).await?;
        self.report.equal("peers found by ARP", pairs.len(), found);
        let flows = pairs.map(|(from, to)| Flow { from, to, frame_octets: 400, offered: 1_000_000, forged: false });
        let deliveries = self.lab.traffic(&flows, Duration::from_secs(1)).await?;
        let mut by_segment: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (flow, delivery) in flows.iter().zip(&deliveries) {
            let entry = by_segment.entry(flow.from.segment).or_default();
            *entry = (entry.0 + delivery.sent, entry.1 + delivery.received);
        }
        for (segment, (sent, received)) in by_segment {
            self.report.check(
                &format!("datagrams delivered in {segment}"),
                format!("{sent}, all that were sent"),
                received,
                sent == received && sent > 0,
            );
            self.report.figure(&format!("datagrams delivered in {segment}"), format!("{received} of {sent}"));
        }
        Ok(())
    }

    async fn read_back(&mut self) -> Outcome {
        self.report.step("What nodes run is read back from their tables, and their paths are measured");
        let verdicts = self.ctl(&["transport", "verify", "-o", "json"]).await?.success()?.json()?;
        let is_well = |node: &Value| text(node, "unread").is_empty() && number(node, "generation") > 0;
        self.report.equal("nodes that run their programs to the letter", NODES, count(&verdicts, "nodes", is_well));
        let is_up = |path: &Value| path["reading"]["state"] == "PATH_STATE_UP";
        let paths = self
            .until(Duration::from_secs(10), &["transport", "path", "list", "-o", "json"], |paths| {
                count(paths, "paths", is_up) == count(paths, "paths", |_| true)
            })
            .await?;
        // A working and a backup path each way between each two of three edges.
        self.report.equal("paths that answer their probes", 12, count(&paths, "paths", is_up));
        let p99 =
            paths["paths"].as_array().into_iter().flatten().map(|p| number(&p["reading"]["roundTrip"], "p99")).max();
        self.report.figure(
            "99th round trip of the slowest path, both clocks the machine's",
            format!("{} us", p99.unwrap_or(0) / 1_000),
        );
        Ok(())
    }

    async fn hold_rates(&mut self) -> Outcome {
        self.report.step("A segment offers more than its ceiling and gets its ceiling, at small and large frames");
        let slice = self.show_slice().await?;
        for (actor, to) in [(cast::METER_1, cast::HEAD_END), (cast::MONITOR_HOME, cast::BACK_END)] {
            let asked = ceiling(&slice, actor.segment);
            for frame_octets in [200, 1400] {
                let flow = Flow { from: actor, to, frame_octets, offered: asked + asked / 2, forged: false };
                self.hold_rate(asked, flow).await?;
            }
        }
        Ok(())
    }

    async fn hold_rate(&mut self, asked: u64, flow: Flow) -> Outcome {
        let name = format!("rate of {} with frames of {} octets", flow.from.segment, flow.frame_octets);
        let milliseconds = u64::try_from(RATE_TIME.as_millis()).unwrap_or(1);
        // After a silence, one burst of BURST_MILLISECONDS more than the rate may pass. Where the machine is busy elsewhere, the
        // edge comes late, and what it can't make up for is lost.
        let (least, most) = (asked - asked / 10, asked + asked * BURST_MILLISECONDS / milliseconds + asked / 100);
        let (mut held, mut offered) = (0, 0);
        for _ in 0..RATE_ATTEMPTS {
            let delivery = self.lab.traffic(&[flow], RATE_TIME).await?[0];
            let sent = delivery.sent * flow.frame_octets as u64 * 8;
            offered = sent * 1000 / u64::try_from(delivery.duration.as_millis()).unwrap_or(1).max(1);
            held = delivery.rate();
            // More than the ceiling is a fault at once; less may be the machine's.
            if held >= least {
                break;
            }
            self.report.note(format!("{name}: {} of {} offered; once more", mbit(held), mbit(offered)));
        }
        let pass = (least..=most).contains(&held);
        self.report.check(&name, format!("{} to {}", mbit(least), mbit(most)), mbit(held), pass);
        self.report.figure(&name, format!("{} of {} asked, {} offered", mbit(held), mbit(asked), mbit(offered)));
        Ok(())
    }

    async fn lateral(&mut self) -> Outcome {
        self.report.step("A meter tries to reach the health segment: next door, in the hospital, in the data centre");
        let before = self.drops().await?;
        // Next door is edge-a's to refuse, unless the access network keeps its ports apart before it.
        let apart = self.lab.access_keeps_ports_apart();
        let (mut next_door, mut far, mut all) = (0, 0, 0);
        for victim in [cast::MONITOR_HOME, cast::MONITOR_WARD, cast::BACK_END] {
            let flow = Flow { from: cast::METER_2, to: victim, frame_octets: 300, offered: 500_000, forged: true };
            let delivery = self.lab.traffic(&[flow], Duration::from_millis(500)).await?[0];
            self.report.equal(
                &format!("frames of {} that reached {}", cast::METER_2.name, victim.name),
                0,
                delivery.received,
            );
            self.report.check(
                &format!("frames sent to {}", victim.name),
                "more than 0",
                delivery.sent,
                delivery.sent > 0,
            );
            match victim.name {
                name if name == cast::MONITOR_HOME.name && apart => continue,
                name if name == cast::MONITOR_HOME.name => next_door += delivery.sent,
                name if name == cast::BACK_END.name => far += delivery.sent,
                _ => {}
            }
            all += delivery.sent;
        }
        let after = self.drops().await?;
        let mut refused = 0;
        for (key, packets) in &after {
            let grown = packets - before.get(key).copied().unwrap_or(0).min(*packets);
            if grown > 0 {
                self.report.note(format!("{}: {grown} dropped as {}", key.0, key.1));
                self.report.figure(&format!("dropped on {} as {} while a meter tried", key.0, key.1), grown);
                refused += grown;
            }
        }
        for (edge, sent) in [("edge-a", next_door), ("edge-c", far)] {
            let of = |drops: &BTreeMap<_, u64>| drops.get(&key(edge, "cross-segment")).copied().unwrap_or(0);
            self.report.equal(&format!("frames dropped as cross-segment on {edge}"), sent, of(&after) - of(&before));
        }
        // Who nobody knows is asked for at every edge of the segment, so that each may refuse.
        self.report.check("frames refused, all edges", format!("at least {all}"), refused, refused >= all);
        Ok(())
    }

    async fn core_dies(&mut self) -> Outcome {
        self.report.step("A core node dies under traffic; edges take the other way by themselves, and come back later");
        let flows = [(cast::METER_1, cast::HEAD_END), (cast::MONITOR_HOME, cast::BACK_END)];
        let flows = flows.map(|(from, to)| Flow { from, to, frame_octets: 200, offered: 2_000_000, forged: false });
        let duration = Duration::from_secs(2);
        let deliveries = self.lab.traffic_past_death(&flows, duration, "core-1").await?;
        let (sent, received) = deliveries.iter().fold((0, 0), |(s, r), d| (s + d.sent, r + d.received));
        let lost = sent.saturating_sub(received);
        // Half would be lost without another way; how much less it is depends on how busy the machine is.
        self.report.check(
            "datagrams lost when core-1 died",
            format!("less than a fifth of {sent}"),
            lost,
            sent > 0 && lost < sent / 5,
        );
        let worth = duration.as_secs_f64() * 1e3 * f64::from(u32::try_from(lost).unwrap_or(u32::MAX))
            / f64::from(u32::try_from(sent).unwrap_or(u32::MAX)).max(1.0);
        self.report.figure("lost when core-1 died", format!("{worth:.0} ms of traffic"));
        self.lab.start_node("core-1").await?;
        let is_up = |path: &Value| path["reading"]["state"] == "PATH_STATE_UP";
        let paths = self
            .until(Duration::from_secs(20), &["transport", "path", "list", "-o", "json"], |paths| {
                count(paths, "paths", is_up) == count(paths, "paths", |_| true)
            })
            .await?;
        self.report.equal("paths that answer once core-1 is back", 12, count(&paths, "paths", is_up));
        Ok(())
    }

    async fn edge_away(&mut self) -> Outcome {
        self.report.step("An edge goes away, the slice changes meanwhile, the edge comes back");
        self.lab.stop_node("edge-b").await?;
        self.until(Duration::from_secs(20), &["slice", "show", "iot", "-o", "json"], |slice| {
            !edge(slice, "edge-b")["connected"].as_bool().unwrap_or(true)
        })
        .await?;
        let told = self.ctl(&["apply", "-f", &self.file("iot-changed.yaml")]).await?.success()?;
        self.report.note(told.out.trim());
        let slice = self.show_slice().await?;
        let away = edge(&slice, "edge-b");
        self.report.equal("state while edge-b is away", "SLICE_STATE_DEGRADED", text(&slice, "state"));
        self.report.check(
            "edge-b is named with its generation",
            "realised behind target",
            format!("realised {}, target {}", number(&away, "realisedGeneration"), number(&away, "targetGeneration")),
            number(&away, "realisedGeneration") < number(&away, "targetGeneration")
                && text(&slice, "reason").contains("edge-b"),
        );
        self.lab.start_node("edge-b").await?;
        let slice = self
            .until(Duration::from_secs(20), &["slice", "show", "iot", "-o", "json"], |slice| {
                text(slice, "state") == "SLICE_STATE_ACTIVE"
            })
            .await?;
        self.state("state after edge-b is back", &slice);
        self.report.equal("edges that run their target generation", 3, realised(&slice));
        let port = self.port(cast::MONITOR_WARD.segment);
        let password = cast::MONITOR_WARD.password(self.seed);
        let answer = self.lab.authenticate(&cast::MONITOR_WARD, &password, port).await?;
        self.report.equal("answer to monitor-ward, which authenticates anew", 2, answer.code);
        self.classes.insert(cast::MONITOR_WARD.name, answer.get(CLASS).unwrap_or_default().to_vec());
        Ok(())
    }

    async fn manager_away(&mut self) -> Outcome {
        self.report.step("The manager goes away; the edges go on, and authenticate");
        let before = self.show_slice().await?;
        self.lab.stop_manager().await?;
        let actor = cast::METER_2;
        let answer = self.lab.authenticate(&actor, &actor.password(self.seed), self.port(actor.segment)).await?;
        self.report.equal("answer to meter-2 with the manager away", 2, answer.code);
        self.classes.insert(actor.name, answer.get(CLASS).unwrap_or_default().to_vec());
        let flows = [(cast::METER_2, cast::HEAD_END), (cast::MONITOR_HOME, cast::BACK_END)];
        let flows = flows.map(|(from, to)| Flow { from, to, frame_octets: 400, offered: 1_000_000, forged: false });
        let deliveries = self.lab.traffic(&flows, Duration::from_secs(1)).await?;
        let (sent, received) = deliveries.iter().fold((0, 0), |(s, r), d| (s + d.sent, r + d.received));
        self.report.equal("datagrams delivered with the manager away", sent, received);
        self.lab.start_manager().await?;
        let after = self
            .until(Duration::from_secs(20), &["slice", "show", "iot", "-o", "json"], |slice| {
                text(slice, "state") == "SLICE_STATE_ACTIVE"
            })
            .await?;
        let numbers = |slice: &Value| {
            slice["segments"].as_array().into_iter().flatten().map(|s| number(s, "vni")).collect::<Vec<_>>()
        };
        self.state("state after the manager is back", &after);
        self.report.check(
            "VNIs after the restart",
            format!("{:?}", numbers(&before)),
            format!("{:?}", numbers(&after)),
            numbers(&before) == numbers(&after),
        );
        Ok(())
    }

    async fn settle_accounts(&mut self) -> Outcome {
        self.report.step("Devices leave; accounts are closed");
        let sessions = self.sessions().await?;
        self.report.equal("sessions before", cast::MEMBERS.len(), sessions.len());
        let octets: u64 = sessions.iter().map(|s| number(s, "octetsFrom") + number(s, "octetsTo")).sum();
        self.report.check("octets that the dataplane has counted for them", "more than 0", octets, octets > 0);
        for actor in cast::MEMBERS {
            let class = self.classes.get(actor.name).cloned();
            self.lab.account(&actor, STOP, class.as_deref(), self.port(actor.segment) + 1).await?;
        }
        let left = self.sessions().await?;
        self.report.equal("sessions after", 0, left.len());
        let records = accounting_records(self.lab.files())?;
        self.report.equal("accounting records in the journals", 2 * cast::MEMBERS.len(), records);
        self.report.figure("sessions", sessions.len());
        self.report.figure("accounting records", records);
        let flow = Flow { from: cast::METER_1, to: cast::HEAD_END, frame_octets: 300, offered: 300_000, forged: true };
        let delivery = self.lab.traffic(&[flow], Duration::from_millis(300)).await?[0];
        self.report.equal("frames that arrived after the session was closed", 0, delivery.received);
        Ok(())
    }

    /// The slice must be active; if it is not, it says why.
    fn state(&mut self, name: &str, slice: &Value) {
        let state = text(slice, "state");
        self.report.check(
            name,
            "SLICE_STATE_ACTIVE",
            format!("{state} {}", text(slice, "reason")).trim(),
            state == "SLICE_STATE_ACTIVE",
        );
    }

    fn port(&self, segment: &str) -> u16 {
        self.ports.get(segment).copied().unwrap_or_default()
    }

    fn file(&self, name: &str) -> String {
        self.lab.files().join(name).display().to_string()
    }

    async fn ctl(&mut self, arguments: &[&str]) -> Result<Told, LabError> {
        self.lab.slicectl(arguments).await
    }

    async fn apply(&mut self, name: &str) -> Result<Told, LabError> {
        let file = self.file(name);
        self.ctl(&["apply", "-f", &file, "--wait", "--timeout", "20s"]).await?.success()
    }

    async fn show_slice(&mut self) -> Result<Value, LabError> {
        self.ctl(&["slice", "show", "iot", "-o", "json"]).await?.success()?.json()
    }

    async fn sessions(&mut self) -> Result<Vec<Value>, LabError> {
        let answer = self.ctl(&["aaa", "session", "list", "-o", "json"]).await?.success()?.json()?;
        Ok(answer["sessions"].as_array().cloned().unwrap_or_default())
    }

    /// Packets dropped, by edge and reason.
    async fn drops(&mut self) -> Result<BTreeMap<(String, String), u64>, LabError> {
        let answer = self.ctl(&["dataplane", "drops", "-o", "json"]).await?.success()?.json()?;
        let mut drops = BTreeMap::new();
        for drop in answer["drops"].as_array().into_iter().flatten() {
            *drops.entry(key(text(drop, "edge"), text(drop, "reason"))).or_default() += number(drop, "packets");
        }
        Ok(drops)
    }

    /// Asks again until the answer satisfies, or answers the last one when the time is over.
    async fn until(
        &mut self,
        patience: Duration,
        arguments: &[&str],
        satisfied: impl Fn(&Value) -> bool,
    ) -> Result<Value, LabError> {
        let deadline = Instant::now() + patience;
        loop {
            let told = self.ctl(arguments).await?;
            let late = Instant::now() >= deadline;
            if told.code == 0 {
                let answer = told.json()?;
                if satisfied(&answer) || late {
                    return Ok(answer);
                }
            } else if late {
                told.success()?;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn key(edge: &str, reason: &str) -> (String, String) {
    (edge.to_owned(), reason.to_owned())
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A number of proto3 JSON: 64-bit numbers are texts there.
fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().or_else(|| value[field].as_str()?.parse().ok()).unwrap_or_default()
}

fn count(value: &Value, field: &str, wanted: impl Fn(&Value) -> bool) -> usize {
    value[field].as_array().map_or(0, |items| items.iter().filter(|item| wanted(item)).count())
}

fn is_connected(node: &Value) -> bool {
    node["realisation"]["connected"].as_bool() == Some(true)
}

/// How many edges of a slice run what they should.
fn realised(slice: &Value) -> usize {
    count(slice, "edges", |edge| {
        number(edge, "realisedGeneration") == number(edge, "targetGeneration")
            && edge["realisedDigest"] == edge["targetDigest"]
    })
}

fn edge(slice: &Value, name: &str) -> Value {
    slice["edges"].as_array().into_iter().flatten().find(|edge| edge["edge"] == name).cloned().unwrap_or_default()
}

fn ceiling(slice: &Value, segment: &str) -> u64 {
    let segments = slice["segments"].as_array().into_iter().flatten();
    segments
        .filter(|s| s["name"] == segment)
        .map(|s| number(&s["limits"], "ceilingBitsPerSecond"))
        .next()
        .unwrap_or_default()
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn mbit(rate: u64) -> String {
    format!("{:.2} Mbit/s", rate as f64 / 1e6)
}

/// How many records the journals of all edges hold.
fn accounting_records(files: &std::path::Path) -> Result<usize, LabError> {
    let mut records = 0;
    let mut open = vec![files.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.components().any(|part| part.as_os_str() == "accounting") {
                records += std::fs::read_to_string(&path)?.lines().filter(|line| !line.is_empty()).count();
            }
        }
    }
    Ok(records)
}

/// Edges and core nodes.
const NODES: usize = cast::EDGES.len() + cast::CORES.len();
const CLASS: u8 = 25;
const START: u32 = 1;
const STOP: u32 = 2;
/// How long a rate is offered.
const RATE_TIME: Duration = Duration::from_secs(2);
/// How often, if the machine was busy.
const RATE_ATTEMPTS: usize = 5;
/// The depth of a rate limit's bucket, as docs/reference/dataplane.md states it.
const BURST_MILLISECONDS: u64 = 10;
