//! The Checkout client against a tiny platform on a loopback port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use borsellino_pagopa::checkout::{
    Cart, CartNotice, CartNotices, CheckoutClient, CheckoutError, ReturnUrls, SetupError, Timeouts, Url,
};
use borsellino_pagopa::node::{Code, Digits11, NoticeNumber18, PositiveCents, Text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(10) };
const KEY: &str = "k3y-of-the-subscription";

fn notice(number: &str) -> CartNotice {
    CartNotice {
        notice_number: NoticeNumber18::new(number).unwrap(),
        fiscal_code: Digits11::new("99900010010").unwrap(),
        amount: PositiveCents::new(4_500).unwrap(),
        company_name: Text::fit("Comune di Valdorso").unwrap(),
        description: Text::fit("Ricarica mensa").unwrap(),
    }
}

fn cart() -> Cart {
    let page = |name: &str| Url::parse(&format!("https://scuola.invalid/{name}")).unwrap();
    Cart {
        id_cart: Code::new("cart-1").unwrap(),
        email_notice: Some("giulia.verdi@example.org".into()),
        notices: CartNotices::new(vec![notice("301000000000004285"), notice("301000000000000750")]).unwrap(),
        return_urls: ReturnUrls { ok: page("ok"), cancel: page("cancel"), error: page("error"), waiting: page("wait") },
        all_ccp: false,
    }
}

async fn serve(router: Router) -> CheckoutClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/checkout/ec/v2/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    CheckoutClient::new(&base, KEY, TIMEOUTS).unwrap()
}

/// A platform that always answers this.
async fn answering(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> CheckoutClient {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let body = body.into();
    let answer = move || {
        let mut response = Response::builder().status(status);
        for (name, value) in &headers {
            response = response.header(name, value);
        }
        let response = response.body(Body::from(body.clone())).unwrap();
        async move { response }
    };
    serve(Router::new().route("/checkout/ec/v2/carts", post(answer))).await
}

#[tokio::test]
async fn a_cart_is_posted_as_the_contract_has_it() {
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let answer = move |headers: HeaderMap, body: Bytes| async move {
        *kept.lock().unwrap() = Some((headers, body));
        (StatusCode::FOUND, [("location", "https://checkout.invalid/c/8f3a?x=1#y")])
    };
    let client = serve(Router::new().route("/checkout/ec/v2/carts", post(answer))).await;
    let page = client.open_cart(&cart()).await.unwrap();
    assert_eq!(page.url.as_str(), "https://checkout.invalid/c/8f3a?x=1#y");

    let (headers, body) = seen.lock().unwrap().take().unwrap();
    assert_eq!(headers["ocp-apim-subscription-key"], KEY);
    assert_eq!(headers["content-type"], "application/json");
    let sent: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let expected = serde_json::json!({
        "emailNotice": "giulia.verdi@example.org",
        "paymentNotices": [
            {"noticeNumber": "301000000000004285", "fiscalCode": "99900010010", "amount": 4500,
             "companyName": "Comune di Valdorso", "description": "Ricarica mensa"},
            {"noticeNumber": "301000000000000750", "fiscalCode": "99900010010", "amount": 4500,
             "companyName": "Comune di Valdorso", "description": "Ricarica mensa"},
        ],
        "returnUrls": {
            "returnOkUrl": "https://scuola.invalid/ok",
            "returnCancelUrl": "https://scuola.invalid/cancel",
            "returnErrorUrl": "https://scuola.invalid/error",
            "returnWaitingUrl": "https://scuola.invalid/wait",
        },
        "idCart": "cart-1",
        "allCCP": false,
    });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn refusals_keep_their_status() {
    for status in [400, 401, 422, 429, 500, 503] {
        let client = answering(status, &[("location", "https://x.invalid/")], "{\"title\":\"no\"}").await;
        let refused = CheckoutError::Refused { status: StatusCode::from_u16(status).unwrap() };
        assert_eq!(client.open_cart(&cart()).await, Err(refused));
    }
}

#[tokio::test]
async fn answers_outside_the_contract_are_bad() {
    let long = format!("https://x.invalid/{}", "a".repeat(5_000));
    for (status, headers) in [
        (200, vec![("location", "https://x.invalid/")]),
        (201, vec![]),
        (301, vec![("location", "https://x.invalid/")]),
        (302, vec![]),
        (302, vec![("location", "/c/8f3a")]),
        (302, vec![("location", "//x.invalid/c")]),
        (302, vec![("location", "javascript:alert(1)")]),
        (302, vec![("location", "ftp://x.invalid/")]),
        (302, vec![("location", "https://user:pass@x.invalid/")]),
        (302, vec![("location", "https://")]),
        (302, vec![("location", long.as_str())]),
        (302, vec![("location", "https://x.invalid/a"), ("location", "https://x.invalid/b")]),
    ] {
        let client = answering(status, &headers, "x").await;
        assert_eq!(client.open_cart(&cart()).await, Err(CheckoutError::BadAnswer), "{status} {headers:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let followed = Arc::new(Mutex::new(false));
    let mark = Arc::clone(&followed);
    let trap = move || async move { *mark.lock().unwrap() = true };
    let answer = |headers: HeaderMap| async move {
        let location = format!("http://{}/trap", headers["host"].to_str().unwrap());
        (StatusCode::FOUND, [("location", location)])
    };
    let router = Router::new().route("/checkout/ec/v2/carts", post(answer)).fallback(trap);
    let page = serve(router).await.open_cart(&cart()).await.unwrap();
    assert_eq!(page.url.path(), "/trap");
    assert!(!*followed.lock().unwrap());
}

#[tokio::test]
async fn a_huge_or_endless_body_is_not_read() {
    let client = answering(302, &[("location", "https://x.invalid/c")], vec![b'x'; 32 << 20]).await;
    let begun = Instant::now();
    assert!(client.open_cart(&cart()).await.is_ok());

    let endless = || async {
        let drip = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1024])));
        let response = Response::builder().status(500).body(Body::from_stream(drip));
        response.unwrap()
    };
    let client = serve(Router::new().route("/checkout/ec/v2/carts", post(endless))).await;
    let refused = CheckoutError::Refused { status: StatusCode::INTERNAL_SERVER_ERROR };
    assert_eq!(client.open_cart(&cart()).await, Err(refused));
    assert!(begun.elapsed() < TIMEOUTS.total);
}

