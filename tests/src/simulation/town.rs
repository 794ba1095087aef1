//! The people of a simulation: invented families of two municipalities, written into the books and into the store.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use borsellino_domain::creditor::{CreditorCode, StationId};
use borsellino_domain::id::{BillId, EntryId, ServiceId, SessionId, WalletId, uuid_v7};
use borsellino_domain::ledger::{Account, Entry, EntryKind, Hash, Head, Memo};
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::notice::{NoticeNumber, SegregationCode};
use borsellino_domain::service::{ServiceKind, TopUpRules};
use borsellino_domain::time::Millis;
use borsellino_server::auth::token::Identity;
use borsellino_store::rows::{
    CreditorRow, NewBill, NewChild, NewGuardian, NewNotice, NewService, NewSession, StationRow,
};
use borsellino_store::{Store, StoreError, Tx};
use futures_util::future::BoxFuture;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::books::{Books, Limits};
use super::dice::Dice;
use crate::house::{TOWN, UNION};

/// The two municipalities: code, station, days to pay a top-up, whether a repeated receipt is answered with a KO.
pub(super) const TOWNS: [(&str, &str, i64, bool); 2] =
    [(TOWN, "99900020019_01", 30, false), (UNION, "99900020019_02", 10, true)];

/// What they offer: what a use costs, on how many of a hundred days a child uses it, limits.
const SERVICES: [(ServiceKind, (i64, usize), Limits); 3] = [
    (ServiceKind::Canteen, (425, 80), Limits { least: 500, most: 20_000, holds: 40_000, waiting: 3 }),
    (ServiceKind::Transport, (120, 30), Limits { least: 300, most: 6_000, holds: 9_000, waiting: 2 }),
    (ServiceKind::AfterSchool, (250, 15), Limits { least: 500, most: 10_000, holds: 15_000, waiting: 1 }),
];

/// Who is who in the store: everything stands in the place it has in the [`Books`].
#[derive(Clone, Debug)]
pub(super) struct Ids {
    pub(super) code: CreditorCode,
    pub(super) parents: Vec<Identity>,
    pub(super) children: Vec<Uuid>,
    pub(super) purses: Vec<WalletId>,
    /// What a use costs, and on how many of a hundred days it is used.
    pub(super) uses: Vec<(i64, usize)>,
    /// For which service each purse is, by its place.
    services_of: Vec<usize>,
    pub(super) bills: Vec<BillId>,
    services: Vec<ServiceId>,
    segregation: SegregationCode,
}

/// A step of a transaction that fills the store.
type Step = Box<dyn for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<(), StoreError>> + Send + Sync>;

/// Boxes a step: `step!(tx, (a, b) => { ... })` with what it needs cloned for each run.
macro_rules! step {
    ($tx:ident, ($($need:ident),*) => $body:block) => {{
        let step: Step = Box::new(move |$tx| {
            $(let $need = $need.clone();)*
            Box::pin(async move { $body })
        });
        step
    }};
}

/// Runs steps in one transaction.
pub(super) async fn write(store: &Store, steps: Vec<Step>) -> Result<(), StoreError> {
    let steps = Arc::new(steps);
    let written = store.write::<(), (), _>("fill the simulation", move |tx| {
        let steps = Arc::clone(&steps);
        Box::pin(async move {
            for step in steps.iter() {
                step(tx).await?;
            }
            Ok(Ok(()))
        })
    });
    // Nothing refuses here.
    written.await.map(|outcome| outcome.unwrap_or_default())
}

fn bad<E>(_: E) -> StoreError {
    StoreError::Corrupt("the simulation's own data")
}

fn amount(cents: i64) -> anyhow::Result<Amount> {
    Amount::from_cents(cents).context("an amount of the simulation")
}

/// A name for somebody in the log: the municipality's letter and a number.
pub(super) fn letter(town: usize) -> char {
    if town == 0 { 'V' } else { 'U' }
}

