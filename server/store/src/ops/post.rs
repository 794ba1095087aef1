//! Letters by e-mail, the links in them, and who wants what. Compiled once per engine; one statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::GuardianId;
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

crate::tx::statements! {
    SET_LANGUAGE = "UPDATE guardian SET language = $3 WHERE creditor = $1 AND id = $2 AND language <> $3";
    HOLD_GUARDIAN = "UPDATE guardian SET feed_seq = feed_seq WHERE creditor = $1 AND id = $2";
    MAIL_TARGET = "SELECT g.email, g.email_bounced_at_ms, g.disabled_at_ms,
            CAST(COALESCE((SELECT m.off FROM mail_choice m WHERE m.creditor = $1 AND m.guardian = g.id AND m.kind = $3), 0)
                AS BIGINT) AS off
        FROM guardian g WHERE g.creditor = $1 AND g.id = $2";
    // Whoever asked for the top-up, or whom the bill was issued to.
    PAYER_OF_NOTICE = "SELECT g.id FROM notice n
        LEFT JOIN top_up p ON p.creditor = $1 AND p.notice = n.number
        LEFT JOIN bill b ON b.creditor = $1 AND b.id = n.bill
        JOIN guardian g ON g.creditor = $1 AND g.id = COALESCE(p.guardian, b.guardian)
        WHERE n.creditor = $1 AND n.number = $2";
    INSERT_LETTER = "INSERT INTO letter (creditor, id, guardian, kind, about, language, at_ms, elsewhere, key_id, sealed,
            created_at_ms, due_at_ms, attempts)
        SELECT $1, $2, g.id, $4, $5, COALESCE($6, g.language), $7, $8, $9, $10, $11, $11, 0
        FROM guardian g WHERE g.creditor = $1 AND g.id = $3
        ON CONFLICT (creditor, id) DO NOTHING";
    // Materialized, and the due time asked again: as for pushes.
    CLAIM_POST = concat!("WITH taken AS MATERIALIZED (SELECT id FROM letter
            WHERE creditor = $1 AND outcome IS NULL AND due_at_ms <= $2 ORDER BY due_at_ms LIMIT $4",
        skip_locked!(), ") UPDATE letter SET due_at_ms = $3, attempts = attempts + 1
        WHERE creditor = $1 AND outcome IS NULL AND due_at_ms <= $2 AND id IN (SELECT id FROM taken)
        RETURNING id, guardian, kind, about, language, at_ms, elsewhere, sealed, created_at_ms, attempts");
    POSTPONE_POST = "UPDATE letter SET due_at_ms = $3, last_code = $4
        WHERE creditor = $1 AND id = $2 AND outcome IS NULL AND attempts = $5";
    FINISH_POST = "UPDATE letter SET outcome = $3, last_code = COALESCE($4, last_code), done_at_ms = $5, key_id = NULL,
            sealed = NULL
        WHERE creditor = $1 AND id = $2 AND outcome IS NULL AND attempts = $6";
    EXPIRE_POST = "UPDATE letter SET outcome = 'expired', done_at_ms = $3, key_id = NULL, sealed = NULL
        WHERE creditor = $1 AND id < $2 AND outcome IS NULL AND due_at_ms <= $3";
    PRUNE_POST = "DELETE FROM letter WHERE creditor = $1 AND id < $2 AND outcome IS NOT NULL";
    BOUNCE_POST = "UPDATE letter SET bounced_at_ms = COALESCE(bounced_at_ms, $3) WHERE creditor = $1 AND id = $2
        RETURNING guardian, elsewhere, created_at_ms";
    // A letter to an address that has been changed since says nothing about the new one.
    BOUNCE_EMAIL = "UPDATE guardian SET email_bounced_at_ms = $3 WHERE creditor = $1 AND id = $2 AND email IS NOT NULL
        AND email_bounced_at_ms IS NULL AND (email_at_ms IS NULL OR email_at_ms <= $4)";
    BOUNCED_GUARDIANS = "SELECT full_name, email_bounced_at_ms FROM guardian
        WHERE creditor = $1 AND email_bounced_at_ms IS NOT NULL ORDER BY full_name, id";
    LETTERS = "SELECT id, guardian, kind, about, elsewhere, created_at_ms, attempts, last_code, outcome, done_at_ms,
            bounced_at_ms
        FROM letter WHERE creditor = $1 ORDER BY id DESC LIMIT $2";
    INSERT_MAILED_NOTICE = "INSERT INTO mailed_notice (creditor, id, guardian, notice, at_ms, address_digest)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (creditor, id) DO NOTHING";
    MAILED_NOTICES = "SELECT id, at_ms FROM mailed_notice WHERE creditor = $1 AND guardian = $2 AND at_ms > $3
        ORDER BY at_ms";
    INSERT_PAY_LINK = "INSERT INTO pay_link (creditor, digest, notice, created_at_ms, expires_at_ms, id, guardian, made_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (creditor, digest) DO NOTHING";
    // Nobody's link outlives their access.
    PAY_LINK = "SELECT l.notice, l.expires_at_ms, COALESCE(l.revoked_at_ms, g.disabled_at_ms) AS revoked_at_ms
        FROM pay_link l LEFT JOIN guardian g ON g.creditor = $1 AND g.id = l.guardian
        WHERE l.creditor = $1 AND l.digest = $2";
    PAY_LINKS = "SELECT id, made_by, created_at_ms FROM pay_link
        WHERE creditor = $1 AND notice = $2 AND guardian = $3 AND revoked_at_ms IS NULL AND id IS NOT NULL
            AND (expires_at_ms IS NULL OR expires_at_ms > $4)
        ORDER BY created_at_ms DESC, id LIMIT 500";
    REVOKE_PAY_LINK = "UPDATE pay_link SET revoked_at_ms = COALESCE(revoked_at_ms, $3)
        WHERE creditor = $1 AND digest = $2";
    PUT_MAIL_CHOICE = "INSERT INTO mail_choice (creditor, guardian, kind, off, at_ms) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (creditor, guardian, kind) DO UPDATE SET off = excluded.off, at_ms = excluded.at_ms";
    FORGET_LOW_TOLD = "DELETE FROM low_told WHERE creditor = $1 AND wallet IN (SELECT t.wallet FROM low_told t
        JOIN wallet w ON w.creditor = $1 AND w.id = t.wallet
        JOIN service v ON v.creditor = $1 AND v.id = w.service
        JOIN account a ON a.creditor = $1 AND a.kind = 'wallet' AND a.id = t.wallet
        WHERE t.creditor = $1 AND a.balance_cents >= v.low_mark_cents)";
    // Enrolled this year, open, and moved at least once: an empty wallet that nobody ever used does not run low.
    LOW_WALLETS = "SELECT w.id AS wallet, a.seq FROM service v
        JOIN wallet w ON w.creditor = $1 AND w.service = v.id AND w.closed_at_ms IS NULL
        JOIN enrolment e ON e.creditor = $1 AND e.child = w.child AND e.service = v.id AND e.school_year = $2
        JOIN account a ON a.creditor = $1 AND a.kind = 'wallet' AND a.id = w.id AND a.seq > 0
            AND a.balance_cents < v.low_mark_cents
        WHERE v.creditor = $1 AND w.id > $4
            AND NOT EXISTS (SELECT 1 FROM low_told t WHERE t.creditor = $1 AND t.wallet = w.id)
        ORDER BY w.id LIMIT $3";
    INSERT_LOW_TOLD = "INSERT INTO low_told (creditor, wallet, told_at_ms) VALUES ($1, $2, $3)
        ON CONFLICT (creditor, wallet) DO NOTHING";
    GUARDIANS_OF_WALLET = "SELECT gc.guardian FROM wallet w
        JOIN guardian_child gc ON gc.creditor = $1 AND gc.child = w.child
        WHERE w.creditor = $1 AND w.id = $2 ORDER BY gc.guardian";
    LETTER_WALLET = "SELECT c.given_name AS child, v.name AS service, a.balance_cents, v.low_mark_cents,
            (SELECT e.unit_price_cents FROM enrolment e WHERE e.creditor = $1 AND e.child = w.child
                AND e.service = w.service AND e.school_year = $4) AS unit_price_cents, w.closed_at_ms
        FROM wallet w
        JOIN guardian_child gc ON gc.creditor = $1 AND gc.child = w.child AND gc.guardian = $2
        JOIN child c ON c.creditor = $1 AND c.id = w.child
        JOIN service v ON v.creditor = $1 AND v.id = w.service
        JOIN account a ON a.creditor = $1 AND a.kind = 'wallet' AND a.id = w.id
        WHERE w.creditor = $1 AND w.id = $3";
    RECEIPT_OF_LETTER = "SELECT issuer, receipt_id, ours_cents, outcome, entry FROM receipt
        WHERE creditor = $1 AND notice_number = $2 AND received_at_ms = $3 ORDER BY receipt_id LIMIT 1";
    INSERT_DOCUMENT_CHOICE = "INSERT INTO document_choice (creditor, id, documents, reason, operator, at_ms)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (creditor, id) DO NOTHING";
    DOCUMENT_CHOICE = "SELECT documents FROM document_choice WHERE creditor = $1 ORDER BY id DESC LIMIT 1";
}

