//! The client of pagoPA Checkout: opens a cart and learns the page where the payer goes on.
//!
//! Contract: `openapi/checkout_v2.json` of pagopa/pagopa-api, branch SANP3.12.0. The answer is a redirect that is meant
//! for the payer's browser, so it is never followed here. It proves nothing: only a receipt proves a payment.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
pub use reqwest::{StatusCode, Url};
use serde::Serialize;
use thiserror::Error;

use crate::node::{Code, Digits11, NoticeNumber18, PositiveCents, Text};

/// Longest page address accepted, in bytes.
const MAX_LOCATION: usize = 4096;

/// How long to wait for Checkout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection, TLS included.
    pub connect: Duration,
    /// For the whole call, connection included.
    pub total: Duration,
}

/// One notice in a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CartNotice {
    /// The notice.
    pub notice_number: NoticeNumber18,
    /// The creditor that issued it.
    pub fiscal_code: Digits11,
    /// What it costs now, in cents.
    pub amount: PositiveCents,
    /// The creditor's name.
    pub company_name: Text<140>,
    /// What is paid for; no personal data.
    pub description: Text<140>,
}

/// The 1..=5 notices of a cart, each once: Checkout answers 422 to more, and to doubles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CartNotices(Vec<CartNotice>);

impl CartNotices {
    /// Takes 1..=5 different notices; anything else is `None`.
    #[must_use]
    pub fn new(notices: Vec<CartNotice>) -> Option<Self> {
        let different: HashSet<_> = notices.iter().map(|n| (&n.fiscal_code, &n.notice_number)).collect();
        ((1..=5).contains(&notices.len()) && different.len() == notices.len()).then_some(Self(notices))
    }
}

/// Where the payer's browser lands afterwards. Nothing authenticates the landing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnUrls {
    /// Checkout believes the payment succeeded.
    pub ok: Url,
    /// The payer gave up.
    pub cancel: Url,
    /// This attempt failed.
    pub error: Url,
    /// Checkout stopped waiting; the outcome is open.
    pub waiting: Url,
}

/// What to open a cart with.
#[derive(Clone, PartialEq, Eq)]
pub struct Cart {
    /// Our id of this attempt; comes back as `paymentNote` in activations and V2 receipts.
    pub id_cart: Code<210>,
    /// The payer's address, to which Checkout sends its notice of the outcome.
    pub email_notice: Option<String>,
    /// What is paid.
    pub notices: CartNotices,
    /// Where the browser returns to.
    pub return_urls: ReturnUrls,
    /// True only if every transfer has a postal account.
    pub all_ccp: bool,
}

impl fmt::Debug for Cart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cart")
            .field("id_cart", &self.id_cart.as_str())
            .field("notices", &self.notices)
            .finish_non_exhaustive()
    }
}

/// The page where the payer goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CartPage {
    /// Absolute, http(s), no credentials in it.
    pub url: Url,
}

/// Why no cart page is known. Only [`Unreachable`](Self::Unreachable) and [`Refused`](Self::Refused) say for sure that
/// no cart was opened; all of them leave the notices payable elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CheckoutError {
    /// No connection, in time or at all: nothing was sent.
    #[error("Checkout cannot be reached")]
    Unreachable,
    /// Connected, but no answer in time.
    #[error("Checkout did not answer in time")]
    TimedOut,
    /// Checkout said no: 401 a wrong key, 422 too many or double notices, or one that the Node does not find payable.
    #[error("Checkout refused with status {status}")]
    Refused {
        /// A client or server error.
        status: StatusCode,
    },
    /// An answer that the contract does not know.
    #[error("Checkout gave an answer outside its contract")]
    BadAnswer,
}

/// Why a client cannot be set up: the configuration is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SetupError {
    /// Not an absolute http(s) URL without query and fragment.
    #[error("the Checkout base URL is not an absolute http(s) URL")]
    BaseUrl,
    /// Cannot stand in a header.
    #[error("the Checkout subscription key is not valid in a header")]
    SubscriptionKey,
    /// The TLS set-up of this host failed, as without root certificates.
    #[error("TLS cannot be set up")]
    Tls,
}

/// A client of one Checkout environment. Clones share connections.
#[derive(Clone)]
pub struct CheckoutClient {
    http: reqwest::Client,
    carts: Url,
}

impl fmt::Debug for CheckoutClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckoutClient").field("carts", &self.carts.as_str()).finish_non_exhaustive()
    }
}

