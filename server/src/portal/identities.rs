//! `Entra con SPID`: a browser is led to an identity provider and comes back with a code.
//!
//! Between the two nothing is kept here: what has to be known again lies sealed in a cookie of that path, for ten minutes. So only the
//! browser that asked can come back, once, and nobody is signed in by an address that was sent to them.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use borsellino_domain::time::Millis;
use borsellino_proto::reason::Reason;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::access::{device, own_path, pass_of};
use super::forms::{Fields, Sent, open_draft};
use super::frame::{Frame, fault, go, missing_here, refused_for, say, show};
use super::visit::{Visit, admit, cookie, set};
use super::waiting::confirm;
use crate::auth::oidc::{IdentityError, Provider, Secrets};
use crate::clock::random;
use crate::usecases::identities::{IdentityRefusal, Proved, enter};
use crate::usecases::{App, Stop};

/// The cookie of a sign-in under way, and what it is sealed for.
const COOKIE: &str = "borsellino-identita";
const PURPOSE: &str = "portal identity";

/// The cookie of a form that waits for it: sealed by itself.
const DRAFT: &str = "borsellino-bozza";

/// The longest form that a cookie can keep, in characters: browsers take 4096 bytes with name and attributes.
const LONGEST_DRAFT: usize = 3_800;

/// How long a parent may take at the provider, in milliseconds.
const AWAY_MILLIS: i64 = 10 * 60 * 1_000;

/// The longest code that is passed on: those of real providers are some hundred characters.
const LONGEST_CODE: usize = 4_096;

/// Id and label of the providers that a creditor's parents may use.
pub(super) fn offered(visit: &Visit) -> Vec<(String, String)> {
    let own = visit.app.identities.iter().filter(|provider| provider.serves(&visit.creditor.fiscal_code));
    own.map(|provider| (provider.id().to_owned(), provider.label().to_owned())).collect()
}

fn provider<'a>(visit: &'a Visit, path: &HashMap<String, String>) -> Option<&'a Provider> {
    let id = path.get("identity")?;
    visit.app.identities.iter().find(|one| one.id() == id && one.serves(&visit.creditor.fiscal_code))
}

fn place(visit: &Visit, provider: &Provider) -> String {
    format!("{}/accesso/{}", visit.base(), provider.id())
}

/// Where a provider sends browsers back to: it knows this address, and no other.
fn redirect(visit: &Visit, provider: &Provider) -> String {
    format!("{}{}/ritorno", visit.app.public_url, place(visit, provider))
}

/// A sign-in under way.
struct Away {
    secrets: Secrets,
    until: Millis,
    /// Where to go on: a path of this portal.
    then: String,
    /// The parent says that the device is theirs.
    stays: bool,
}

impl Away {
    fn seal(&self, app: &App, place: &str) -> Option<String> {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.append_pair("place", place).append_pair("until", &self.until.get().to_string());
        text.append_pair("state", &self.secrets.state).append_pair("nonce", &self.secrets.nonce);
        text.append_pair("verifier", &self.secrets.verifier).append_pair("then", &self.then);
        text.append_pair("stays", if self.stays { "1" } else { "0" });
        let sealed = app.keys.seal(PURPOSE, text.finish().as_bytes(), random().ok()?).ok()?;
        Some(BASE64URL_NOPAD.encode(&sealed))
    }

    /// The one that this browser keeps for `place`, while it is good.
    fn open(app: &App, headers: &HeaderMap, place: &str, now: Millis) -> Option<Self> {
        let sealed = BASE64URL_NOPAD.decode(cookie(headers, COOKIE)?.as_bytes()).ok()?;
        let fields = Fields::read(&app.keys.open(PURPOSE, &sealed).ok()?);
        let text = |name: &str| fields.get(name).to_owned();
        let until = Millis::new(fields.get("until").parse().ok()?);
        let secrets = Secrets { state: text("state"), nonce: text("nonce"), verifier: text("verifier") };
        let good = fields.get("place") == place && now < until;
        good.then(|| Self { secrets, until, then: text("then"), stays: fields.get("stays") == "1" })
    }
}

fn put(visit: &Visit, (name, value): (&str, &str), place: &str, seconds: i64, response: &mut Response) {
    let line = set(&visit.app, name, value, place, Some(seconds));
    response.headers_mut().append(header::SET_COOKIE, line);
}

