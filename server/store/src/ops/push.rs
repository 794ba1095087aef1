//! Devices, their push tokens, and what is to be sent to them. Compiled once per engine; one statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{GuardianId, SessionId};
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

// `skip_locked!` is the engine's: what another node holds at this moment is left to it, and every outer WHERE asks again what
// the inner one did, for the row may have been moved in between.
crate::tx::statements! {
    PUT_PUSH_TOKEN = "INSERT INTO push_token (creditor, session, platform, language, digest, key_id, sealed, registered_at_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (creditor, digest) DO UPDATE SET session = excluded.session, platform = excluded.platform,
            language = excluded.language, key_id = excluded.key_id, sealed = excluded.sealed,
            registered_at_ms = excluded.registered_at_ms";
    FORGET_PUSH_BEFORE = "DELETE FROM push_token WHERE creditor = $1 AND session = $2 AND digest <> $3";
    FORGET_PUSH_OVER = "DELETE FROM push_token WHERE creditor = $1 AND session IN (SELECT t.session FROM push_token t
        JOIN session s ON s.creditor = $1 AND s.id = t.session
        WHERE t.creditor = $1 AND s.guardian = $2 ORDER BY t.registered_at_ms DESC, t.session LIMIT 1000 OFFSET $3)";
    FORGET_PUSH = "DELETE FROM push_token WHERE creditor = $1 AND session = $2";
    FORGET_PUSH_TOKEN = "DELETE FROM push_token WHERE creditor = $1 AND session = $2 AND digest = $3";
    SWEEP_PUSH_TOKENS = "DELETE FROM push_token WHERE creditor = $1 AND session IN (SELECT s.id FROM push_token t
        JOIN session s ON s.creditor = $1 AND s.id = t.session
        JOIN guardian g ON g.creditor = $1 AND g.id = s.guardian
        WHERE t.creditor = $1
            AND (s.ended_at_ms IS NOT NULL OR g.disabled_at_ms IS NOT NULL OR s.last_used_at_ms <= $2))";
    DEVICES = "SELECT s.id, s.device_name, s.created_at_ms, s.last_used_at_ms,
            CAST(CASE WHEN t.session IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_push
        FROM session s LEFT JOIN push_token t ON t.creditor = $1 AND t.session = s.id
        WHERE s.creditor = $1 AND s.guardian = $2 AND s.ended_at_ms IS NULL AND s.last_used_at_ms > $3
        ORDER BY s.last_used_at_ms DESC, s.id LIMIT $4";
    DUE_FOR_PUSH = "SELECT c.fiscal_code FROM creditor c
        WHERE EXISTS (SELECT 1 FROM outbox o WHERE o.creditor = c.fiscal_code AND o.kind = 'payment_done'
                AND o.due_at_ms <= $1)
            OR EXISTS (SELECT 1 FROM delivery d WHERE d.creditor = c.fiscal_code AND d.outcome IS NULL
                AND d.channel = 'push' AND d.due_at_ms <= $1)
        ORDER BY c.fiscal_code";
    HOLD_OUTBOX = concat!("SELECT id, notice, created_at_ms FROM outbox
        WHERE creditor = $1 AND kind = 'payment_done' AND due_at_ms <= $2 ORDER BY due_at_ms LIMIT $3", skip_locked!());
    DROP_OUTBOX = "DELETE FROM outbox WHERE creditor = $1 AND id IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
            $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46,
            $47, $48, $49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62, $63, $64, $65)";
    // The number of the change that the message is about; where the feed no longer has it, the last one.
    AUDIENCE = "SELECT t.session, COALESCE((SELECT MAX(f.seq) FROM feed f WHERE f.creditor = $1 AND f.guardian = g.id
                AND f.seq > g.feed_seq - 100 AND f.notice = $2 AND f.at_ms = $3), g.feed_seq) AS feed_seq,
            CAST(CASE WHEN g.id = p.guardian THEN 1 ELSE 0 END AS BIGINT) AS payer
        FROM notice n
        JOIN wallet w ON w.creditor = $1 AND w.id = n.wallet
        JOIN guardian_child gc ON gc.creditor = $1 AND gc.child = w.child
        JOIN guardian g ON g.creditor = $1 AND g.id = gc.guardian AND g.disabled_at_ms IS NULL
        JOIN session s ON s.creditor = $1 AND s.guardian = g.id AND s.ended_at_ms IS NULL AND s.last_used_at_ms > $4
        JOIN push_token t ON t.creditor = $1 AND t.session = s.id
        LEFT JOIN top_up p ON p.creditor = $1 AND p.notice = n.number
        WHERE n.creditor = $1 AND n.number = $2
        UNION
        SELECT t.session, COALESCE((SELECT MAX(f.seq) FROM feed f WHERE f.creditor = $1 AND f.guardian = g.id
                AND f.seq > g.feed_seq - 100 AND f.notice = $2 AND f.at_ms = $3), g.feed_seq) AS feed_seq,
            CAST(CASE WHEN g.id = b.guardian THEN 1 ELSE 0 END AS BIGINT) AS payer
        FROM notice n
        JOIN bill b ON b.creditor = $1 AND b.id = n.bill
        JOIN bill_line l ON l.creditor = $1 AND l.bill = b.id
        JOIN guardian_child gc ON gc.creditor = $1 AND gc.child = l.child
        JOIN guardian g ON g.creditor = $1 AND g.id = gc.guardian AND g.disabled_at_ms IS NULL
        JOIN session s ON s.creditor = $1 AND s.guardian = g.id AND s.ended_at_ms IS NULL AND s.last_used_at_ms > $4
        JOIN push_token t ON t.creditor = $1 AND t.session = s.id
        WHERE n.creditor = $1 AND n.number = $2";
    INSERT_DELIVERY = "INSERT INTO delivery (creditor, id, channel, session, message, feed_seq, created_at_ms, due_at_ms, attempts)
        VALUES ($1, $2, 'push', $3, $4, $5, $6, $7, 0) ON CONFLICT (creditor, id) DO NOTHING";
    // Materialized: planned as a join, PostgreSQL may ask the sub-select again and again, and take more than it was to.
    CLAIM_PUSHES = concat!("WITH taken AS MATERIALIZED (SELECT id FROM delivery
            WHERE creditor = $1 AND outcome IS NULL AND channel = 'push' AND due_at_ms <= $2 ORDER BY due_at_ms LIMIT $4",
        skip_locked!(), ") UPDATE delivery SET due_at_ms = $3, attempts = attempts + 1
        WHERE creditor = $1 AND outcome IS NULL AND channel = 'push' AND due_at_ms <= $2 AND id IN (SELECT id FROM taken)
        RETURNING id, session, message, feed_seq, created_at_ms, attempts");
    PUSH_TARGETS = "SELECT t.session, t.platform, t.language, t.digest, t.key_id, t.sealed
        FROM push_token t
        JOIN session s ON s.creditor = $1 AND s.id = t.session AND s.ended_at_ms IS NULL AND s.last_used_at_ms > $2
        JOIN guardian g ON g.creditor = $1 AND g.id = s.guardian AND g.disabled_at_ms IS NULL
        WHERE t.creditor = $1 AND t.session IN ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
            $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47,
            $48, $49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62, $63, $64, $65, $66)";
    FINISH_DELIVERIES = "UPDATE delivery SET outcome = $2, last_code = $3, done_at_ms = $4
        WHERE creditor = $1 AND outcome IS NULL AND id IN ($5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27,
            $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49,
            $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62, $63, $64, $65, $66, $67, $68)";
    POSTPONE_DELIVERY = "UPDATE delivery SET due_at_ms = $3, last_code = $4
        WHERE creditor = $1 AND id = $2 AND outcome IS NULL AND attempts = $5";
    PRUNE_DELIVERIES = "DELETE FROM delivery WHERE creditor = $1 AND id < $2 AND outcome IS NOT NULL";
}

