//! Creditors, guardians, children, services, wallets. Compiled once per engine; one statement per function.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{EnrolmentId, GuardianId, ServiceId, SessionId, WalletId};
use borsellino_domain::time::Millis;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Db;
use crate::rows::*;

type Conn = <Db as sqlx::Database>::Connection;

crate::tx::statements! {
    CREDITORS = "SELECT c.fiscal_code, c.name, c.office_name, c.station, s.broker, s.duplicate_is_ko,
            c.segregation_code, c.cbill, c.iban, c.postal_iban, c.help_phone, c.top_up_days,
            l.colour, l.logo_mark
        FROM creditor c JOIN station s ON s.id = c.station LEFT JOIN letterhead l ON l.creditor = c.fiscal_code ORDER BY c.fiscal_code";
    STATIONS = "SELECT id, broker, duplicate_is_ko FROM station ORDER BY id";
    ACTIVATION = "SELECT creditor FROM activation_code WHERE code = $1";
    INSERT_STATION = "INSERT INTO station (id, broker, duplicate_is_ko) VALUES ($1, $2, $3)";
    INSERT_CREDITOR = "INSERT INTO creditor (fiscal_code, name, office_name, station, segregation_code, cbill, iban,
            postal_iban, help_phone, top_up_days)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    INSERT_ACTIVATION = "INSERT INTO activation_code (code, creditor) VALUES ($1, $2)";
    INSERT_GUARDIAN = "INSERT INTO guardian (creditor, id, username, full_name, fiscal_code, email, password_hash,
            feed_seq)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 0)";
    GUARDIAN_BY_NAME = "SELECT id, full_name, NULLIF(password_hash, '') AS password_hash, disabled_at_ms FROM guardian
        WHERE creditor = $1 AND username = $2";
    DISABLE_GUARDIAN = "UPDATE guardian SET disabled_at_ms = $3 WHERE creditor = $1 AND id = $2";
    INSERT_CHILD = "INSERT INTO child (creditor, id, given_name, family_name, fiscal_code, school, class_name)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    LINK_CHILD = "INSERT INTO guardian_child (creditor, guardian, child) VALUES ($1, $2, $3)";
    INSERT_SERVICE = "INSERT INTO service (creditor, id, kind, name, taxonomy, presets, min_cents, max_cents,
            wallet_max_cents, max_open, low_mark_cents)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    INSERT_ENROLMENT = "INSERT INTO enrolment (creditor, id, child, service, school_year, tariff, unit_price_cents)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    INSERT_WALLET = "INSERT INTO wallet (creditor, id, child, service) VALUES ($1, $2, $3, $4)";
    CLOSE_WALLET = "UPDATE wallet SET closed_at_ms = $3 WHERE creditor = $1 AND id = $2";
    WALLET_FACTS = "SELECT w.closed_at_ms, a.balance_cents, v.min_cents, v.max_cents, v.wallet_max_cents, v.max_open,
            v.name AS service_name, v.taxonomy, g.fiscal_code AS debtor_code, g.full_name AS debtor_name,
            (SELECT COUNT(*) FROM notice n WHERE n.creditor = $1 AND n.wallet = w.id AND n.state = 'open'
                AND n.expires_at_ms > $4) AS open_count,
            (SELECT CAST(COALESCE(SUM(n.amount_cents), 0) AS BIGINT) FROM notice n WHERE n.creditor = $1
                AND n.wallet = w.id AND n.state = 'open' AND n.expires_at_ms > $4) AS open_cents
        FROM wallet w
        JOIN guardian_child gc ON gc.creditor = $1 AND gc.child = w.child AND gc.guardian = $2
        JOIN guardian g ON g.creditor = $1 AND g.id = gc.guardian
        JOIN service v ON v.creditor = $1 AND v.id = w.service
        JOIN account a ON a.creditor = $1 AND a.kind = 'wallet' AND a.id = w.id
        WHERE w.creditor = $1 AND w.id = $3";
    HOME = "SELECT g.full_name, g.feed_seq, g.disabled_at_ms, s.ended_at_ms, s.wipe, c.id AS child, c.given_name,
            c.class_name, c.school, w.id AS wallet, w.closed_at_ms, a.balance_cents, a.seq, v.kind, v.name AS service_name,
            v.presets, v.min_cents, v.max_cents, v.wallet_max_cents, v.low_mark_cents, e.unit_price_cents,
            (SELECT CAST(COALESCE(SUM(n.amount_cents), 0) AS BIGINT) FROM notice n WHERE n.creditor = $1
                AND n.wallet = w.id AND n.state = 'open' AND n.expires_at_ms > $4) AS open_cents
        FROM guardian g
        JOIN session s ON s.creditor = $1 AND s.guardian = g.id AND s.id = $3
        LEFT JOIN guardian_child gc ON gc.creditor = $1 AND gc.guardian = g.id
        LEFT JOIN child c ON c.creditor = $1 AND c.id = gc.child
        LEFT JOIN wallet w ON w.creditor = $1 AND w.child = c.id
        LEFT JOIN service v ON v.creditor = $1 AND v.id = w.service
        LEFT JOIN account a ON a.creditor = $1 AND a.kind = 'wallet' AND a.id = w.id
        LEFT JOIN enrolment e ON e.creditor = $1 AND e.child = c.id AND e.service = v.id AND e.school_year = $5
        WHERE g.creditor = $1 AND g.id = $2
        ORDER BY c.given_name, c.id, v.name, w.id";
    WALLET_BALANCE = "SELECT a.balance_cents, a.seq FROM account a
        WHERE a.creditor = $1 AND a.kind = 'wallet' AND a.id = $2";
    WALLETS_OF_GUARDIAN = "SELECT w.id AS wallet, c.given_name AS child, v.name AS service, a.balance_cents
        FROM guardian_child gc
        JOIN child c ON c.creditor = $1 AND c.id = gc.child
        JOIN wallet w ON w.creditor = $1 AND w.child = c.id
        JOIN service v ON v.creditor = $1 AND v.id = w.service
        JOIN account a ON a.creditor = $1 AND a.kind = 'wallet' AND a.id = w.id
        WHERE gc.creditor = $1 AND gc.guardian = $2 ORDER BY c.given_name, v.name";
    WALLET_SEEN_BY = "SELECT w.id FROM wallet w
        JOIN guardian_child gc ON gc.creditor = $1 AND gc.child = w.child AND gc.guardian = $2
        WHERE w.creditor = $1 AND w.id = $3";
}

