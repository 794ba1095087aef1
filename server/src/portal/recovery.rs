//! `Problemi con accesso`: a forgotten password is asked for, proved in two different ways, and set anew.
//!
//! What names the recovery under way lies sealed in a cookie that only this page's path is sent and no script reads, not in the page:
//! so a reload, the way back and a second tab find the same recovery, whoever looks at a page's source or its address finds
//! nothing, and a parent who comes back from their e-mail goes on. Every form carries a mark of the recovery it was written for, so that
//! an old tab proves nothing to a newer one.

use askama::Template;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use borsellino_domain::account::{OfficeCode, SecretAnswer, SecretAnswerError};
use borsellino_domain::time::Millis;
use borsellino_proto::reason::Reason;
use data_encoding::BASE64URL_NOPAD;

use super::access::{Knock, pass_of};
use super::forms::{Fields, Sent, Wrong};
use super::frame::{Frame, fault, go, refused_for, say, show};
use super::register::passwords_differ;
use super::visit::{Visit, admit, cookie, set};
use crate::clock::random;
use crate::sentences;
use crate::usecases::recovery::{Forgetful, PROOFS, Proving, RecoveryRefusal, Started, finish, prove, question, start};
use crate::usecases::{App, ProofKind, Stop};

/// Below a portal's own path.
pub(super) const PATH: &str = "/problemi-accesso";

/// The cookie of the recovery under way.
const COOKIE: &str = "borsellino-recupero";

/// What the cookie is sealed for.
const PURPOSE: &str = "portal recovery";

/// How many digits the code in a letter has.
const LETTER_DIGITS: usize = 8;

/// The recovery that this browser has begun.
struct Kept {
    token: String,
    number: String,
    until: Millis,
    /// The parent says that the device is theirs.
    stays: bool,
}

impl Kept {
    fn read(app: &App, headers: &HeaderMap) -> Option<Self> {
        let sealed = BASE64URL_NOPAD.decode(cookie(headers, COOKIE)?.as_bytes()).ok()?;
        let fields = Fields::read(&app.keys.open(PURPOSE, &sealed).ok()?);
        let until = Millis::new(fields.get("until").parse().ok()?);
        let text = |name: &str| fields.get(name).to_owned();
        Some(Self { token: text("token"), number: text("number"), until, stays: fields.get("stays") == "1" })
    }

    /// As the browser keeps it: no longer than it is good for anything.
    fn keep(&self, visit: &Visit, response: &mut Response) {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.append_pair("token", &self.token).append_pair("number", &self.number);
        text.append_pair("until", &self.until.get().to_string());
        text.append_pair("stays", if self.stays { "1" } else { "0" });
        let Ok(nonce) = random() else { return };
        let Ok(sealed) = visit.app.keys.seal(PURPOSE, text.finish().as_bytes(), nonce) else { return };
        let seconds = self.until.get().saturating_sub(visit.now.get()).max(0) / 1_000;
        let age = self.stays.then_some(seconds);
        put(visit, &BASE64URL_NOPAD.encode(&sealed), age, response);
    }

    /// What a form of this recovery carries.
    fn mark(&self, app: &App) -> String {
        let message = [b"borsellino.recovery-form.v1".as_slice(), self.token.as_bytes()].concat();
        BASE64URL_NOPAD.encode(&app.keys.stamp(&message))
    }
}

fn own_path(visit: &Visit) -> String {
    format!("{}{PATH}", visit.base())
}

fn put(visit: &Visit, value: &str, age: Option<i64>, response: &mut Response) {
    let line = set(&visit.app, COOKIE, value, &own_path(visit), age);
    response.headers_mut().append(header::SET_COOKIE, line);
}

fn forget(visit: &Visit, mut response: Response) -> Response {
    put(visit, "", Some(0), &mut response);
    response
}

