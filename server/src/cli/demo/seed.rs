//! Fills an empty database with the invented families: through the same ledger, the same receipts and the same notices
//! as everything else, only in the past.

use std::sync::Arc;

use anyhow::Context;
use askama::Template;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::id::{BillId, EnrolmentId, EntryId, GuardianId, ServiceId, TopUpId, WalletId, uuid_v7};
use borsellino_domain::ledger::{Account, Entry, EntryKind, Hash, Head, Memo};
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::receipt::ReceiptFacts;
use borsellino_domain::service::{ServiceKind, TopUpRules};
use borsellino_domain::time::{Millis, SchoolYear};
use borsellino_domain::top_up::{PayBy, TopUpOrder};
use borsellino_store::rows::{
    CreditorRow, NewBill, NewChild, NewGuardian, NewNotice, NewService, NewTopUp, StationRow,
};
use borsellino_store::{StoreError, Tx};
use jiff::civil::{Date, Weekday};
use uuid::Uuid;

use super::families::{
    ACTIVATION_CODES, BROKER, BillSeed, CREDITORS, ChildSeed, FAMILIES, FamilySeed, PASSWORD, SERVICES, STATION,
    WalletSeed,
};
use crate::auth::password;
use crate::clock::random;
use crate::usecases::App;
use crate::usecases::content::write_entry;
use crate::usecases::receipts::{Incoming, Plan};

/// The canteen in pagoPA's catalogue of services, as the service's number and the subject's.
const CANTEEN_IN_CATALOGUE: (&str, &str) = ("00009", "00035");

const DAY_MILLIS: i64 = 86_400_000;

/// Writes everything in one transaction.
pub(super) async fn fill(app: &App) -> anyhow::Result<()> {
    let now = app.now();
    let today = now.day_in_italy().context("the clock is outside the calendar")?;
    let salt = random()?;
    // One hash serves all: everybody in the demo has the same password, and each costs a moment.
    let password_hash = tokio::task::spawn_blocking(move || password::hash(PASSWORD, salt)).await??;
    let mut creditors = Vec::new();
    for seed in &CREDITORS {
        creditors.push(CreditorRow {
            fiscal_code: CreditorCode::parse(seed.fiscal_code)?,
            name: seed.name.to_owned(),
            office_name: "Ufficio servizi scolastici".to_owned(),
            station: STATION.parse()?,
            broker: BROKER.parse()?,
            duplicate_is_ko: 0,
            segregation_code: seed.segregation_code.parse()?,
            cbill: seed.cbill.to_owned(),
            iban: seed.iban.parse()?,
            postal_iban: seed.postal_iban.map(str::to_owned),
            help_phone: seed.help_phone.to_owned(),
            top_up_days: 30,
            colour: None,
            logo_mark: None,
        });
    }
    let sower = Arc::new(Sower { app: app.clone(), now, today, password_hash, creditors });
    let sown = app.store.write::<(), (), _>("fill the demo", move |tx| {
        let sower = Arc::clone(&sower);
        Box::pin(async move { sower.sow(tx).await.map(Ok) })
    });
    let _committed = sown.await?;
    Ok(())
}

/// A receipt that the demo invents.
#[derive(Template)]
#[template(path = "demo-receipt.xml")]
struct Message<'a> {
    creditor: &'a str,
    broker: &'a str,
    station: &'a str,
    receipt_id: &'a str,
    notice: &'a str,
    iuv: String,
    amount: String,
    reason: &'a str,
    company: &'a str,
    iban: &'a str,
    taxonomy: &'a str,
    debtor_code: &'a str,
    debtor_name: &'a str,
    paid_at: String,
    day: String,
}

struct Sower {
    app: App,
    now: Millis,
    today: Date,
    password_hash: String,
    creditors: Vec<CreditorRow>,
}

/// A creditor's services, in the order of [`SERVICES`].
type Services = Vec<(ServiceKind, ServiceId)>;

/// A family as written: who its guardians and children are.
struct Family<'a> {
    creditor: &'a CreditorRow,
    services: &'a Services,
    debtor: (GuardianId, String, String),
    children: Vec<Uuid>,
    wallets: Vec<(usize, ServiceKind, WalletId)>,
}

