//! A browser without a screen: keeps cookies, follows nothing by itself, fills in the forms of a page as they stand there.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};

use super::{House, PASSWORD};

/// A visitor of the portal.
#[derive(Debug)]
pub struct Browser {
    http: Client,
    web: String,
    cookies: Mutex<BTreeMap<String, (String, String)>>,
    headers: HeaderMap,
}

/// What a browser was answered.
#[derive(Clone, Debug)]
pub struct Page {
    /// HTTP's status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub bytes: Vec<u8>,
}

impl Page {
    /// The page's text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// A header, empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Where it leads to.
    pub fn location(&self) -> &str {
        self.header("location")
    }

    /// Whether it says this.
    pub fn says(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// The fields of the form that posts to `action`, or else asks it, as they stand: hidden ones, what is typed, what is ticked.
    ///
    /// # Panics
    /// Where there is no such form.
    pub fn form(&self, action: &str) -> Form {
        let text = self.text();
        let place = format!("action=\"{action}\"");
        let start = text.find(&format!("method=\"post\" {place}")).or_else(|| text.find(&place));
        let start = start.unwrap_or_else(|| panic!("no form to {action}: {text}"));
        let form = &text[start..];
        let form = &form[..form.find("</form>").expect("the end of a form")];
        let mut fields = Vec::new();
        for input in form.split("<input ").skip(1) {
            let input = &input[..input.find('>').expect("the end of an input")];
            let of = |name: &str| {
                let at = input.find(&format!("{name}=\""))? + name.len() + 2;
                let rest = &input[at..];
                Some(unescaped(&rest[..rest.find('"')?]))
            };
            let chosen = !matches!(of("type").as_deref(), Some("radio" | "checkbox")) || input.contains(" checked");
            if let (Some(name), true) = (of("name"), chosen) {
                fields.push((name, of("value").unwrap_or_default()));
            }
        }
        Form { action: action.to_owned(), fields }
    }
}

fn unescaped(text: &str) -> String {
    let pairs = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// A form that is filled in.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where it goes.
    pub action: String,
    /// Its fields.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The same with this in a field, and nothing else in it.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(its, _)| its != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same without a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(its, _)| its != name);
        self
    }

    /// What a field holds.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(its, _)| its == name).map(|(_, value)| value.as_str())
    }
}

impl House {
    /// A browser before the portal, signed in nowhere.
    ///
    /// # Panics
    /// Where there is no client to be had.
    pub fn browser(&self) -> Browser {
        self.browser_at(&self.at.web)
    }

    /// A browser before a portal at another address than the house's own.
    ///
    /// # Panics
    /// Where there is no client to be had.
    pub fn browser_at(&self, web: &str) -> Browser {
        let http = Client::builder().redirect(Policy::none()).build().expect("a client");
        Browser { http, web: web.to_owned(), cookies: Mutex::default(), headers: HeaderMap::new() }
    }

    /// A browser in which somebody of a creditor is signed in.
    ///
    /// # Panics
    /// Where they are not let in.
    pub async fn visitor(&self, creditor: &str, username: &str) -> Browser {
        let browser = self.browser();
        let entered = browser.enter(creditor, username, PASSWORD).await;
        assert_eq!((entered.status, entered.location()), (303, &*format!("/comune/{creditor}")), "{}", entered.text());
        browser
    }
}

impl Browser {
    /// The same browser, which says something else in a header.
    ///
    /// # Panics
    /// For what is no header.
    #[must_use]
    pub fn saying(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    /// Signs in.
    pub async fn enter(&self, creditor: &str, username: &str, password: &str) -> Page {
        let action = format!("/comune/{creditor}/accesso");
        let form = self.get(&action).await.form(&action);
        self.send(&form.with("utente", username).with("password", password)).await
    }

    /// Asks for a page.
    pub async fn get(&self, path: &str) -> Page {
        self.ask(Method::GET, path, None).await
    }

    /// Sends a form, as a page of the portal does.
    pub async fn send(&self, form: &Form) -> Page {
        self.ask(Method::POST, &form.action, Some(&form.fields)).await
    }

    /// Sends a form, and goes where that leads.
    ///
    /// # Panics
    /// Where it leads nowhere.
    pub async fn sent(&self, form: &Form) -> Page {
        let answer = self.send(form).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        self.get(answer.location()).await
    }

    /// The value of a cookie.
    ///
    /// # Panics
    /// Never.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().expect("no panic").get(name).map(|(value, _)| value.clone())
    }

    /// Puts another value into a cookie.
    ///
    /// # Panics
    /// Where there is none.
    pub fn put_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().expect("no panic").get_mut(name).expect("a cookie").0 = value.to_owned();
    }

    /// The answer while it still comes.
    ///
    /// # Panics
    /// Where nothing answers.
    pub async fn open(&self, method: Method, path: &str, fields: Option<&[(String, String)]>) -> reqwest::Response {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.web));
        let cookies: Vec<String> = {
            let cookies = self.cookies.lock().expect("no panic");
            let mine = cookies.iter().filter(|(_, (_, place))| path.starts_with(place.as_str()));
            mine.map(|(name, (value, _))| format!("{name}={value}")).collect()
        };
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if method == Method::POST && !self.headers.contains_key("sec-fetch-site") {
            request = request.header("sec-fetch-site", "same-origin");
        }
        request = request.headers(self.headers.clone());
        if let Some(fields) = fields {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        }
        let answer = request.send().await.expect("an answer");
        for line in answer.headers().get_all("set-cookie") {
            let line = line.to_str().expect("a cookie");
            let mut parts = line.split("; ");
            let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).expect("a pair");
            let place = parts.clone().find_map(|part| part.strip_prefix("Path=")).unwrap_or("/");
            assert!(line.contains("; HttpOnly") && line.contains("; SameSite=Lax"), "{line}");
            let mut cookies = self.cookies.lock().expect("no panic");
            if parts.any(|part| part == "Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), (value.to_owned(), place.to_owned()));
            }
        }
        answer
    }

    async fn ask(&self, method: Method, path: &str, fields: Option<&[(String, String)]>) -> Page {
        let answer = self.open(method, path, fields).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Page { status, headers, bytes: answer.bytes().await.expect("a body").to_vec() }
    }
}
