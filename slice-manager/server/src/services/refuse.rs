//! Refusals as gRPC has them: a code, a sentence, and one violation for each reason (google.rpc.BadRequest).
//!
//! A violation of a field that an operator wrote is named in the words of the file, behind the resource
//! (`slice/iot:spec.rate.guaranteed`), so that a client that has the file can find the line. Refusals travel in HTTP/2
//! trailers, which clients read up to a limit of their own (16 KiB is common), so what is told is bounded here.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::decided::ChangeError;
use crate::store::StoreError;

/// An ill-formed request: fields and what is wrong with them.
pub(crate) fn invalid(violations: Vec<(String, String)>) -> Status {
    bad_request(Code::InvalidArgument, violations)
}

impl From<ChangeError> for Status {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused(refusals) => {
                let violation = |r: plan::Refusal| (format!("{}:{}", r.resource, r.path), r.reason.to_string());
                bad_request(Code::FailedPrecondition, refusals.into_iter().map(violation).collect())
            }
            ChangeError::InUse(in_use) => {
                let violations = in_use.iter().map(|u| (format!("{}:metadata.name", u.resource), u.to_string()));
                bad_request(Code::FailedPrecondition, violations.collect())
            }
            ChangeError::NotDeclared(missing) => {
                let violations = missing.iter().map(|m| (format!("{}:metadata.name", m.0), m.to_string()));
                bad_request(Code::NotFound, violations.collect())
            }
            ChangeError::Unsound(_) => Self::internal(cut(&error.to_string())),
            ChangeError::Store(StoreError::Conflict { .. }) => {
                Self::aborted("another change came first; nothing was changed, try again")
            }
            ChangeError::Store(_) | ChangeError::Records(_) => {
                Self::internal("the store failed; look at the manager's log")
            }
            ChangeError::Busy => Self::resource_exhausted(error.to_string()),
            ChangeError::Stopping => Self::unavailable(error.to_string()),
        }
    }
}

fn bad_request(code: Code, violations: Vec<(String, String)>) -> Status {
    let count = violations.len();
    let message = match violations.first() {
        Some((field, first)) if count > 1 => cut(&format!("{field}: {first} (and {} more)", count - 1)),
        Some((field, first)) => cut(&format!("{field}: {first}")),
        None => String::new(),
    };
    let mut octets = 0;
    let mut told: Vec<FieldViolation> = Vec::new();
    for (field, description) in violations {
        let violation = FieldViolation::new(cut(&field), cut(&description));
        octets += violation.field.len() + violation.description.len() + VIOLATION_FRAME_OCTETS;
        if octets > VIOLATIONS_OCTETS_MAX {
            let rest = format!("{} more are not told; correct these first", count - told.len());
            told.push(FieldViolation::new("", rest));
            break;
        }
        told.push(violation);
    }
    Status::with_error_details(code, message, ErrorDetails::with_bad_request(told))
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// What the violations of one refusal may take; in base64 (RFC 4648) it is a third more, and 16 KiB is all there is.
const VIOLATIONS_OCTETS_MAX: usize = 6 << 10;
/// Tags and lengths around one violation.
const VIOLATION_FRAME_OCTETS: usize = 12;
const TEXT_CHARS_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_violations_fit_into_the_trailers_and_the_rest_is_counted() {
        let violations = (0..10_000).map(|n| (format!("slice/s{n}:spec.template"), "there is no template".to_owned()));
        let status = invalid(violations.collect());
        assert!(status.details().len() < 8 << 10, "{} octets", status.details().len());
        assert_eq!(status.message(), "slice/s0:spec.template: there is no template (and 9999 more)");
        let told = status.get_details_bad_request().unwrap().field_violations;
        let (last, shown) = told.split_last().unwrap();
        let rest = 10_000 - shown.len();
        assert_eq!(last.description, format!("{rest} more are not told; correct these first"));
    }
}