/// The language that somebody reads, as their phone said last.
pub(crate) async fn set_language(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    language: &str,
) -> sqlx::Result<()> {
    query(SET_LANGUAGE).bind(creditor.as_str()).bind(guardian.uuid()).bind(language).execute(c).await.map(drop)
}

/// Holds a guardian's row until the transaction ends, so that what is counted of theirs stays true.
pub(crate) async fn hold_guardian(c: &mut Conn, creditor: &CreditorCode, guardian: GuardianId) -> sqlx::Result<()> {
    query(HOLD_GUARDIAN).bind(creditor.as_str()).bind(guardian.uuid()).execute(c).await.map(drop)
}

pub(crate) async fn mail_target(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    kind: &str,
) -> sqlx::Result<Option<MailTargetRow>> {
    query_as(MAIL_TARGET).bind(creditor.as_str()).bind(guardian.uuid()).bind(kind).fetch_optional(c).await
}

/// Whoever asked for the top-up, or whom the bill was issued to; nobody for a top-up asked for at a PSP.
pub(crate) async fn payer_of_notice(
    c: &mut Conn,
    creditor: &CreditorCode,
    number: &str,
) -> sqlx::Result<Option<GuardianId>> {
    let row: Option<(Uuid,)> = query_as(PAYER_OF_NOTICE).bind(creditor.as_str()).bind(number).fetch_optional(c).await?;
    Ok(row.map(|(guardian,)| guardian.into()))
}

