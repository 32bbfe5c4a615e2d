//! The oracle: what `ip`, `bridge` and `tc` say that a namespace has of ours, and what they should say for a wish.
//!
//! Both as lines in the words of iproute2 6.1, so that what the crate writes is read by something else.

use std::collections::BTreeSet;

use serde_json::Value;
use transport_southbound::{Action, Desired, EncapMode, Flavours, LocalSid, Metric, Object, Route, Table};

use crate::netns::Namespace;

/// What should be said.
pub(crate) fn expected(desired: &Desired) -> BTreeSet<String> {
    desired.objects().values().map(line).collect()
}

/// What is said.
pub(crate) fn told(namespace: &Namespace) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let links = json(&namespace.run("ip -d -j addr show"));
    let ours: Vec<&str> = links.iter().filter(|l| l["group"] == "28019").map(|l| text(&l["ifname"])).collect();
    for link in &links {
        let name = text(&link["ifname"]);
        if ours.contains(&name) {
            lines.insert(told_link(name, link));
        }
        if link["master"].as_str().is_some_and(|master| ours.contains(&master)) {
            let isolated = if link["linkinfo"]["info_slave_data"]["isolated"] == true { " isolated" } else { "" };
            lines.insert(format!("{name} master {}{isolated}", text(&link["master"])));
        }
        for address in link["addr_info"].as_array().unwrap().iter().filter(|a| a["scope"] == "global") {
            let (local, length) = (text(&address["local"]), address["prefixlen"].as_u64().unwrap());
            lines.insert(format!("{local}/{length} dev {name}"));
        }
        if link["linkinfo"]["info_kind"] == "vxlan" && ours.contains(&name) {
            let peers = json(&namespace.run(&format!("bridge -j fdb show dev {name}")));
            for peer in peers.iter().filter(|p| p["mac"] == "00:00:00:00:00:00") {
                lines.insert(format!("{name} peer {}", text(&peer["dst"])));
            }
        }
        lines.extend(told_shaping(namespace, name));
    }
    for family in ["-4", "-6"] {
        let routes = namespace.run(&format!("ip {family} route show table all proto 201"));
        lines.extend(routes.lines().map(words));
    }
    lines
}

fn told_link(name: &str, link: &Value) -> String {
    let flags = link["flags"].as_array().unwrap();
    let state = if flags.iter().any(|f| f == "UP") { "up" } else { "down" };
    let data = &link["linkinfo"]["info_data"];
    if link["linkinfo"]["info_kind"] == "bridge" {
        return format!("{name} bridge {state}");
    }
    let local = data["local6"].as_str().or(data["local"].as_str()).unwrap();
    let switch = |name: &str| data[name] == true;
    vxlan(name, state, &data["id"], local, &data["port"], &link["mtu"], switch("gbp"), switch("learning"))
}

#[expect(clippy::too_many_arguments, reason = "a line has as many words")]
fn vxlan(
    name: &str,
    state: &str,
    id: &dyn std::fmt::Display,
    local: &str,
    port: &dyn std::fmt::Display,
    mtu: &dyn std::fmt::Display,
    gbp: bool,
    learning: bool,
) -> String {
    format!("{name} vxlan {state} id {id} local {local} port {port} mtu {mtu} gbp {gbp} learning {learning}")
}

fn told_shaping(namespace: &Namespace, link: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in namespace.run(&format!("tc class show dev {link}")).lines().map(words) {
        // class htb 6d73:10 parent 6d73:1 leaf 8001: prio 0 rate 1Mbit ceil 1001Mbit burst ...
        let line: Vec<&str> = line.split(' ').collect();
        let after = |word: &str| line.iter().position(|w| *w == word).map(|at| line[at + 1]);
        if line[2].starts_with("6d73:") {
            let (parent, rate, ceil) = (after("parent").unwrap_or("root"), after("rate"), after("ceil"));
            lines.push(class(link, line[2], parent, rate.unwrap(), ceil.unwrap()));
        }
    }
    let filters = namespace.run(&format!("tc filter show dev {link} parent 6d73:"));
    let mut head = String::new();
    for line in filters.lines().map(words) {
        if let Some((_, flow)) = line.split_once("*flowid ") {
            let protocol = if line.contains("protocol ipv6 ") { "ipv6" } else { "ip" };
            head = format!("{protocol} into {}", flow.split(' ').next().unwrap());
        } else if let Some(value) = line.strip_prefix("match ").and_then(|m| m.split_once("/ffffff00 at ")) {
            lines.push(format!("{link} vni {} {head}", u32::from_str_radix(value.0, 16).unwrap() >> 8));
        }
    }
    lines
}

fn class(link: &str, id: &str, parent: &str, rate: &str, ceil: &str) -> String {
    format!("{link} class {id} in {parent} rate {rate} ceil {ceil}")
}

