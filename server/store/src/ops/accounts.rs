//! Accounts of guardians: registration, passwords, recovery. Compiled once per engine; one statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{GuardianId, SessionId};
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

crate::tx::statements! {
    HOLDER = "SELECT id, username, full_name, fiscal_code, email, NULLIF(password_hash, '') AS password_hash, disabled_at_ms,
            feed_seq
        FROM guardian WHERE creditor = $1 AND id = $2";
    HOLDER_BY_CODE = "SELECT id, username, full_name, fiscal_code, email, NULLIF(password_hash, '') AS password_hash,
            disabled_at_ms, feed_seq
        FROM guardian WHERE creditor = $1 AND fiscal_code = $2 ORDER BY id LIMIT 1";
    UNREGISTERED = "SELECT id, username, full_name, fiscal_code, email, NULLIF(password_hash, '') AS password_hash,
            disabled_at_ms, feed_seq
        FROM guardian WHERE creditor = $1 AND password_hash = '' AND disabled_at_ms IS NULL
            AND NOT EXISTS (SELECT 1 FROM office_code o WHERE o.creditor = $1 AND o.guardian = guardian.id
                AND o.used_at_ms IS NULL AND o.expires_at_ms > $2 AND o.tries < $3)
        ORDER BY full_name, id";
    SET_CREDENTIALS = "UPDATE guardian SET username = $3, password_hash = $4
        WHERE creditor = $1 AND id = $2 AND password_hash = '' AND disabled_at_ms IS NULL";
    SET_PASSWORD = "UPDATE guardian SET password_hash = $3
        WHERE creditor = $1 AND id = $2 AND password_hash <> '' AND disabled_at_ms IS NULL";
    // Changes nothing, and holds the row: whoever changes or ends the account comes before or after.
    HOLD_ACCOUNT = "UPDATE guardian SET username = username
        WHERE creditor = $1 AND id = $2 AND password_hash = $3 AND disabled_at_ms IS NULL";
    RESET_CREDENTIALS = "UPDATE guardian SET username = $3, password_hash = '' WHERE creditor = $1 AND id = $2";
    ENABLE_GUARDIAN = "UPDATE guardian SET disabled_at_ms = NULL WHERE creditor = $1 AND id = $2";
    SET_EMAIL = "UPDATE guardian SET email = $3, email_at_ms = $4, email_bounced_at_ms = NULL
        WHERE creditor = $1 AND id = $2";
    END_SESSIONS_BUT = "UPDATE session SET ended_at_ms = $4
        WHERE creditor = $1 AND guardian = $2 AND id <> $3 AND ended_at_ms IS NULL";
    FORGET_PUSH_BUT = "DELETE FROM push_token WHERE creditor = $1 AND session IN (SELECT s.id FROM session s
        WHERE s.creditor = $1 AND s.guardian = $2 AND s.id <> $3)";
    PUT_OFFICE_CODE = "INSERT INTO office_code (creditor, guardian, digest, issued_at_ms, expires_at_ms, tries)
        VALUES ($1, $2, $3, $4, $5, 0)
        ON CONFLICT (creditor, guardian) DO UPDATE SET digest = excluded.digest, issued_at_ms = excluded.issued_at_ms,
            expires_at_ms = excluded.expires_at_ms, tries = 0, used_at_ms = NULL";
    OFFICE_CODE = "SELECT digest, expires_at_ms, tries, used_at_ms FROM office_code WHERE creditor = $1 AND guardian = $2";
    COUNT_OFFICE_CODE = "UPDATE office_code SET tries = tries + 1 WHERE creditor = $1 AND guardian = $2 AND used_at_ms IS NULL";
    USE_OFFICE_CODE = "UPDATE office_code SET used_at_ms = $4
        WHERE creditor = $1 AND guardian = $2 AND digest = $3 AND used_at_ms IS NULL AND expires_at_ms > $4 AND tries < $5";
    // Of no recovery that came after.
    GIVE_BACK_OFFICE_CODE = "UPDATE office_code SET used_at_ms = NULL WHERE creditor = $1 AND guardian = $2 AND used_at_ms = $3";
    DROP_OFFICE_CODE = "DELETE FROM office_code WHERE creditor = $1 AND guardian = $2";
    TOLD_DEVICES = "SELECT t.session, g.feed_seq, CAST(1 AS BIGINT) AS payer FROM guardian g
        JOIN session s ON s.creditor = $1 AND s.guardian = g.id AND s.ended_at_ms IS NULL AND s.last_used_at_ms > $3
        JOIN push_token t ON t.creditor = $1 AND t.session = s.id
        WHERE g.creditor = $1 AND g.id = $2";
    INSERT_RECOVERY = "INSERT INTO recovery (creditor, id, guardian, digest, device_name, number, language, asked_at_ms,
            expires_at_ms, tries, mail_due_at_ms, mail_attempts)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, 0) ON CONFLICT (creditor, id) DO NOTHING";
    RECOVERY = "SELECT id, guardian, digest, device_name, number, asked_at_ms, expires_at_ms, tries, office_at_ms,
            email_at_ms, device_at_ms, ended_at_ms, finished_at_ms, email_digest
        FROM recovery WHERE creditor = $1 AND id = $2";
    RECOVERIES = "SELECT id, guardian, digest, device_name, number, asked_at_ms, expires_at_ms, tries, office_at_ms,
            email_at_ms, device_at_ms, ended_at_ms, finished_at_ms, email_digest
        FROM recovery WHERE creditor = $1 AND guardian = $2 AND expires_at_ms > $3 AND ended_at_ms IS NULL
            AND finished_at_ms IS NULL AND tries < $5
        ORDER BY asked_at_ms DESC, id DESC LIMIT $4";
    // Before the proof is looked at, one after the other: many at once count as many.
    TRY_RECOVERY = "UPDATE recovery SET tries = tries + 1 WHERE creditor = $1 AND id = $2
        RETURNING id, guardian, digest, device_name, number, asked_at_ms, expires_at_ms, tries, office_at_ms, email_at_ms,
            device_at_ms, ended_at_ms, finished_at_ms, email_digest";
    UNTRY_RECOVERY = "UPDATE recovery SET tries = tries - 1 WHERE creditor = $1 AND id = $2 AND tries > 0";
    // Each is as good as the first time it was proved; the try was none.
    PROVE_RECOVERY = "UPDATE recovery SET tries = tries - 1,
            office_at_ms = CASE WHEN $3 = 0 THEN COALESCE(office_at_ms, $4) ELSE office_at_ms END,
            email_at_ms = CASE WHEN $3 = 1 THEN COALESCE(email_at_ms, $4) ELSE email_at_ms END,
            device_at_ms = CASE WHEN $3 = 2 THEN COALESCE(device_at_ms, $4) ELSE device_at_ms END
        WHERE creditor = $1 AND id = $2 AND ended_at_ms IS NULL AND finished_at_ms IS NULL";
    END_RECOVERY = "UPDATE recovery SET ended_at_ms = $3, mail_due_at_ms = NULL
        WHERE creditor = $1 AND id = $2 AND ended_at_ms IS NULL AND finished_at_ms IS NULL";
    // Finished ones, too: their tokens open nothing any more.
    END_RECOVERIES = "UPDATE recovery SET ended_at_ms = $3, mail_due_at_ms = NULL
        WHERE creditor = $1 AND guardian = $2 AND id <> $4 AND ended_at_ms IS NULL";
    FINISH_RECOVERY = "UPDATE recovery SET finished_at_ms = $3, mail_due_at_ms = NULL
        WHERE creditor = $1 AND id = $2 AND ended_at_ms IS NULL AND finished_at_ms IS NULL";
    SWEEP_RECOVERIES = "DELETE FROM recovery WHERE creditor = $1 AND id < $2";
    DUE_FOR_LETTERS = "SELECT c.fiscal_code FROM creditor c
        WHERE EXISTS (SELECT 1 FROM recovery r WHERE r.creditor = c.fiscal_code AND r.mail_due_at_ms IS NOT NULL
            AND r.mail_due_at_ms <= $1 AND r.expires_at_ms > $1)
            OR EXISTS (SELECT 1 FROM letter l WHERE l.creditor = c.fiscal_code AND l.outcome IS NULL AND l.due_at_ms <= $1)
            OR EXISTS (SELECT 1 FROM outbox o WHERE o.creditor = c.fiscal_code AND o.kind = 'payment_done'
                AND o.due_at_ms <= $1)
        ORDER BY c.fiscal_code";
    // Materialized, and the due time asked again: as for pushes.
    CLAIM_LETTERS = concat!("WITH taken AS MATERIALIZED (SELECT id FROM recovery
            WHERE creditor = $1 AND mail_due_at_ms IS NOT NULL AND mail_due_at_ms <= $2 AND expires_at_ms > $2
            ORDER BY mail_due_at_ms LIMIT $4",
        skip_locked!(), ") UPDATE recovery SET mail_due_at_ms = $3, mail_attempts = mail_attempts + 1
        WHERE creditor = $1 AND mail_due_at_ms IS NOT NULL AND mail_due_at_ms <= $2 AND id IN (SELECT id FROM taken)
        RETURNING id, guardian, language, expires_at_ms, mail_attempts");
    WRITE_LETTER = "UPDATE recovery SET email_digest = $3 WHERE creditor = $1 AND id = $2 AND mail_attempts = $4";
    SETTLE_LETTER = "UPDATE recovery SET mail_due_at_ms = $3, mail_code = $4
        WHERE creditor = $1 AND id = $2 AND mail_attempts = $5 AND ended_at_ms IS NULL AND finished_at_ms IS NULL";
}

