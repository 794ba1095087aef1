//! What the office tells everybody, and what parents write to it. Compiled once per engine; one statement per function.

use borsellino_domain::content::ContentKind;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::GuardianId;
use borsellino_domain::language::Language;
use borsellino_domain::message::MessageState;
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

/// An entry in the language that was asked for ($2), or in Italian.
macro_rules! in_a_language {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.kind, c.day, c.until_day, c.hour, c.school_year, c.place, c.changed_at_ms,
                COALESCE(o.language, i.language) AS language, COALESCE(o.title, i.title) AS title,
                COALESCE(o.body, i.body) AS body, COALESCE(o.extra, i.extra) AS extra, f.name, f.media_type, f.size
            FROM content c
            JOIN content_text i ON i.creditor = $1 AND i.content = c.id AND i.language = 'it'
            LEFT JOIN content_text o ON o.creditor = $1 AND o.content = c.id AND o.language = $2
            LEFT JOIN content_file f ON f.creditor = $1 AND f.content = c.id
            WHERE c.creditor = $1 ",
            $rest
        )
    };
}

/// A message with whom it is from and about.
macro_rules! message {
    ($rest:literal) => {
        concat!(
            "SELECT m.id, m.guardian, g.full_name, h.given_name, h.family_name, m.state, m.digest, m.sealed,
                m.sent_at_ms, m.answered_at_ms, m.seen_at_ms
            FROM message m
            JOIN guardian g ON g.creditor = $1 AND g.id = m.guardian
            LEFT JOIN child h ON h.creditor = $1 AND h.id = m.child
            WHERE m.creditor = $1 ",
            $rest
        )
    };
}

