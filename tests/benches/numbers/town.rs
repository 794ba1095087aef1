//! The invented town of the benches, computed from numbers so that a peer can name the same rows without asking:
//! notice `k` fills wallet `STRIDE * k % WALLETS` of creditor `k % CREDITORS`.

use std::ops::Range;

use anyhow::Context;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::uuid_v7;
use borsellino_domain::ledger::{Account, Hash, Head};
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::service::{ServiceKind, TopUpRules};
use borsellino_domain::time::Millis;
use borsellino_server::auth::token::Identity;
use borsellino_server::clock::{Clock, random};
use borsellino_store::rows::{NewChild, NewGuardian, NewNotice, NewService, NewSession};
use borsellino_store::{Store, StoreError, Tx};
use borsellino_tests::stores::add_creditors;
use uuid::Uuid;

/// How many creditors.
pub(crate) const CREDITORS: u64 = 20;

/// How many wallets: four to a family, a multiple of [`CREDITORS`].
pub(crate) const WALLETS: u64 = 4_000;

/// From one notice to the next: far apart, so that those in flight at once belong to different families; and one more
/// than a multiple of [`CREDITORS`], so that the wallet of notice `k` is its creditor's.
pub(crate) const STRIDE: u64 = 1_181;

/// What each notice asks for and each receipt pays: what the fixture's receipt says.
pub(crate) const CENTS: i64 = 18_000;

/// The first ten digits of the first creditor's code; the others follow.
pub(crate) const FIRST_CREDITOR: u64 = 9_990_000_000;

/// The fiscal code of a family's first child.
pub(crate) const CHILD: &str = "RSSGLI15A41H501X";

/// How many notices are written in one transaction.
const CHUNK: usize = 1_000;

/// The creditor of notice `k`. The eleventh digit checks the others, which digits 1, 3, 5.. enter as they are and digits
/// 2, 4, 6.. doubled (nine less where that has two digits); only the ninth and the tenth vary here.
pub(crate) fn creditor(k: u64) -> String {
    let c = k % CREDITORS;
    let doubled = (c % 10) * 2 - if c % 10 > 4 { 9 } else { 0 };
    let sum = 27 + c / 10 + doubled;
    ((FIRST_CREDITOR + c) * 10 + (10 - sum % 10) % 10).to_string()
}

/// The 18 digits of notice `k`.
pub(crate) fn number(k: u64) -> String {
    let body = 3_010_000_000_000_000 + (k % CREDITORS) * 10_000_000_000_000 + k;
    format!("{body}{:02}", body % 93)
}

/// The wallet of notice `k`: an id of decimal digits, which every tool can compute.
pub(crate) fn wallet(k: u64) -> anyhow::Result<Uuid> {
    wallet_id(STRIDE * k % WALLETS)
}

fn wallet_id(index: u64) -> anyhow::Result<Uuid> {
    Ok(Uuid::parse_str(&format!("{:032}", index + 1))?)
}

/// How many guardians: one to a family.
pub(crate) const GUARDIANS: u64 = WALLETS / 4;

/// Guardian `g` of the town belongs to creditor `g % CREDITORS`; their id, which is their session's too.
pub(crate) fn guardian(g: u64) -> anyhow::Result<Uuid> {
    Ok(Uuid::parse_str(&format!("{:032}", 1_000_000 + g))?)
}

/// Wallet `which` (0 to 3) of the family of guardian `g`.
pub(crate) fn family_wallet(g: u64, which: u64) -> anyhow::Result<Uuid> {
    wallet_id((g / CREDITORS * 4 + which) * CREDITORS + g % CREDITORS)
}

/// Which wallet an id of the town's is, from 0 to [`WALLETS`].
pub(crate) fn wallet_number(id: &str) -> Option<u64> {
    id.replace('-', "").parse::<u64>().ok()?.checked_sub(1).filter(|number| *number < WALLETS)
}

/// Writes the town and the notices `0..notices`.
pub(crate) async fn build(store: &Store, notices: u64) -> anyhow::Result<()> {
    let codes: Vec<String> = (0..CREDITORS).map(creditor).collect();
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    let creditors = add_creditors(store, &codes).await?;
    let now = Clock::system().now();
    for (index, code) in (0u64..).zip(creditors) {
        write(store, move |tx| Box::pin(families(tx, code, index, now))).await?;
    }
    for first in (0..notices).step_by(CHUNK) {
        let range = first..notices.min(first + CHUNK as u64);
        write(store, move |tx| Box::pin(add_notices(tx, range.clone(), now))).await?;
    }
    Ok(())
}