pub(crate) async fn holder(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
) -> sqlx::Result<Option<AccountHolderRow>> {
    query_as(HOLDER).bind(creditor.as_str()).bind(guardian.uuid()).fetch_optional(c).await
}

pub(crate) async fn holder_by_code(
    c: &mut Conn,
    creditor: &CreditorCode,
    fiscal_code: &str,
) -> sqlx::Result<Option<AccountHolderRow>> {
    query_as(HOLDER_BY_CODE).bind(creditor.as_str()).bind(fiscal_code).fetch_optional(c).await
}

/// Adults whom the office knows and who have neither an account nor a code that is good.
pub(crate) async fn unregistered(
    c: &mut Conn,
    creditor: &CreditorCode,
    (now, most_tries): (Millis, i64),
) -> sqlx::Result<Vec<AccountHolderRow>> {
    query_as(UNREGISTERED).bind(creditor.as_str()).bind(now.get()).bind(most_tries).fetch_all(c).await
}

/// Whether an account still has this password and its access, which stays so until the transaction ends.
pub(crate) async fn hold_account(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    password_hash: &str,
) -> sqlx::Result<bool> {
    let hold = query(HOLD_ACCOUNT).bind(creditor.as_str()).bind(guardian.uuid()).bind(password_hash);
    Ok(hold.execute(c).await?.rows_affected() == 1)
}