crate::tx::statements! {
    INSERT_CONTENT = "INSERT INTO content (creditor, id, kind, day, until_day, hour, school_year, place, digest, changed_at_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    INSERT_CONTENT_TEXT = "INSERT INTO content_text (creditor, content, language, title, body, extra)
        VALUES ($1, $2, $3, $4, $5, $6)";
    INSERT_CONTENT_FILE = "INSERT INTO content_file (creditor, content, name, media_type, size, bytes)
        VALUES ($1, $2, $3, $4, $5, $6)";
    DROP_CONTENT_TEXT = "DELETE FROM content_text WHERE creditor = $1 AND content = $2";
    DROP_CONTENT_FILE = "DELETE FROM content_file WHERE creditor = $1 AND content = $2";
    DROP_CONTENT = "DELETE FROM content WHERE creditor = $1 AND id = $2";
    CONTENT_DIGEST = "SELECT digest FROM content WHERE creditor = $1 AND id = $2";
    CONTENT_ENTRY = in_a_language!("AND c.id = $3");
    // Of its day, and not later than the last day it is for; before another entry.
    NEWS = in_a_language!("AND c.kind = 'news' AND c.day <= $3 AND (c.until_day IS NULL OR c.until_day >= $3)
            AND (c.day < $4 OR (c.day = $4 AND c.id < $5)) ORDER BY c.day DESC, c.id DESC LIMIT $6");
    EVENTS = in_a_language!("AND c.kind = 'event' AND c.day >= $3 AND c.day <= $4
            ORDER BY c.day, COALESCE(c.hour, ''), c.id LIMIT 200");
    CONTENT_OF_KIND = in_a_language!("AND c.kind = $3 ORDER BY c.place, c.id LIMIT 1000");
    CONTENT_FILE = "SELECT f.name, f.media_type, f.bytes FROM content_file f
        JOIN content c ON c.creditor = $1 AND c.id = f.content
        WHERE f.creditor = $1 AND f.content = $2";
    ALL_CONTENT = "SELECT c.id, c.kind, c.day, c.until_day, c.hour, c.school_year, c.place, c.changed_at_ms, t.language,
            t.title, t.body, t.extra, f.name, f.media_type, f.size
        FROM content c
        JOIN content_text t ON t.creditor = $1 AND t.content = c.id
        LEFT JOIN content_file f ON f.creditor = $1 AND f.content = c.id
        WHERE c.creditor = $1 ORDER BY c.kind, c.day, c.place, c.id, t.language DESC";
    CHILDREN_OF = "SELECT c.id, c.given_name AS name FROM guardian_child k
        JOIN child c ON c.creditor = $1 AND c.id = k.child
        WHERE k.creditor = $1 AND k.guardian = $2 ORDER BY c.given_name, c.id";
    INSERT_MESSAGE = "INSERT INTO message (creditor, id, guardian, child, state, digest, key_id, sealed, sent_at_ms)
        VALUES ($1, $2, $3, $4, 'sent', $5, $6, $7, $8)";
    MESSAGE = message!("AND m.id = $2");
    MESSAGES_OF = message!("AND m.guardian = $2 AND (m.sent_at_ms < $3 OR (m.sent_at_ms = $3 AND m.id < $4))
            ORDER BY m.sent_at_ms DESC, m.id DESC LIMIT $5");
    MESSAGES_SINCE = "SELECT COUNT(*) FROM message WHERE creditor = $1 AND guardian = $2 AND sent_at_ms >= $3";
    UNREAD_ANSWERS = "SELECT COUNT(*) FROM message WHERE creditor = $1 AND guardian = $2
        AND answered_at_ms > COALESCE(seen_at_ms, 0)";
    SEE_ANSWERS = "UPDATE message SET seen_at_ms = $4 WHERE creditor = $1 AND guardian = $2 AND id = $3";
    OPEN_MESSAGE = "UPDATE message SET state = 'read' WHERE creditor = $1 AND id = $2 AND state = 'sent'";
    MOVE_MESSAGE = "UPDATE message SET state = $3, answered_at_ms = COALESCE($4, answered_at_ms)
        WHERE creditor = $1 AND id = $2";
    INSERT_ANSWER = "INSERT INTO message_answer (creditor, message, id, key_id, sealed, at_ms)
        VALUES ($1, $2, $3, $4, $5, $6)";
    ANSWERS = "SELECT message, id, sealed, at_ms FROM message_answer WHERE creditor = $1 AND message = $2
        ORDER BY at_ms, id";
    // The office's: oldest first, from one on.
    MESSAGES_AFTER = message!("AND m.id > $2 ORDER BY m.id LIMIT $3");
}

pub(crate) async fn insert_content(c: &mut Conn, creditor: &CreditorCode, row: &NewContent) -> sqlx::Result<()> {
    let insert = query(INSERT_CONTENT).bind(creditor.as_str()).bind(&row.id).bind(row.kind.code()).bind(&row.day);
    let insert = insert.bind(&row.until).bind(&row.hour).bind(row.school_year).bind(row.place);
    insert.bind(&row.digest.0[..]).bind(row.changed_at.get()).execute(c).await.map(drop)
}

pub(crate) async fn insert_content_text(
    c: &mut Conn,
    creditor: &CreditorCode,
    row: &NewContentText,
) -> sqlx::Result<()> {
    let insert = query(INSERT_CONTENT_TEXT).bind(creditor.as_str()).bind(&row.content).bind(row.language.tag());
    insert.bind(&row.title).bind(&row.body).bind(&row.extra).execute(c).await.map(drop)
}

pub(crate) async fn insert_content_file(
    c: &mut Conn,
    creditor: &CreditorCode,
    content: &str,
    (name, media_type, bytes): (&str, &str, &[u8]),
) -> sqlx::Result<()> {
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let insert = query(INSERT_CONTENT_FILE).bind(creditor.as_str()).bind(content).bind(name).bind(media_type);
    insert.bind(size).bind(bytes).execute(c).await.map(drop)
}

pub(crate) async fn drop_content_text(c: &mut Conn, creditor: &CreditorCode, id: &str) -> sqlx::Result<()> {
    query(DROP_CONTENT_TEXT).bind(creditor.as_str()).bind(id).execute(c).await.map(drop)
}

pub(crate) async fn drop_content_file(c: &mut Conn, creditor: &CreditorCode, id: &str) -> sqlx::Result<()> {
    query(DROP_CONTENT_FILE).bind(creditor.as_str()).bind(id).execute(c).await.map(drop)
}

/// Whether it was there.
pub(crate) async fn drop_content(c: &mut Conn, creditor: &CreditorCode, id: &str) -> sqlx::Result<bool> {
    let done = query(DROP_CONTENT).bind(creditor.as_str()).bind(id).execute(c).await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn content_digest(c: &mut Conn, creditor: &CreditorCode, id: &str) -> sqlx::Result<Option<Vec<u8>>> {
    let row: Option<(Vec<u8>,)> = query_as(CONTENT_DIGEST).bind(creditor.as_str()).bind(id).fetch_optional(c).await?;
    Ok(row.map(|(digest,)| digest))
}

pub(crate) async fn content_entry(
    c: &mut Conn,
    creditor: &CreditorCode,
    language: Language,
    id: &str,
) -> sqlx::Result<Option<ContentRow>> {
    query_as(CONTENT_ENTRY).bind(creditor.as_str()).bind(language.tag()).bind(id).fetch_optional(c).await
}

/// The newest news shown on a day, before another entry (its day and id).
pub(crate) async fn news(
    c: &mut Conn,
    creditor: &CreditorCode,
    (language, today): (Language, &str),
    (day, id): (&str, &str),
    count: i64,
) -> sqlx::Result<Vec<ContentRow>> {
    let select = query_as(NEWS).bind(creditor.as_str()).bind(language.tag()).bind(today);
    select.bind(day).bind(id).bind(count).fetch_all(c).await
}

/// The events from one day to another, both included.
pub(crate) async fn events(
    c: &mut Conn,
    creditor: &CreditorCode,
    language: Language,
    (first, last): (&str, &str),
) -> sqlx::Result<Vec<ContentRow>> {
    let select = query_as(EVENTS).bind(creditor.as_str()).bind(language.tag());
    select.bind(first).bind(last).fetch_all(c).await
}

pub(crate) async fn content_of_kind(
    c: &mut Conn,
    creditor: &CreditorCode,
    language: Language,
    kind: ContentKind,
) -> sqlx::Result<Vec<ContentRow>> {
    query_as(CONTENT_OF_KIND).bind(creditor.as_str()).bind(language.tag()).bind(kind.code()).fetch_all(c).await
}

pub(crate) async fn content_file(
    c: &mut Conn,
    creditor: &CreditorCode,
    id: &str,
) -> sqlx::Result<Option<ContentFileRow>> {
    query_as(CONTENT_FILE).bind(creditor.as_str()).bind(id).fetch_optional(c).await
}

/// Everything, a row for each language.
pub(crate) async fn all_content(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Vec<ContentRow>> {
    query_as(ALL_CONTENT).bind(creditor.as_str()).fetch_all(c).await
}

pub(crate) async fn children_of(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
) -> sqlx::Result<Vec<NamedRow>> {
    query_as(CHILDREN_OF).bind(creditor.as_str()).bind(guardian.uuid()).fetch_all(c).await
}

pub(crate) async fn insert_message(c: &mut Conn, creditor: &CreditorCode, row: &NewMessage) -> sqlx::Result<()> {
    let insert = query(INSERT_MESSAGE).bind(creditor.as_str()).bind(row.id).bind(row.guardian.uuid());
    let insert = insert.bind(row.child.map(|child| child.uuid())).bind(&row.digest.0[..]).bind(&row.key_id);
    insert.bind(&row.sealed).bind(row.sent_at.get()).execute(c).await.map(drop)
}

pub(crate) async fn message(c: &mut Conn, creditor: &CreditorCode, id: Uuid) -> sqlx::Result<Option<MessageRow>> {
    query_as(MESSAGE).bind(creditor.as_str()).bind(id).fetch_optional(c).await
}

/// A guardian's last messages, before another one (when it was sent, and its id).
pub(crate) async fn messages_of(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    (at, id): (Millis, Uuid),
    count: i64,
) -> sqlx::Result<Vec<MessageRow>> {
    let select = query_as(MESSAGES_OF).bind(creditor.as_str()).bind(guardian.uuid());
    select.bind(at.get()).bind(id).bind(count).fetch_all(c).await
}

pub(crate) async fn messages_since(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    since: Millis,
) -> sqlx::Result<i64> {
    let select = query_as(MESSAGES_SINCE).bind(creditor.as_str()).bind(guardian.uuid()).bind(since.get());
    let row: (i64,) = select.fetch_one(c).await?;
    Ok(row.0)
}

pub(crate) async fn unread_answers(c: &mut Conn, creditor: &CreditorCode, guardian: GuardianId) -> sqlx::Result<i64> {
    let row: (i64,) = query_as(UNREAD_ANSWERS).bind(creditor.as_str()).bind(guardian.uuid()).fetch_one(c).await?;
    Ok(row.0)
}

pub(crate) async fn see_answers(
    c: &mut Conn,
    creditor: &CreditorCode,
    (guardian, message): (GuardianId, Uuid),
    at: Millis,
) -> sqlx::Result<()> {
    let update = query(SEE_ANSWERS).bind(creditor.as_str()).bind(guardian.uuid()).bind(message);
    update.bind(at.get()).execute(c).await.map(drop)
}

pub(crate) async fn open_message(c: &mut Conn, creditor: &CreditorCode, id: Uuid) -> sqlx::Result<()> {
    query(OPEN_MESSAGE).bind(creditor.as_str()).bind(id).execute(c).await.map(drop)
}

/// Moves a message on; `answered` where it was answered.
pub(crate) async fn move_message(
    c: &mut Conn,
    creditor: &CreditorCode,
    id: Uuid,
    (state, answered): (MessageState, Option<Millis>),
) -> sqlx::Result<()> {
    let update = query(MOVE_MESSAGE).bind(creditor.as_str()).bind(id).bind(state.code());
    update.bind(answered.map(Millis::get)).execute(c).await.map(drop)
}

pub(crate) async fn insert_answer(c: &mut Conn, creditor: &CreditorCode, row: &NewAnswer) -> sqlx::Result<()> {
    let insert = query(INSERT_ANSWER).bind(creditor.as_str()).bind(row.message).bind(row.id).bind(&row.key_id);
    insert.bind(&row.sealed).bind(row.at.get()).execute(c).await.map(drop)
}

pub(crate) async fn answers(c: &mut Conn, creditor: &CreditorCode, message: Uuid) -> sqlx::Result<Vec<AnswerRow>> {
    query_as(ANSWERS).bind(creditor.as_str()).bind(message).fetch_all(c).await
}

/// The next `count` messages after one, by their ids.
pub(crate) async fn messages_after(
    c: &mut Conn,
    creditor: &CreditorCode,
    after: Uuid,
    count: i64,
) -> sqlx::Result<Vec<MessageRow>> {
    query_as(MESSAGES_AFTER).bind(creditor.as_str()).bind(after).bind(count).fetch_all(c).await
}