/// Opens a session for each guardian, which has their id; answers who they are.
pub(crate) async fn sign_everybody_in(store: &Store) -> anyhow::Result<Vec<Identity>> {
    let now = Clock::system().now();
    let mut all = Vec::new();
    for g in 0..GUARDIANS {
        let (creditor, id) = (CreditorCode::from_digits(&creditor(g))?, guardian(g)?);
        let row = NewSession {
            id: id.into(),
            guardian: id.into(),
            device_name: "bench".to_owned(),
            created_at: now,
            refresh_digest: Hash::of(id.as_bytes()),
        };
        all.push((Identity { creditor, guardian: id.into(), session: id.into() }, row));
    }
    let rows = std::sync::Arc::new(all);
    let written = std::sync::Arc::clone(&rows);
    write(store, move |tx| {
        let rows = std::sync::Arc::clone(&written);
        Box::pin(async move {
            for (who, row) in rows.iter() {
                tx.insert_session(&who.creditor, row).await?;
            }
            Ok(())
        })
    })
    .await?;
    Ok(rows.iter().map(|(who, _)| *who).collect())
}

async fn write<F>(store: &Store, body: F) -> anyhow::Result<()>
where
    F: for<'t> Fn(&'t mut Tx) -> futures_util::future::BoxFuture<'t, anyhow::Result<()>> + Send + Sync + 'static,
{
    let body = std::sync::Arc::new(body);
    let written = store.write::<(), anyhow::Error, _>("build the town", move |tx| {
        let body = std::sync::Arc::clone(&body);
        Box::pin(async move {
            match body(tx).await {
                Ok(()) => Ok(Ok(())),
                Err(error) => match error.downcast::<StoreError>() {
                    Ok(error) => Err(error),
                    Err(error) => Ok(Err(error)),
                },
            }
        })
    });
    written.await?
}

async fn families(tx: &mut Tx, code: CreditorCode, index: u64, now: Millis) -> anyhow::Result<()> {
    let account = Account::SUSPENSE;
    tx.open_account(&code, account, &Head::genesis(&code, account)).await?;
    let mut services = Vec::new();
    for kind in [ServiceKind::Canteen, ServiceKind::Transport] {
        let row = NewService {
            id: fresh(now)?.into(),
            kind,
            name: format!("{kind:?}"),
            taxonomy: kind.municipal_taxonomy().to_owned(),
            presets: vec![Amount::from_cents(2_000)?],
            rules: TopUpRules {
                min: Amount::from_cents(500)?,
                max: Amount::from_cents(50_000)?,
                wallet_max: Amount::from_cents(1_000_000)?,
                max_open: 3,
            },
            low_mark: Cents::new(1_000),
        };
        tx.insert_service(&code, &row).await?;
        services.push(row.id);
    }
    // Families lie four wallets apart in steps of the number of creditors, so that a wallet's number names its creditor.
    for family in 0..WALLETS / (4 * CREDITORS) {
        let guardian = NewGuardian {
            id: self::guardian(family * CREDITORS + index)?.into(),
            username: format!("guardian-{family}"),
            full_name: "Maria Rossi".to_owned(),
            fiscal_code: "RSSMRA80A41H501X".to_owned(),
            email: None,
            password_hash: "none".to_owned(),
        };
        tx.insert_guardian(&code, &guardian).await?;
        for child in 0..2 {
            let row = NewChild {
                id: fresh(now)?,
                given_name: "Giulia".to_owned(),
                family_name: "Rossi".to_owned(),
                fiscal_code: if child == 0 { CHILD } else { "RSSGLI15A41H501Y" }.to_owned(),
                school: "Primaria".to_owned(),
                class_name: "2A".to_owned(),
            };
            tx.insert_child(&code, &row).await?;
            tx.link_child(&code, guardian.id, row.id).await?;
            for (slot, service) in (0u64..).zip(&services) {
                let id = wallet_id((family * 4 + child * 2 + slot) * CREDITORS + index)?;
                tx.insert_wallet(&code, id.into(), row.id, *service).await?;
                let account = Account::wallet(id.into());
                tx.open_account(&code, account, &Head::genesis(&code, account)).await?;
            }
        }
    }
    Ok(())
}

async fn add_notices(tx: &mut Tx, range: Range<u64>, now: Millis) -> anyhow::Result<()> {
    for k in range {
        let code = CreditorCode::from_digits(&creditor(k))?;
        let row = NewNotice {
            number: number(k).parse()?,
            wallet: Some(wallet(k)?.into()),
            bill: None,
            instalment: None,
            amount: Amount::from_cents(CENTS)?,
            reason: "Ricarica mensa".to_owned(),
            taxonomy: ServiceKind::Canteen.municipal_taxonomy().to_owned(),
            debtor_code: "RSSMRA80A41H501X".to_owned(),
            debtor_name: "Maria Rossi".to_owned(),
            due_date: now.plus_days(30).day_in_italy().context("the calendar")?.to_string(),
            created_at: now,
            expires_at: Some(now.plus_days(30)),
        };
        anyhow::ensure!(tx.insert_notice(&code, &row).await?, "notice {k} is taken");
    }
    Ok(())
}

fn fresh(now: Millis) -> anyhow::Result<Uuid> {
    Ok(uuid_v7(now, random()?))
}