/// Founds a municipality without people.
pub(super) fn found(town: usize, now: i64, dice: &mut Dice) -> anyhow::Result<(Books, Ids, Vec<Step>)> {
    let (digits, station, days, minds) = TOWNS[town];
    let (code, station) = (CreditorCode::from_digits(digits)?, StationId::parse(station)?);
    let row = StationRow { id: station, broker: station.broker(), duplicate_is_ko: i64::from(minds) };
    let segregation = SegregationCode::parse(&format!("0{}", town + 1))?;
    let creditor = CreditorRow {
        fiscal_code: code,
        name: format!("Comune {digits}"),
        office_name: "Ufficio scuola".to_owned(),
        station,
        broker: station.broker(),
        duplicate_is_ko: row.duplicate_is_ko,
        segregation_code: segregation,
        cbill: String::new(),
        iban: "IT60X0542811101000000123456".parse()?,
        postal_iban: None,
        help_phone: String::new(),
        top_up_days: days,
        colour: None,
        logo_mark: None,
    };
    let mut steps = vec![step!(tx, (row, creditor) => {
        tx.insert_station(&row).await?;
        tx.insert_creditor(&creditor).await
    })];
    let mut services = Vec::new();
    for (kind, _, limits) in SERVICES {
        let id: ServiceId = id(dice, now);
        let service = NewService {
            id,
            kind,
            name: kind.code().to_owned(),
            taxonomy: kind.municipal_taxonomy().to_owned(),
            presets: vec![amount(2_000)?, amount(5_000)?],
            rules: TopUpRules {
                min: amount(limits.least)?,
                max: amount(limits.most)?,
                wallet_max: amount(limits.holds)?,
                max_open: u32::try_from(limits.waiting)?,
            },
            low_mark: Cents::new(1_000),
        };
        steps.push(step!(tx, (service) => { tx.insert_service(&code, &service).await }));
        services.push(id);
    }
    let ids = Ids {
        code,
        parents: Vec::new(),
        children: Vec::new(),
        purses: Vec::new(),
        uses: Vec::new(),
        services_of: Vec::new(),
        bills: Vec::new(),
        services,
        segregation,
    };
    Ok((Books::new(digits, days), ids, steps))
}

/// An id as a program makes it, from the simulation's chance.
pub(super) fn id<T: From<Uuid>>(dice: &mut Dice, now: i64) -> T {
    T::from(uuid_v7(Millis::new(now), dice.bytes()))
}

/// A family moves in: one or two children, one to three parents (a child's parents need not share the other child), a
/// purse or two for each child with what it held before.
pub(super) fn enrol(
    books: &mut Books,
    ids: &mut Ids,
    (now, school_year): (i64, i64),
    dice: &mut Dice,
) -> anyhow::Result<Vec<Step>> {
    let code = ids.code;
    let mut steps = Vec::new();
    let first_parent = books.parents.len();
    // Both parents of both children; two fathers of one child each; or one mother alone.
    let family: &[&[usize]] = match dice.below(4) {
        0 => &[&[0], &[0]],
        1 => &[&[0, 1], &[0, 1]],
        2 => &[&[0, 1], &[0, 2]],
        _ => &[&[0, 1]],
    };
    let parents = family.iter().flat_map(|its| its.iter()).max().map_or(0, |last| last + 1);
    for number in first_parent..first_parent + parents {
        let session: SessionId = id(dice, now);
        let guardian = NewGuardian {
            id: id(dice, now),
            username: format!("parent.{number}"),
            full_name: format!("Parent {number}"),
            fiscal_code: "VRDGLI85M52F205X".to_owned(),
            email: None,
            password_hash: "$none".to_owned(),
        };
        ids.parents.push(Identity { creditor: code, guardian: guardian.id, session });
        books.parents.push(super::books::Parent::default());
        steps.push(step!(tx, (guardian) => { tx.insert_guardian(&code, &guardian).await }));
        steps.push(sign_in(ids.parents[number], now));
    }
    for its_parents in family {
        let place = books.children.len();
        let child = NewChild {
            id: id(dice, now),
            given_name: format!("Child {place}"),
            family_name: "Rossi".to_owned(),
            fiscal_code: "RSSGLI18A41L378T".to_owned(),
            school: "Scuola primaria".to_owned(),
            class_name: "3A".to_owned(),
        };
        let child_id = child.id;
        ids.children.push(child_id);
        books.children.push(its_parents.iter().map(|its| first_parent + its).collect());
        steps.push(step!(tx, (child) => { tx.insert_child(&code, &child).await }));
        for parent in books.children[place].clone() {
            books.parents[parent].children.push(place);
            let guardian = ids.parents[parent].guardian;
            steps.push(step!(tx, () => { tx.link_child(&code, guardian, child_id).await }));
        }
        let skipped = dice.below(2 * SERVICES.len());
        for (number, (_, uses, limits)) in SERVICES.iter().enumerate() {
            // Everybody eats; most of them also ride, or stay for the afternoon.
            if number > 0 && skipped == number {
                continue;
            }
            let (wallet, enrolment) = (id::<WalletId>(dice, now), id(dice, now));
            let (service, price) = (ids.services[number], uses.0);
            let carried = dice.between(1, 4_000);
            ids.purses.push(wallet);
            ids.uses.push(*uses);
            ids.services_of.push(number);
            books.open_purse(place, *limits, carried);
            let account = Account::wallet(wallet);
            let entry = booked(ids, dice, now, (EntryKind::Opening, account, carried))?;
            steps.push(step!(tx, (entry) => {
                tx.insert_enrolment(&code, (enrolment, child_id, service), (school_year, "intera", price)).await?;
                tx.insert_wallet(&code, wallet, child_id, service).await?;
                tx.open_account(&code, account, &Head::genesis(&code, account)).await?;
                tx.book(&entry).await.map(drop)
            }));
        }
    }
    Ok(steps)
}

