//! The invented town that is tortured: two creditors, few families with many notices, so that receipts meet at the same
//! wallets; and an endless source of what the Node may send about them.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{BillId, GuardianId, ServiceId, WalletId, uuid_v7};
use borsellino_domain::ledger::{Account, Entry, EntryKind, Head};
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::service::{ServiceKind, TopUpRules};
use borsellino_domain::time::Millis;
use borsellino_server::clock::{Clock, random};
use borsellino_store::rows::{CreditorRow, NewBill, NewChild, NewGuardian, NewNotice, NewService, StationRow};
use borsellino_store::{Store, StoreError, Tx};
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::house::node::{Addressee, BROKER, Receipt, STATION, activate, activate_v1, verify};
use crate::house::{TOWN, UNION};

/// The creditors and the stations they are reached through.
pub(super) const CREDITORS: [(&str, &str); 2] = [(TOWN, STATION), (UNION, STRICT_STATION)];

/// Where a receipt that comes again is answered `PAA_RECEIPT_DUPLICATA`.
pub(super) const STRICT_STATION: &str = "99900020019_02";

/// Per creditor; each has two guardians, one child and two wallets.
const FAMILIES: u64 = 8;

/// Per creditor; too large to be ever paid whole.
const LARGE_BILLS: u64 = 4;

const LARGE_CENTS: i64 = 9_000_000_000;

/// The first of a creditor's numbers for each kind of notice, as the 13 digits inside.
const SMALL_BILLS_FROM: u64 = 1_000_000_000_000;
const LARGE_BILLS_FROM: u64 = 2_000_000_000_000;
const UNKNOWN_FROM: u64 = 9_000_000_000_000;

/// How many notices are written in one transaction.
const CHUNK: u64 = 500;

/// The 18 digits of a creditor's notice.
fn number(creditor: usize, inside: u64) -> String {
    let body = 3_000_000_000_000_000 + (creditor as u64 + 1) * 10_000_000_000_000 + inside;
    format!("{body}{:02}", body % 93)
}

/// What the `k`th top-up or small bill asks for, in cents.
fn cents(k: u64) -> i64 {
    500 + i64::try_from(k % 997).unwrap_or(0)
}

/// Where the money of a receipt has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    /// Its wallet.
    Wallet,
    /// Its bill.
    Bill,
    /// Of two receipts for one notice, one to the wallet and one to suspense.
    WalletOrDouble,
    /// Suspense: nobody knows the notice.
    Unknown,
    /// Suspense: the notice is another creditor's.
    Shared,
    /// Nowhere: it says KO.
    Nothing,
}

/// A receipt to be delivered until it is acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Paper {
    pub(super) receipt: Receipt,
    /// What of it is the addressee's, in cents.
    pub(super) ours: i64,
    pub(super) goes: Goes,
}

/// What the Node does next.
#[derive(Debug)]
pub(super) enum Deed {
    /// Deliver these, at the same time, each from so many clients.
    Deliver(Vec<Paper>, usize),
    /// Ask: SOAPAction and message.
    Ask(&'static str, String),
}

/// What the Node has to say, without end. Notices are used up in order; after the last one, bills go on being paid in
/// parts.
#[derive(Debug)]
pub(super) struct Source {
    notices: u64,
    next: [AtomicU64; 2],
    next_bill: [AtomicU64; 2],
    serial: AtomicU64,
}

impl Source {
    /// For a town built with as many notices.
    pub(super) fn new(notices: u64) -> Self {
        Self { notices, next: Default::default(), next_bill: Default::default(), serial: AtomicU64::new(1) }
    }

    /// What comes next.
    pub(super) fn next(&self, rng: &mut fastrand::Rng) -> Deed {
        let creditor = usize::from(rng.u8(0..10) < 3);
        if rng.u8(0..100) < 15 {
            return self.question(creditor, rng);
        }
        let papers = self.papers(creditor, rng);
        let clients = if rng.u8(0..100) < 15 { rng.usize(2..6) } else { 1 };
        Deed::Deliver(papers, clients)
    }