/// Keeps a session's token; where another session had it, it is this one's from now on. Sessions that bring the same token at
/// the same moment wait for each other here, and none of them fails.
pub(crate) async fn put_push_token(c: &mut Conn, creditor: &CreditorCode, row: &NewPushToken) -> sqlx::Result<()> {
    query(PUT_PUSH_TOKEN)
        .bind(creditor.as_str())
        .bind(row.session.uuid())
        .bind(row.platform)
        .bind(row.language)
        .bind(&row.digest.0[..])
        .bind(&row.key_id)
        .bind(&row.sealed)
        .bind(row.registered_at.get())
        .execute(c)
        .await
        .map(drop)
}

/// Forgets the token that a session had before this one.
pub(crate) async fn forget_push_before(
    c: &mut Conn,
    creditor: &CreditorCode,
    session: SessionId,
    digest: Hash,
) -> sqlx::Result<()> {
    let forget = query(FORGET_PUSH_BEFORE).bind(creditor.as_str()).bind(session.uuid()).bind(&digest.0[..]);
    forget.execute(c).await.map(drop)
}

pub(crate) async fn forget_push_over(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    keep: i64,
) -> sqlx::Result<()> {
    query(FORGET_PUSH_OVER).bind(creditor.as_str()).bind(guardian.uuid()).bind(keep).execute(c).await.map(drop)
}

