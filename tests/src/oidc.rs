//! An identity provider that is not ours (`tests/oidc`: oidc-provider on Node.js), and what a parent does there: they say who they are,
//! or turn back.

#![allow(clippy::expect_used, clippy::panic, reason = "a test without its ground fails, loudly and at once")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use borsellino_server::auth::oidc::{Provider, Settings};

/// As whom the provider knows the server.
pub const CLIENT: &str = "borsellino";

/// The level of assurance that it vouches for.
pub const LEVEL: &str = "https://www.spid.gov.it/SpidL2";

const SECRET: &str = "un segreto di prova, lungo quanto basta a firmare";

/// Where facts about somebody stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facts {
    /// In the identity itself.
    Token,
    /// Where the server asks for them.
    Userinfo,
}

/// A running provider.
#[derive(Debug)]
pub struct Oidc {
    /// Its address.
    pub issuer: String,
    http: Client,
    child: Child,
    // It ends with this, however this process ends.
    _told: ChildStdin,
}

impl Drop for Oidc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Oidc {
    /// Starts one at the instant `now` (milliseconds) that leads back to `redirects` and knows these people: what they are called there,
    /// and what it says of them.
    ///
    /// # Panics
    /// Where it does not come up.
    pub async fn start(now: i64, redirects: &[String], accounts: &[(&str, Value)], facts: Facts) -> Self {
        let accounts: BTreeMap<_, _> = accounts.iter().map(|(name, facts)| (*name, facts.clone())).collect();
        let facts = if facts == Facts::Token { "token" } else { "userinfo" };
        let told = json!({
            "now": now, "redirects": redirects, "client": CLIENT, "secret": SECRET, "accounts": accounts, "facts": facts,
        });
        let begun = tokio::task::spawn_blocking(move || {
            let mut node = Command::new("node");
            node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("oidc/provider.mjs"));
            // What it writes to its standard error is advice for whoever runs one in earnest.
            node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = node.spawn().expect("Node.js, which tests/run installs");
            let mut stdin = child.stdin.take().expect("a pipe");
            writeln!(stdin, "{told}").expect("a provider that reads");
            let mut line = String::new();
            BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its address");
            (child, stdin, line.trim().to_owned())
        });
        let (child, stdin, issuer) = begun.await.expect("a thread");
        assert!(
            issuer.starts_with("http://"),
            "the provider did not start: npm ci in tests/oidc, which tests/run does"
        );
        Self { issuer, http: client(), child, _told: stdin }
    }

    /// What the server is told of it.
    pub fn settings(&self, id: &str, label: &str) -> Settings {
        Settings {
            id: id.to_owned(),
            label: label.to_owned(),
            issuer: self.issuer.clone(),
            client_id: CLIENT.to_owned(),
            secret: Zeroizing::new(SECRET.to_owned()),
            scopes: vec!["fiscal".to_owned()],
            claim: "fiscal_number".to_owned(),
            levels: vec![LEVEL.to_owned()],
            creditors: Vec::new(),
        }
    }

    /// The server's side of it.
    ///
    /// # Panics
    /// Where it can't be used.
    pub fn provider(&self, id: &str, label: &str) -> Provider {
        Provider::new(self.settings(id, label)).expect("a provider")
    }

    /// Has it do something else from now on (`tests/oidc/provider.mjs`).
    ///
    /// # Panics
    /// Where it does not answer.
    pub async fn tell(&self, order: Value) {
        let told = self.http.post(format!("{}/told", self.issuer)).json(&order).send().await.expect("an answer");
        assert_eq!(told.status().as_u16(), 204);
    }

    /// A parent on the provider's page: says who they are, or turns back; answers where the browser is led to then.
    ///
    /// # Panics
    /// Where it is led nowhere.
    pub async fn visit(&self, page: &str, who: Option<&str>) -> String {
        let mut jar: BTreeMap<String, String> = BTreeMap::new();
        let issuer = Url::parse(&self.issuer).expect("an address");
        let mut place = Url::parse(page).expect("an address");
        let mut form = None;
        for _ in 0..8 {
            if place.origin() != issuer.origin() {
                return place.into();
            }
            let request = match form.take() {
                Some(fields) => self.http.post(place.clone()).header("content-type", FORM).body::<String>(fields),
                None => self.http.get(place.clone()),
            };
            let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = request.header("cookie", cookies.join("; ")).send().await.expect("an answer");
            for line in answer.headers().get_all("set-cookie") {
                let pair = line.to_str().expect("a text").split(';').next().expect("a pair");
                let (name, value) = pair.split_once('=').expect("a pair");
                if value.is_empty() {
                    jar.remove(name)
                } else {
                    jar.insert(name.to_owned(), value.to_owned())
                };
            }
            match answer.headers().get("location").map(|place| place.to_str().expect("a text").to_owned()) {
                Some(next) => place = place.join(&next).expect("an address"),
                None => {
                    let status = answer.status();
                    let text = answer.text().await.expect("a text");
                    assert!(status.is_success() && text.contains("Chi sei"), "{status}: {text}");
                    let fields = match who {
                        Some(who) => [("chi", who), ("fai", "entra")],
                        None => [("chi", ""), ("fai", "annulla")],
                    };
                    form = Some(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish());
                }
            }
        }
        panic!("the provider leads nowhere: {place}");
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn client() -> Client {
    // Another provider of cryptography may be there already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().no_proxy().tls_certs_only([]).redirect(Policy::none());
    builder.build().expect("a client")
}