/// Whoever has an open purse is enrolled for another year.
pub(super) fn renew(books: &Books, ids: &Ids, (now, school_year): (i64, i64), dice: &mut Dice) -> Vec<Step> {
    let code = ids.code;
    let open = books.purses.iter().enumerate().filter(|(_, purse)| !purse.closed);
    let again = open.map(|(place, purse)| {
        let (enrolment, child) = (id(dice, now), ids.children[purse.child]);
        let (service, price) = (ids.services[ids.services_of[place]], ids.uses[place].0);
        step!(tx, () => {
            tx.insert_enrolment(&code, (enrolment, child, service), (school_year, "intera", price)).await
        })
    });
    again.collect()
}

/// A session on a device; argon2 has no part in money.
pub(super) fn sign_in(who: Identity, now: i64) -> Step {
    let session = NewSession {
        id: who.session,
        guardian: who.guardian,
        device_name: "phone".to_owned(),
        created_at: Millis::new(now),
        refresh_digest: Hash([0; 32]),
    };
    step!(tx, (session) => { tx.insert_session(&who.creditor, &session).await })
}

/// An entry between an account and what services earn.
fn booked(
    ids: &Ids,
    dice: &mut Dice,
    now: i64,
    (kind, account, cents): (EntryKind, Account, i64),
) -> anyhow::Result<Entry> {
    let (entry, sides) = (id::<EntryId>(dice, now), (account, Account::REVENUE, Cents::new(cents)));
    Ok(Entry::transfer(ids.code, entry, kind, Millis::new(now), None, sides)?)
}

/// Where the accounts of wallets stand, for whoever books to them next.
pub(super) const HEADS: &str =
    "SELECT id, seq, balance_cents, head FROM account WHERE creditor = $1 AND kind = 'wallet'";

/// The heads in rows of [`HEADS`].
pub(super) fn heads(rows: &[SqliteRow]) -> anyhow::Result<HashMap<Uuid, Head>> {
    let head = |row: &SqliteRow| {
        let hash: Vec<u8> = row.try_get(3)?;
        let head = Head { seq: row.try_get(1)?, balance: Cents::new(row.try_get(2)?), hash: Hash::try_from(hash)? };
        Ok((row.try_get(0)?, head))
    };
    rows.iter().map(head).collect()
}