/// What was kept is good for one coming back.
fn forget(visit: &Visit, headers: &HeaderMap, place: &str, mut response: Response) -> Response {
    for name in [COOKIE, DRAFT] {
        if cookie(headers, name).is_some() {
            put(visit, (name, ""), place, 0, &mut response);
        }
    }
    response
}

#[derive(Template)]
#[template(path = "portal/leaving_identity.html")]
struct Leaving {
    f: Frame,
    page: String,
    label: String,
}

pub(super) async fn start(Path(path): Path<HashMap<String, String>>, Sent { visit, fields }: Sent) -> Response {
    let Some(provider) = provider(&visit, &path) else { return missing_here(&visit) };
    let (Ok(state), Ok(nonce), Ok(verifier)) = (random(), random(), random()) else {
        return refused_for(&visit, Reason::Internal);
    };
    let secrets = Secrets::new([state, nonce, verifier]);
    let page = match provider.depart(&secrets, &redirect(&visit, provider), visit.now).await {
        Ok(page) => page,
        Err(error) => return failed(&visit, provider, error),
    };
    let place = place(&visit, provider);
    let then = own_path(&visit, fields.get("poi"));
    let away = Away { secrets, until: visit.now.plus(AWAY_MILLIS), then, stays: fields.get("resta") == "si" };
    let Some(sealed) = away.seal(&visit.app, &place) else { return refused_for(&visit, Reason::Internal) };
    let label = provider.label().to_owned();
    let title = visit.words.of(["Ti portiamo su", "On to", "Weiter zu"]);
    let f = visit.frame(&format!("{title} {label}"), "-");
    let mut response = show(StatusCode::OK, &Leaving { f, page: page.clone(), label });
    if let Ok(refresh) = HeaderValue::try_from(format!("0; url={page}")) {
        response.headers_mut().insert("refresh", refresh);
    }
    put(&visit, (COOKIE, &sealed), &place, AWAY_MILLIS / 1_000, &mut response);
    let draft = fields.get("bozza");
    let plain = draft.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !draft.is_empty() && plain && draft.len() <= LONGEST_DRAFT {
        put(&visit, (DRAFT, draft), &place, AWAY_MILLIS / 1_000, &mut response);
    }
    response
}

/// What a provider sends back (RFC 6749, 4.1.2; RFC 9207).
#[derive(Default, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    error: String,
    iss: Option<String>,
}

pub(super) async fn back(
    visit: Visit,
    Path(path): Path<HashMap<String, String>>,
    answer: Result<Query<Answer>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Some(provider) = provider(&visit, &path) else { return missing_here(&visit) };
    let place = place(&visit, provider);
    let answer = answer.map(|Query(answer)| answer).unwrap_or_default();
    let away = Away::open(&visit.app, &headers, &place, visit.now);
    let Some(away) = away.filter(|away| same(&away.secrets.state, &answer.state)) else {
        // Another browser's answer, an old one, or one that was used: whoever is in stays in, and what is under way goes on.
        return if visit.pass().is_some() { go(&visit.base()) } else { stale(&visit) };
    };
    match came_back(&visit, provider, (away, answer), &headers).await {
        Ok(response) => forget(&visit, &headers, &place, response),
        // The page can be loaded again.
        Err(error) => failed(&visit, provider, error),
    }
}