#[derive(Template)]
#[template(path = "portal/recovery.html")]
struct Recovery {
    f: Frame,
    /// The one that is under way; else it is asked for.
    shown: Option<Shown>,
    /// There was one.
    ended: bool,
    who: String,
    stays: bool,
    /// Letters are sent from here.
    mail: bool,
    wrong: Wrong,
    problem: Option<String>,
}

struct Shown {
    mark: String,
    /// Two digits, as they are read out.
    number: String,
    until: String,
    office: bool,
    email: bool,
    device: bool,
    enough: bool,
    /// The secret question, where it is asked.
    question: Option<&'static str>,
}

/// What is said on a page beside the recovery itself.
#[derive(Default)]
struct Said {
    wrong: Wrong,
    problem: Option<String>,
    who: String,
    stays: bool,
}

impl Said {
    fn wrong(field: &'static str, sentence: impl Into<String>) -> Self {
        Self { wrong: Wrong::at(field, sentence), ..Self::default() }
    }

    fn problem(sentence: impl Into<String>) -> Self {
        Self { problem: Some(sentence.into()), ..Self::default() }
    }
}

fn write(visit: &Visit, status: StatusCode, said: Said, (shown, ended): (Option<Shown>, bool)) -> Response {
    let Said { wrong, problem, who, stays } = said;
    let problem = problem.or_else(|| (!wrong.is_empty()).then(|| wrong.summary()));
    let f =
        visit.frame(visit.words.of(["Problemi con accesso", "Trouble signing in", "Probleme bei der Anmeldung"]), "-");
    let mail = visit.app.mailer.is_some();
    show(status, &Recovery { f, shown, ended, who, stays, mail, wrong, problem })
}

/// It is over: from the start, and the cookie goes.
fn over(visit: &Visit, status: StatusCode) -> Response {
    forget(visit, write(visit, status, Said::default(), (None, true)))
}

/// The recovery as it stands.
async fn stands(visit: &Visit, kept: &Kept, status: StatusCode, said: Said) -> Response {
    let proofs = match prove(&visit.app, &kept.token, None).await {
        Ok(proofs) => proofs,
        Err(Stop::Refused(_)) => return over(visit, status),
        Err(Stop::Fault(error)) => return fault(visit, &error),
    };
    let question = match question(&visit.app, &kept.token).await {
        Ok(question) => question.map(|question| question.sentence(visit.language)),
        Err(Stop::Refused(_)) => return over(visit, status),
        Err(Stop::Fault(error)) => return fault(visit, &error),
    };
    let shown = Shown {
        question,
        mark: kept.mark(&visit.app),
        number: kept.number.clone(),
        until: visit.words.day_and_hour(kept.until),
        office: proofs.contains(&ProofKind::Office),
        email: proofs.contains(&ProofKind::Email),
        device: proofs.contains(&ProofKind::Device),
        enough: proofs.len() >= PROOFS,
    };
    write(visit, status, said, (Some(shown), false))
}

pub(super) async fn page(State(app): State<App>, headers: HeaderMap, visit: Visit) -> Response {
    match Kept::read(&app, &headers) {
        Some(kept) => stands(&visit, &kept, StatusCode::OK, Said::default()).await,
        None => write(&visit, StatusCode::OK, Said::default(), (None, false)),
    }
}

pub(super) async fn step(State(app): State<App>, request: Request) -> Response {
    let kept = Kept::read(&app, request.headers());
    let knock = match Knock::from_request(request, &app).await {
        Ok(knock) => knock,
        Err(response) => return response,
    };
    let step = knock.sent.fields.get("passo").to_owned();
    if step == "inizio" {
        return begin(knock).await;
    }
    let Sent { visit, fields } = knock.sent;
    let Some(kept) = kept else {
        // Done already, or begun in another browser.
        return go(&if visit.pass().is_some() { visit.base() } else { own_path(&visit) });
    };
    if fields.get("recupero") != kept.mark(&app) {
        let sentence = visit.words.of([
            "Nel frattempo hai iniziato un altro recupero: questa pagina mostra quello.",
            "You have begun another recovery meanwhile: this page shows that one.",
            "Sie haben inzwischen eine andere Wiederherstellung begonnen: Diese Seite zeigt jene.",
        ]);
        return stands(&visit, &kept, StatusCode::CONFLICT, Said::problem(sentence)).await;
    }
    match step.as_str() {
        "ufficio" => by_office(&visit, &kept, &fields).await,
        "email" => by_letter(&visit, &kept, &fields).await,
        "password" => end(&visit, &kept, &fields).await,
        "daccapo" => forget(&visit, go(&own_path(&visit))),
        _ => go(&own_path(&visit)),
    }
}

