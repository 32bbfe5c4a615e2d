//! Certificates: an authority, and leaves whose owner is a principal.
//!
//! ECDSA over P-256 (FIPS 186-5). A leaf names its owner as a URI in its subject alternative name, such as
//! `urn:microslice:edge:edge-a`; the manager's has the names by which it is reached, too. Keys are readable by their owner
//! only. Folders hold `ca.pem`, `certificate.pem` and `key.pem`, which is what every daemon and `slicectl` read.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use model::{Principal, Role};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::ServerName;

/// Certificates that can't be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// There is an authority already; another one would make its certificates worthless.
    #[error("{} is there already; remove the folder to start anew, or choose another one with --dir", .0.display())]
    Exists(PathBuf),
    /// There is a certificate already.
    #[error("{} is there already; choose another folder with --out, or replace it with --replace", .0.display())]
    IssuedAlready(PathBuf),
    /// A manager without a name.
    #[error("a manager's certificate needs the names by which it is reached; give them with --name")]
    NoName,
    /// Nobody connects to it.
    #[error("--name is for a manager's certificate; nobody connects to a {0}")]
    NameOfNoManager(&'static str),
    /// There is no authority.
    #[error("{} can't be read: {source}; `slicectl init` makes an authority", path.display())]
    NoAuthority {
        /// Its certificate or its key.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file can't be written.
    #[error("{} can't be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody is reached by that name.
    #[error("`{0}` is not a name or address by which a manager can be reached")]
    Name(String),
    /// A name can't stand in a certificate, or the authority's files are none.
    #[error("the certificate can't be made: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// Makes an authority in a folder, a certificate for the manager in `manager/`, and one for an operator in `operator/`. What
/// an attempt before this one has left unfinished is finished.
pub fn init(folder: &Path, manager_names: &[String]) -> Result<(), PkiError> {
    let (certificate, key) = (folder.join(CA), folder.join(CA_KEY));
    let has = |name: &str| folder.join(name).join("certificate.pem").exists();
    if certificate.exists() && has("manager") && has("operator") {
        return Err(PkiError::Exists(certificate));
    }
    // A key whose certificate is gone may have signed many.
    if key.exists() && !certificate.exists() {
        return Err(PkiError::Exists(key));
    }
    // Before anything is written: half an authority would be in the way of the next try.
    let names = manager_names.iter().map(|name| alternative(name)).collect::<Result<Vec<_>, _>>()?;
    if !certificate.exists() {
        authority(&certificate, &key)?;
    }
    if !has("manager") {
        issue_with(
            folder,
            &Principal { role: Role::Manager, name: "manager".to_owned() },
            names,
            &folder.join("manager"),
        )?;
    }
    if !has("operator") {
        let operator = Principal { role: Role::Operator, name: "operator".to_owned() };
        issue_with(folder, &operator, Vec::new(), &folder.join("operator"))?;
    }
    Ok(())
}

fn authority(certificate: &Path, key: &Path) -> Result<(), PkiError> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pair = KeyPair::generate()?;
    // A part of the key, so that two authorities are not taken for one.
    let mark =
        pair.public_key_raw().iter().rev().take(4).fold(String::new(), |mark, octet| mark + &format!("{octet:02x}"));
    params.distinguished_name.push(DnType::CommonName, format!("Microslice authority {mark}"));
    validity(&mut params, AUTHORITY_DAYS);
    let authority = params.self_signed(&pair)?;
    write(key, &pair.serialize_pem(), PRIVATE)?;
    write(certificate, &authority.pem(), PUBLIC)
}

/// Issues a certificate from the authority in `folder` and puts it, its key and the authority's certificate into `out`. A
/// manager's has the names by which it is reached. One that is there already stays, unless it is to be replaced.
pub fn issue(
    folder: &Path,
    principal: &Principal,
    names: &[String],
    out: &Path,
    replace: bool,
) -> Result<(), PkiError> {
    for path in [out.join("key.pem"), out.join("certificate.pem")] {
        if path.exists() && !replace {
            return Err(PkiError::IssuedAlready(path));
        }
    }
    match (principal.role, names) {
        (Role::Manager, []) => return Err(PkiError::NoName),
        (Role::Manager, _) | (_, []) => {}
        (role, _) => return Err(PkiError::NameOfNoManager(role.as_str())),
    }
    let names = names.iter().map(|name| alternative(name)).collect::<Result<Vec<_>, _>>()?;
    issue_with(folder, principal, names, out)
}

fn issue_with(folder: &Path, principal: &Principal, names: Vec<SanType>, out: &Path) -> Result<(), PkiError> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(|source| PkiError::NoAuthority { path, source })
    };
    let authority = read(CA)?;
    let issuer = Issuer::from_ca_cert_pem(&authority, KeyPair::from_pem(&read(CA_KEY)?)?)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.subject_alt_names.push(SanType::URI(principal.to_string().try_into()?));
    params.subject_alt_names.extend(names);
    params.distinguished_name.push(DnType::CommonName, principal.name.clone());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match principal.role {
        Role::Manager => ExtendedKeyUsagePurpose::ServerAuth,
        Role::Operator | Role::Mano | Role::Edge | Role::Viewer => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    params.use_authority_key_identifier_extension = true;
    validity(&mut params, LEAF_DAYS);
    let pair = KeyPair::generate()?;
    let certificate = params.signed_by(&pair, &issuer)?;
    write(&out.join("key.pem"), &pair.serialize_pem(), PRIVATE)?;
    write(&out.join("certificate.pem"), &certificate.pem(), PUBLIC)?;
    write(&out.join(CA), &authority, PUBLIC)
}