pub(crate) async fn forget_push(c: &mut Conn, creditor: &CreditorCode, session: SessionId) -> sqlx::Result<()> {
    query(FORGET_PUSH).bind(creditor.as_str()).bind(session.uuid()).execute(c).await.map(drop)
}

pub(crate) async fn forget_push_token(
    c: &mut Conn,
    creditor: &CreditorCode,
    session: SessionId,
    digest: Hash,
) -> sqlx::Result<bool> {
    let forget = query(FORGET_PUSH_TOKEN).bind(creditor.as_str()).bind(session.uuid()).bind(&digest.0[..]);
    Ok(forget.execute(c).await?.rows_affected() == 1)
}

pub(crate) async fn sweep_push_tokens(c: &mut Conn, creditor: &CreditorCode, unused: Millis) -> sqlx::Result<u64> {
    let sweep = query(SWEEP_PUSH_TOKENS).bind(creditor.as_str()).bind(unused.get());
    Ok(sweep.execute(c).await?.rows_affected())
}

pub(crate) async fn devices(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    (unused, count): (Millis, i64),
) -> sqlx::Result<Vec<DeviceRow>> {
    query_as(DEVICES).bind(creditor.as_str()).bind(guardian.uuid()).bind(unused.get()).bind(count).fetch_all(c).await
}

/// The creditors that have something to be told or sent: a look into two indexes for each.
pub(crate) async fn due_for_push(c: &mut Conn, now: Millis) -> sqlx::Result<Vec<String>> {
    let rows: Vec<(String,)> = query_as(DUE_FOR_PUSH).bind(now.get()).fetch_all(c).await?;
    Ok(rows.into_iter().map(|(creditor,)| creditor).collect())
}

/// What is to be told, held until the transaction ends.
pub(crate) async fn hold_outbox(
    c: &mut Conn,
    creditor: &CreditorCode,
    now: Millis,
    count: i64,
) -> sqlx::Result<Vec<ToTellRow>> {
    query_as(HOLD_OUTBOX).bind(creditor.as_str()).bind(now.get()).bind(count).fetch_all(c).await
}