    /// A receipt that fills a wallet, while there are notices; else one that pays part of a bill.
    pub(super) fn top_up(&self, creditor: usize, rng: &mut fastrand::Rng) -> Paper {
        match self.fresh(creditor) {
            Some((notice, cents)) => self.paper(creditor, &notice, cents, Goes::Wallet, rng),
            None => self.part(creditor, rng),
        }
    }

    fn fresh(&self, creditor: usize) -> Option<(String, i64)> {
        let k = self.next[creditor].fetch_add(1, Ordering::Relaxed);
        (k < self.notices).then(|| (number(creditor, k), cents(k)))
    }

    fn part(&self, creditor: usize, rng: &mut fastrand::Rng) -> Paper {
        let notice = number(creditor, LARGE_BILLS_FROM + rng.u64(0..LARGE_BILLS));
        self.paper(creditor, &notice, rng.i64(1..300), Goes::Bill, rng)
    }

    fn papers(&self, creditor: usize, rng: &mut fastrand::Rng) -> Vec<Paper> {
        match rng.u8(0..100) {
            0..46 => vec![self.top_up(creditor, rng)],
            46..58 => {
                let k = self.next_bill[creditor].fetch_add(1, Ordering::Relaxed);
                if k >= small_bills(self.notices) {
                    return vec![self.part(creditor, rng)];
                }
                vec![self.paper(creditor, &number(creditor, SMALL_BILLS_FROM + k), cents(k), Goes::Bill, rng)]
            }
            58..72 => vec![self.part(creditor, rng)],
            72..80 => {
                let unknown = number(creditor, UNKNOWN_FROM + self.serial.fetch_add(1, Ordering::Relaxed));
                vec![self.paper(creditor, &unknown, rng.i64(1..5_000), Goes::Unknown, rng)]
            }
            80..87 => match self.fresh(creditor) {
                Some((notice, cents)) => {
                    let paper = |rng: &mut _| self.paper(creditor, &notice, cents, Goes::WalletOrDouble, rng);
                    vec![paper(rng), paper(rng)]
                }
                None => vec![self.part(creditor, rng)],
            },
            87..91 => {
                let paper = self.part(creditor, rng);
                let receipt = Receipt { outcome: "KO", ..paper.receipt };
                vec![Paper { receipt, goes: Goes::Nothing, ..paper }]
            }
            _ => {
                let mut own = self.top_up(creditor, rng);
                let (other, share) = (1 - creditor, rng.i64(1..500));
                own.receipt.transfers.push((CREDITORS[other].0.to_owned(), share));
                let receipt = Receipt { to: addressee(other), ..own.receipt.clone() };
                let copy = Paper { receipt, ours: share, goes: Goes::Shared };
                vec![own, copy]
            }
        }
    }

    fn paper(&self, creditor: usize, notice: &str, cents: i64, goes: Goes, rng: &mut fastrand::Rng) -> Paper {
        let (code, _) = CREDITORS[creditor];
        let receipt = Receipt {
            to: addressee(creditor),
            id: format!("{:032x}", self.serial.fetch_add(1, Ordering::Relaxed)),
            issuer: code.to_owned(),
            transfers: vec![(code.to_owned(), cents)],
            v1: rng.u8(0..10) < 3,
            ..Receipt::new(notice, cents)
        };
        Paper { receipt, ours: cents, goes }
    }

    fn question(&self, creditor: usize, rng: &mut fastrand::Rng) -> Deed {
        let (code, to) = (CREDITORS[creditor].0, addressee(creditor));
        let notice = match rng.u8(0..4) {
            0 => number(creditor, LARGE_BILLS_FROM + rng.u64(0..LARGE_BILLS)),
            1 => number(creditor, UNKNOWN_FROM + rng.u64(0..1_000)),
            _ => number(creditor, rng.u64(0..self.notices.max(1))),
        };
        match rng.u8(0..3) {
            0 => Deed::Ask("paVerifyPaymentNotice", verify(&to, code, &notice)),
            1 => Deed::Ask("paGetPayment", activate_v1(&to, code, &notice, None)),
            _ => Deed::Ask("paGetPaymentV2", activate(&to, code, &notice, None)),
        }
    }

