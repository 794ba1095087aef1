//! Who an address means, and which privacy notice somebody accepted. Compiled once per engine; one statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::GuardianId;
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

crate::tx::statements! {
    ACCESS_RULE = "SELECT secret_question FROM access_rule WHERE creditor = $1";
    PUT_ACCESS_RULE = "INSERT INTO access_rule (creditor, secret_question) VALUES ($1, $2)
        ON CONFLICT (creditor) DO UPDATE SET secret_question = $2";
    SECRET_QUESTION = "SELECT question, answer_hash FROM secret_question
        WHERE creditor = $1 AND guardian = $2 AND question IS NOT NULL AND answer_hash IS NOT NULL";
    PUT_SECRET_QUESTION = "INSERT INTO secret_question (creditor, guardian, question, answer_hash) VALUES ($1, $2, $3, $4)
        ON CONFLICT (creditor, guardian) DO UPDATE SET question = $3, answer_hash = $4";
    HOLDER_BY_USERNAME = "SELECT id, username, full_name, fiscal_code, email, NULLIF(password_hash, '') AS password_hash,
            disabled_at_ms, feed_seq
        FROM guardian WHERE creditor = $1 AND username = $2";
    HOLDERS_BY_EMAIL = "SELECT id, username, full_name, fiscal_code, email, NULLIF(password_hash, '') AS password_hash,
            disabled_at_ms, feed_seq
        FROM guardian WHERE creditor = $1 AND LOWER(email) = $2 AND password_hash <> '' AND disabled_at_ms IS NULL
        ORDER BY id LIMIT 2";
    INSERT_PRIVACY_NOTICE = "INSERT INTO privacy_notice (creditor, id, version, link, body, at_ms)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (creditor, id) DO NOTHING";
    PRIVACY_NOTICE = "SELECT id, version, link, body, at_ms FROM privacy_notice WHERE creditor = $1
        ORDER BY id DESC LIMIT 1";
    PRIVACY_VERSION = "SELECT id, version, link, body, at_ms FROM privacy_notice WHERE creditor = $1 AND version = $2
        ORDER BY id LIMIT 1";
    PRIVACY_DUE = "SELECT n.id, n.version, n.link, n.body, n.at_ms FROM privacy_notice n
        WHERE n.creditor = $1 AND n.version IS NOT NULL
            AND n.id = (SELECT l.id FROM privacy_notice l WHERE l.creditor = $1 ORDER BY l.id DESC LIMIT 1)
            AND NOT EXISTS (SELECT 1 FROM privacy_acceptance a WHERE a.creditor = $1 AND a.guardian = $2
                AND a.version = n.version)";
    INSERT_PRIVACY_ACCEPTANCE = "INSERT INTO privacy_acceptance (creditor, guardian, version, at_ms)
        VALUES ($1, $2, $3, $4) ON CONFLICT (creditor, guardian, version) DO NOTHING";
    PRIVACY_ACCEPTANCES = "SELECT a.version, a.at_ms, g.full_name, g.fiscal_code FROM privacy_acceptance a
        JOIN guardian g ON g.creditor = $1 AND g.id = a.guardian
        WHERE a.creditor = $1 ORDER BY a.at_ms, g.id, a.version";
}

pub(crate) async fn holder_by_username(
    c: &mut Conn,
    creditor: &CreditorCode,
    username: &str,
) -> sqlx::Result<Option<AccountHolderRow>> {
    query_as(HOLDER_BY_USERNAME).bind(creditor.as_str()).bind(username).fetch_optional(c).await
}

/// The accounts that letters to this address (in small letters) reach; two at most, which are as many as any more.
pub(crate) async fn holders_by_email(
    c: &mut Conn,
    creditor: &CreditorCode,
    email: &str,
) -> sqlx::Result<Vec<AccountHolderRow>> {
    query_as(HOLDERS_BY_EMAIL).bind(creditor.as_str()).bind(email).fetch_all(c).await
}

pub(crate) async fn insert_privacy_notice(
    c: &mut Conn,
    creditor: &CreditorCode,
    row: &PrivacyNoticeRow,
) -> sqlx::Result<()> {
    query(INSERT_PRIVACY_NOTICE)
        .bind(creditor.as_str())
        .bind(row.id)
        .bind(&row.version)
        .bind(&row.link)
        .bind(&row.body)
        .bind(row.at_ms.get())
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn privacy_notice(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<Option<PrivacyNoticeRow>> {
    query_as(PRIVACY_NOTICE).bind(creditor.as_str()).fetch_optional(c).await
}

/// A version as it was set first.
pub(crate) async fn privacy_version(
    c: &mut Conn,
    creditor: &CreditorCode,
    version: &str,
) -> sqlx::Result<Option<PrivacyNoticeRow>> {
    query_as(PRIVACY_VERSION).bind(creditor.as_str()).bind(version).fetch_optional(c).await
}

/// The notice of today, where a guardian has not accepted its version.
pub(crate) async fn privacy_due(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
) -> sqlx::Result<Option<PrivacyNoticeRow>> {
    query_as(PRIVACY_DUE).bind(creditor.as_str()).bind(guardian.uuid()).fetch_optional(c).await
}

/// Keeps that a version was accepted; the first time counts.
pub(crate) async fn insert_privacy_acceptance(
    c: &mut Conn,
    creditor: &CreditorCode,
    (guardian, version): (GuardianId, &str),
    at: Millis,
) -> sqlx::Result<()> {
    let insert = query(INSERT_PRIVACY_ACCEPTANCE).bind(creditor.as_str()).bind(guardian.uuid()).bind(version);
    insert.bind(at.get()).execute(c).await.map(drop)
}

/// Who accepted what, in the order they did.
pub(crate) async fn privacy_acceptances(
    c: &mut Conn,
    creditor: &CreditorCode,
) -> sqlx::Result<Vec<PrivacyAcceptanceRow>> {
    query_as(PRIVACY_ACCEPTANCES).bind(creditor.as_str()).fetch_all(c).await
}

/// Whether a creditor has secret questions asked.
pub(crate) async fn asks_question(c: &mut Conn, creditor: &CreditorCode) -> sqlx::Result<bool> {
    let row: Option<(i64,)> = query_as(ACCESS_RULE).bind(creditor.as_str()).fetch_optional(c).await?;
    Ok(row.is_some_and(|(asked,)| asked == 1))
}

pub(crate) async fn put_asks_question(c: &mut Conn, creditor: &CreditorCode, asked: bool) -> sqlx::Result<()> {
    query(PUT_ACCESS_RULE).bind(creditor.as_str()).bind(i64::from(asked)).execute(c).await.map(drop)
}

/// What a guardian chose, whether it is asked or not.
pub(crate) async fn secret_question(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
) -> sqlx::Result<Option<SecretQuestionRow>> {
    query_as(SECRET_QUESTION).bind(creditor.as_str()).bind(guardian.uuid()).fetch_optional(c).await
}

pub(crate) async fn put_secret_question(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    row: Option<&SecretQuestionRow>,
) -> sqlx::Result<()> {
    let put = query(PUT_SECRET_QUESTION).bind(creditor.as_str()).bind(guardian.uuid());
    let put = put.bind(row.map(|row| row.question.code())).bind(row.map(|row| row.answer_hash.as_str()));
    put.execute(c).await.map(drop)
}
