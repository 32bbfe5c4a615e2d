//! What a realm lacks, what it says of it, and how it comes right.

use super::*;

/// Every secrets file that is no good, and what the realm must say beside the file's name.
const BAD_SECRETS: [(&str, u32, &str); 7] = [
    (SITE_SECRETS, 0o644, "mode 0644"),
    (SITE_SECRETS, 0o620, "mode 0620"),
    ("clients: [", 0o600, "not YAML"),
    ("", 0o600, "0 documents"),
    ("clients: []\n---\nclients: []\n", 0o600, "2 documents"),
    ("users: [{ name: guest }]", 0o600, "missing field `password`"),
    ("clients: [{ name: city-switch, secret: \"\" }]", 0o600, "empty secret"),
];

#[tokio::test]
async fn a_missing_secrets_file_is_named_and_taken_when_it_is_there() {
    let site = Site::without_secrets();
    let host = site.start();
    let status = until(&host, |status| !status.readiness.reason().is_empty()).await;
    assert_eq!(status.readiness.reason(), format!("{} does not exist", site.secrets_file().display()));
    let nas = site.nas().await;
    nas.send(&Ask::meter(1)).await;
    until(&host, |status| status.counters.dropped(DropReason::ClientWithoutSecret) == 1).await;
    // By itself, and nobody tells it to look.
    site.write_secrets(SITE_SECRETS, 0o600);
    until(&host, |status| status.readiness == Readiness::Ready).await;
    assert_eq!(nas.ask(&Ask::meter(2)).await.code, ACCESS_ACCEPT);
    host.stop().await;
}