/// Whether it was not laid before.
pub(crate) async fn insert_letter(c: &mut Conn, creditor: &CreditorCode, row: &NewLetter) -> sqlx::Result<bool> {
    let (key_id, sealed) = match &row.elsewhere {
        Some((key_id, sealed)) => (Some(key_id), Some(sealed)),
        None => (None, None),
    };
    let done = query(INSERT_LETTER)
        .bind(creditor.as_str())
        .bind(row.id)
        .bind(row.guardian.uuid())
        .bind(row.kind)
        .bind(&row.about)
        .bind(row.language)
        .bind(row.at.get())
        .bind(i64::from(row.elsewhere.is_some()))
        .bind(key_id)
        .bind(sealed)
        .bind(row.created_at.get())
        .execute(c)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes up to `count` due letters until `lease`.
pub(crate) async fn claim_post(
    c: &mut Conn,
    creditor: &CreditorCode,
    (now, lease): (Millis, Millis),
    count: i64,
) -> sqlx::Result<Vec<ClaimedLetterRow>> {
    query_as(CLAIM_POST).bind(creditor.as_str()).bind(now.get()).bind(lease.get()).bind(count).fetch_all(c).await
}

/// Says when a letter may be tried again, unless somebody else took it meanwhile.
pub(crate) async fn postpone_post(
    c: &mut Conn,
    creditor: &CreditorCode,
    (id, attempts): (Uuid, i64),
    (due, code): (Millis, &str),
) -> sqlx::Result<()> {
    let postpone = query(POSTPONE_POST).bind(creditor.as_str()).bind(id).bind(due.get()).bind(code).bind(attempts);
    postpone.execute(c).await.map(drop)
}

/// Says what became of a letter and forgets a sealed address; whether nobody else had it meanwhile.
pub(crate) async fn finish_post(
    c: &mut Conn,
    creditor: &CreditorCode,
    (id, attempts): (Uuid, i64),
    (outcome, code, at): (&str, Option<&str>, Millis),
) -> sqlx::Result<bool> {
    let finish = query(FINISH_POST).bind(creditor.as_str()).bind(id).bind(outcome).bind(code).bind(at.get());
    Ok(finish.bind(attempts).execute(c).await?.rows_affected() == 1)
}

/// Gives up what was laid before the id `before` and is not on its way.
pub(crate) async fn expire_post(c: &mut Conn, creditor: &CreditorCode, before: Uuid, now: Millis) -> sqlx::Result<u64> {
    let expire = query(EXPIRE_POST).bind(creditor.as_str()).bind(before).bind(now.get());
    Ok(expire.execute(c).await?.rows_affected())
}

/// Forgets what became of letters laid before the id `before`.
pub(crate) async fn prune_post(c: &mut Conn, creditor: &CreditorCode, before: Uuid) -> sqlx::Result<u64> {
    Ok(query(PRUNE_POST).bind(creditor.as_str()).bind(before).execute(c).await?.rows_affected())
}

/// Says that a letter came back; whose it was, if it is one of ours.
pub(crate) async fn bounce_post(
    c: &mut Conn,
    creditor: &CreditorCode,
    id: Uuid,
    at: Millis,
) -> sqlx::Result<Option<BouncedRow>> {
    query_as(BOUNCE_POST).bind(creditor.as_str()).bind(id).bind(at.get()).fetch_optional(c).await
}

/// Says that nobody is at the address on file, if a letter laid at `laid` went there; whether that is news.
pub(crate) async fn bounce_email(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    (at, laid): (Millis, Millis),
) -> sqlx::Result<bool> {
    let bounce = query(BOUNCE_EMAIL).bind(creditor.as_str()).bind(guardian.uuid()).bind(at.get()).bind(laid.get());
    Ok(bounce.execute(c).await?.rows_affected() == 1)
}

pub(crate) async fn bounced_guardians(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Vec<BouncedGuardianRow>> {
    query_as(BOUNCED_GUARDIANS).bind(creditor.as_str()).fetch_all(c).await
}

/// The newest letters.
pub(crate) async fn letters(c: &mut Conn, creditor: &CreditorCode, count: i64) -> sqlx::Result<Vec<LetterRow>> {
    query_as(LETTERS).bind(creditor.as_str()).bind(count).fetch_all(c).await
}

pub(crate) async fn insert_mailed_notice(
    c: &mut Conn,
    creditor: &CreditorCode,
    row: &NewMailedNotice,
) -> sqlx::Result<()> {
    query(INSERT_MAILED_NOTICE)
        .bind(creditor.as_str())
        .bind(row.id)
        .bind(row.guardian.uuid())
        .bind(&row.notice)
        .bind(row.at.get())
        .bind(row.address_digest.map(|digest| digest.0.to_vec()))
        .execute(c)
        .await
        .map(drop)
}

/// What a guardian had sent after an instant, the oldest first: which and when.
pub(crate) async fn mailed_notices(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    after: Millis,
) -> sqlx::Result<Vec<(Uuid, i64)>> {
    query_as(MAILED_NOTICES).bind(creditor.as_str()).bind(guardian.uuid()).bind(after.get()).fetch_all(c).await
}

pub(crate) async fn insert_pay_link(c: &mut Conn, creditor: &CreditorCode, row: &NewPayLink) -> sqlx::Result<()> {
    query(INSERT_PAY_LINK)
        .bind(creditor.as_str())
        .bind(&row.digest.0[..])
        .bind(&row.notice)
        .bind(row.created_at.get())
        .bind(row.expires_at.map(Millis::get))
        .bind(row.id)
        .bind(row.guardian.uuid())
        .bind(row.made_by)
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn pay_link(c: &mut Conn, creditor: &CreditorCode, digest: Hash) -> sqlx::Result<Option<PayLinkRow>> {
    query_as(PAY_LINK).bind(creditor.as_str()).bind(&digest.0[..]).fetch_optional(c).await
}

pub(crate) async fn pay_links(
    c: &mut Conn,
    creditor: &CreditorCode,
    (notice, guardian): (&str, GuardianId),
    now: Millis,
) -> sqlx::Result<Vec<OwnPayLinkRow>> {
    let select = query_as(PAY_LINKS).bind(creditor.as_str()).bind(notice).bind(guardian.uuid());
    select.bind(now.get()).fetch_all(c).await
}

pub(crate) async fn revoke_pay_link(
    c: &mut Conn,
    creditor: &CreditorCode,
    digest: Hash,
    at: Millis,
) -> sqlx::Result<()> {
    query(REVOKE_PAY_LINK).bind(creditor.as_str()).bind(&digest.0[..]).bind(at.get()).execute(c).await.map(drop)
}

pub(crate) async fn put_mail_choice(
    c: &mut Conn,
    creditor: &CreditorCode,
    (guardian, kind): (GuardianId, &str),
    (off, at): (bool, Millis),
) -> sqlx::Result<()> {
    let put = query(PUT_MAIL_CHOICE).bind(creditor.as_str()).bind(guardian.uuid()).bind(kind);
    put.bind(i64::from(off)).bind(at.get()).execute(c).await.map(drop)
}

/// Wallets that no longer run low may be told of again.
pub(crate) async fn forget_low_told(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<u64> {
    Ok(query(FORGET_LOW_TOLD).bind(creditor.as_str()).execute(c).await?.rows_affected())
}

/// Up to `count` wallets after the id `after` that run low and were not told of.
pub(crate) async fn low_wallets(
    c: &mut Conn,
    creditor: &CreditorCode,
    school_year: i64,
    (after, count): (Uuid, i64),
) -> sqlx::Result<Vec<LowWalletRow>> {
    let select = query_as(LOW_WALLETS).bind(creditor.as_str()).bind(school_year).bind(count).bind(after);
    select.fetch_all(c).await
}

/// Whether nobody else told of it meanwhile.
pub(crate) async fn insert_low_told(
    c: &mut Conn,
    creditor: &CreditorCode,
    wallet: Uuid,
    at: Millis,
) -> sqlx::Result<bool> {
    let insert = query(INSERT_LOW_TOLD).bind(creditor.as_str()).bind(wallet).bind(at.get());
    Ok(insert.execute(c).await?.rows_affected() == 1)
}

pub(crate) async fn guardians_of_wallet(
    c: &mut Conn,
    creditor: &CreditorCode,
    wallet: Uuid,
) -> sqlx::Result<Vec<GuardianId>> {
    let rows: Vec<(Uuid,)> = query_as(GUARDIANS_OF_WALLET).bind(creditor.as_str()).bind(wallet).fetch_all(c).await?;
    Ok(rows.into_iter().map(|(guardian,)| guardian.into()).collect())
}

/// A wallet that the guardian sees, with its price of the school year.
pub(crate) async fn letter_wallet(
    c: &mut Conn,
    creditor: &CreditorCode,
    (guardian, wallet): (GuardianId, Uuid),
    school_year: i64,
) -> sqlx::Result<Option<LetterWalletRow>> {
    let select = query_as(LETTER_WALLET).bind(creditor.as_str()).bind(guardian.uuid()).bind(wallet).bind(school_year);
    select.fetch_optional(c).await
}

/// The receipt for a notice that came at this instant.
pub(crate) async fn receipt_of_letter(
    c: &mut Conn,
    creditor: &CreditorCode,
    notice: &str,
    at: Millis,
) -> sqlx::Result<Option<LetterReceiptRow>> {
    query_as(RECEIPT_OF_LETTER).bind(creditor.as_str()).bind(notice).bind(at.get()).fetch_optional(c).await
}

pub(crate) async fn insert_document_choice(
    c: &mut Conn,
    creditor: &CreditorCode,
    row: &NewDocumentChoice,
) -> sqlx::Result<()> {
    query(INSERT_DOCUMENT_CHOICE)
        .bind(creditor.as_str())
        .bind(row.id)
        .bind(row.documents)
        .bind(&row.reason)
        .bind(&row.operator)
        .bind(row.at.get())
        .execute(c)
        .await
        .map(drop)
}

/// How the creditor wants documents to go out, if it ever said.
pub(crate) async fn document_choice(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Option<String>> {
    let row: Option<(String,)> = query_as(DOCUMENT_CHOICE).bind(creditor.as_str()).fetch_optional(c).await?;
    Ok(row.map(|(documents,)| documents))
}
