//! What a run needs before anything starts: certificates, secrets, and the files that are applied. All of it is made
//! anew in a folder that goes when the run ends.

use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::cast::{self, Actor};
use super::lab::LabError;
use crate::world::nas::Method;

/// Files made for one run.
#[derive(Debug)]
pub(super) struct Material {
    folder: tempfile::TempDir,
    seed: u64,
}

impl Material {
    /// Makes them. `names` are the names and addresses by which the manager is reached; `switch` gives the address
    /// that each access switch asks from. Without `tags`, devices of slice `iot` come untagged, because the access
    /// switches can't tag.
    pub(super) fn new(names: &[&str], switch: impl Fn(u8) -> String, tags: bool) -> Result<Self, LabError> {
        let folder = tempfile::Builder::new().prefix("microslice-").tempdir()?;
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(LabError::new)?;
        let material = Self { folder, seed: u64::from_ne_bytes(seed) };
        material.make_certificates(names)?;
        material.make_secrets()?;
        material.make_files(switch, tags)?;
        Ok(material)
    }

    /// Where everything is.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What passwords and authenticators of this run are made from.
    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    /// The certificate folder of a principal.
    pub(super) fn tls(&self, name: &str) -> PathBuf {
        self.folder().join("tls").join(name)
    }

    /// The state folder of an edge.
    pub(super) fn state(&self, edge: &str) -> PathBuf {
        self.folder().join("state").join(edge)
    }

    /// The secrets folder of an edge.
    pub(super) fn secrets(&self, edge: &str) -> PathBuf {
        self.folder().join("secrets").join(edge)
    }

    /// The shared secret of the access switch of an edge.
    pub(super) fn secret(&self, edge: &str) -> String {
        format!("{edge}-{:016x}", self.seed.rotate_left(17))
    }

    /// By `slicectl`, as an operator makes them.
    fn make_certificates(&self, names: &[&str]) -> Result<(), LabError> {
        let dir = self.folder().join("tls").display().to_string();
        let mut init = vec!["slicectl", "init", "--dir", &dir];
        for name in names {
            init.extend(["--manager-name", name]);
        }
        slicectl_offline(&init)?;
        for node in cast::EDGES.into_iter().map(|(edge, _, _)| edge).chain(cast::CORES) {
            let out = self.tls(node).display().to_string();
            slicectl_offline(&["slicectl", "certificate", "issue", "edge", node, "--dir", &dir, "--out", &out])?;
        }
        Ok(())
    }

    /// What each node knows; a core node nothing, an edge the secret of its switch, and the credentials of the devices of each segment.
    fn make_secrets(&self) -> Result<(), LabError> {
        for core in cast::CORES {
            fs::create_dir_all(self.secrets(core))?;
        }
        for (edge, switch, _) in cast::EDGES {
            for segment in ["smart-metering", "personal-health"] {
                let mut text =
                    format!("clients:\n  - {{ name: {switch}, secret: \"{}\" }}\nusers:\n", self.secret(edge));
                // Credentials are the segment's; every edge of it has them, since an edge may be cut off from the rest.
                for actor in cast::MEMBERS.iter().filter(|actor| actor.segment == segment) {
                    text += &self.credential(actor);
                }
                let file = self.secrets(edge).join("iot").join(format!("{segment}.yaml"));
                fs::create_dir_all(file.parent().unwrap_or(&file))?;
                write_private(&file, &text)?;
            }
        }
        Ok(())
    }

    fn credential(&self, actor: &Actor) -> String {
        let (mac, password) = (actor.mac_text(), actor.password(self.seed));
        let address = match actor.method {
            // The meters' profile takes the address that the switch reports.
            Method::Pap => String::new(),
            Method::Chap => format!(", address: {}", actor.address()),
        };
        format!("  - {{ name: {}, password: \"{password}\", mac: \"{mac}\"{address} }}\n", actor.name)
    }

    fn make_files(&self, switch: impl Fn(u8) -> String, tags: bool) -> Result<(), LabError> {
        let mut iot = REFERENCE[1].1.to_owned();
        for (_, _, number) in cast::EDGES {
            iot = iot.replace(&format!("192.0.2.{number}/32"), &switch(number));
        }
        if !tags {
            iot = iot.replace(&format!(", vlan: {}", cast::VLAN), "");
        }
        let changed = iot.replace("guaranteed: 20 Mbit/s", "guaranteed: 25 Mbit/s");
        if changed == iot {
            return Err(LabError::new("the reference slice does not guarantee 20 Mbit/s"));
        }
        for (name, text) in REFERENCE {
            fs::write(self.folder().join(name), text)?;
        }
        // Here the core nodes are the product, too.
        let managed = REFERENCE[0].1.replace("role: core\n", "role: core\n      control: agent\n");
        fs::write(self.folder().join("topology.yaml"), managed)?;
        fs::write(self.folder().join("iot.yaml"), iot)?;
        fs::write(self.folder().join("iot-changed.yaml"), changed)?;
        fs::write(self.folder().join("too-much.yaml"), TOO_MUCH)?;
        Ok(())
    }
}

/// The address that an access switch reports for a device. A monitor's stands in its credential instead.
pub(super) fn hinted_address(actor: &Actor) -> Option<Ipv4Addr> {
    (actor.method == Method::Pap).then(|| actor.address())
}

/// A `slicectl` call that needs no manager.
fn slicectl_offline(arguments: &[&str]) -> Result<(), LabError> {
    let mut out = Vec::new();
    let mut err = Vec::new();
    // On a thread of its own: the caller is on a runtime already.
    let exit = std::thread::scope(|scope| {
        scope.spawn(|| slicectl::run_blocking(arguments.iter().map(Into::into), &mut out, &mut err)).join()
    });
    if matches!(exit, Ok(slicectl::Exit::Success)) { Ok(()) } else { Err(LabError::new(String::from_utf8_lossy(&err))) }
}

fn write_private(file: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}

/// The reference world as it ships.
const REFERENCE: [(&str, &str); 5] = [
    ("topology.yaml", include_str!("../../../profiles/reference/topology.yaml")),
    ("iot.yaml", include_str!("../../../profiles/reference/iot.yaml")),
    ("vehicles.yaml", include_str!("../../../profiles/reference/vehicles.yaml")),
    ("handsets.yaml", include_str!("../../../profiles/reference/handsets.yaml")),
    ("factory.yaml", include_str!("../../../profiles/reference/factory.yaml")),
];

/// More than the link to the smart city carries.
const TOO_MUCH: &str = "\
apiVersion: microslice/v1
kind: Slice
metadata: { name: greedy }
spec:
  template: embb
  snssai: { sst: 1, sd: \"00BEEF\" }
  rate: { guaranteed: 200 Mbit/s, ceiling: 300 Mbit/s }
  sdps:
    - { name: city, edge: edge-a, port: access0, vlan: 190 }
    - { name: head-end, edge: edge-c, port: access0, vlan: 190 }
---
apiVersion: microslice/v1
kind: MicroSegment
metadata: { name: everything, slice: greedy }
spec: { profile: smart-metering, at: [edge-a, edge-c], share: 100 % }
";