/// In a time that does not depend on where they differ.
fn same(ours: &str, theirs: &str) -> bool {
    let differ = ours.bytes().zip(theirs.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    ours.len() == theirs.len() && differ == 0
}

/// What becomes of an answer; an error where it was not used, and is good for another try.
async fn came_back(
    visit: &Visit,
    provider: &Provider,
    (away, answer): (Away, Answer),
    headers: &HeaderMap,
) -> Result<Response, IdentityError> {
    match provider.answered(answer.iss.as_deref(), visit.now).await {
        Err(error @ (IdentityError::Busy | IdentityError::Unavailable(_))) => return Err(error),
        Err(error) => return Ok(failed(visit, provider, error)),
        Ok(()) => {}
    }
    if !answer.error.is_empty() {
        let by_them = ["access_denied", "login_required", "interaction_required", "consent_required"];
        return Ok(match by_them.contains(&answer.error.as_str()) {
            true => given_up(visit, provider),
            false => failed(visit, provider, IdentityError::Unavailable("it said no")),
        });
    }
    if answer.code.is_empty() || answer.code.len() > LONGEST_CODE {
        return Ok(failed(visit, provider, IdentityError::Untrusted("no code")));
    }
    let identified = provider.identify((&away.secrets, &answer.code), &redirect(visit, provider), visit.now).await;
    let fiscal_code = match identified {
        Ok(fiscal_code) => fiscal_code,
        Err(IdentityError::Busy) => return Err(IdentityError::Busy),
        Err(error) => return Ok(failed(visit, provider, error)),
    };
    let proved = Proved {
        creditor: visit.creditor.fiscal_code,
        fiscal_code,
        device_name: format!("{} ({})", device(headers), provider.label()),
        language: visit.language,
    };
    let signed_in = match enter(&visit.app, proved).await {
        Ok(signed_in) => signed_in,
        Err(Stop::Refused(IdentityRefusal::Unknown)) => return Ok(unknown(visit, provider)),
        Err(Stop::Refused(IdentityRefusal::AccessEnded)) => return Ok(access_ended(visit)),
        Err(Stop::Refused(IdentityRefusal::NoCreditor)) => return Ok(missing_here(visit)),
        Err(Stop::Fault(error)) => return Ok(fault(visit, &error)),
    };
    let Some(pass) = pass_of(visit, &signed_in, away.stays) else { return Ok(refused_for(visit, Reason::Internal)) };
    let inside = visit.clone().of(pass);
    let waiting = cookie(headers, DRAFT).and_then(|draft| open_draft(&inside, draft));
    let mut response = match waiting {
        Some((path, fields)) => confirm(&inside, &path, &fields).await,
        None => go(&own_path(visit, &away.then)),
    };
    admit(visit, &pass, &mut response);
    Ok(response)
}

fn again(visit: &Visit) -> Option<(String, &'static str)> {
    let words = visit.words.of(["Torna ad Accedi", "Back to signing in", "Zurück zur Anmeldung"]);
    Some((format!("{}/accesso", visit.base()), words))
}

fn say_so(visit: &Visit, status: StatusCode, title: [&'static str; 3], lines: &[String]) -> Response {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    say(visit, (status, "stop"), visit.words.of(title), &lines, again(visit))
}

/// Whom to call, where the creditor names a number.
fn office(visit: &Visit) -> String {
    let ask = visit.words.of(["Chiedi all'ufficio scuola", "Ask the school office", "Fragen Sie die Gemeinde"]);
    match visit.creditor.help_phone.as_str() {
        "" => format!("{ask}."),
        phone => format!("{ask}: {phone}."),
    }
}

const NOT_IN: [&str; 3] = ["Accesso non riuscito", "Signing in did not work", "Die Anmeldung hat nicht geklappt"];

/// Nothing is under way in this browser, or something else.
fn stale(visit: &Visit) -> Response {
    let line = visit.words.of([
        "Questo accesso è scaduto, è già stato usato, o è cominciato in un altro browser: ricomincia da qui.",
        "This sign-in has expired, was used already, or was begun in another browser: start again from here.",
        "Diese Anmeldung ist abgelaufen, schon verwendet oder in einem anderen Browser begonnen worden: Beginnen Sie hier neu.",
    ]);
    say_so(visit, StatusCode::CONFLICT, NOT_IN, &[line.to_owned()])
}

/// The parent turned back at the provider.
fn given_up(visit: &Visit, provider: &Provider) -> Response {
    let label = provider.label();
    let line = match visit.language.tag() {
        "en" => format!(
            "You did not complete signing in with {label}. You can try again, or use your user name and password."
        ),
        "de" => format!(
            "Die Anmeldung mit {label} wurde nicht abgeschlossen. Versuchen Sie es noch einmal, oder melden Sie sich mit Benutzernamen und Passwort an."
        ),
        _ => {
            format!("Non hai completato l'accesso con {label}. Puoi riprovare, o accedere con nome utente e password.")
        }
    };
    let title = ["Accesso annullato", "Signing in was cancelled", "Anmeldung abgebrochen"];
    say(visit, (StatusCode::OK, "info"), visit.words.of(title), &[&line], again(visit))
}

/// The provider is not to be had, or what it says is not to be used. What it said is never logged.
fn failed(visit: &Visit, provider: &Provider, error: IdentityError) -> Response {
    tracing::warn!(provider = provider.id(), creditor = %visit.creditor.fiscal_code, %error, "nobody was identified");
    let label = provider.label();
    let (status, line) = match error {
        IdentityError::Busy => {
            let line = visit.words.of([
                "Stanno accedendo in molti: ricarica questa pagina tra poco.",
                "Many people are signing in: load this page again in a moment.",
                "Gerade melden sich viele an: Laden Sie diese Seite gleich noch einmal.",
            ]);
            (StatusCode::SERVICE_UNAVAILABLE, line.to_owned())
        }
        IdentityError::Unavailable(_) => {
            let line = match visit.language.tag() {
                "en" => format!(
                    "{label} does not answer right now. Try again in a while, or use your user name and password."
                ),
                "de" => format!(
                    "{label} antwortet gerade nicht. Versuchen Sie es später noch einmal, oder melden Sie sich mit Benutzernamen und Passwort an."
                ),
                _ => format!(
                    "{label} in questo momento non risponde. Riprova tra poco, o accedi con nome utente e password."
                ),
            };
            (StatusCode::SERVICE_UNAVAILABLE, line)
        }
        IdentityError::Untrusted(_) => {
            let line = match visit.language.tag() {
                "en" => format!(
                    "The answer of {label} could not be verified, so nobody was signed in. Start again from here."
                ),
                "de" => format!(
                    "Die Antwort von {label} ließ sich nicht prüfen, deshalb wurde niemand angemeldet. Beginnen Sie hier neu."
                ),
                _ => format!(
                    "La risposta di {label} non si è potuta verificare, quindi nessuno è entrato. Ricomincia da qui."
                ),
            };
            (StatusCode::CONFLICT, line)
        }
        IdentityError::NoCode | IdentityError::BadCode => {
            let line = match visit.language.tag() {
                "en" => format!(
                    "{label} did not give us your codice fiscale, so we can't tell who you are. Use your user name and password."
                ),
                "de" => format!(
                    "{label} hat uns Ihre Steuernummer nicht mitgeteilt, deshalb wissen wir nicht, wer Sie sind. Melden Sie sich mit Benutzernamen und Passwort an."
                ),
                _ => format!(
                    "{label} non ci ha comunicato il tuo codice fiscale, quindi non sappiamo chi sei. Accedi con nome utente e password."
                ),
            };
            (StatusCode::CONFLICT, line)
        }
    };
    say_so(visit, status, NOT_IN, &[line])
}

/// The office has entered nobody with this codice fiscale.
fn unknown(visit: &Visit, provider: &Provider) -> Response {
    let (label, town) = (provider.label(), &visit.creditor.name);
    let title = ["Non ti conosciamo ancora", "We do not know you yet", "Wir kennen Sie noch nicht"];
    let line = match visit.language.tag() {
        "en" => format!(
            "{label} confirmed who you are, but {town} has no adult with your codice fiscale for a child. The school office enters the adult who enrols a child for a service; once it has, you can come in with {label}, or register with the code that it gives you."
        ),
        "de" => format!(
            "{label} hat bestätigt, wer Sie sind, aber bei {town} ist unter Ihrer Steuernummer noch niemand für ein Kind eingetragen. Die Gemeinde trägt den Erwachsenen ein, der ein Kind für einen Dienst anmeldet; danach kommen Sie mit {label} hinein, oder Sie registrieren sich mit ihrem Code."
        ),
        _ => format!(
            "{label} ha confermato chi sei, ma per {town} il tuo codice fiscale non è ancora quello di un adulto di riferimento. L'ufficio scuola registra l'adulto che iscrive un figlio a un servizio: dopo, potrai entrare con {label}, oppure registrarti con il codice che ti dà."
        ),
    };
    say_so(visit, StatusCode::FORBIDDEN, title, &[line, office(visit)])
}

/// They proved who they are, so they may know.
fn access_ended(visit: &Visit) -> Response {
    let title = ["Il tuo accesso è chiuso", "Your access has ended", "Ihr Zugang ist geschlossen"];
    let line = visit.words.of([
        "L'ufficio scuola ha chiuso il tuo accesso: solo l'ufficio può riaprirlo.",
        "The school office has ended your access: only the office can give it back.",
        "Die Gemeinde hat Ihren Zugang geschlossen: Nur sie kann ihn wieder öffnen.",
    ]);
    say_so(visit, StatusCode::FORBIDDEN, title, &[line.to_owned(), office(visit)])
}