impl CheckoutClient {
    /// A client for `base_url`, such as `https://api.platform.pagopa.it/checkout/ec/v2`.
    ///
    /// Follows no redirect and obeys no proxy from the environment. Installs rustls' ring provider for the process
    /// where none is installed yet.
    ///
    /// # Errors
    /// [`SetupError`], naming the setting at fault.
    pub fn new(base_url: &str, subscription_key: &str, timeouts: Timeouts) -> Result<Self, SetupError> {
        let base = Url::parse(base_url).map_err(|_| SetupError::BaseUrl)?;
        if !is_web(&base) || base.query().is_some() || base.fragment().is_some() {
            return Err(SetupError::BaseUrl);
        }
        let carts = format!("{}/carts", base.as_str().trim_end_matches('/'));
        let carts = Url::parse(&carts).map_err(|_| SetupError::BaseUrl)?;
        let mut key = HeaderValue::from_str(subscription_key).map_err(|_| SetupError::SubscriptionKey)?;
        key.set_sensitive(true);
        let key_header = HeaderName::from_static("ocp-apim-subscription-key");
        // An error only says that another provider was installed first, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .default_headers(HeaderMap::from_iter([(key_header, key)]))
            .redirect(Policy::none())
            .no_proxy()
            // What was tried with the platform; HTTP/2 is there for others.
            .http1_only()
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.total);
        if carts.scheme() == "http" {
            // The sandbox needs no root certificates, and its host may have none.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|_| SetupError::Tls)?;
        Ok(Self { http, carts })
    }

    /// Opens a cart with one POST, never repeated by itself.
    ///
    /// # Errors
    /// [`CheckoutError`]; the notices stay payable at any PSP.
    pub async fn open_cart(&self, cart: &Cart) -> Result<CartPage, CheckoutError> {
        let sent = self.http.post(self.carts.clone()).json(&CartBody::from(cart)).send().await;
        let response = sent.map_err(|error| match error {
            e if e.is_connect() => CheckoutError::Unreachable,
            e if e.is_timeout() => CheckoutError::TimedOut,
            _ => CheckoutError::BadAnswer,
        })?;
        // Status and Location say it all: the body is not read, so it cannot be too large or too slow.
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(CheckoutError::Refused { status });
        }
        if status != StatusCode::FOUND {
            return Err(CheckoutError::BadAnswer);
        }
        let mut locations = response.headers().get_all(LOCATION).iter();
        match (locations.next(), locations.next()) {
            (Some(location), None) => page(location, self.carts.scheme()).ok_or(CheckoutError::BadAnswer),
            _ => Err(CheckoutError::BadAnswer),
        }
    }
}

/// The page in a `Location`. A platform spoken to over TLS sends nobody to a page without it.
fn page(location: &HeaderValue, spoken_over: &str) -> Option<CartPage> {
    let location = location.to_str().ok().filter(|l| l.len() <= MAX_LOCATION)?;
    let url = Url::parse(location).ok().filter(is_web)?;
    (url.scheme() == "https" || spoken_over == "http").then_some(CartPage { url })
}

/// Absolute http or https, with a host and without credentials.
fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty() && url.password().is_none()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CartBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    email_notice: Option<&'a str>,
    payment_notices: Vec<NoticeBody<'a>>,
    return_urls: ReturnUrlsBody<'a>,
    id_cart: &'a str,
    #[serde(rename = "allCCP")]
    all_ccp: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NoticeBody<'a> {
    notice_number: &'a str,
    fiscal_code: &'a str,
    amount: i64,
    company_name: &'a str,
    description: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReturnUrlsBody<'a> {
    return_ok_url: &'a str,
    return_cancel_url: &'a str,
    return_error_url: &'a str,
    return_waiting_url: &'a str,
}

impl<'a> From<&'a Cart> for CartBody<'a> {
    fn from(cart: &'a Cart) -> Self {
        let notice = |notice: &'a CartNotice| NoticeBody {
            notice_number: notice.notice_number.as_str(),
            fiscal_code: notice.fiscal_code.as_str(),
            amount: notice.amount.get(),
            company_name: notice.company_name.as_str(),
            description: notice.description.as_str(),
        };
        Self {
            email_notice: cart.email_notice.as_deref(),
            payment_notices: cart.notices.0.iter().map(notice).collect(),
            return_urls: ReturnUrlsBody {
                return_ok_url: cart.return_urls.ok.as_str(),
                return_cancel_url: cart.return_urls.cancel.as_str(),
                return_error_url: cart.return_urls.error.as_str(),
                return_waiting_url: cart.return_urls.waiting.as_str(),
            },
            id_cart: cart.id_cart.as_str(),
            all_ccp: cart.all_ccp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_without_tls_is_taken_only_from_a_platform_without_tls() {
        let (plain, secure) =
            (HeaderValue::from_static("http://c.invalid/"), HeaderValue::from_static("https://c.invalid/"));
        assert!(page(&plain, "http").is_some() && page(&secure, "http").is_some() && page(&secure, "https").is_some());
        assert_eq!(page(&plain, "https"), None);
    }
}