pub(crate) async fn creditors(c: &mut Conn) -> sqlx::Result<Vec<CreditorRow>> {
    query_as(CREDITORS).fetch_all(c).await
}

pub(crate) async fn stations(c: &mut Conn) -> sqlx::Result<Vec<StationRow>> {
    query_as(STATIONS).fetch_all(c).await
}

pub(crate) async fn creditor_of_activation(c: &mut Conn, code: &str) -> sqlx::Result<Option<String>> {
    let row: Option<(String,)> = query_as(ACTIVATION).bind(code).fetch_optional(c).await?;
    Ok(row.map(|(creditor,)| creditor))
}

pub(crate) async fn insert_station(c: &mut Conn, row: &StationRow) -> sqlx::Result<()> {
    let insert = query(INSERT_STATION).bind(row.id.as_str()).bind(row.broker.as_str()).bind(row.duplicate_is_ko);
    insert.execute(c).await.map(drop)
}

pub(crate) async fn insert_creditor(c: &mut Conn, row: &CreditorRow) -> sqlx::Result<()> {
    query(INSERT_CREDITOR)
        .bind(row.fiscal_code.as_str())
        .bind(&row.name)
        .bind(&row.office_name)
        .bind(row.station.as_str())
        .bind(row.segregation_code.as_str())
        .bind(&row.cbill)
        .bind(row.iban.as_str())
        .bind(&row.postal_iban)
        .bind(&row.help_phone)
        .bind(row.top_up_days)
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn insert_activation_code(c: &mut Conn, creditor: &CreditorCode, code: &str) -> sqlx::Result<()> {
    query(INSERT_ACTIVATION).bind(code).bind(creditor.as_str()).execute(c).await.map(drop)
}

pub(crate) async fn insert_guardian(c: &mut Conn, creditor: &CreditorCode, row: &NewGuardian) -> sqlx::Result<()> {
    query(INSERT_GUARDIAN)
        .bind(creditor.as_str())
        .bind(row.id.uuid())
        .bind(&row.username)
        .bind(&row.full_name)
        .bind(&row.fiscal_code)
        .bind(&row.email)
        .bind(&row.password_hash)
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn guardian_by_username(
    c: &mut Conn,
    creditor: &CreditorCode,
    username: &str,
) -> sqlx::Result<Option<GuardianRow>> {
    query_as(GUARDIAN_BY_NAME).bind(creditor.as_str()).bind(username).fetch_optional(c).await
}

pub(crate) async fn disable_guardian(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    at: Millis,
) -> sqlx::Result<()> {
    let update = query(DISABLE_GUARDIAN).bind(creditor.as_str()).bind(guardian.uuid()).bind(at.get());
    update.execute(c).await.map(drop)
}

pub(crate) async fn insert_child(c: &mut Conn, creditor: &CreditorCode, row: &NewChild) -> sqlx::Result<()> {
    query(INSERT_CHILD)
        .bind(creditor.as_str())
        .bind(row.id)
        .bind(&row.given_name)
        .bind(&row.family_name)
        .bind(&row.fiscal_code)
        .bind(&row.school)
        .bind(&row.class_name)
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn link_child(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    child: Uuid,
) -> sqlx::Result<()> {
    query(LINK_CHILD).bind(creditor.as_str()).bind(guardian.uuid()).bind(child).execute(c).await.map(drop)
}

pub(crate) async fn insert_service(c: &mut Conn, creditor: &CreditorCode, row: &NewService) -> sqlx::Result<()> {
    let presets: Vec<String> = row.presets.iter().map(|amount| amount.cents().to_string()).collect();
    query(INSERT_SERVICE)
        .bind(creditor.as_str())
        .bind(row.id.uuid())
        .bind(row.kind.code())
        .bind(&row.name)
        .bind(&row.taxonomy)
        .bind(presets.join(","))
        .bind(row.rules.min.cents())
        .bind(row.rules.max.cents())
        .bind(row.rules.wallet_max.cents())
        .bind(i64::from(row.rules.max_open))
        .bind(row.low_mark.get())
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn insert_enrolment(
    c: &mut Conn,
    creditor: &CreditorCode,
    (id, child, service): (EnrolmentId, Uuid, ServiceId),
    (school_year, tariff, unit_price_cents): (i64, &str, i64),
) -> sqlx::Result<()> {
    query(INSERT_ENROLMENT)
        .bind(creditor.as_str())
        .bind(id.uuid())
        .bind(child)
        .bind(service.uuid())
        .bind(school_year)
        .bind(tariff)
        .bind(unit_price_cents)
        .execute(c)
        .await
        .map(drop)
}

pub(crate) async fn insert_wallet(
    c: &mut Conn,
    creditor: &CreditorCode,
    wallet: WalletId,
    child: Uuid,
    service: ServiceId,
) -> sqlx::Result<()> {
    let insert = query(INSERT_WALLET).bind(creditor.as_str()).bind(wallet.uuid()).bind(child).bind(service.uuid());
    insert.execute(c).await.map(drop)
}

pub(crate) async fn close_wallet(
    c: &mut Conn,
    creditor: &CreditorCode,
    wallet: WalletId,
    at: Millis,
) -> sqlx::Result<()> {
    query(CLOSE_WALLET).bind(creditor.as_str()).bind(wallet.uuid()).bind(at.get()).execute(c).await.map(drop)
}

pub(crate) async fn wallet_facts(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    wallet: WalletId,
    now: Millis,
) -> sqlx::Result<Option<WalletFactsRow>> {
    query_as(WALLET_FACTS)
        .bind(creditor.as_str())
        .bind(guardian.uuid())
        .bind(wallet.uuid())
        .bind(now.get())
        .fetch_optional(c)
        .await
}

pub(crate) async fn home(
    c: &mut Conn,
    creditor: &CreditorCode,
    (guardian, session): (GuardianId, SessionId),
    now: Millis,
    school_year: i64,
) -> sqlx::Result<Vec<HomeRow>> {
    query_as(HOME)
        .bind(creditor.as_str())
        .bind(guardian.uuid())
        .bind(session.uuid())
        .bind(now.get())
        .bind(school_year)
        .fetch_all(c)
        .await
}

pub(crate) async fn wallet_balance(
    c: &mut Conn,
    creditor: &CreditorCode,
    wallet: Uuid,
) -> sqlx::Result<Option<WalletBalanceRow>> {
    query_as(WALLET_BALANCE).bind(creditor.as_str()).bind(wallet).fetch_optional(c).await
}

pub(crate) async fn guardian_sees_wallet(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
    wallet: WalletId,
) -> sqlx::Result<bool> {
    let select = query(WALLET_SEEN_BY).bind(creditor.as_str()).bind(guardian.uuid()).bind(wallet.uuid());
    Ok(select.fetch_optional(c).await?.is_some())
}

/// The wallets of a guardian's children.
pub(crate) async fn wallets_of_guardian(
    c: &mut Conn,
    creditor: &CreditorCode,
    guardian: GuardianId,
) -> sqlx::Result<Vec<WalletNameRow>> {
    query_as(WALLETS_OF_GUARDIAN).bind(creditor.as_str()).bind(guardian.uuid()).fetch_all(c).await
}