fn bad<E>(what: &'static str) -> impl FnOnce(E) -> StoreError {
    move |_| StoreError::Corrupt(what)
}

impl Sower {
    async fn sow(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let station = StationRow {
            id: STATION.parse().map_err(bad("the demo's station"))?,
            broker: BROKER.parse().map_err(bad("the demo's broker"))?,
            duplicate_is_ko: 0,
        };
        tx.insert_station(&station).await?;
        let mut services = Vec::new();
        for (creditor, code) in self.creditors.iter().zip(ACTIVATION_CODES) {
            tx.insert_creditor(creditor).await?;
            tx.insert_activation_code(&creditor.fiscal_code, code).await?;
            self.open(tx, creditor, Account::SUSPENSE).await?;
            services.push(self.services(tx, creditor).await?);
            for entry in super::content::entries(self.today)? {
                write_entry(tx, &creditor.fiscal_code, &entry, self.now).await?;
            }
        }
        for family in &FAMILIES {
            let (Some(creditor), Some(services)) = (self.creditors.get(family.creditor), services.get(family.creditor))
            else {
                return Err(StoreError::Corrupt("the demo's creditors"));
            };
            self.family(tx, creditor, services, family).await?;
        }
        Ok(())
    }

    fn id<T: From<Uuid>>(&self, at: Millis) -> Result<T, StoreError> {
        let random = random().map_err(bad("no randomness"))?;
        Ok(uuid_v7(at, random).into())
    }

    async fn open(&self, tx: &mut Tx, creditor: &CreditorRow, account: Account) -> Result<(), StoreError> {
        let head = Head::genesis(&creditor.fiscal_code, account);
        tx.open_account(&creditor.fiscal_code, account, &head).await
    }

    async fn services(&self, tx: &mut Tx, creditor: &CreditorRow) -> Result<Services, StoreError> {
        let amount = |cents| Amount::from_cents(cents).map_err(bad("the demo's amounts"));
        let mut services = Vec::new();
        for seed in &SERVICES {
            let id = self.id(self.now)?;
            let nursery = seed.kind == ServiceKind::Nursery;
            let (max, wallet_max) = if nursery { (80_000, 200_000) } else { (20_000, 50_000) };
            let row = NewService {
                id,
                kind: seed.kind,
                name: seed.name.to_owned(),
                taxonomy: seed.kind.municipal_taxonomy().to_owned(),
                presets: seed.presets.iter().map(|cents| amount(*cents)).collect::<Result<_, _>>()?,
                rules: TopUpRules {
                    min: amount(500)?,
                    max: amount(max)?,
                    wallet_max: amount(wallet_max)?,
                    max_open: 3,
                },
                low_mark: Cents::new(seed.low_mark),
            };
            tx.insert_service(&creditor.fiscal_code, &row).await?;
            if seed.kind == ServiceKind::Canteen {
                tx.insert_spontaneous(&creditor.fiscal_code, CANTEEN_IN_CATALOGUE, id).await?;
            }
            services.push((seed.kind, id));
        }
        Ok(services)
    }