    /// A question about a notice that is always payable.
    pub(super) fn sure_question(creditor: usize) -> (&'static str, String) {
        let notice = number(creditor, LARGE_BILLS_FROM);
        ("paVerifyPaymentNotice", verify(&addressee(creditor), CREDITORS[creditor].0, &notice))
    }
}

fn addressee(creditor: usize) -> Addressee {
    let (code, station) = CREDITORS[creditor];
    Addressee { station: station.to_owned(), ..Addressee::new(code) }
}

/// For so many notices, so many small bills.
fn small_bills(notices: u64) -> u64 {
    notices / 4
}

/// Writes the town, with as many notices of top-ups per creditor.
///
/// # Errors
/// What the store says.
pub(super) async fn build(store: &Store, notices: u64) -> anyhow::Result<()> {
    let now = Clock::system().now().plus_days(-1);
    write(store, |tx| Box::pin(creditors(tx))).await?;
    for creditor in 0..CREDITORS.len() {
        let builder = Builder::new(creditor, now)?;
        let families = builder.clone();
        write(store, move |tx| {
            let builder = families.clone();
            Box::pin(async move { builder.families(tx).await })
        })
        .await?;
        for (count, kind) in [(notices, Kind::TopUp), (small_bills(notices), Kind::Small), (LARGE_BILLS, Kind::Large)] {
            for first in (0..count).step_by(usize::try_from(CHUNK)?) {
                let (builder, range) = (builder.clone(), first..count.min(first + CHUNK));
                write(store, move |tx| {
                    let (builder, range) = (builder.clone(), range.clone());
                    Box::pin(async move { builder.notices(tx, kind, range).await })
                })
                .await?;
            }
        }
    }
    Ok(())
}

async fn write<F>(store: &Store, body: F) -> anyhow::Result<()>
where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, anyhow::Result<()>> + Send + Sync + 'static,
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

async fn creditors(tx: &mut Tx) -> anyhow::Result<()> {
    for (index, (code, station)) in CREDITORS.into_iter().enumerate() {
        let duplicate_is_ko = i64::from(station == STRICT_STATION);
        tx.insert_station(&StationRow { id: station.parse()?, broker: BROKER.parse()?, duplicate_is_ko }).await?;
        let row = CreditorRow {
            fiscal_code: CreditorCode::parse(code)?,
            name: format!("Comune {code}"),
            office_name: "Ufficio scuola".to_owned(),
            station: station.parse()?,
            broker: BROKER.parse()?,
            duplicate_is_ko,
            segregation_code: format!("{:02}", index + 1).parse()?,
            cbill: String::new(),
            iban: "IT60X0542811101000000123456".parse()?,
            postal_iban: None,
            help_phone: String::new(),
            top_up_days: 30,
            colour: None,
            logo_mark: None,
        };
        tx.insert_creditor(&row).await?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    TopUp,
    Small,
    Large,
}

/// Writes one creditor's part. Its ids are made first, so that a transaction can be run again.
#[derive(Clone)]
struct Builder {
    creditor: usize,
    code: CreditorCode,
    now: Millis,
    services: [ServiceId; 2],
    guardians: Vec<[GuardianId; 2]>,
    children: Vec<Uuid>,
    wallets: Vec<WalletId>,
}

fn fresh(now: Millis) -> anyhow::Result<Uuid> {
    Ok(uuid_v7(now, random()?))
}

impl Builder {
    fn new(creditor: usize, now: Millis) -> anyhow::Result<Self> {
        let mut built = Self {
            creditor,
            code: CreditorCode::parse(CREDITORS[creditor].0)?,
            now,
            services: [fresh(now)?.into(), fresh(now)?.into()],
            guardians: Vec::new(),
            children: Vec::new(),
            wallets: Vec::new(),
        };
        for _ in 0..FAMILIES {
            built.guardians.push([fresh(now)?.into(), fresh(now)?.into()]);
            built.children.push(fresh(now)?);
            built.wallets.extend([WalletId::from(fresh(now)?), WalletId::from(fresh(now)?)]);
        }
        Ok(built)
    }

    async fn families(&self, tx: &mut Tx) -> anyhow::Result<()> {
        let code = &self.code;
        tx.open_account(code, Account::SUSPENSE, &Head::genesis(code, Account::SUSPENSE)).await?;
        for (id, kind) in self.services.into_iter().zip([ServiceKind::Canteen, ServiceKind::Transport]) {
            let row = NewService {
                id,
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
            tx.insert_service(code, &row).await?;
        }
        for (family, (guardians, child)) in self.guardians.iter().zip(&self.children).enumerate() {
            let row = NewChild {
                id: *child,
                given_name: "Giulia".to_owned(),
                family_name: "Rossi".to_owned(),
                fiscal_code: format!("RSSGLI15A41H5{family:02}X"),
                school: "Primaria".to_owned(),
                class_name: "2A".to_owned(),
            };
            tx.insert_child(code, &row).await?;
            for (which, id) in guardians.iter().enumerate() {
                let row = NewGuardian {
                    id: *id,
                    username: format!("guardian-{family}-{which}"),
                    full_name: "Maria Rossi".to_owned(),
                    fiscal_code: "RSSMRA80A41H501X".to_owned(),
                    email: None,
                    password_hash: "none".to_owned(),
                };
                tx.insert_guardian(code, &row).await?;
                tx.link_child(code, *id, *child).await?;
            }
            for (wallet, service) in self.wallets[family * 2..].iter().zip(self.services) {
                tx.insert_wallet(code, *wallet, *child, service).await?;
                let account = Account::wallet(*wallet);
                tx.open_account(code, account, &Head::genesis(code, account)).await?;
            }
        }
        Ok(())
    }

    async fn notices(&self, tx: &mut Tx, kind: Kind, range: std::ops::Range<u64>) -> anyhow::Result<()> {
        for k in range {
            let (inside, amount, bill) = match kind {
                Kind::TopUp => (k, cents(k), false),
                Kind::Small => (SMALL_BILLS_FROM + k, cents(k), true),
                Kind::Large => (LARGE_BILLS_FROM + k, LARGE_CENTS, true),
            };
            let (amount, number) = (Amount::from_cents(amount)?, number(self.creditor, inside));
            let wallet = self.wallets.get(usize::try_from(k * 7)? % self.wallets.len()).copied();
            let bill = if bill { Some(self.bill(tx, &number, k, amount).await?) } else { None };
            let row = NewNotice {
                number: number.parse()?,
                wallet: wallet.filter(|_| bill.is_none()),
                bill,
                instalment: None,
                amount,
                reason: "Servizi scolastici".to_owned(),
                taxonomy: ServiceKind::Canteen.municipal_taxonomy().to_owned(),
                debtor_code: "RSSMRA80A41H501X".to_owned(),
                debtor_name: "Maria Rossi".to_owned(),
                due_date: self.due()?,
                created_at: self.now,
                expires_at: None,
            };
            anyhow::ensure!(tx.insert_notice(&self.code, &row).await?, "the notice {number} is taken");
        }
        Ok(())
    }

    fn due(&self) -> anyhow::Result<String> {
        Ok(self.now.plus_days(30).day_in_italy().context("the calendar")?.to_string())
    }

    async fn bill(&self, tx: &mut Tx, number: &str, k: u64, total: Amount) -> anyhow::Result<BillId> {
        let family = usize::try_from(k)? % self.guardians.len();
        let id = BillId::from(fresh(self.now)?);
        let row = NewBill {
            id,
            guardian: self.guardians[family][0],
            number: number.to_owned(),
            period: "ottobre".to_owned(),
            due_date: self.due()?,
            issued_at: self.now,
            total,
            order_digest: None,
        };
        tx.insert_bill(&self.code, &row).await?;
        let line = (self.children[family], self.services[0].uuid(), total.cents());
        tx.insert_bill_line(&self.code, (id, 0), line).await?;
        let account = Account::bill(id);
        tx.open_account(&self.code, account, &Head::genesis(&self.code, account)).await?;
        let sides = (account, Account::REVENUE, total.as_cents().negated()?);
        let entry = fresh(self.now)?.into();
        tx.book(&Entry::transfer(self.code, entry, EntryKind::BillIssued, self.now, None, sides)?).await?;
        Ok(id)
    }
}
