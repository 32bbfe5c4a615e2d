//! Access and accounting, with a dataplane that binds, refuses, is slow or is silent.

use super::*;

#[tokio::test]
async fn an_endpoint_is_let_in_reported_and_let_out() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    let accept = nas.ask(&Ask::meter(1)).await;
    assert_eq!((accept.code, accept.only(Type::FRAMED_IP_ADDRESS)), (ACCESS_ACCEPT, [10, 110, 0, 42].as_slice()));
    let chap = nas.ask(&Ask::user("guest", 2, 7).chap(GUEST_PASSWORD)).await;
    assert_eq!(chap.code, ACCESS_ACCEPT);
    let sessions = host.sessions().await;
    let who: Vec<_> = sessions.iter().map(|session| (session.grant.mac, session.grant.identity.as_str())).collect();
    assert_eq!(who, [(mac(7), "guest"), (mac(0x2a), "meter-0042")]);
    for (identifier, status) in [(3, START), (4, INTERIM), (5, STOP)] {
        let report = Ask::accounting(identifier, status, "s").add(Type::CLASS, accept.class());
        assert_eq!(nas.ask(&report).await.code, ACCOUNTING_RESPONSE);
        // It is in the file when the answer is there.
        assert_eq!(journalled(&site.journal()).len(), usize::from(identifier) - 2);
    }
    assert_eq!(site.dataplane.unbound(), [(mac(0x2a), EndCause::ClientStop)]);
    assert_eq!(journalled(&site.journal()), ["start", "interim", "stop"]);
    assert_eq!(nas.ask(&Ask::user("guest", 6, 7).pap(b"wrong")).await.code, ACCESS_REJECT);
    let status = until(&host, |status| status.counters.rejected(RejectReason::WrongCredentials) == 1).await;
    assert_eq!((status.sessions, status.counters.tally(Tally::Accepted)), (1, 2));
    assert_eq!((status.counters.tally(Tally::Recorded), site.dataplane.asked()), (3, 2));
    host.stop().await;
}

#[tokio::test]
async fn an_accept_goes_out_only_when_the_dataplane_has_bound_the_endpoint() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    site.dataplane.behave(Manner::Wait);
    let ask = Ask::meter(1);
    nas.send(&ask).await;
    until_so(|| site.dataplane.asked() == 1).await;
    assert!(nas.has_no_answer_before_a_status(Service::Access, 9).await);
    assert_eq!(host.sessions().await, []);
    // Sent again meanwhile, it is bound no second time.
    nas.send(&ask).await;
    assert!(nas.has_no_answer_before_a_status(Service::Access, 10).await);
    site.dataplane.go_on.notify_one();
    assert_eq!(ask.read(&nas.receive().await).code, ACCESS_ACCEPT);
    let status = until(&host, |status| status.counters.tally(Tally::Accepted) == 1).await;
    assert_eq!((status.counters.dropped(DropReason::DuplicateInProgress), site.dataplane.asked()), (1, 1));
    host.stop().await;
}

#[tokio::test]
async fn the_same_request_gets_the_same_octets_and_is_bound_once() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    let ask = Ask::meter(1);
    nas.send(&ask).await;
    let first = nas.receive().await;
    nas.send(&ask).await;
    assert_eq!(nas.receive().await, first);
    assert_eq!(site.dataplane.asked(), 1);
    host.stop().await;
}

#[tokio::test]
async fn what_the_dataplane_refuses_is_rejected_and_not_unbound() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    let refused =
        [BindRefused::TableFull, BindRefused::AddressInUse, BindRefused::NotAStation, BindRefused::NotRunning];
    for (identifier, refused) in (1..).zip(refused) {
        site.dataplane.behave(Manner::Refuse(refused));
        let reply = nas.ask(&Ask::meter(identifier)).await;
        assert_eq!((reply.code, reply.message()), (ACCESS_REJECT, format!("not admitted: {refused}").as_str()));
    }
    assert_eq!((site.dataplane.unbound(), host.sessions().await), (vec![], vec![]));
    site.dataplane.behave(Manner::Bind);
    assert_eq!(nas.ask(&Ask::meter(9)).await.code, ACCESS_ACCEPT);
    host.stop().await;
}