    async fn family(
        &self,
        tx: &mut Tx,
        creditor: &CreditorRow,
        services: &Services,
        seed: &FamilySeed,
    ) -> Result<(), StoreError> {
        let code = &creditor.fiscal_code;
        let mut children = Vec::new();
        for child in seed.children {
            let row = NewChild {
                id: self.id(self.now)?,
                given_name: child.given_name.to_owned(),
                family_name: child.family_name.to_owned(),
                fiscal_code: personal_code(child.code)?,
                school: child.school.to_owned(),
                class_name: child.class_name.to_owned(),
            };
            tx.insert_child(code, &row).await?;
            children.push(row.id);
        }
        let mut debtor = None;
        for guardian in seed.guardians {
            let row = NewGuardian {
                id: self.id(self.now)?,
                username: guardian.username.to_owned(),
                full_name: guardian.full_name.to_owned(),
                fiscal_code: personal_code(guardian.code)?,
                email: None,
                password_hash: self.password_hash.clone(),
            };
            tx.insert_guardian(code, &row).await?;
            for child in guardian.children.iter().filter_map(|index| children.get(*index)) {
                tx.link_child(code, row.id, *child).await?;
            }
            debtor.get_or_insert((row.id, row.fiscal_code, row.full_name));
        }
        let debtor = debtor.ok_or(StoreError::Corrupt("a demo family without a guardian"))?;
        let mut family = Family { creditor, services, debtor, children, wallets: Vec::new() };
        for (index, child) in seed.children.iter().enumerate() {
            self.wallets(tx, &mut family, index, child).await?;
        }
        for bill in seed.bills {
            self.bill(tx, &family, bill).await?;
        }
        for (child, kind, cents) in seed.waiting {
            self.notice_for(tx, &family, (*child, *kind), *cents, self.now.plus_days(-1)).await?;
        }
        Ok(())
    }

    async fn wallets(
        &self,
        tx: &mut Tx,
        family: &mut Family<'_>,
        index: usize,
        child: &ChildSeed,
    ) -> Result<(), StoreError> {
        let code = family.creditor.fiscal_code;
        let year = i64::from(SchoolYear::of(self.today).begins());
        let child_id = *family.children.get(index).ok_or(StoreError::Corrupt("the demo's children"))?;
        for seed in child.wallets {
            let service = service(family.services, seed.kind)?;
            let wallet: WalletId = self.id(self.now)?;
            let (enrolment, price): (EnrolmentId, i64) = (self.id(self.now)?, seed.unit_price);
            tx.insert_enrolment(&code, (enrolment, child_id, service), (year, seed.tariff, price)).await?;
            tx.insert_wallet(&code, wallet, child_id, service).await?;
            self.open(tx, family.creditor, Account::wallet(wallet)).await?;
            family.wallets.push((index, seed.kind, wallet));
            self.history(tx, family, index, (wallet, seed)).await?;
        }
        Ok(())
    }

    /// A balance carried over, then the school days one after the other: a charge each, and the top-ups between them.
    async fn history(
        &self,
        tx: &mut Tx,
        family: &Family<'_>,
        child: usize,
        (wallet, seed): (WalletId, &WalletSeed),
    ) -> Result<(), StoreError> {
        let mut days = self.school_days(seed.days.max(30));
        days.reverse();
        let first = days.first().map_or(self.now, |day| noon(*day));
        let opened = first.plus(-DAY_MILLIS);
        let opening = (Account::wallet(wallet), Account::REVENUE, Cents::new(seed.opening));
        self.book(tx, family, EntryKind::Opening, opened, opening, Memo::default()).await?;
        let length = days.len();
        for (index, day) in days.into_iter().enumerate() {
            let ago = length - index;
            for (_, cents) in seed.top_ups.iter().filter(|(when, _)| *when == ago) {
                let at = noon(day).plus(-3 * 3_600_000);
                let number = self.notice_for(tx, family, (child, seed.kind), *cents, at.plus(-600_000)).await?;
                self.paid(tx, family, &number, *cents, at).await?;
            }
            if ago <= seed.days && seed.unit_price > 0 {
                let sides = (Account::wallet(wallet), Account::REVENUE, Cents::new(-seed.unit_price));
                let memo = Memo { day: Some(day.to_string()), tariff: Some(seed.tariff.to_owned()) };
                self.book(tx, family, EntryKind::Charge, noon(day), sides, memo).await?;
            }
        }
        Ok(())
    }

    async fn book(
        &self,
        tx: &mut Tx,
        family: &Family<'_>,
        kind: EntryKind,
        at: Millis,
        sides: (Account, Account, Cents),
        memo: Memo,
    ) -> Result<(), StoreError> {
        let id: EntryId = self.id(at)?;
        let entry = Entry::transfer(family.creditor.fiscal_code, id, kind, at, None, sides);
        let entry = entry.map_err(bad("the demo's entries"))?.with_memo(memo);
        tx.book(&entry).await.map(drop)
    }