/// A name or address as a subject alternative name: one that a client can ask for.
fn alternative(name: &str) -> Result<SanType, PkiError> {
    let wrong = || PkiError::Name(name.to_owned());
    match ServerName::try_from(name.strip_prefix("*.").unwrap_or(name)).map_err(|_| wrong())? {
        ServerName::IpAddress(_) => name.parse().map(SanType::IpAddress).map_err(|_| wrong()),
        _ => Ok(SanType::DnsName(name.to_owned().try_into()?)),
    }
}

/// The folder where certificates are looked for: `$XDG_CONFIG_HOME/microslice`, or `~/.config/microslice`.
pub fn default_folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    base.unwrap_or_default().join("microslice")
}

/// From yesterday, because clocks differ, for so many days.
fn validity(params: &mut CertificateParams, days: i64) {
    let now = time_now();
    params.not_before = now - DAY;
    params.not_after = now + DAY * i32::try_from(days).unwrap_or(i32::MAX);
}

/// Writes beside and renames, so that a file is whole or not there.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), PkiError> {
    let error = |source| PkiError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(error)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // A leftover of an earlier try may have another mode.
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).map_err(error)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(error)?;
    fs::rename(&beside, path).map_err(error)
}

fn time_now() -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc()
}

const CA: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";
const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;
const DAY: time::Duration = time::Duration::DAY;
/// Ten years.
const AUTHORITY_DAYS: i64 = 3_650;
/// A year.
const LEAF_DAYS: i64 = 365;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    fn openssl(arguments: &[&str]) -> Option<String> {
        let output = Command::new("openssl").args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    #[test]
    fn keys_are_private_and_an_authority_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), &["localhost".to_owned()]).unwrap();
        for key in ["ca-key.pem", "manager/key.pem", "operator/key.pem"] {
            let mode = fs::metadata(folder.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
        let before = fs::read(folder.path().join("ca.pem")).unwrap();
        let error = init(folder.path(), &[]).unwrap_err().to_string();
        assert!(error.contains("ca.pem is there already"), "{error}");
        assert_eq!(fs::read(folder.path().join("ca.pem")).unwrap(), before);
        // What is missing is made by the same authority.
        let operator = fs::read(folder.path().join("operator/key.pem")).unwrap();
        fs::remove_file(folder.path().join("manager/certificate.pem")).unwrap();
        init(folder.path(), &["localhost".to_owned()]).unwrap();
        assert!(folder.path().join("manager/certificate.pem").exists());
        assert_eq!(fs::read(folder.path().join("operator/key.pem")).unwrap(), operator);
        assert_eq!(fs::read(folder.path().join("ca.pem")).unwrap(), before);
    }

    #[test]
    fn a_certificate_is_replaced_only_if_that_is_asked_and_a_manager_has_names() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), &["localhost".to_owned()]).unwrap();
        let out = folder.path().join("manager");
        let manager = Principal { role: Role::Manager, name: "manager".to_owned() };
        let names = ["manager.example".to_owned()];
        let before = fs::read(out.join("key.pem")).unwrap();
        let error = issue(folder.path(), &manager, &names, &out, false).unwrap_err().to_string();
        assert!(error.contains("key.pem is there already"), "{error}");
        assert_eq!(fs::read(out.join("key.pem")).unwrap(), before);
        assert!(matches!(issue(folder.path(), &manager, &[], &out, true), Err(PkiError::NoName)));
        let viewer = Principal { role: Role::Viewer, name: "v".to_owned() };
        assert!(matches!(issue(folder.path(), &viewer, &names, &out, true), Err(PkiError::NameOfNoManager("viewer"))));
        issue(folder.path(), &manager, &names, &out, true).unwrap();
        assert_ne!(fs::read(out.join("key.pem")).unwrap(), before);
    }

    #[test]
    fn a_certificate_without_an_authority_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let edge = Principal { role: Role::Edge, name: "edge-a".to_owned() };
        let error = issue(folder.path(), &edge, &[], &folder.path().join("out"), false).unwrap_err().to_string();
        assert!(error.contains("`slicectl init` makes an authority"), "{error}");
    }

    /// Another implementation reads them; where there is none, the TLS tests of the manager still do.
    #[test]
    fn openssl_verifies_the_chain_and_reads_the_names() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), &["manager.example".to_owned(), "192.0.2.1".to_owned()]).unwrap();
        let edge = Principal { role: Role::Edge, name: "edge-a".to_owned() };
        issue(folder.path(), &edge, &[], &folder.path().join("edge-a"), false).unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let Some(said) =
            openssl(&["verify", "-purpose", "sslclient", "-CAfile", &path("ca.pem"), &path("edge-a/certificate.pem")])
        else {
            return;
        };
        assert!(said.trim().ends_with("OK"), "{said}");
        let said =
            openssl(&["x509", "-noout", "-ext", "subjectAltName", "-in", &path("edge-a/certificate.pem")]).unwrap();
        assert!(said.contains("URI:urn:microslice:edge:edge-a"), "{said}");
        let said =
            openssl(&["verify", "-purpose", "sslserver", "-CAfile", &path("ca.pem"), &path("manager/certificate.pem")]);
        assert!(said.unwrap().trim().ends_with("OK"));
        let said =
            openssl(&["x509", "-noout", "-ext", "subjectAltName", "-in", &path("manager/certificate.pem")]).unwrap();
        assert!(said.contains("DNS:manager.example") && said.contains("IP Address:192.0.2.1"), "{said}");
        let said =
            openssl(&["verify", "-purpose", "sslserver", "-CAfile", &path("ca.pem"), &path("edge-a/certificate.pem")]);
        assert!(!said.unwrap().trim().ends_with("OK"), "an edge's certificate must not pass for a server's");
    }
}
