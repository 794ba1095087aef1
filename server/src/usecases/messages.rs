//! Messages of guardians to the office, and its answers. What they say is sealed, each for its own place: what is moved to another
//! row does not open. The office's acts are signed; a letter says that there is an answer, and nothing of it.

use std::sync::Arc;

use borsellino_domain::content::{plain, printable};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{ChildId, GuardianId, ServiceId};
use borsellino_domain::message::{
    DraftMessage, Field, LONGEST_TEXT, MOST_IN_A_DAY, Message, MessageKind, MessageState, Why,
};
use borsellino_domain::office::OfficeAction;
use borsellino_domain::time::Millis;
use borsellino_store::rows::{AnswerRow, MessageRow, NewAnswer, NewMessage};
use borsellino_store::{Store, StoreError, Tx};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::office::{Act, OfficeRefusal, check};
use super::post::lay_answer;
use super::sessions::{SessionRefusal, standing};
use super::{App, Fault, Stop};
use crate::auth::keys::Keys;
use crate::auth::token::Identity;
use crate::clock::random;

/// How many stand on a page.
pub const PAGE: i64 = 20;

/// How many the office reads at once.
const BATCH: i64 = 200;

/// What a message's digest is keyed for.
const SAME: &str = "message.same";

fn purpose(id: Uuid) -> String {
    format!("message.{id}")
}

fn answer_purpose(message: Uuid, id: Uuid) -> String {
    format!("message.{message}.answer.{id}")
}

/// What is sealed. Names of fields are for good.
#[derive(Serialize, Deserialize)]
struct Body {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    child: Option<String>,
    /// What the service was called.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    service: String,
    /// ISO dates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stars: Option<u8>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    phone: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    email: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    address: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    text: String,
}

/// What one can choose from.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// First names.
    pub children: Vec<(ChildId, String)>,
    /// What the creditor calls its services.
    pub services: Vec<(ServiceId, String)>,
}

/// What a guardian can choose from.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn choices(app: &App, who: Identity) -> Result<Choices, Stop<SessionRefusal>> {
    let now = app.now();
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            let children = tx.children_of(&who.creditor, who.guardian).await?;
            Ok(Ok((children, tx.services(&who.creditor).await?)))
        })
    });
    let (children, services) = read.await?.map_err(Stop::Refused)?;
    Ok(Choices {
        children: children.into_iter().map(|row| (row.id.into(), row.name)).collect(),
        services: services.into_iter().map(|row| (row.id, row.name)).collect(),
    })
}

/// Why a message is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageRefusal {
    /// The caller's own session.
    Session(SessionRefusal),
    /// What is to be put right.
    Wrong(Vec<(Field, Why)>),
    /// The child is none of theirs.
    UnknownChild,
    /// The service is none of the creditor's.
    UnknownService,
    /// Something else was sent under the same id, by them or by somebody else.
    Used,
    /// Ten in a day.
    TooMany,
}