    /// A top-up by notice, made at `at`.
    async fn notice_for(
        &self,
        tx: &mut Tx,
        family: &Family<'_>,
        (child, kind): (usize, ServiceKind),
        cents: i64,
        at: Millis,
    ) -> Result<NoticeNumber, StoreError> {
        let code = family.creditor.fiscal_code;
        let found = family.wallets.iter().find(|(index, its, _)| *index == child && *its == kind);
        let wallet = found.map(|(_, _, wallet)| *wallet).ok_or(StoreError::Corrupt("the demo's wallets"))?;
        let amount = Amount::from_cents(cents).map_err(bad("the demo's amounts"))?;
        let name = SERVICES.iter().find(|service| service.kind == kind).map_or("", |service| service.name);
        let (guardian, debtor_code, debtor_name) = family.debtor.clone();
        let calendar = || StoreError::Corrupt("the calendar");
        let due_date = at.plus_days(family.creditor.top_up_days).day_in_italy().ok_or_else(calendar)?;
        let expires_at = Millis::end_of_day_in_italy(due_date).ok_or_else(calendar)?;
        let notice = NewNotice {
            number: self.number(family.creditor)?,
            wallet: Some(wallet),
            bill: None,
            instalment: None,
            amount,
            reason: format!("Ricarica {name}"),
            taxonomy: kind.municipal_taxonomy().to_owned(),
            debtor_code,
            debtor_name,
            due_date: due_date.to_string(),
            created_at: at,
            expires_at: Some(expires_at),
        };
        tx.insert_notice(&code, &notice).await?;
        let order = TopUpOrder { id: self.id::<TopUpId>(at)?, wallet, amount, pay_by: PayBy::Notice };
        let top_up = NewTopUp {
            id: order.id,
            guardian,
            wallet,
            amount,
            pay_by: order.pay_by,
            fingerprint: order.fingerprint(),
            notice: notice.number,
            created_at: at,
            asked: None,
        };
        tx.insert_top_up(&code, &top_up).await?;
        Ok(notice.number)
    }

    fn number(&self, creditor: &CreditorRow) -> Result<NoticeNumber, StoreError> {
        let random = random().map_err(bad("no randomness"))?;
        Ok(NoticeNumber::issue(creditor.segregation_code, random))
    }

    /// A receipt for it, through the same booking as any other; only its message says that no Node sent it.
    async fn paid(
        &self,
        tx: &mut Tx,
        family: &Family<'_>,
        number: &NoticeNumber,
        cents: i64,
        at: Millis,
    ) -> Result<(), StoreError> {
        let code = family.creditor.fiscal_code;
        let receipt_id = self.id::<EntryId>(at)?.uuid().simple().to_string();
        let message = self.message(family, number, (&receipt_id, cents), at)?;
        let nonce = random().map_err(bad("no randomness"))?;
        let facts = ReceiptFacts {
            addressed_to: code,
            issuer: code,
            outcome_ok: true,
            reference_fits: true,
            total: Cents::new(cents),
            transfers: vec![(code, Cents::new(cents))],
        };
        let plan = Plan {
            now: at,
            entry: self.id(at)?,
            outbox: self.id(at)?,
            key_id: self.app.keys.id().to_owned(),
            sealed: self.app.keys.seal("receipt", &message, nonce).map_err(bad("the demo's key"))?,
            message_digest: Hash::of(&message),
            incoming: Incoming {
                facts,
                receipt_id,
                notice_number: number.as_str().to_owned(),
                total: Cents::new(cents),
                content_digest: Hash::of(&message),
                message,
            },
        };
        plan.run(tx).await.map(drop)
    }

