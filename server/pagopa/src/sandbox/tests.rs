//! Tests of the sandbox against a fake creditor that answers canned XML.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};

use super::line::{Lines, Switch};
use super::xml::Element;
use super::{Clock, Config, Creditor, Timeouts, serve};

mod answers;
mod checkout;
mod faults;
mod receipts;
mod spontaneous;
mod stand_in;

const EC: &str = "99900010010";
const OTHER: &str = "99900040017";
const NOTICE: &str = "302202600000012372";
const KEY: &str = "chiave-di-prova";
const IBAN: &str = "IT89A9999901001000000112233";
const POSTAL: &str = "IT45R0760103200000000001016";

fn fixture(name: &str) -> String {
    let path = format!("{}/../../tests/fixtures/pagopa/{name}.xml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// What the fake creditor does with one call.
#[derive(Clone)]
enum Reply {
    Xml(String),
    Fault,
    Hang,
    /// Takes the call and closes the connection without a word.
    HangUp,
}

fn xml(name: &str) -> Reply {
    Reply::Xml(fixture(name))
}

/// A creditor that answers by operation: the queued replies first, then the last one over and over.
#[derive(Default)]
struct Fake {
    replies: Mutex<Vec<(&'static str, VecDeque<Reply>)>>,
    /// SOAPAction and body of every call.
    seen: Mutex<Vec<(String, String)>>,
    /// When each of them came.
    times: Mutex<Vec<Instant>>,
    news: Notify,
}

impl Fake {
    fn on(&self, operation: &'static str, replies: impl IntoIterator<Item = Reply>) {
        let mut all = self.replies.lock().unwrap();
        all.retain(|(name, _)| *name != operation);
        all.push((operation, replies.into_iter().collect()));
    }

    fn count(&self, operation: &str) -> usize {
        self.bodies(operation).len()
    }

    fn bodies(&self, operation: &str) -> Vec<String> {
        let quoted = format!("\"{operation}\"");
        self.seen.lock().unwrap().iter().filter(|(a, _)| *a == quoted).map(|(_, b)| b.clone()).collect()
    }

    /// Waits until an operation was called so many times.
    async fn until(&self, operation: &str, times: usize) {
        let wait = async {
            loop {
                let news = self.news.notified();
                if self.count(operation) >= times {
                    return;
                }
                news.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the call did not come");
    }

    async fn answer(&self, line: Switch, headers: HeaderMap, body: Bytes) -> (u16, &'static str, String) {
        let action = headers["soapaction"].to_str().unwrap().to_owned();
        assert_eq!(headers["content-type"], "text/xml; charset=UTF-8");
        let reply = {
            let mut all = self.replies.lock().unwrap();
            let quoted = |name: &str| format!("\"{name}\"") == action;
            let queue = all.iter_mut().find(|(name, _)| quoted(name)).map(|(_, q)| q);
            queue.and_then(|q| if q.len() > 1 { q.pop_front() } else { q.front().cloned() })
        };
        self.seen.lock().unwrap().push((action, String::from_utf8(body.to_vec()).unwrap()));
        self.times.lock().unwrap().push(Instant::now());
        self.news.notify_waiters();
        let fault = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>x</faultstring></s:Fault></s:Body></s:Envelope>";
        match reply {
            Some(Reply::Xml(text)) => (200, "text/xml; charset=UTF-8", text),
            Some(Reply::Hang) => std::future::pending().await,
            Some(Reply::HangUp) => {
                line.cut_after(0);
                (200, "text/xml", String::new())
            }
            Some(Reply::Fault) | None => (500, "text/xml; charset=UTF-8", fault.to_owned()),
        }
    }
}

/// A running sandbox and its creditor.
struct World {
    fake: Arc<Fake>,
    base: String,
    http: reqwest::Client,
    now: Arc<Mutex<Timestamp>>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let fake = Arc::new(Fake::default());
        fake.on("paVerifyPaymentNotice", [Reply::Xml(verify_ok())]);
        fake.on("paGetPaymentV2", [xml("paGetPaymentV2-res-ok")]);
        fake.on("paGetPayment", [xml("paGetPayment-res-ok")]);
        fake.on("paSendRTV2", [xml("paSendRTV2-res-ok")]);
        fake.on("paSendRT", [xml("paSendRT-res-ok")]);
        let creditor_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/node", creditor_listener.local_addr().unwrap());
        let answering = Arc::clone(&fake);
        let service =
            Router::new().fallback(move |ConnectInfo(line): ConnectInfo<Switch>, headers: HeaderMap, body: Bytes| {
                let fake = Arc::clone(&answering);
                async move {
                    let (status, kind, text) = fake.answer(line, headers, body).await;
                    (axum::http::StatusCode::from_u16(status).unwrap(), [("content-type", kind)], text)
                }
            });
        let service = service.into_make_service_with_connect_info::<Switch>();
        tokio::spawn(async move { axum::serve(Lines(creditor_listener), service).await });

        let creditor = |code: &str, iban: &str| Creditor {
            fiscal_code: code.to_owned(),
            name: format!("Ente {code}"),
            broker: "99900020019".to_owned(),
            station: "99900020019_01".to_owned(),
            endpoint: endpoint.clone(),
            ibans: vec![iban.to_owned()],
            v1: false,
        };
        let mut config = Config::new(KEY, vec![creditor(EC, IBAN), creditor(OTHER, POSTAL)]);
        config.hour = Duration::from_millis(20);
        config.timeouts = Timeouts { verify: Duration::from_millis(400), receipt: Duration::from_millis(400) };
        adjust(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let now = Arc::new(Mutex::new("2026-10-14T07:05:33.250Z".parse::<Timestamp>().unwrap()));
        let told = Arc::clone(&now);
        let clock: Clock = Arc::new(move || *told.lock().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(serve(listener, config, clock, async move { drop(stopped.await) }));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { fake, base, http, now, stop: Some(stop), served }
    }

    fn later(&self, minutes: i64) {
        let mut now = self.now.lock().unwrap();
        *now += SignedDuration::from_mins(minutes);
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let response = self.http.post(format!("{}{path}", self.base)).json(&body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        let response = self.http.delete(format!("{}{path}", self.base)).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    async fn pay(&self) -> Value {
        self.pay_with(json!({})).await
    }

    async fn pay_with(&self, more: Value) -> Value {
        let mut body = json!({ "creditor": EC, "notice_number": NOTICE });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = self.post("/api/notices/pay", body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn rules(&self) -> Vec<String> {
        let all = self.get("/api/violations").await;
        all.as_array().unwrap().iter().map(|v| v["rule"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until a payment's first delivery has this status.
    async fn until_delivery(&self, receipt_id: &str, status: &str) -> Value {
        let wait = async {
            loop {
                let payment = self.get(&format!("/api/payments/{receipt_id}")).await;
                if payment["delivery"] == status {
                    return payment;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect(status)
    }
}

/// The fixture answers for another notice and amount: this one fits `NOTICE` and the activation's fixture.
fn verify_ok() -> String {
    fixture("paVerifyPaymentNotice-res-ok").replace("<amount>45.00", "<amount>180.00")
}

/// The element inside the body of a request.
fn content(envelope: &str) -> Element {
    let root = Element::parse(envelope.as_bytes()).unwrap();
    root.children[1].children[0].clone()
}

#[tokio::test]
async fn shutdown_ends_everything_even_a_hanging_payment() {
    let mut world = World::new().await;
    world.fake.on("paSendRTV2", [Reply::Hang]);
    let (http, url) = (world.http.clone(), format!("{}/api/notices/pay", world.base));
    let body = json!({ "creditor": EC, "notice_number": NOTICE });
    let paying = tokio::spawn(async move { http.post(url).json(&body).send().await.map(|_| ()) });
    world.fake.until("paSendRTV2", 1).await;
    world.stop.take().unwrap().send(()).unwrap();
    let served = tokio::time::timeout(Duration::from_secs(10), world.served).await.expect("still serving").unwrap();
    served.unwrap();
    let _ = paying.await.unwrap();
}

#[tokio::test]
async fn an_unusable_configuration_is_refused_in_words() {
    let bad = |change: fn(&mut Creditor)| {
        let mut creditor = Creditor {
            fiscal_code: EC.to_owned(),
            name: "Comune".to_owned(),
            broker: "1".to_owned(),
            station: "1".to_owned(),
            endpoint: "http://127.0.0.1:1/".to_owned(),
            ibans: vec![IBAN.to_owned()],
            v1: false,
        };
        change(&mut creditor);
        Config::new(KEY, vec![creditor]).check()
    };
    assert_eq!(bad(|_| {}), Ok(()));
    assert!(bad(|c| c.fiscal_code.push('0')).unwrap_err().contains("11 digits"));
    assert!(bad(|c| c.endpoint = "ftp://x".to_owned()).unwrap_err().contains("http address"));
    assert!(bad(|c| c.ibans.push("IT00A".to_owned())).unwrap_err().contains("not an IBAN"));
    assert!(bad(|c| c.station.clear()).unwrap_err().contains("1 to 35"));
}
