//! Sessions and failed sign-ins. Compiled once per engine; one statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::SessionId;
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

crate::tx::statements! {
    INSERT_SESSION = "INSERT INTO session (creditor, id, guardian, device_name, created_at_ms, last_used_at_ms,
            refresh_digest)
        VALUES ($1, $2, $3, $4, $5, $5, $6)";
    SESSION = "SELECT s.guardian, g.full_name, s.last_used_at_ms, s.refresh_digest, s.previous_digest, s.ended_at_ms,
            g.disabled_at_ms, g.feed_seq, s.wipe
        FROM session s JOIN guardian g ON g.creditor = $1 AND g.id = s.guardian
        WHERE s.creditor = $1 AND s.id = $2";
    ROTATE = "UPDATE session SET previous_digest = $3, refresh_digest = $4, last_used_at_ms = $5
        WHERE creditor = $1 AND id = $2 AND refresh_digest IN ($3, $4) AND ended_at_ms IS NULL";
    USE_SESSION = "UPDATE session SET last_used_at_ms = $3 WHERE creditor = $1 AND id = $2 AND ended_at_ms IS NULL";
    END_SESSION = "UPDATE session SET ended_at_ms = $3 WHERE creditor = $1 AND id = $2 AND ended_at_ms IS NULL";
    // The time of the last try is left as it was: what it allows is decided first, and the row is held until then.
    COUNT_SIGN_IN = "INSERT INTO sign_in_failure (creditor, who, failures, last_at_ms) VALUES ($1, $2, 1, $3)
        ON CONFLICT (creditor, who) DO UPDATE SET failures =
            CASE WHEN sign_in_failure.last_at_ms < $4 THEN 1 ELSE sign_in_failure.failures + 1 END
        RETURNING failures, last_at_ms";
    TOUCH_SIGN_IN = "UPDATE sign_in_failure SET last_at_ms = $3 WHERE creditor = $1 AND who = $2";
    UNCOUNT_SIGN_IN = "UPDATE sign_in_failure SET failures = failures - 1
        WHERE creditor = $1 AND who = $2 AND failures > 0";
    CLEAR_SIGN_INS = "DELETE FROM sign_in_failure WHERE creditor = $1 AND who = $2";
    SWEEP_SIGN_INS = "DELETE FROM sign_in_failure WHERE creditor = $1 AND last_at_ms < $2";
}

pub(crate) async fn insert_session(c: &mut Conn, creditor: &CreditorCode, row: &NewSession) -> sqlx::Result<()> {
    query(INSERT_SESSION)
        .bind(creditor.as_str())
        .bind(row.id.uuid())
        .bind(row.guardian.uuid())
        .bind(&row.device_name)
        .bind(row.created_at.get())
        .bind(&row.refresh_digest.0[..])
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn session(c: &mut Conn, creditor: &CreditorCode, id: SessionId) -> sqlx::Result<Option<SessionRow>> {
    query_as(SESSION).bind(creditor.as_str()).bind(id.uuid()).fetch_optional(c).await
}

/// Whether the session stood at one of the two digests: it may have moved on since it was read.
pub(crate) async fn rotate_session(
    c: &mut Conn,
    creditor: &CreditorCode,
    id: SessionId,
    (previous, newest): (Hash, Hash),
    at: Millis,
) -> sqlx::Result<bool> {
    let rotate =
        query(ROTATE).bind(creditor.as_str()).bind(id.uuid()).bind(&previous.0[..]).bind(&newest.0[..]).bind(at.get());
    Ok(rotate.execute(c).await?.rows_affected() == 1)
}

pub(crate) async fn use_session(c: &mut Conn, creditor: &CreditorCode, id: SessionId, at: Millis) -> sqlx::Result<()> {
    query(USE_SESSION).bind(creditor.as_str()).bind(id.uuid()).bind(at.get()).execute(c).await.map(drop)
}

pub(crate) async fn end_session(c: &mut Conn, creditor: &CreditorCode, id: SessionId, at: Millis) -> sqlx::Result<()> {
    query(END_SESSION).bind(creditor.as_str()).bind(id.uuid()).bind(at.get()).execute(c).await.map(drop)
}

/// Counts a try, beginning anew where the last one is older than the second time; answers the count with this one, and
/// when the last one was.
pub(crate) async fn count_sign_in(
    c: &mut Conn,
    creditor: &CreditorCode,
    who: Hash,
    (at, forgotten_before): (Millis, Millis),
) -> sqlx::Result<FailureRow> {
    query_as(COUNT_SIGN_IN)
        .bind(creditor.as_str())
        .bind(&who.0[..])
        .bind(at.get())
        .bind(forgotten_before.get())
        .fetch_one(c)
        .await
}

pub(crate) async fn touch_sign_in(c: &mut Conn, creditor: &CreditorCode, who: Hash, at: Millis) -> sqlx::Result<()> {
    query(TOUCH_SIGN_IN).bind(creditor.as_str()).bind(&who.0[..]).bind(at.get()).execute(c).await.map(drop)
}

pub(crate) async fn uncount_sign_in(c: &mut Conn, creditor: &CreditorCode, who: Hash) -> sqlx::Result<()> {
    query(UNCOUNT_SIGN_IN).bind(creditor.as_str()).bind(&who.0[..]).execute(c).await.map(drop)
}

pub(crate) async fn clear_sign_ins(c: &mut Conn, creditor: &CreditorCode, who: Hash) -> sqlx::Result<()> {
    query(CLEAR_SIGN_INS).bind(creditor.as_str()).bind(&who.0[..]).execute(c).await.map(drop)
}

/// Forgets the tries of whoever has not tried since; answers of how many.
pub(crate) async fn sweep_sign_ins(c: &mut Conn, creditor: &CreditorCode, since: Millis) -> sqlx::Result<u64> {
    Ok(query(SWEEP_SIGN_INS).bind(creditor.as_str()).bind(since.get()).execute(c).await?.rows_affected())
}