/// Whether there was no account yet, and their access had not ended.
pub(crate) async fn set_credentials(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    (username, password_hash): (&str, &str),
) -> sqlx::Result<bool> {
    let set = query(SET_CREDENTIALS).bind(creditor.as_str()).bind(guardian.uuid()).bind(username).bind(password_hash);
    Ok(set.execute(c).await?.rows_affected() == 1)
}

/// Whether there is an account.
pub(crate) async fn set_password(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    password_hash: &str,
) -> sqlx::Result<bool> {
    let set = query(SET_PASSWORD).bind(creditor.as_str()).bind(guardian.uuid()).bind(password_hash);
    Ok(set.execute(c).await?.rows_affected() == 1)
}

/// Has a guardian register anew.
pub(crate) async fn reset_credentials(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    username: &str,
) -> sqlx::Result<()> {
    let reset = query(RESET_CREDENTIALS).bind(creditor.as_str()).bind(guardian.uuid()).bind(username);
    reset.execute(c).await.map(drop)
}

pub(crate) async fn enable_guardian(c: &mut Conn, creditor: &CreditorCode, guardian: GuardianId) -> sqlx::Result<()> {
    query(ENABLE_GUARDIAN).bind(creditor.as_str()).bind(guardian.uuid()).execute(c).await.map(drop)
}

pub(crate) async fn set_email(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    (email, at): (Option<&str>, Millis),
) -> sqlx::Result<()> {
    let set = query(SET_EMAIL).bind(creditor.as_str()).bind(guardian.uuid()).bind(email).bind(at.get());
    set.execute(c).await.map(drop)
}

/// Ends the sessions of a guardian, but for one; answers how many.
pub(crate) async fn end_sessions_but(
    c: &mut Conn,
    creditor: &CreditorCode,
    (guardian, kept): (GuardianId, SessionId),
    at: Millis,
) -> sqlx::Result<u64> {
    let end = query(END_SESSIONS_BUT).bind(creditor.as_str()).bind(guardian.uuid()).bind(kept.uuid()).bind(at.get());
    Ok(end.execute(c).await?.rows_affected())
}