/// Sends a message, once under each id.
///
/// # Errors
/// [`MessageRefusal`], or a [`Fault`].
pub async fn send(
    app: &App,
    who: Identity,
    id: Uuid,
    (kind, draft): (MessageKind, DraftMessage),
) -> Result<(), Stop<MessageRefusal>> {
    let now = app.now();
    let today = now.day_in_italy().ok_or(Fault::BadData("the clock is outside the calendar"))?;
    let midnight = today.yesterday().ok().and_then(Millis::end_of_day_in_italy);
    let midnight = midnight.ok_or(Fault::BadData("the clock is outside the calendar"))?;
    let message = Message::parse(kind, &draft, today).map_err(|wrong| Stop::Refused(MessageRefusal::Wrong(wrong)))?;
    let service = match message.service {
        None => String::new(),
        Some(service) => {
            let read = app.store.read(move |tx| Box::pin(async move { tx.services(&who.creditor).await }));
            let found = read.await?.into_iter().find(|row| row.id == service);
            found.ok_or(Stop::Refused(MessageRefusal::UnknownService))?.name
        }
    };
    let body = Body {
        kind: kind.code().to_owned(),
        child: message.child.map(|child| child.to_string()),
        service,
        from: message.from.map(|day| day.to_string()),
        until: message.until.map(|day| day.to_string()),
        stars: message.stars,
        phone: message.phone,
        email: message.email,
        address: message.address,
        text: message.text,
    };
    let bytes = serde_json::to_vec(&body).map_err(|_| Fault::BadData("a message"))?;
    let row = Arc::new(NewMessage {
        id,
        guardian: who.guardian,
        child: message.child,
        digest: app.keys.digest(SAME, &bytes),
        key_id: app.keys.id().to_owned(),
        sealed: app.keys.seal(&purpose(id), &bytes, random()?).map_err(Fault::from)?,
        sent_at: now,
    });
    let written = app.store.write("send a message", move |tx| {
        let row = Arc::clone(&row);
        Box::pin(async move { keep(tx, who, &row, (now, midnight)).await })
    });
    written.await?.map_err(Stop::Refused)
}

async fn keep(
    tx: &mut Tx,
    who: Identity,
    row: &NewMessage,
    (now, midnight): (Millis, Millis),
) -> Result<Result<(), MessageRefusal>, StoreError> {
    let session = tx.session(&who.creditor, who.session).await?;
    if let Err(refusal) = standing(session.as_ref(), now) {
        return Ok(Err(MessageRefusal::Session(refusal)));
    }
    // Two forms at once don't both take the last place.
    tx.hold_guardian(&who.creditor, who.guardian).await?;
    if let Some(there) = tx.message(&who.creditor, row.id).await? {
        let same = there.guardian == who.guardian && there.digest == row.digest;
        return Ok(if same { Ok(()) } else { Err(MessageRefusal::Used) });
    }
    if let Some(child) = row.child
        && !tx.is_guardian_of(&who.creditor, (who.guardian.uuid(), child.uuid())).await?
    {
        return Ok(Err(MessageRefusal::UnknownChild));
    }
    if tx.messages_since(&who.creditor, who.guardian, midnight).await? >= MOST_IN_A_DAY {
        return Ok(Err(MessageRefusal::TooMany));
    }
    tx.insert_message(&who.creditor, row).await.map(Ok)
}

/// A message, opened. No `Debug`: what it says belongs in no log.
pub struct MessageView {
    /// Which.
    pub id: Uuid,
    /// Whose.
    pub guardian: GuardianId,
    /// Their name.
    pub full_name: String,
    /// About whom: first and family name; empty where it is about nobody.
    pub child: (String, String),
    /// How far it has come.
    pub state: MessageState,
    /// When it was sent.
    pub sent: Millis,
    /// There is an answer that the guardian has not seen.
    pub unseen: bool,
    /// What it says; `None` where it was sealed with another secret.
    pub message: Option<Said>,
    /// When, and what the office answered; oldest first.
    pub answers: Vec<(Millis, String)>,
}

/// What a message says.
pub struct Said {
    /// What it is about.
    pub kind: MessageKind,
    /// What the service was called; may be empty, as each of the texts.
    pub service: String,
    /// The first day.
    pub from: Option<Date>,
    /// The last day.
    pub until: Option<Date>,
    /// One to five.
    pub stars: Option<u8>,
    /// A phone number.
    pub phone: String,
    /// An e-mail address.
    pub email: String,
    /// Where they live.
    pub address: String,
    /// In their own words.
    pub text: String,
}

/// When a message was answered, where the guardian has not seen that.
fn unseen(row: &MessageRow) -> Option<Millis> {
    row.answered_at_ms.filter(|at| *at > row.seen_at_ms.unwrap_or_default()).map(Millis::new)
}