    /// The receipt as the Node would have sent it: what was paid can be printed and certified.
    fn message(
        &self,
        family: &Family<'_>,
        number: &NoticeNumber,
        (receipt_id, cents): (&str, i64),
        at: Millis,
    ) -> Result<Vec<u8>, StoreError> {
        let (_, debtor_code, debtor_name) = &family.debtor;
        let creditor = family.creditor;
        let message = Message {
            creditor: creditor.fiscal_code.as_str(),
            broker: creditor.broker.as_str(),
            station: creditor.station.as_str(),
            receipt_id,
            notice: number.as_str(),
            iuv: number.iuv().as_str().to_owned(),
            amount: Cents::new(cents).to_string(),
            reason: "Ricarica servizi scolastici",
            company: &creditor.name,
            iban: creditor.iban.as_str(),
            taxonomy: ServiceKind::Canteen.municipal_taxonomy(),
            debtor_code,
            debtor_name,
            paid_at: at.iso(),
            day: at.day_in_italy().map(|day| day.to_string()).unwrap_or_default(),
        };
        Ok(message.render().map_err(bad("the demo's receipts"))?.into_bytes())
    }

    async fn bill(&self, tx: &mut Tx, family: &Family<'_>, seed: &BillSeed) -> Result<(), StoreError> {
        let code = family.creditor.fiscal_code;
        let issued_at = self.now.plus_days(-4);
        let due = self.now.plus_days(seed.due_in).day_in_italy().ok_or(StoreError::Corrupt("the calendar"))?;
        let total: i64 = seed.lines.iter().map(|(_, _, cents)| cents).sum();
        let total = Amount::from_cents(total).map_err(bad("the demo's amounts"))?;
        let (guardian, debtor_code, debtor_name) = family.debtor.clone();
        let id: BillId = self.id(issued_at)?;
        let row = NewBill {
            id,
            guardian,
            number: seed.number.to_owned(),
            period: seed.period.to_owned(),
            due_date: due.to_string(),
            issued_at,
            total,
            order_digest: None,
        };
        tx.insert_bill(&code, &row).await?;
        for (line, (child, kind, cents)) in (0i64..).zip(seed.lines) {
            let child = *family.children.get(*child).ok_or(StoreError::Corrupt("the demo's children"))?;
            let service = service(family.services, *kind)?.uuid();
            tx.insert_bill_line(&code, (id, line), (child, service, *cents)).await?;
        }
        self.open(tx, family.creditor, Account::bill(id)).await?;
        let owed = total.as_cents().negated().map_err(bad("the demo's amounts"))?;
        self.book(
            tx,
            family,
            EntryKind::BillIssued,
            issued_at,
            (Account::bill(id), Account::REVENUE, owed),
            Memo::default(),
        )
        .await?;
        let first = seed.lines.first().map_or(ServiceKind::Canteen, |(_, kind, _)| *kind);
        let notice = NewNotice {
            number: self.number(family.creditor)?,
            wallet: None,
            bill: Some(id),
            instalment: None,
            amount: total,
            reason: format!("{} {}", seed.reason, seed.period),
            taxonomy: first.municipal_taxonomy().to_owned(),
            debtor_code,
            debtor_name,
            due_date: due.to_string(),
            created_at: issued_at,
            expires_at: None,
        };
        tx.insert_notice(&code, &notice).await.map(drop)
    }

    /// The last `count` days of school before today, the newest first.
    fn school_days(&self, count: usize) -> Vec<Date> {
        let mut days = Vec::with_capacity(count);
        let mut day = self.today;
        while days.len() < count {
            let Ok(before) = day.yesterday() else { break };
            day = before;
            if !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
                days.push(day);
            }
        }
        days
    }
}

fn service(services: &Services, kind: ServiceKind) -> Result<ServiceId, StoreError> {
    let found = services.iter().find(|(its, _)| *its == kind).map(|(_, id)| *id);
    found.ok_or(StoreError::Corrupt("the demo's services"))
}

/// Noon in Italy, near enough (11:00 UTC).
fn noon(day: Date) -> Millis {
    let at = day.at(11, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC);
    Millis::new(at.map_or(0, |at| at.timestamp().as_millisecond()))
}

/// The code whose first fifteen characters are these: only one sixteenth fits.
fn personal_code(first: &str) -> Result<String, StoreError> {
    let codes = ('A'..='Z').map(|last| format!("{first}{last}"));
    let found = codes.into_iter().find(|code| PersonalCode::parse(code).is_ok());
    found.ok_or(StoreError::Corrupt("the demo's tax codes"))
}