/// Forgets the push tokens of a guardian, but for one session's.
pub(crate) async fn forget_push_but(
    c: &mut Conn,
    creditor: &CreditorCode,
    (guardian, kept): (GuardianId, SessionId),
) -> sqlx::Result<()> {
    query(FORGET_PUSH_BUT).bind(creditor.as_str()).bind(guardian.uuid()).bind(kept.uuid()).execute(c).await.map(drop)
}

/// In place of the one before.
pub(crate) async fn put_office_code(
    c: &mut Conn,
    creditor: &CreditorCode,
    (guardian, digest): (GuardianId, Hash),
    (issued, expires): (Millis, Millis),
) -> sqlx::Result<()> {
    let put = query(PUT_OFFICE_CODE).bind(creditor.as_str()).bind(guardian.uuid()).bind(&digest.0[..]);
    put.bind(issued.get()).bind(expires.get()).execute(c).await.map(drop)
}

pub(crate) async fn office_code(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
) -> sqlx::Result<Option<OfficeCodeRow>> {
    query_as(OFFICE_CODE).bind(creditor.as_str()).bind(guardian.uuid()).fetch_optional(c).await
}

/// Counts a wrong one.
pub(crate) async fn count_office_code(c: &mut Conn, creditor: &CreditorCode, guardian: GuardianId) -> sqlx::Result<()> {
    query(COUNT_OFFICE_CODE).bind(creditor.as_str()).bind(guardian.uuid()).execute(c).await.map(drop)
}

/// Whether it was good, and is used up now.
pub(crate) async fn use_office_code(
    c: &mut Conn,
    creditor: &CreditorCode,
    (guardian, digest): (GuardianId, Hash),
    (at, most_tries): (Millis, i64),
) -> sqlx::Result<bool> {
    let take = query(USE_OFFICE_CODE).bind(creditor.as_str()).bind(guardian.uuid()).bind(&digest.0[..]);
    Ok(take.bind(at.get()).bind(most_tries).execute(c).await?.rows_affected() == 1)
}

pub(crate) async fn drop_office_code(c: &mut Conn, creditor: &CreditorCode, guardian: GuardianId) -> sqlx::Result<()> {
    query(DROP_OFFICE_CODE).bind(creditor.as_str()).bind(guardian.uuid()).execute(c).await.map(drop)
}

/// The devices of a guardian that are told by push.
pub(crate) async fn told_devices(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    unused: Millis,
) -> sqlx::Result<Vec<AudienceRow>> {
    query_as(TOLD_DEVICES).bind(creditor.as_str()).bind(guardian.uuid()).bind(unused.get()).fetch_all(c).await
}