fn opened(keys: &Keys, row: MessageRow, answers: &[AnswerRow]) -> MessageView {
    let bytes = keys.open(&purpose(row.id), &row.sealed).ok();
    let body = bytes.and_then(|bytes| serde_json::from_slice::<Body>(&bytes).ok());
    let message = body.and_then(|body| {
        Some(Said {
            kind: MessageKind::try_from(body.kind).ok()?,
            service: body.service,
            from: body.from.and_then(|day| day.parse().ok()),
            until: body.until.and_then(|day| day.parse().ok()),
            stars: body.stars,
            phone: body.phone,
            email: body.email,
            address: body.address,
            text: body.text,
        })
    });
    let mine = answers.iter().filter(|answer| answer.message == row.id);
    let answers = mine.filter_map(|answer| {
        let bytes = keys.open(&answer_purpose(row.id, answer.id), &answer.sealed).ok()?;
        Some((answer.at_ms, String::from_utf8(bytes).ok()?))
    });
    let unseen = unseen(&row).is_some();
    MessageView {
        answers: answers.collect(),
        id: row.id,
        guardian: row.guardian,
        full_name: row.full_name,
        child: (row.given_name.unwrap_or_default(), row.family_name.unwrap_or_default()),
        state: row.state,
        sent: row.sent_at_ms,
        unseen,
        message,
    }
}

/// A guardian's messages, the newest first, before another one; their answers count as seen from now on.
///
/// # Errors
/// [`SessionRefusal`], or a [`Fault`].
pub async fn list(
    app: &App,
    who: Identity,
    before: Option<(Millis, Uuid)>,
) -> Result<Vec<MessageView>, Stop<SessionRefusal>> {
    let now = app.now();
    let before = before.unwrap_or((Millis::new(i64::MAX), Uuid::max()));
    let read = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&who.creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(refusal));
            }
            let rows = tx.messages_of(&who.creditor, who.guardian, before, PAGE).await?;
            let mut answers = Vec::new();
            for row in rows.iter().filter(|row| row.answered_at_ms.is_some()) {
                answers.extend(tx.answers(&who.creditor, row.id).await?);
            }
            Ok(Ok((rows, answers)))
        })
    });
    let (rows, answers) = read.await?.map_err(Stop::Refused)?;
    // By the instant of the answer that was read, whatever the clocks say: one that comes meanwhile stays new.
    let unseen: Arc<[(Uuid, Millis)]> = rows.iter().filter_map(|row| Some((row.id, unseen(row)?))).collect();
    let views = rows.into_iter().map(|row| opened(&app.keys, row, &answers)).collect();
    if !unseen.is_empty() {
        let seen = app.store.write::<(), (), _>("see answers", move |tx| {
            let unseen = Arc::clone(&unseen);
            Box::pin(async move {
                for (id, at) in unseen.iter() {
                    tx.see_answers(&who.creditor, (who.guardian, *id), *at).await?;
                }
                Ok(Ok(()))
            })
        });
        let _committed = seen.await?;
    }
    Ok(views)
}

/// Every message of a creditor, oldest first; with `open` those alone that wait for the office.
///
/// # Errors
/// A [`Fault`].
pub async fn everybodys(
    store: &Store,
    keys: &Keys,
    creditor: CreditorCode,
    open: bool,
) -> Result<Vec<MessageView>, Fault> {
    let (mut after, mut views) = (Uuid::nil(), Vec::new());
    loop {
        let read = store.read(move |tx| {
            Box::pin(async move {
                let rows = tx.messages_after(&creditor, after, BATCH).await?;
                let mut answers = Vec::new();
                for row in rows.iter().filter(|row| row.answered_at_ms.is_some()) {
                    answers.extend(tx.answers(&creditor, row.id).await?);
                }
                Ok((rows, answers))
            })
        });
        let (rows, answers) = read.await?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        let wanted = rows.into_iter().filter(|row| !open || row.state.is_open());
        views.extend(wanted.map(|row| opened(keys, row, &answers)));
    }
    views.sort_by_key(|view| (view.sent, view.id));
    Ok(views)
}

