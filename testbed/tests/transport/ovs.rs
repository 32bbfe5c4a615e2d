//! Open vSwitch with its userspace datapath: a core node that swaps and pops labels, and a far end of VXLAN and of labels.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use testbed::netns::Running;

use crate::program::{Service, Side, TRAFFIC_CLASS, VNI, Way, core_label, towards};
use crate::traffic::Families;
use crate::world::{PATIENCE, World, until};

/// One that runs in the namespace of a node, with a database of its own.
pub(crate) struct Ovs {
    folder: PathBuf,
}

impl Ovs {
    /// Starts it anew; it ends with the world.
    pub(crate) fn start(world: &mut World, node: &str) -> Self {
        for part in ["ovs", "ovsdb"] {
            world.stop(&format!("{part}-{node}"));
        }
        let folder = world.file(&format!("ovs-{node}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let ovs = Self { folder };
        let database = ovs.folder.join("conf.db");
        let schema = "/usr/share/openvswitch/vswitch.ovsschema";
        run(Command::new("ovsdb-tool").arg("create").arg(&database).arg(schema));
        let mut server = Command::new("ovsdb-server");
        server.arg(&database).arg(format!("--remote=punix:{}", ovs.socket().display()));
        server.arg(format!("--unixctl={}", ovs.folder.join("server.ctl").display()));
        server.env("OVS_RUNDIR", &ovs.folder);
        let log = ovs.folder.join("server.log");
        world.keep(format!("ovsdb-{node}"), Running::start(server, &log).unwrap());
        assert!(until(PATIENCE, || ovs.socket().exists()), "ovsdb-server does not start");
        ovs.vsctl("--no-wait init");
        let mut switch = world.space(node).command("ovs-vswitchd");
        switch.arg(format!("unix:{}", ovs.socket().display())).env("OVS_RUNDIR", &ovs.folder);
        switch.arg(format!("--unixctl={}", ovs.folder.join("switch.ctl").display()));
        let log = ovs.folder.join("switch.log");
        world.keep(format!("ovs-{node}"), Running::start(switch, &log).unwrap());
        ovs
    }

    /// Did it say so in its log?
    pub(crate) fn said(&self, what: &str) -> bool {
        fs::read_to_string(self.folder.join("switch.log")).is_ok_and(|log| log.contains(what))
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("db.sock")
    }

    /// Changes what it is to be.
    pub(crate) fn vsctl(&self, arguments: &str) {
        let mut command = Command::new("ovs-vsctl");
        command.arg(format!("--db=unix:{}", self.socket().display())).arg("--timeout=20");
        run(command.args(arguments.split_whitespace()));
    }

    /// A bridge that does what its flows say and nothing else.
    pub(crate) fn bridge(&self, name: &str, ports: &[&str]) {
        self.vsctl(&format!("add-br {name} -- set bridge {name} datapath_type=netdev fail-mode=secure"));
        for port in ports {
            self.vsctl(&format!("add-port {name} {port}"));
        }
    }

    /// Replaces the flows of a bridge.
    pub(crate) fn flows(&self, bridge: &str, flows: &[String]) {
        let file = self.folder.join("flows");
        fs::write(&file, flows.join("\n")).unwrap();
        let mut command = Command::new("ovs-ofctl");
        command.args(["-O", "OpenFlow13", "--bundle", "replace-flows"]);
        let socket = self.folder.join(format!("{bridge}.mgmt"));
        run(command.arg(format!("unix:{}", socket.display())).arg(&file).env("OVS_RUNDIR", &self.folder));
    }
}

/// Makes a core node that swaps labels where the other core node comes next, and pops them before an edge; it passes
/// IPv6 on, too. Neighbours ask the kernel below it.
pub(crate) fn core(world: &mut World, number: u8) -> Ovs {
    let node = format!("core-{number}");
    crate::kernel::core(world, number, Way::Both);
    world.space(&node).run(&["sysctl", "-qw", "net.ipv6.conf.all.forwarding=0"]).unwrap();
    let ovs = Ovs::start(world, &node);
    let other = format!("to-core-{}", 3 - number);
    ovs.bridge("br0", &["to-edge-a", "to-edge-c", &other]);
    let mut flows = vec!["priority=0,actions=drop".to_owned()];
    for side in Side::BOTH {
        let port = towards(number, side, Way::Both).port.to_string();
        let out = hand_over(world, &node, &port);
        let label = core_label(number, side).get();
        let is_last = port != other;
        // Where it swaps, Open vSwitch writes the whole entry, without looking at the class and at the end of the stack
        // of the packets that follow; so there are flows for each.
        for (class, bottom) in [(TRAFFIC_CLASS, 0), (TRAFFIC_CLASS, 1), (PROBE_CLASS, 0), (PROBE_CLASS, 1)] {
            let labelled = format!("priority=10,mpls,mpls_label={label},mpls_tc={class},mpls_bos={bottom}");
            let act = match (is_last, bottom) {
                (false, _) => format!("set_field:{}->mpls_label,dec_mpls_ttl", core_label(3 - number, side).get()),
                // What is below a label is not in it: labels, or an IPv6 packet for the edge itself.
                (true, 0) => "pop_mpls:0x8847".to_owned(),
                (true, _) => "pop_mpls:0x86dd".to_owned(),
            };
            flows.push(format!("{labelled},actions={act},{out}"));
        }
        flows.push(format!("priority=10,ipv6,ipv6_dst={},actions=dec_ttl,{out}", side.loopback()));
    }
    ovs.flows("br0", &flows);
    ovs
}

/// Actions that hand a packet over to the neighbour on a port.
fn hand_over(world: &World, node: &str, port: &str) -> String {
    let (peer, peer_port) = match (node, port) {
        ("edge-c", "core1") => ("core-2", "to-edge-c"),
        (_, "to-core-1") => ("core-1", "to-core-2"),
        (_, "to-core-2") => ("core-2", "to-core-1"),
        (core, port) => (&port[3..], if core == "core-1" { "core0" } else { "core1" }),
    };
    let (to, from) = (mac(world, peer, peer_port), mac(world, node, port));
    format!("set_field:{to}->eth_dst,set_field:{from}->eth_src,output:{port}")
}

fn mac(world: &World, node: &str, port: &str) -> String {
    world.space(node).run(&["cat", &format!("/sys/class/net/{port}/address")]).unwrap().trim().to_owned()
}

/// Makes edge-c an Open vSwitch with a VXLAN port. Its tunnels begin at the address that is next to the next hop.
pub(crate) fn far_end_vxlan(world: &World, ovs: &Ovs, group: bool) {
    let side = Side::C;
    let (own, core) = side.link(2);
    ovs.bridge("br-core", &["core1"]);
    ovs.vsctl("set bridge br-core fail-mode=standalone");
    let mac = mac(world, side.edge(), "core1");
    ovs.vsctl(&format!("set bridge br-core other-config:hwaddr={mac}"));
    let near = side.other().loopback();
    world
        .space(side.edge())
        .script(&format!(
            "sysctl -qw net.ipv6.conf.core1.disable_ipv6=1 net.ipv6.conf.br-core.disable_ipv6=0
             ip link set br-core up
             ip -6 addr add {own}/64 dev br-core nodad
             ip -6 route add {near}/128 via {core} dev br-core"
        ))
        .unwrap();
    ovs.bridge("br-slice", &["access0"]);
    ovs.vsctl("set bridge br-slice fail-mode=standalone");
    let extension = if group { "options:exts=gbp" } else { "" };
    ovs.vsctl(&format!(
        "add-port br-slice vxlan0 -- set interface vxlan0 type=vxlan options:key={VNI} options:local_ip={own} \
         options:remote_ip={near} {extension}"
    ));
}

/// Makes edge-c an Open vSwitch that ends labels of a service: what is below ours goes to the device, and what the device
/// sends gets the label that edge-a has given out, and on top of it the one that leads there.
pub(crate) fn far_end_mpls(world: &World, ovs: &Ovs, service: Service, families: Families) {
    let side = Side::C;
    let own = side.link(2).0;
    // The neighbour asks the kernel.
    world
        .space(side.edge())
        .script(&format!(
            "sysctl -qw net.ipv6.conf.core1.disable_ipv6=0
             ip -6 addr replace {own}/64 dev core1 nodad"
        ))
        .unwrap();
    ovs.bridge("br0", &["core1", "access0"]);
    let out = hand_over(world, side.edge(), "core1");
    let (label, to, way) = (side.label().get(), side.other().label().get(), core_label(2, side.other()).get());
    // The label that edge-a has given out, and on top of it the one that leads there.
    let labels = |push: &str| {
        let one = |label: u32| format!("{push},set_field:{label}->mpls_label,set_mpls_ttl:64");
        format!("{},{}", one(to), one(way))
    };
    let mut flows = vec!["priority=0,actions=drop".to_owned()];
    let arrived = format!("priority=10,in_port=core1,mpls,mpls_label={label},mpls_bos=1");
    if service == Service::L3 {
        let (kind, ethertype) = if families == Families::Ipv4 { ("ip", "0x0800") } else { ("ipv6", "0x86dd") };
        let gateway = GATEWAY_MAC;
        flows.push(format!(
            "{arrived},actions=pop_mpls:{ethertype},set_field:{}->eth_dst,set_field:{gateway}->eth_src,output:access0",
            side.mac_text()
        ));
        flows.push(format!(
            "priority=10,in_port=access0,{kind},eth_dst={gateway},actions=dec_ttl,{},{out}",
            labels("push_mpls:0x8847")
        ));
        // Nobody answers for the gateway here.
        let (v4, v6) = side.gateways();
        for address in [v4.to_string(), v6.to_string()] {
            let command = ["ip", "neigh", "replace", &address, "lladdr", gateway, "dev", "eth0", "nud", "permanent"];
            world.space(side.device()).run(&command).unwrap();
        }
    } else {
        flows.push(format!("{arrived},actions=decap(),decap(packet_type(ns=0,type=0)),output:access0"));
        flows.push(format!("priority=10,in_port=access0,actions={},encap(ethernet),{out}", labels("encap(mpls)")));
    }
    ovs.flows("br0", &flows);
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Of probes.
const PROBE_CLASS: u64 = 7;
/// Of every edge of ours towards devices, and so of what stands in for one.
const GATEWAY_MAC: &str = "02:4d:53:00:00:01";