async fn begin(Knock { sent: Sent { visit, fields }, from, device_name }: Knock) -> Response {
    let (who, stays) = (fields.get("chi").to_owned(), fields.get("resta") == "si");
    if who.is_empty() {
        let sentence = visit.words.of([
            "Scrivi il nome utente o il codice fiscale.",
            "Type your user name or your codice fiscale.",
            "Geben Sie Benutzernamen oder Steuernummer ein.",
        ]);
        let said = Said { stays, ..Said::wrong("chi", sentence) };
        return write(&visit, StatusCode::UNPROCESSABLE_ENTITY, said, (None, false));
    }
    let asks = Forgetful {
        creditor: visit.creditor.fiscal_code.to_string(),
        who: who.clone(),
        device_name,
        language: visit.language,
        address: from,
    };
    match start(&visit.app, asks).await {
        Ok(Started { token, expires, number }) => {
            let mut response = go(&own_path(&visit));
            Kept { token, number, until: expires, stays }.keep(&visit, &mut response);
            response
        }
        Err(Stop::Refused(RecoveryRefusal::TryLater(millis))) => {
            let sentence = sentences::try_later(millis, visit.language).sentence;
            let said = Said { who, stays, ..Said::problem(sentence) };
            write(&visit, StatusCode::TOO_MANY_REQUESTS, said, (None, false))
        }
        Err(Stop::Refused(_)) => over(&visit, StatusCode::UNPROCESSABLE_ENTITY),
        Err(Stop::Fault(error)) => fault(&visit, &error),
    }
}

async fn by_office(visit: &Visit, kept: &Kept, fields: &Fields) -> Response {
    match OfficeCode::parse(fields.get("codice")) {
        Ok(code) => proved(visit, kept, ("codice", Proving::Office(code))).await,
        Err(error) => {
            let said = Said::wrong("codice", error.sentence(visit.language));
            stands(visit, kept, StatusCode::UNPROCESSABLE_ENTITY, said).await
        }
    }
}

async fn by_letter(visit: &Visit, kept: &Kept, fields: &Fields) -> Response {
    let typed = fields.get("cifre");
    if typed.chars().filter(char::is_ascii_digit).count() != LETTER_DIGITS {
        let sentence = visit.words.of([
            "Il codice dell'e-mail ha otto cifre: ricopiale tutte.",
            "The e-mail's code has eight digits: copy all of them.",
            "Der Code aus der E-Mail hat acht Ziffern: Schreiben Sie alle ab.",
        ]);
        return stands(visit, kept, StatusCode::UNPROCESSABLE_ENTITY, Said::wrong("cifre", sentence)).await;
    }
    match Proving::email(&kept.token, typed) {
        Ok(proof) => proved(visit, kept, ("cifre", proof)).await,
        Err(_) => over(visit, StatusCode::UNPROCESSABLE_ENTITY),
    }
}