/// Why the office can't do that with a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnswerRefusal {
    /// Nobody signs.
    #[error(transparent)]
    Office(OfficeRefusal),
    /// There is none.
    #[error("this creditor has no such message")]
    Unknown,
    /// An answer says something.
    #[error("a message is answered with a text: give --text-file")]
    NoText,
    /// Only the office's own states.
    #[error("the state of a message that was opened is in_progress, answered or closed")]
    State,
    /// It can't be shown.
    #[error("the text: 1 to {LONGEST_TEXT} characters, without control characters")]
    Text,
}

/// Opens a message for the office, which has read it from then on.
///
/// # Errors
/// [`AnswerRefusal::Unknown`], or a [`Fault`].
pub async fn show(
    store: &Store,
    keys: &Keys,
    creditor: CreditorCode,
    id: Uuid,
) -> Result<MessageView, Stop<AnswerRefusal>> {
    let written = store.write("open a message", move |tx| {
        Box::pin(async move {
            tx.open_message(&creditor, id).await?;
            let Some(row) = tx.message(&creditor, id).await? else { return Ok(Err(AnswerRefusal::Unknown)) };
            let answers = tx.answers(&creditor, id).await?;
            Ok(Ok((row, answers)))
        })
    });
    let (row, answers) = written.await?.map_err(Stop::Refused)?;
    Ok(opened(keys, row, &answers))
}

/// Moves a message on, with an answer or without one. A guardian with an address hears that there is an answer.
///
/// # Errors
/// [`AnswerRefusal`], or a [`Fault`].
pub async fn answer(
    store: &Store,
    keys: &Keys,
    by: Act,
    (id, state, text): (Uuid, MessageState, Option<String>),
) -> Result<(), Stop<AnswerRefusal>> {
    check(&by).map_err(|stop| match stop {
        Stop::Refused(refusal) => Stop::Refused(AnswerRefusal::Office(refusal)),
        Stop::Fault(fault) => Stop::Fault(fault),
    })?;
    let refused = |refusal| Err(Stop::Refused(refusal));
    match (state, &text) {
        (MessageState::Sent | MessageState::Read, _) => return refused(AnswerRefusal::State),
        (MessageState::Answered, None) => return refused(AnswerRefusal::NoText),
        _ => {}
    }
    let text = text.map(|text| plain(&text));
    if text.as_ref().is_some_and(|text| text.is_empty() || text.chars().count() > LONGEST_TEXT || !printable(text)) {
        return refused(AnswerRefusal::Text);
    }
    let sealed = match &text {
        None => None,
        Some(text) => Some(keys.seal(&answer_purpose(id, by.id()), text.as_bytes(), random()?).map_err(Fault::from)?),
    };
    let key_id = keys.id().to_owned();
    let written = store.write("answer a message", move |tx| {
        let (by, sealed, key_id) = (by.clone(), sealed.clone(), key_id.clone());
        Box::pin(async move {
            let creditor = by.creditor();
            let Some(row) = tx.message(&creditor, id).await? else { return Ok(Err(AnswerRefusal::Unknown)) };
            if !by.keep(tx, (OfficeAction::MessageAnswered, &id.to_string()), None).await? {
                // A run whose commit was lost.
                return Ok(Ok(()));
            }
            tx.move_message(&creditor, id, (state, sealed.is_some().then_some(by.at()))).await?;
            if let Some(sealed) = sealed {
                let answer = NewAnswer { message: id, id: by.id(), key_id, sealed, at: by.at() };
                tx.insert_answer(&creditor, &answer).await?;
                lay_answer(tx, &creditor, (row.guardian, id, by.id()), by.at()).await?;
            }
            Ok(Ok(()))
        })
    });
    written.await?.map_err(Stop::Refused)
}