#[tokio::test]
async fn a_silent_dataplane_ends_in_a_reject_and_an_unbind_and_holds_up_nobody_else() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    site.dataplane.behave(Manner::Hang);
    let ask = Ask::meter(1);
    nas.send(&ask).await;
    until_so(|| site.dataplane.asked() == 1).await;
    site.dataplane.behave(Manner::Bind);
    // Other endpoints, other users and accounting go on.
    assert_eq!(nas.ask(&Ask::guest(2, 7)).await.code, ACCESS_ACCEPT);
    assert_eq!(nas.ask(&Ask::user("guest", 3, 8).pap(b"wrong")).await.code, ACCESS_REJECT);
    assert_eq!(nas.ask(&Ask::accounting(4, START, "s")).await.code, ACCOUNTING_RESPONSE);
    let reply = ask.read(&nas.receive().await);
    assert_eq!((reply.code, reply.message()), (ACCESS_REJECT, "not admitted: the dataplane did not answer"));
    assert_eq!(site.dataplane.unbound(), [(mac(0x2a), EndCause::BindUnknown)]);
    assert_eq!(nas.ask(&Ask::meter(5)).await.code, ACCESS_ACCEPT);
    host.stop().await;
}

#[tokio::test]
async fn more_bindings_than_may_be_in_flight_wait_in_the_socket_and_accounting_does_not() {
    let site = Site::new();
    let mut config = site.config();
    config.sessions_max = 1_000;
    let host = Host::start(config, site.place(), site.dataplane.clone());
    until(&host, |status| status.readiness == Readiness::Ready).await;
    let nas = site.nas().await;
    site.dataplane.behave(Manner::Hang);
    let endpoint = |number: u16| {
        let [high, low] = number.to_be_bytes();
        Ask::new(ACCESS_REQUEST, low)
            .fresh(number.into())
            .add(Type::USER_NAME, "head-end")
            .add(Type::CALLING_STATION_ID, format!("02-00-00-01-{high:02X}-{low:02X}"))
            .pap(b"arctangent")
    };
    let many = u16::try_from(BINDS_MAX).unwrap();
    for number in 0..many {
        nas.send(&endpoint(number)).await;
        // Not more than the socket can hold.
        if number % 64 == 63 {
            until_so(|| site.dataplane.asked() > number.into()).await;
        }
    }
    nas.send(&endpoint(many)).await;
    let start = Ask::accounting(1, START, "s");
    nas.send(&start).await;
    let answered = nas.receive_code(ACCOUNTING_RESPONSE).await;
    start.read(&answered);
    // The dataplane's time is up for the first ones; then the one that waits has its turn.
    site.dataplane.behave(Manner::Bind);
    until_so(|| site.dataplane.asked() == BINDS_MAX + 1).await;
    assert!(site.dataplane.most_in_flight.load(Ordering::Relaxed) <= BINDS_MAX);
    host.stop().await;
}

#[tokio::test]
async fn of_a_burst_every_request_is_answered() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    // More than one turn of the task takes; they wait in the socket while the task does not run.
    let burst = 3 * u8::try_from(DATAGRAMS_PER_TURN_MAX).unwrap() + 1;
    for identifier in 0..burst {
        nas.send(&Ask::user("guest", identifier, 7).pap(b"wrong")).await;
    }
    let mut answered: Vec<u8> = Vec::new();
    for _ in 0..burst {
        answered.push(nas.receive().await[1]);
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..burst).collect::<Vec<_>>());
    host.stop().await;
}