/// Brings a proof. What is good is shown under the page's own address, so that a reload does not bring it again.
async fn proved(visit: &Visit, kept: &Kept, (field, proof): (&'static str, Proving)) -> Response {
    match prove(&visit.app, &kept.token, Some(proof)).await {
        Ok(_) => go(&own_path(visit)),
        Err(stop) => refused(visit, kept, field, stop).await,
    }
}

async fn refused(visit: &Visit, kept: &Kept, field: &'static str, stop: Stop<RecoveryRefusal>) -> Response {
    let refusal = match stop {
        Stop::Refused(refusal) => refusal,
        Stop::Fault(error) => return fault(visit, &error),
    };
    let (status, said) = match refusal {
        RecoveryRefusal::Wrong => {
            let sentence = sentences::of(Reason::ProofRefused, visit.language);
            (StatusCode::UNPROCESSABLE_ENTITY, Said::wrong(field, sentence))
        }
        RecoveryRefusal::Password(rule) => {
            let sentence = sentences::password(rule, visit.language).sentence;
            (StatusCode::UNPROCESSABLE_ENTITY, Said::wrong(field, sentence))
        }
        RecoveryRefusal::TryLater(millis) => {
            (StatusCode::TOO_MANY_REQUESTS, Said::problem(sentences::try_later(millis, visit.language).sentence))
        }
        RecoveryRefusal::Question => (
            StatusCode::UNPROCESSABLE_ENTITY,
            Said::wrong("risposta", SecretAnswerError::Short.sentence(visit.language)),
        ),
        RecoveryRefusal::WrongAnswer => {
            let sentence = visit.words.of([
                "La risposta non è quella che avevi dato. Dopo cinque errori si ricomincia; se non la ricordi, chiama l'ufficio scuola.",
                "This is not the answer that you gave. After five errors you start again; if you don't remember it, call the school office.",
                "Das ist nicht die Antwort, die Sie gegeben hatten. Nach fünf Fehlern beginnt man von vorn; wissen Sie sie nicht mehr, rufen Sie die Gemeinde an.",
            ]);
            (StatusCode::UNPROCESSABLE_ENTITY, Said::wrong("risposta", sentence))
        }
        RecoveryRefusal::Incomplete => {
            let sentence = sentences::of(Reason::RecoveryIncomplete, visit.language);
            (StatusCode::CONFLICT, Said::problem(sentence))
        }
        // A recovery has no session of its own.
        RecoveryRefusal::Ended | RecoveryRefusal::Session(_) => {
            return over(visit, StatusCode::UNPROCESSABLE_ENTITY);
        }
    };
    stands(visit, kept, status, said).await
}

async fn end(visit: &Visit, kept: &Kept, fields: &Fields) -> Response {
    let password = fields.raw("password");
    if password != fields.raw("password-ripetuta") {
        let said = Said::wrong("password-ripetuta", passwords_differ(visit));
        return stands(visit, kept, StatusCode::UNPROCESSABLE_ENTITY, said).await;
    }
    let answer = match fields.get("risposta") {
        "" => None,
        text => match SecretAnswer::parse(text) {
            Ok(answer) => Some(answer),
            Err(error) => {
                let said = Said::wrong("risposta", error.sentence(visit.language));
                return stands(visit, kept, StatusCode::UNPROCESSABLE_ENTITY, said).await;
            }
        },
    };
    let (signed_in, username) = match finish(&visit.app, &kept.token, (password.to_owned(), answer)).await {
        Ok(finished) => finished,
        Err(stop) => return refused(visit, kept, "password", stop).await,
    };
    let Some(pass) = pass_of(visit, &signed_in, kept.stays) else { return refused_for(visit, Reason::Internal) };
    let inside = visit.clone().of(pass);
    let w = visit.words;
    let title = w.of(["Password nuova impostata", "New password set", "Neues Passwort gesetzt"]);
    let name = w.of(["Il tuo nome utente è", "Your user name is", "Ihr Benutzername ist"]);
    let elsewhere = w.of([
        "Sugli altri dispositivi serve accedere di nuovo.",
        "On your other devices you have to sign in again.",
        "Auf Ihren anderen Geräten müssen Sie sich neu anmelden.",
    ]);
    let on = w.of(["Vai ai miei figli", "Go to my children", "Zu meinen Kindern"]);
    let lines = [format!("{name} {username}."), elsewhere.to_owned()];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut response = say(&inside, (StatusCode::OK, "ok"), title, &lines, Some((visit.base(), on)));
    admit(visit, &pass, &mut response);
    forget(visit, response)
}