/// A listener that reads a little, says `answer` and then hangs up or holds the line.
async fn raw(answer: &'static [u8], hold: bool, timeouts: Timeouts) -> CheckoutClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
            if hold {
                held.push(stream);
            }
        }
    });
    CheckoutClient::new(&base, KEY, timeouts).unwrap()
}

#[tokio::test]
async fn silence_times_out() {
    let timeouts = Timeouts { total: Duration::from_millis(200), ..TIMEOUTS };
    let client = raw(b"", true, timeouts).await;
    assert_eq!(client.open_cart(&cart()).await, Err(CheckoutError::TimedOut));
}

#[tokio::test]
async fn garbage_and_a_hung_up_line_are_bad_answers() {
    for answer in [&b"220 mail.example.org ESMTP\r\n"[..], b"", b"HTTP/1.1 302 Found\r\nLocation"] {
        let client = raw(answer, false, TIMEOUTS).await;
        assert_eq!(client.open_cart(&cart()).await, Err(CheckoutError::BadAnswer));
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = CheckoutClient::new(&base, KEY, TIMEOUTS).unwrap();
    assert_eq!(client.open_cart(&cart()).await, Err(CheckoutError::Unreachable));
}

#[test]
fn a_wrong_configuration_is_named() {
    for base in ["", "api.example.org", "/carts", "ftp://x.invalid", "https://u:p@x.invalid", "https://x/?q"] {
        assert_eq!(CheckoutClient::new(base, KEY, TIMEOUTS).err(), Some(SetupError::BaseUrl), "{base}");
    }
    let key = CheckoutClient::new("https://x.invalid", "a\nb", TIMEOUTS).err();
    assert_eq!(key, Some(SetupError::SubscriptionKey));
    // A host without root certificates is told so; TLS never panics for want of a provider.
    let real = CheckoutClient::new("https://api.platform.pagopa.it/checkout/ec/v2", KEY, TIMEOUTS);
    assert!(matches!(real, Ok(_) | Err(SetupError::Tls)));
}

#[test]
fn carts_hold_one_to_five_different_notices() {
    let numbered = |n: u64| (0..n).map(|i| notice(&format!("{i:018}"))).collect::<Vec<_>>();
    assert!(CartNotices::new(numbered(5)).is_some());
    assert_eq!(CartNotices::new(numbered(6)), None);
    assert_eq!(CartNotices::new(Vec::new()), None);
    assert_eq!(CartNotices::new(vec![notice("301000000000004285"); 2]), None);
}

#[test]
fn debug_shows_neither_key_nor_payer() {
    let client = CheckoutClient::new("http://127.0.0.1:9", KEY, TIMEOUTS).unwrap();
    assert!(!format!("{client:?}").contains(KEY));
    assert!(!format!("{:?}", cart()).contains("giulia"));
}