/// Takes rows out of the outbox, at most [`TOGETHER`] of them.
pub(crate) async fn drop_outbox(c: &mut Conn, creditor: &CreditorCode, ids: &[Uuid]) -> sqlx::Result<()> {
    let mut delete = query(DROP_OUTBOX).bind(creditor.as_str());
    for place in 0..TOGETHER {
        // The last one fills the places that are left.
        delete = delete.bind(ids.get(place).or(ids.last()));
    }
    delete.execute(c).await.map(drop)
}

/// The devices of those who see what a notice paid.
pub(crate) async fn audience(
    c: &mut Conn,
    creditor: &CreditorCode,
    (notice, at): (&str, Millis),
    unused: Millis,
) -> sqlx::Result<Vec<AudienceRow>> {
    query_as(AUDIENCE).bind(creditor.as_str()).bind(notice).bind(at.get()).bind(unused.get()).fetch_all(c).await
}

pub(crate) async fn insert_delivery(c: &mut Conn, creditor: &CreditorCode, row: &NewDelivery) -> sqlx::Result<()> {
    query(INSERT_DELIVERY)
        .bind(creditor.as_str())
        .bind(row.id)
        .bind(row.session.uuid())
        .bind(row.message)
        .bind(row.feed_seq)
        .bind(row.created_at.get())
        .bind(row.due_at.get())
        .execute(c)
        .await
        .map(drop)
}

/// Takes up to `count` due deliveries until `lease`.
pub(crate) async fn claim_pushes(
    c: &mut Conn,
    creditor: &CreditorCode,
    (now, lease): (Millis, Millis),
    count: i64,
) -> sqlx::Result<Vec<ClaimedRow>> {
    query_as(CLAIM_PUSHES).bind(creditor.as_str()).bind(now.get()).bind(lease.get()).bind(count).fetch_all(c).await
}

/// The tokens of these sessions, at most [`TOGETHER`] of them, as far as they may still be told anything.
pub(crate) async fn push_targets(
    c: &mut Conn,
    creditor: &CreditorCode,
    sessions: &[SessionId],
    unused: Millis,
) -> sqlx::Result<Vec<PushTargetRow>> {
    let mut select = query_as(PUSH_TARGETS).bind(creditor.as_str()).bind(unused.get());
    for place in 0..TOGETHER {
        // The last one fills the places that are left.
        let session = sessions.get(place).or(sessions.last());
        select = select.bind(session.map(|id| id.uuid()));
    }
    select.fetch_all(c).await
}

/// Writes what became of deliveries, at most [`TOGETHER`] at a time.
pub(crate) async fn finish_deliveries(
    c: &mut Conn,
    creditor: &CreditorCode,
    (outcome, code, at): (&str, Option<&str>, Millis),
    ids: &[Uuid],
) -> sqlx::Result<()> {
    for some in ids.chunks(TOGETHER) {
        let mut finish = query(FINISH_DELIVERIES).bind(creditor.as_str()).bind(outcome).bind(code).bind(at.get());
        for place in 0..TOGETHER {
            finish = finish.bind(some.get(place).or(some.last()));
        }
        finish.execute(&mut *c).await?;
    }
    Ok(())
}

/// Says when a delivery may be tried again, unless its lease has passed to somebody else.
pub(crate) async fn postpone_delivery(
    c: &mut Conn,
    creditor: &CreditorCode,
    (id, attempts): (Uuid, i64),
    (due, code): (Millis, &str),
) -> sqlx::Result<()> {
    query(POSTPONE_DELIVERY)
        .bind(creditor.as_str())
        .bind(id)
        .bind(due.get())
        .bind(code)
        .bind(attempts)
        .execute(c)
        .await
        .map(drop)
}

/// Forgets what became of deliveries made before the id `before`.
pub(crate) async fn prune_deliveries(c: &mut Conn, creditor: &CreditorCode, before: Uuid) -> sqlx::Result<u64> {
    Ok(query(PRUNE_DELIVERIES).bind(creditor.as_str()).bind(before).execute(c).await?.rows_affected())
}