#[tokio::test]
async fn a_secrets_file_that_is_no_good_is_named_with_what_is_wrong_and_its_secrets_are_not() {
    let site = Site::without_secrets();
    for (text, mode, wanted) in BAD_SECRETS {
        site.write_secrets(text, mode);
        let host = site.start();
        let status = until(&host, |status| !status.readiness.reason().is_empty()).await;
        let reason = status.readiness.reason();
        let file = site.secrets_file().display().to_string();
        assert!(reason.starts_with(&file) && reason.contains(wanted), "{reason}");
        assert!(!reason.contains("testing123") && !reason.contains("heart"), "{reason}");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_secrets_file_that_goes_bad_leaves_the_old_secrets_at_work_and_is_told() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    assert_eq!(nas.ask(&Ask::meter(1)).await.code, ACCESS_ACCEPT);
    for (identifier, (text, mode, wanted)) in (2..).zip(BAD_SECRETS) {
        site.write_secrets(text, mode);
        host.reconfigure(site.config()).await;
        let status = until(&host, |status| status.readiness.reason().contains(wanted)).await;
        assert_eq!(status.sessions, 1);
        assert_eq!(nas.ask(&Ask::meter(identifier)).await.code, ACCESS_ACCEPT);
    }
    site.write_secrets(SITE_SECRETS, 0o400);
    host.reconfigure(site.config()).await;
    until(&host, |status| status.readiness == Readiness::Ready).await;
    assert_eq!(site.dataplane.unbound(), []);
    host.stop().await;
}

#[tokio::test]
async fn a_client_without_a_secret_is_named() {
    let site = Site::new();
    let mut config = site.config();
    config.program.clients.push(crate::support::config(&[]).program.clients.swap_remove(2));
    let host = Host::start(config, site.place(), site.dataplane.clone());
    let status = until(&host, |status| !status.readiness.reason().is_empty()).await;
    assert_eq!(status.readiness.reason(), "client `mute-switch` has no secret on this edge");
    assert_eq!(site.nas().await.ask(&Ask::meter(1)).await.code, ACCESS_ACCEPT, "the other one is served");
    host.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_and_opened_when_it_is_free() {
    for taken in [ACCESS_PORT, ACCESS_PORT + 1] {
        let site = Site::new();
        let address = SocketAddr::new(site.address, taken);
        let other = std::net::UdpSocket::bind(address).unwrap();
        let host = site.start();
        let status = until(&host, |status| !status.readiness.reason().is_empty()).await;
        let kind = std::io::ErrorKind::AddrInUse;
        assert_eq!(status.readiness, Readiness::NotReady(vec![NotReady::Socket { address, kind }]));
        assert!(status.readiness.reason().contains(&address.to_string()));
        // Whoever asks how it is must not hold it up.
        for _ in 0..30 {
            assert_eq!(host.sessions().await, []);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(other);
        let asked_all_the_time = async {
            loop {
                host.sessions().await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = asked_all_the_time => {}
            _ = until(&host, |status| status.readiness == Readiness::Ready) => {}
        }
        assert_eq!(site.nas().await.ask(&Ask::meter(1)).await.code, ACCESS_ACCEPT);
        host.stop().await;
    }
}

#[tokio::test]
async fn a_realm_that_moves_to_other_ports_serves_there_and_keeps_its_sessions() {
    let site = Site::new();
    let host = site.start_ready().await;
    let mut nas = site.nas().await;
    let accept = nas.ask(&Ask::meter(1)).await;
    let mut config = site.config();
    config.program.access_port = ACCESS_PORT + 2;
    host.reconfigure(config).await;
    nas.access_port = ACCESS_PORT + 2;
    let stop = Ask::accounting(2, STOP, "s").add(Type::CLASS, accept.class());
    assert_eq!(nas.ask(&stop).await.code, ACCOUNTING_RESPONSE);
    assert_eq!(site.dataplane.unbound(), [(mac(0x2a), EndCause::ClientStop)]);
    assert!((0..2).all(|more| std::net::UdpSocket::bind((site.address, ACCESS_PORT + more)).is_ok()));
    // The new ones taken: it says so, and comes back when they are free.
    let other = std::net::UdpSocket::bind((site.address, ACCESS_PORT)).unwrap();
    host.reconfigure(site.config()).await;
    until(&host, |status| status.readiness.reason().contains("can't be opened")).await;
    drop(other);
    until(&host, |status| status.readiness == Readiness::Ready).await;
    host.stop().await;
}

#[tokio::test]
async fn a_new_program_holds_when_reconfigure_returns_and_revoked_sessions_are_unbound() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    assert_eq!(nas.ask(&Ask::meter(1)).await.code, ACCESS_ACCEPT);
    assert_eq!(nas.ask(&Ask::guest(2, 7)).await.code, ACCESS_ACCEPT);
    site.write_secrets(&SITE_SECRETS.replace("password: \"heart\"", "password: \"other\""), 0o600);
    let mut config = site.config();
    config.program.features.include.remove(&AaaFeature::Chap);
    host.reconfigure(config).await;
    assert_eq!(site.dataplane.unbound(), [(mac(7), EndCause::Revoked)]);
    let reply = nas.ask(&Ask::user("guest", 3, 7).chap(b"other")).await;
    assert_eq!((reply.code, reply.message()), (ACCESS_REJECT, "CHAP is left out of this AAA"));
    assert_eq!(nas.ask(&Ask::user("guest", 4, 7).pap(b"other")).await.code, ACCESS_ACCEPT);
    host.stop().await;
}

#[tokio::test]
async fn a_credential_that_is_taken_out_of_the_file_ends_its_session_by_itself() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    assert_eq!(nas.ask(&Ask::meter(1)).await.code, ACCESS_ACCEPT);
    assert_eq!(nas.ask(&Ask::guest(2, 1)).await.code, ACCESS_ACCEPT);
    let lines: Vec<&str> = SITE_SECRETS.lines().filter(|line| !line.contains("guest")).collect();
    let without = lines.join("\n");
    site.write_secrets(&without, 0o600);
    until(&host, |status| status.sessions == 1).await;
    assert_eq!(nas.ask(&Ask::guest(3, 1)).await.code, ACCESS_REJECT);
    assert_eq!(host.sessions().await[0].grant.identity, "meter-0042");
    host.stop().await;
}

#[tokio::test]
async fn a_pipe_in_the_place_of_the_secrets_holds_nobody_up() {
    let site = Site::without_secrets();
    let file = site.secrets_file();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&file).status().unwrap().success());
    let host = site.start();
    until(&host, |status| status.readiness.reason().contains("is no file")).await;
    host.stop().await;
}

#[tokio::test]
async fn only_the_edge_can_read_its_journal() {
    let site = Site::new();
    let folder = site.journal();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let host = site.start_ready().await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    host.stop().await;
}
