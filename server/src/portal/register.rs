//! `Registrati`: an adult whom the office knows chooses user name and password, with the code that the office gave them.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use borsellino_domain::account::{NewPassword, OfficeCode, Username};
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_proto::reason::Reason;

use super::access::{Knock, pass_of};
use super::forms::{Fields, Sent, Wrong};
use super::frame::{Frame, fault, go, refused_for, show};
use super::visit::{Visit, admit};
use crate::sentences;
use crate::usecases::accounts::{AccountRefusal, Registration, register};
use crate::usecases::{App, Stop};

#[derive(Template)]
#[template(path = "portal/register.html")]
struct Register {
    f: Frame,
    typed: Typed,
    wrong: Wrong,
    problem: Option<String>,
    /// There is an account: sign in, or recover it.
    registered: bool,
}

/// What is shown again where something is wrong: everything but passwords.
#[derive(Default)]
struct Typed {
    elsewhere: bool,
    fiscal_code: String,
    office_code: String,
    username: String,
    stays: bool,
}

impl Typed {
    fn of(fields: &Fields) -> Self {
        Self {
            elsewhere: fields.get("residenza") == "altrove",
            fiscal_code: fields.get("cf").to_owned(),
            office_code: fields.get("codice").to_owned(),
            username: fields.get("utente").to_owned(),
            stays: fields.get("resta") == "si",
        }
    }
}

pub(super) async fn page(visit: Visit) -> Response {
    if visit.pass().is_some() {
        return go(&visit.base());
    }
    form(&visit, StatusCode::OK, (Typed::default(), Wrong::default(), None), false)
}

fn form(
    visit: &Visit,
    status: StatusCode,
    (typed, wrong, problem): (Typed, Wrong, Option<String>),
    registered: bool,
) -> Response {
    let problem = problem.or_else(|| (!wrong.is_empty()).then(|| wrong.summary()));
    let f = visit.frame(visit.words.of(["Registrati", "Register", "Registrieren"]), "-");
    show(status, &Register { f, typed, wrong, problem, registered })
}

/// That the second password is not the first.
pub(super) fn passwords_differ(visit: &Visit) -> &'static str {
    visit.words.of([
        "Le due password non sono uguali: riscrivile.",
        "The two passwords differ: type them again.",
        "Die beiden Passwörter sind verschieden: Geben Sie sie noch einmal ein.",
    ])
}

/// What was typed, read; or everything at once that can't be read.
fn read(
    visit: &Visit,
    fields: &Fields,
    (device_name, address): (String, Option<std::net::IpAddr>),
) -> Result<Registration, Wrong> {
    let mut wrong = Wrong::default();
    let language = visit.language;
    let fiscal_code = PersonalCode::parse(fields.get("cf"));
    if fiscal_code.is_err() {
        wrong.note(
            "cf",
            visit.words.of([
                "Nel codice fiscale c'è un errore: ha 16 caratteri, controllali sulla tessera sanitaria.",
                "There is an error in the codice fiscale: it has 16 characters, check them on your health card.",
                "In der Steuernummer ist ein Fehler: Sie hat 16 Zeichen, prüfen Sie sie auf Ihrer Gesundheitskarte.",
            ]),
        );
    }
    let office_code = OfficeCode::parse(fields.get("codice"));
    if let Err(error) = office_code {
        wrong.note("codice", error.sentence(language));
    }
    let username = Username::parse(fields.get("utente"));
    if let Err(error) = &username {
        wrong.note("utente", error.sentence(language));
    }
    let password = fields.raw("password");
    if let Err(rule) = NewPassword::parse(password, &[fields.get("utente"), fields.get("cf")]) {
        wrong.note("password", rule.sentence(language));
    } else if password != fields.raw("password-ripetuta") {
        wrong.note("password-ripetuta", passwords_differ(visit));
    }
    let (Ok(fiscal_code), Ok(office_code), Ok(username), true) = (fiscal_code, office_code, username, wrong.is_empty())
    else {
        return Err(wrong);
    };
    Ok(Registration {
        creditor: visit.creditor.fiscal_code.to_string(),
        fiscal_code,
        office_code,
        username,
        password: password.to_owned(),
        device_name,
        address,
        language,
    })
}

pub(super) async fn enter(
    State(app): State<App>,
    Knock { sent: Sent { visit, fields }, from, device_name }: Knock,
) -> Response {
    let typed = Typed::of(&fields);
    let stays = typed.stays;
    let wish = match read(&visit, &fields, (device_name, from)) {
        Ok(wish) => wish,
        Err(wrong) => return form(&visit, StatusCode::UNPROCESSABLE_ENTITY, (typed, wrong, None), false),
    };
    let refusal = match register(&app, wish).await {
        Ok((signed_in, _)) => {
            let Some(pass) = pass_of(&visit, &signed_in, stays) else {
                return refused_for(&visit, Reason::Internal);
            };
            let mut response = go(&visit.base());
            admit(&visit, &pass, &mut response);
            return response;
        }
        Err(Stop::Fault(error)) => return fault(&visit, &error),
        Err(Stop::Refused(refusal)) => refusal,
    };
    let say = |reason| sentences::of(reason, visit.language);
    let (status, wrong, problem) = match refusal {
        AccountRefusal::TryLater(millis) => {
            let sentence = sentences::try_later(millis, visit.language).sentence;
            (StatusCode::TOO_MANY_REQUESTS, Wrong::default(), Some(sentence))
        }
        AccountRefusal::CodeRefused => {
            // Which of the two is wrong is nobody's business.
            let mut wrong = Wrong::at("cf", say(Reason::OfficeCodeRefused));
            wrong.note("codice", say(Reason::OfficeCodeRefused));
            (StatusCode::UNPROCESSABLE_ENTITY, wrong, None)
        }
        AccountRefusal::UsernameTaken => {
            (StatusCode::UNPROCESSABLE_ENTITY, Wrong::at("utente", say(Reason::UsernameTaken)), None)
        }
        AccountRefusal::Password(rule) => {
            let sentence = sentences::password(rule, visit.language).sentence;
            (StatusCode::UNPROCESSABLE_ENTITY, Wrong::at("password", sentence), None)
        }
        AccountRefusal::AlreadyRegistered => {
            (StatusCode::CONFLICT, Wrong::default(), Some(say(Reason::AlreadyRegistered).to_owned()))
        }
        // A registration has neither session nor old password.
        AccountRefusal::Session(_) | AccountRefusal::WrongPassword => {
            (StatusCode::CONFLICT, Wrong::default(), Some(say(Reason::WrongCredentials).to_owned()))
        }
    };
    form(&visit, status, (typed, wrong, problem), refusal == AccountRefusal::AlreadyRegistered)
}