#[tokio::test]
async fn a_session_is_unbound_when_its_time_has_passed() {
    let site = Site::new();
    let mut config = site.config();
    config.program.features.session_seconds = 1;
    let host = Host::start(config, site.place(), site.dataplane.clone());
    until(&host, |status| status.readiness == Readiness::Ready).await;
    let reply = site.nas().await.ask(&Ask::meter(1)).await;
    assert_eq!(reply.only(Type::SESSION_TIMEOUT), [0, 0, 0, 1]);
    until_so(|| site.dataplane.unbound() == [(mac(0x2a), EndCause::Timeout)]).await;
    until(&host, |status| status.sessions == 0 && status.counters.tally(Tally::SessionTimedOut) == 1).await;
    host.stop().await;
}

#[tokio::test]
async fn a_host_that_stops_unbinds_every_session_and_frees_its_ports() {
    for dropped in [false, true] {
        let site = Site::new();
        let host = site.start_ready().await;
        let nas = site.nas().await;
        assert_eq!(nas.ask(&Ask::meter(1)).await.code, ACCESS_ACCEPT);
        assert_eq!(nas.ask(&Ask::guest(2, 7)).await.code, ACCESS_ACCEPT);
        if dropped {
            drop(host);
        } else {
            host.stop().await;
        }
        let all = [(mac(7), EndCause::RealmStop), (mac(0x2a), EndCause::RealmStop)];
        until_so(|| site.dataplane.unbound() == all).await;
        until_so(|| (0..2).all(|more| std::net::UdpSocket::bind((site.address, ACCESS_PORT + more)).is_ok())).await;
    }
}

#[tokio::test]
async fn a_binding_that_is_being_made_when_the_host_stops_is_unbound_too() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    site.dataplane.behave(Manner::Wait);
    nas.send(&Ask::meter(1)).await;
    until_so(|| site.dataplane.asked() == 1).await;
    let stopping = tokio::spawn(host.stop());
    site.dataplane.go_on.notify_one();
    stopping.await.unwrap();
    assert_eq!(site.dataplane.unbound(), [(mac(0x2a), EndCause::RealmStop)]);
}

#[tokio::test]
async fn what_is_dropped_is_counted_by_its_reason_and_can_be_read() {
    let site = Site::new();
    let host = site.start_ready().await;
    let nas = site.nas().await;
    let stranger = Site::without_secrets();
    let stranger = UdpSocket::bind((stranger.address, 0)).await.unwrap();
    stranger.send_to(&Ask::meter(1).sealed(), (site.address, ACCESS_PORT)).await.unwrap();
    nas.send_octets(b"", Service::Access).await;
    nas.send_octets(&[0xff; 5_000], Service::Accounting).await;
    nas.send_octets(&Ask::meter(2).sealed(), Service::Accounting).await;
    nas.send(&Ask::meter(3).without(Type::MESSAGE_AUTHENTICATOR)).await;
    nas.send(&Ask::meter(4).under(HARBOUR_SECRET)).await;
    nas.send(&Ask::accounting(5, START, "s").under(HARBOUR_SECRET)).await;
    nas.send(&Ask::new(DISCONNECT_REQUEST, 6)).await;
    nas.send(&Ask::new(COA_REQUEST, 7)).await;
    let status = until(&host, |status| status.counters.iter().map(|(_, _, count)| count).sum::<u64>() >= 9).await;
    let mut counted: Vec<_> = status.counters.iter().collect();
    counted.sort_unstable();
    let expected = [
        ("drop", "coa-left-out", 1),
        ("drop", "disconnect-left-out", 1),
        ("drop", "malformed", 2),
        ("drop", "message-authenticator-missing", 1),
        ("drop", "message-authenticator-wrong", 1),
        ("drop", "request-authenticator-wrong", 1),
        ("drop", "unknown-client", 1),
        ("drop", "wrong-port", 1),
    ];
    assert_eq!(counted, expected);
    assert_eq!((site.dataplane.asked(), host.sessions().await), (0, vec![]));
    host.stop().await;
}