fn line(object: &Object) -> String {
    match object {
        Object::Vxlan(o) => {
            let state = if o.up { "up" } else { "down" };
            let local = o.local.to_string();
            vxlan(o.name.as_str(), state, &o.vni, &local, &o.port, &o.mtu, o.group_policy, o.learning)
        }
        Object::Bridge(o) => format!("{} bridge {}", o.name, if o.up { "up" } else { "down" }),
        Object::BridgePort(o) => format!("{} master {}{}", o.link, o.bridge, if o.isolated { " isolated" } else { "" }),
        Object::VxlanPeer(o) => format!("{} peer {}", o.link, o.remote),
        Object::Address(o) => format!("{} dev {}", o.address, o.link),
        Object::Route(o) => route(o),
        Object::LocalSid(o) => local_sid(o),
        Object::ShaperRoot(o) => {
            let rate = rate(o.rate.octets_per_second());
            class(o.link.as_str(), "6d73:1", "root", &rate, &rate)
        }
        Object::Shaper(o) => {
            let [low, high] = [o.rate, o.ceil].map(|r| rate(r.octets_per_second()));
            class(o.link.as_str(), &format!("6d73:{:x}", o.class.get()), "6d73:1", &low, &high)
        }
        Object::Classifier(o) => {
            let protocol = if o.ipv6 { "ipv6" } else { "ip" };
            format!("{} vni {} {protocol} into 6d73:{:x}", o.link, o.vni, o.class.get())
        }
        Object::LinkUp(_) | Object::Forwarding(_) => object.to_string(),
    }
}

fn route(route: &Route) -> String {
    let encap = route.encap.as_ref().map(|encap| {
        let mode = match encap.mode {
            EncapMode::Encaps => "encap",
            EncapMode::EncapsRed => "encap.red",
            EncapMode::EncapsL2 => "l2encap",
            EncapMode::EncapsL2Red => "l2encap.red",
            EncapMode::Inline => "inline",
        };
        let mut segments: Vec<String> = encap.segments.iter().map(ToString::to_string).collect();
        segments.extend((encap.mode == EncapMode::Inline).then(|| "::".to_owned()));
        format!("encap seg6 mode {mode} segs {} [ {} ] ", segments.len(), segments.join(" "))
    });
    let via = route.via.map(|via| format!("via {via} ")).unwrap_or_default();
    let (link, ipv6) = (&route.link, route.prefix.address().is_ipv6());
    let scope = if !ipv6 && route.via.is_none() { "scope link " } else { "" };
    let rest = tail(route.table, scope, route.metric, ipv6);
    words(&format!("{} {}{via}dev {link} {rest}", host(&route.prefix.to_string()), encap.unwrap_or_default()))
}

fn local_sid(sid: &LocalSid) -> String {
    let table = |table: &Table| if *table == Table::MAIN { "main".to_owned() } else { table.to_string() };
    let action = match &sid.action {
        Action::End(f) => format!("End {}", flavours(*f)),
        Action::EndX(via, f) => format!("End.X nh6 {via} {}", flavours(*f)),
        Action::EndT(t) => format!("End.T table {}", table(t)),
        Action::EndDx2(link) => format!("End.DX2 oif {link}"),
        Action::EndDx4(via) => format!("End.DX4 nh4 {via}"),
        Action::EndDx6(via) => format!("End.DX6 nh6 {via}"),
        Action::EndDt4(t) => format!("End.DT4 vrftable {}", table(t)),
        Action::EndDt6(t) => format!("End.DT6 table {}", table(t)),
        Action::EndDt46(t) => format!("End.DT46 vrftable {}", table(t)),
    };
    let rest = tail(sid.table, "", sid.metric, true);
    words(&format!("{} encap seg6local action {action} dev {} {rest}", host(&sid.sid.to_string()), sid.link))
}

fn flavours(flavours: Flavours) -> String {
    let names = [(flavours.psp, "psp"), (flavours.next_csid.is_some(), "next-csid")];
    let names: Vec<&str> = names.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    let cut = flavours.next_csid.map(|c| format!(" lblen {} nflen {}", c.block_bits, c.node_bits)).unwrap_or_default();
    if names.is_empty() { String::new() } else { format!("flavors {}{cut}", names.join(",")) }
}

fn tail(table: Table, scope: &str, metric: Metric, ipv6: bool) -> String {
    let table = if table == Table::MAIN { String::new() } else { format!("table {table} ") };
    format!("{table}{scope}metric {metric}{}", if ipv6 { " pref medium" } else { "" })
}

fn host(prefix: &str) -> &str {
    prefix.strip_suffix("/128").or_else(|| prefix.strip_suffix("/32").filter(|p| !p.contains(':'))).unwrap_or(prefix)
}

/// As tc prints whole Mbit/s.
fn rate(octets: u64) -> String {
    let mbits = octets * 8 / 1_000_000;
    if mbits.is_multiple_of(1_000) { format!("{}Gbit", mbits / 1_000) } else { format!("{mbits}Mbit") }
}

fn json(said: &str) -> Vec<Value> {
    serde_json::from_str(said).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