/// A meal or ride, of a wallet whose account stands at `seen`, as far as is known.
pub(super) fn charge(
    ids: &Ids,
    dice: &mut Dice,
    (now, day): (i64, &str),
    (purse, cents, seen): (usize, i64, Option<Head>),
) -> anyhow::Result<Step> {
    let memo = Memo { day: Some(day.to_owned()), tariff: Some("intera".to_owned()) };
    let account = Account::wallet(ids.purses[purse]);
    let entry = booked(ids, dice, now, (EntryKind::Charge, account, -cents))?.with_memo(memo);
    Ok(step!(tx, (entry) => { tx.book_after(&entry, seen).await.map(drop) }))
}

/// Issues a bill, as the office would.
pub(super) fn bill(
    books: &mut Books,
    ids: &mut Ids,
    (now, due): (i64, &str),
    lines: Vec<(usize, i64)>,
    dice: &mut Dice,
) -> anyhow::Result<Vec<Step>> {
    let (code, bill) = (ids.code, id::<BillId>(dice, now));
    let total = amount(lines.iter().map(|(_, cents)| cents).sum())?;
    let payer = lines.first().and_then(|(child, _)| books.children[*child].first()).context("a bill for nobody")?;
    let row = NewBill {
        id: bill,
        guardian: ids.parents[*payer].guardian,
        number: format!("B{}", ids.bills.len()),
        period: "mese".to_owned(),
        due_date: due.to_owned(),
        issued_at: Millis::new(now),
        total,
        order_digest: None,
    };
    let account = Account::bill(bill);
    let entry = booked(ids, dice, now, (EntryKind::BillIssued, account, -total.cents()))?;
    // The whole at once, or in two to four parts, a month between them.
    let count = if dice.percent(40) && total.cents() > 1_000 { dice.between(2, 4) } else { 1 };
    let mut left = total.cents();
    let mut parts = Vec::new();
    for part in 1..=count {
        let cents = if part == count { left } else { dice.between(1, left - (count - part)) };
        left -= cents;
        parts.push((NoticeNumber::issue(ids.segregation, dice.bytes()), cents));
    }
    let first: jiff::civil::Date = due.parse()?;
    let notice = |(place, (number, cents)): (i64, (NoticeNumber, i64))| {
        anyhow::Ok(NewNotice {
            number,
            wallet: None,
            bill: Some(bill),
            instalment: (count > 1).then_some(place + 1),
            amount: amount(cents)?,
            reason: "Servizi scolastici".to_owned(),
            taxonomy: ServiceKind::Canteen.municipal_taxonomy().to_owned(),
            debtor_code: "VRDGLI85M52F205X".to_owned(),
            debtor_name: "Parent".to_owned(),
            due_date: first.checked_add(jiff::Span::new().months(place))?.to_string(),
            created_at: Millis::new(now),
            expires_at: None,
        })
    };
    let notices = (0i64..).zip(parts.clone()).map(notice).collect::<anyhow::Result<Vec<_>>>()?;
    let mut steps = vec![step!(tx, (row) => { tx.insert_bill(&code, &row).await.map(drop) })];
    for (line, (child, cents)) in (0i64..).zip(lines.clone()) {
        let (child, service) = (ids.children[child], ids.services[0].uuid());
        steps.push(step!(tx, () => { tx.insert_bill_line(&code, (bill, line), (child, service, cents)).await }));
    }
    steps.push(step!(tx, (entry, notices) => {
        tx.open_account(&code, account, &Head::genesis(&code, account)).await?;
        tx.book(&entry).await?;
        for notice in &notices {
            if !tx.insert_notice(&code, notice).await? {
                return Err(bad(()));
            }
        }
        Ok(())
    }));
    ids.bills.push(bill);
    books.issue_bill(lines, parts.into_iter().map(|(number, cents)| (number.as_str().to_owned(), cents)).collect());
    Ok(steps)
}

/// Closes a purse.
pub(super) fn close(ids: &Ids, purse: usize, now: i64) -> Step {
    let (code, wallet) = (ids.code, ids.purses[purse]);
    step!(tx, () => { tx.close_wallet(&code, wallet, Millis::new(now)).await })
}
