//! Deadlines. Served under axum, tonic does not enforce `grpc-timeout` by itself, so this layer does; calls without one
//! get a cap. The work behind an expired call may still finish: the caller replays with the same id.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tonic::Status;

/// No unary call takes longer than this.
const CAP: Duration = Duration::from_secs(20);

/// The one call that lives on.
const STREAM: &str = "/borsellino.v1.Feed/Watch";

pub(super) async fn enforce(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // A stream lives on after its first headers, which are all that is waited for here: whoever opens one has to say what
    // they want in time.
    let lives_on = path == STREAM || path.starts_with("/grpc.");
    let asked = timeout(request.headers()).filter(|_| !lives_on).unwrap_or(CAP).min(CAP);
    match tokio::time::timeout(asked, next.run(request)).await {
        Ok(response) => response,
        // What tonic itself says of an expired deadline; clients take it for "outcome unknown".
        Err(_) => Status::cancelled("Timeout expired").into_http(),
    }
}

/// `grpc-timeout`: up to eight digits and a unit (gRPC over HTTP/2, "Timeout").
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout").map(HeaderValue::to_str)?.ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(number.saturating_mul(3_600))),
        "M" => Some(Duration::from_secs(number.saturating_mul(60))),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_as_specified() {
        let read = |text: &'static str| {
            timeout(&HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), HeaderValue::from_static(text))]))
        };
        assert_eq!(read("200m"), Some(Duration::from_millis(200)));
        assert_eq!(read("3S"), Some(Duration::from_secs(3)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        for wrong in ["", "S", "123456789S", "1s", "-1S", "1é"] {
            let value = HeaderValue::from_bytes(wrong.as_bytes()).unwrap();
            assert_eq!(timeout(&HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), value)])), None, "{wrong}");
        }
    }
}