pub(crate) async fn insert_recovery(c: &mut Conn, creditor: &CreditorCode, row: &NewRecovery) -> sqlx::Result<()> {
    query(INSERT_RECOVERY)
        .bind(creditor.as_str())
        .bind(row.id)
        .bind(row.guardian.map(GuardianId::uuid))
        .bind(&row.digest.0[..])
        .bind(&row.device_name)
        .bind(&row.number)
        .bind(row.language)
        .bind(row.asked_at.get())
        .bind(row.expires_at.get())
        .bind(row.letter.then(|| row.asked_at.get()))
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn recovery(c: &mut Conn, creditor: &CreditorCode, id: Uuid) -> sqlx::Result<Option<RecoveryRow>> {
    query_as(RECOVERY).bind(creditor.as_str()).bind(id).fetch_optional(c).await
}

/// Those of a guardian that are under way at `now`, the newest first.
pub(crate) async fn recoveries(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    (now, count, most_tries): (Millis, i64, i64),
) -> sqlx::Result<Vec<RecoveryRow>> {
    let select = query_as(RECOVERIES).bind(creditor.as_str()).bind(guardian.uuid()).bind(now.get()).bind(count);
    select.bind(most_tries).fetch_all(c).await
}

/// Counts a proof as wrong and holds the row until it is known to be right.
pub(crate) async fn try_recovery(c: &mut Conn, creditor: &CreditorCode, id: Uuid) -> sqlx::Result<Option<RecoveryRow>> {
    query_as(TRY_RECOVERY).bind(creditor.as_str()).bind(id).fetch_optional(c).await
}

/// Takes the count of [`try_recovery`] back.
pub(crate) async fn untry_recovery(c: &mut Conn, creditor: &CreditorCode, id: Uuid) -> sqlx::Result<()> {
    query(UNTRY_RECOVERY).bind(creditor.as_str()).bind(id).execute(c).await.map(drop)
}

/// Takes the count of [`try_recovery`] back; whether it was still under way.
pub(crate) async fn prove_recovery(
    c: &mut Conn,
    creditor: &CreditorCode,
    (id, kind): (Uuid, ProofKind),
    at: Millis,
) -> sqlx::Result<bool> {
    let kind: i64 = match kind {
        ProofKind::Office => 0,
        ProofKind::Email => 1,
        ProofKind::Device => 2,
    };
    let prove = query(PROVE_RECOVERY).bind(creditor.as_str()).bind(id).bind(kind).bind(at.get());
    Ok(prove.execute(c).await?.rows_affected() == 1)
}

pub(crate) async fn end_recovery(c: &mut Conn, creditor: &CreditorCode, id: Uuid, at: Millis) -> sqlx::Result<()> {
    query(END_RECOVERY).bind(creditor.as_str()).bind(id).bind(at.get()).execute(c).await.map(drop)
}

/// Ends every recovery of a guardian, but for one.
pub(crate) async fn end_recoveries(
    c: &mut Conn,
    creditor: &CreditorCode,
    (guardian, kept): (GuardianId, Uuid),
    at: Millis,
) -> sqlx::Result<()> {
    let end = query(END_RECOVERIES).bind(creditor.as_str()).bind(guardian.uuid()).bind(at.get()).bind(kept);
    end.execute(c).await.map(drop)
}

/// Whether it was still under way.
pub(crate) async fn finish_recovery(c: &mut Conn, creditor: &CreditorCode, id: Uuid, at: Millis) -> sqlx::Result<bool> {
    let finish = query(FINISH_RECOVERY).bind(creditor.as_str()).bind(id).bind(at.get());
    Ok(finish.execute(c).await?.rows_affected() == 1)
}

/// Forgets those made before the id `before`.
pub(crate) async fn sweep_recoveries(c: &mut Conn, creditor: &CreditorCode, before: Uuid) -> sqlx::Result<u64> {
    Ok(query(SWEEP_RECOVERIES).bind(creditor.as_str()).bind(before).execute(c).await?.rows_affected())
}

/// The creditors that have a letter to send, or to lay.
pub(crate) async fn due_for_letters(c: &mut Conn, now: Millis) -> sqlx::Result<Vec<String>> {
    let rows: Vec<(String,)> = query_as(DUE_FOR_LETTERS).bind(now.get()).fetch_all(c).await?;
    Ok(rows.into_iter().map(|(creditor,)| creditor).collect())
}

/// Takes up to `count` due letters until `lease`.
pub(crate) async fn claim_letters(
    c: &mut Conn,
    creditor: &CreditorCode,
    (now, lease): (Millis, Millis),
    count: i64,
) -> sqlx::Result<Vec<RecoveryLetterRow>> {
    query_as(CLAIM_LETTERS).bind(creditor.as_str()).bind(now.get()).bind(lease.get()).bind(count).fetch_all(c).await
}

/// Says which code the letter holds that is about to be sent; `false` where somebody else took it meanwhile.
pub(crate) async fn write_letter(
    c: &mut Conn,
    creditor: &CreditorCode,
    (id, attempts): (Uuid, i64),
    digest: Hash,
) -> sqlx::Result<bool> {
    let write = query(WRITE_LETTER).bind(creditor.as_str()).bind(id).bind(&digest.0[..]).bind(attempts);
    Ok(write.execute(c).await?.rows_affected() == 1)
}

/// Says when a letter may be tried again, if ever, unless somebody else took it meanwhile.
pub(crate) async fn settle_letter(
    c: &mut Conn,
    creditor: &CreditorCode,
    (id, attempts): (Uuid, i64),
    (due, code): (Option<Millis>, &str),
) -> sqlx::Result<()> {
    let settle = query(SETTLE_LETTER).bind(creditor.as_str()).bind(id).bind(due.map(Millis::get)).bind(code);
    settle.bind(attempts).execute(c).await.map(drop)
}

/// An office's code that was used at this instant is good again.
pub(crate) async fn give_back_office_code(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    used: Millis,
) -> sqlx::Result<()> {
    let give = query(GIVE_BACK_OFFICE_CODE).bind(creditor.as_str()).bind(guardian.uuid()).bind(used.get());
    give.execute(c).await.map(drop)
}
