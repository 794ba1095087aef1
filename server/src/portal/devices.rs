//! Where one is signed in, and the password.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use borsellino_proto::reason::Reason;
use uuid::Uuid;

use super::forms::Posted;
use super::frame::{Frame, ended, fault, go, refused_for, say, show, stopped};
use super::visit::{Parent, Visit, renew};
use crate::sentences;
use crate::usecases::Stop;
use crate::usecases::accounts::{self, AccountRefusal};
use crate::usecases::devices::{DeviceRefusal, list, revoke as end};

#[derive(Template)]
#[template(path = "portal/devices.html")]
struct Devices {
    f: Frame,
    devices: Vec<Device>,
}

struct Device {
    id: String,
    name: String,
    since: String,
    used: String,
    current: bool,
}

pub(super) async fn page(parent: Parent) -> Response {
    let visit = &parent.visit;
    let devices = match list(&visit.app, parent.who).await {
        Ok(devices) => devices,
        Err(stop) => return stopped(visit, stop),
    };
    let w = visit.words;
    let shown = devices.into_iter().map(|device| Device {
        id: device.session.to_string(),
        name: device.name,
        since: w.day_and_hour(device.signed_in),
        used: w.day_and_hour(device.last_used),
        current: device.current,
    });
    let title = w.of(["Dispositivi collegati", "Signed-in devices", "Angemeldete Geräte"]);
    let mut response = show(StatusCode::OK, &Devices { f: visit.frame(title, "-"), devices: shown.collect() });
    renew(&parent, &mut response).await;
    response
}

pub(super) async fn revoke(Posted { parent, fields }: Posted) -> Response {
    let visit = &parent.visit;
    let Ok(device) = fields.get("dispositivo").parse::<Uuid>() else {
        return refused_for(visit, Reason::UnknownDevice);
    };
    match end(&visit.app, parent.who, device.into()).await {
        Ok(()) => go(&format!("{}/dispositivi", visit.base())),
        Err(Stop::Refused(DeviceRefusal::Session(refusal))) => ended(visit, refusal),
        Err(Stop::Refused(DeviceRefusal::Unknown)) => refused_for(visit, Reason::UnknownDevice),
        Err(Stop::Fault(error)) => fault(visit, &error),
    }
}

#[derive(Template)]
#[template(path = "portal/password.html")]
struct Password {
    f: Frame,
    problem: Option<String>,
}

pub(super) async fn password(parent: Parent) -> Response {
    let visit = &parent.visit;
    match accounts::profile(&visit.app, parent.who).await {
        Ok(view) if view.username.is_empty() => none_to_change(visit),
        Ok(_) => form(&parent, StatusCode::OK, None),
        Err(stop) => stopped(visit, stop),
    }
}

/// Whoever came with a digital identity and never registered has no password.
fn none_to_change(visit: &Visit) -> Response {
    let title = visit.words.of(["Non hai una password", "You have no password", "Sie haben kein Passwort"]);
    let line = visit.words.of([
        "Entri con la tua identità digitale. Se vuoi anche nome utente e password, chiedi un codice all'ufficio scuola, esci e scegli Registrati.",
        "You sign in with your digital identity. If you want a user name and a password, too, ask the school office for a code, sign out and choose Register.",
        "Sie melden sich mit Ihrer digitalen Identität an. Möchten Sie auch Benutzernamen und Passwort, verlangen Sie bei der Gemeinde einen Code, melden sich ab und wählen Registrieren.",
    ]);
    let back = visit.words.of(["Torna ai miei figli", "Back to my children", "Zurück zu meinen Kindern"]);
    say(visit, (StatusCode::OK, "info"), title, &[line], Some((visit.base(), back)))
}

fn form(parent: &Parent, status: StatusCode, problem: Option<String>) -> Response {
    let title = parent.visit.words.of(["Modifica password", "Change password", "Passwort ändern"]);
    show(status, &Password { f: parent.visit.frame(title, "-"), problem })
}

pub(super) async fn change_password(Posted { parent, fields }: Posted) -> Response {
    let visit = &parent.visit;
    let (old, new) = (fields.raw("password").to_owned(), fields.raw("password-nuova").to_owned());
    if new != fields.raw("password-ripetuta") {
        let words = visit.words.of([
            "Le due password nuove non sono uguali: riscrivile.",
            "The two new passwords differ: type them again.",
            "Die beiden neuen Passwörter sind verschieden: Geben Sie sie noch einmal ein.",
        ]);
        return form(&parent, StatusCode::UNPROCESSABLE_ENTITY, Some(words.to_owned()));
    }
    let problem = match accounts::change_password(&visit.app, parent.who, (old, new)).await {
        Ok(()) => {
            let title = visit.words.of(["Password cambiata", "Password changed", "Passwort geändert"]);
            let line = visit.words.of([
                "Sugli altri dispositivi serve accedere di nuovo.",
                "On your other devices you have to sign in again.",
                "Auf Ihren anderen Geräten müssen Sie sich neu anmelden.",
            ]);
            let back = visit.words.of(["Torna ai miei figli", "Back to my children", "Zurück zu meinen Kindern"]);
            return say(visit, (StatusCode::OK, "ok"), title, &[line], Some((visit.base(), back)));
        }
        Err(Stop::Fault(error)) => return fault(visit, &error),
        Err(Stop::Refused(AccountRefusal::Session(refusal))) => return ended(visit, refusal),
        Err(Stop::Refused(AccountRefusal::TryLater(millis))) => sentences::try_later(millis, visit.language).sentence,
        Err(Stop::Refused(AccountRefusal::Password(rule))) => sentences::password(rule, visit.language).sentence,
        Err(Stop::Refused(_)) => visit
            .words
            .of([
                "La password di adesso non è giusta.",
                "The present password is wrong.",
                "Das jetzige Passwort stimmt nicht.",
            ])
            .to_owned(),
    };
    form(&parent, StatusCode::UNPROCESSABLE_ENTITY, Some(problem))
}
