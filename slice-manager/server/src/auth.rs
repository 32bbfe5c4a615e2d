//! Who may call what. One table, asked in one place: a guard in front of every service, health and reflection included.
//!
//! TLS has checked by then that the certificate is signed by our authority and is in its time; here its subject
//! alternative name says who it is, and the table says what that role may call. A method that does not stand in the
//! table is nobody's.

use std::convert::Infallible;
use std::task::{Context, Poll};

use model::{Principal, Role};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Request, Status};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a method needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Reading: operator, mano or viewer. That the manager is alive, and what it speaks, is reading, too.
    Read,
    /// Changing: operator or mano.
    Write,
    /// Having what was decided done again: operator.
    Operate,
    /// Running an edge.
    Edge,
}

impl Need {
    const fn roles(self) -> &'static [Role] {
        match self {
            Self::Read => &[Role::Operator, Role::Mano, Role::Viewer],
            Self::Write => &[Role::Operator, Role::Mano],
            Self::Operate => &[Role::Operator],
            Self::Edge => &[Role::Edge],
        }
    }
}

/// What the method at a path needs, such as `/microslice.v1.IntentService/Apply`.
pub(crate) fn need(path: &str) -> Option<Need> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let Some(service) = service.strip_prefix("microslice.v1.") else {
        return match service {
            "grpc.health.v1.Health" | "grpc.reflection.v1.ServerReflection" => Some(Need::Read),
            _ => None,
        };
    };
    match (service, method) {
        ("IntentService", "Apply" | "Delete") => Some(Need::Write),
        ("IntentService", "Plan" | "Diff")
        | ("SliceService", "ListSlices" | "GetSlice")
        | ("SegmentService", "ListSegments" | "GetSegment")
        | ("TemplateService", "ListTemplates" | "GetTemplate")
        | ("NodeService", "ListNodes" | "GetNode")
        | ("OperationService", "ListOperations" | "GetOperation" | "WatchOperation")
        | ("DataplaneService", "GetDrops" | "GetMeters" | "ListQueues")
        | ("ObjectiveService", "MeasureObjectives")
        | ("AaaService", "ListSessions" | "ListCounters")
        | (
            "TransportService",
            "ListPaths" | "ListSids" | "ListLabels" | "ListVnis" | "ListRouteTargets" | "Verify" | "ListDrift",
        ) => Some(Need::Read),
        ("TransportService", "Repair") => Some(Need::Operate),
        ("EdgeService", "Attach") => Some(Need::Edge),
        _ => None,
    }
}

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// No certificate, or not over TLS.
    #[error("no client certificate was shown")]
    NoCertificate,
    /// A certificate that can't be read.
    #[error("the client certificate can't be read")]
    Unreadable,
    /// A certificate names one principal.
    #[error("the client certificate names {0} principals; expected one URI urn:microslice:ROLE:NAME")]
    Principals(usize),
    /// A name that is no principal.
    #[error(transparent)]
    Principal(#[from] model::InvalidPrincipal),
    /// A role that may not call this.
    #[error("role {role} of `{name}` may not call {path}; it needs role {}", roles(*need))]
    Role {
        /// The caller's.
        role: Role,
        /// The caller.
        name: String,
        /// What was called.
        path: String,
        /// What it needs.
        need: Need,
    },
    /// Nothing that anybody may call.
    #[error("nobody may call {0}")]
    Nobody(String),
}

impl From<&Denied> for Status {
    fn from(denied: &Denied) -> Self {
        match denied {
            Denied::Role { .. } | Denied::Nobody(_) => Self::permission_denied(denied.to_string()),
            _ => Self::unauthenticated(denied.to_string()),
        }
    }
}

fn roles(need: Need) -> String {
    need.roles().iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ")
}

/// May this principal call that method?
pub(crate) fn authorise(principal: &Principal, path: &str) -> Result<(), Denied> {
    let need = need(path).ok_or_else(|| Denied::Nobody(path.to_owned()))?;
    if need.roles().contains(&principal.role) {
        Ok(())
    } else {
        Err(Denied::Role { role: principal.role, name: principal.name.clone(), path: path.to_owned(), need })
    }
}

/// Who a certificate (DER) says it is: the one URI of its subject alternative name that is ours.
pub(crate) fn principal(certificate: &[u8]) -> Result<Principal, Denied> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| Denied::Unreadable)?;
    let names = certificate.subject_alternative_name().map_err(|_| Denied::Unreadable)?;
    let uris: Vec<&str> = names
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None })
        .filter(|uri| uri.starts_with("urn:microslice:"))
        .collect();
    match uris.as_slice() {
        [uri] => Ok(uri.parse()?),
        several => Err(Denied::Principals(several.len())),
    }
}

/// The caller of a request that has passed the guard.
pub(crate) fn caller<T>(request: &Request<T>) -> Result<Principal, Status> {
    request.extensions().get().cloned().ok_or_else(|| Status::from(&Denied::NoCertificate))
}

/// Stands in front of a service and lets only those calls through that [`authorise`] allows.
#[derive(Debug, Clone)]
pub(crate) struct Guarded<S>(pub(crate) S);

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        match identify(&request) {
            Ok(principal) => {
                request.extensions_mut().insert(principal);
                Box::pin(self.0.call(request))
            }
            Err(denied) => {
                tracing::warn!(target: "audit", path = request.uri().path(), peer = ?peer(&request), %denied, "denied");
                let status = Status::from(&denied);
                Box::pin(std::future::ready(Ok(status.into_http())))
            }
        }
    }
}

fn identify(request: &http::Request<Body>) -> Result<Principal, Denied> {
    let certificates = request.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certs);
    let leaf = certificates.as_ref().and_then(|chain| chain.first()).ok_or(Denied::NoCertificate)?;
    let principal = principal(leaf)?;
    authorise(&principal, request.uri().path())?;
    Ok(principal)
}

fn peer(request: &http::Request<Body>) -> Option<std::net::SocketAddr> {
    request.extensions().get::<TlsInfo>()?.get_ref().remote_addr()
}

type TlsInfo = TlsConnectInfo<TcpConnectInfo>;
