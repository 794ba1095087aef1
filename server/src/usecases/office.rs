//! What the office does by hand about notices and bills: issue a bill, withdraw it, cancel a top-up's notice, take money
//! at its own counter. Each act is one transaction, carries a reason and a name, and is kept for good; a receipt that
//! comes all the same is judged by what it then finds (ARCHITECTURE.md, rules of money, 3).

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::draft::{Draft, DraftError, DraftLine, DraftPart, MAX_INSTALMENTS};
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::id::{BillId, EntryId, OutboxId, uuid_v7};
use borsellino_domain::ledger::{Account, Entry, EntryKind, Hash, Head};
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::office::OfficeAction;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::{NoticeState, PAYMENT_TOKEN_MILLIS};
use borsellino_store::rows::{CreditorRow, DebtorRow, NewBill, NewNotice, NoticeRow, OfficeActionRow};
use borsellino_store::{Store, StoreError, Tx};
use thiserror::Error;
use uuid::Uuid;

use super::Stop;
use super::node::amount_due;
use super::pay::{DRAWS, draw, insert_notice};
use crate::clock::{NoRandomness, random};

/// The longest reason or name, in characters.
const LONGEST: usize = 200;

/// Whether a reason or a name says something, and not too much.
pub(super) fn signed(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= LONGEST
}

/// Who acts, when and why; with the ids of what the act may have to write, so that it can be run again.
#[derive(Clone, Debug)]
pub struct Act {
    creditor: CreditorCode,
    reason: String,
    operator: String,
    at: Millis,
    id: Uuid,
    entry: EntryId,
    outbox: [OutboxId; MAX_INSTALMENTS],
}

impl Act {
    /// An act at `at`, for the `reason` that the `operator` gives.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub fn new(creditor: CreditorCode, at: Millis, (reason, operator): (String, String)) -> Result<Self, NoRandomness> {
        let id = || Ok::<_, NoRandomness>(uuid_v7(at, random()?));
        let mut outbox = [OutboxId::from(id()?); MAX_INSTALMENTS];
        for row in &mut outbox[1..] {
            *row = id()?.into();
        }
        Ok(Self { creditor, reason, operator, at, id: id()?, entry: id()?.into(), outbox })
    }

    /// Whose.
    pub(super) fn creditor(&self) -> CreditorCode {
        self.creditor
    }

    /// When.
    pub(super) fn at(&self) -> Millis {
        self.at
    }

    /// Its id.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// Why, and who.
    pub(super) fn signature(&self) -> (&str, &str) {
        (&self.reason, &self.operator)
    }

    /// Keeps it; `false` where it was kept before, by a run whose answer was lost.
    pub(super) async fn keep(
        &self,
        tx: &mut Tx,
        (action, subject): (OfficeAction, &str),
        booked: Option<Cents>,
    ) -> Result<bool, StoreError> {
        let row = OfficeActionRow {
            id: self.id,
            action,
            subject: subject.to_owned(),
            reason: self.reason.clone(),
            operator: self.operator.clone(),
            at_ms: self.at,
            cents: booked.map(Cents::get),
            entry: booked.map(|_| self.entry.uuid()),
        };
        tx.insert_action(&self.creditor, &row).await
    }

    /// What a run of it whose answer was lost has booked.
    pub(super) async fn done(&self, tx: &mut Tx) -> Result<Option<Amount>, StoreError> {
        let row = tx.action(&self.creditor, self.id).await?;
        Ok(row.and_then(|row| row.cents).and_then(|cents| Amount::from_cents(cents).ok()))
    }

    /// Moves money into an account that somebody owns, or out of it; answers where it stands after it.
    pub(super) async fn book(
        &self,
        tx: &mut Tx,
        kind: EntryKind,
        sides: (Account, Account, Cents),
    ) -> Result<Option<Head>, StoreError> {
        let entry = Entry::transfer(self.creditor, self.entry, kind, self.at, None, sides);
        let entry = entry.map_err(|_| StoreError::Corrupt("an entry that does not balance"))?;
        Ok(tx.book(&entry).await?.first().copied().flatten())
    }

    /// The platform's archive has to know (SANP 3.12.0, synchronous integration).
    async fn tell_archive(&self, tx: &mut Tx, (place, number): (usize, &str)) -> Result<(), StoreError> {
        let id = *self.outbox.get(place).ok_or(StoreError::Corrupt("more notices than a bill can have"))?;
        tx.insert_outbox(&self.creditor, id, ("aca_position", number), self.at).await
    }

    async fn tell_family(&self, tx: &mut Tx, row: &NoticeRow, number: &str) -> Result<(), StoreError> {
        if let Some(wallet) = row.wallet {
            tx.number_wallet_change(&self.creditor, wallet).await?;
            tx.feed_wallet_change(&self.creditor, wallet, self.at, number).await?;
        } else if let Some(bill) = row.bill {
            tx.number_bill_change(&self.creditor, bill).await?;
            tx.feed_bill_change(&self.creditor, bill, self.at, number).await?;
        }
        Ok(())
    }
}

/// Why the office can't do that.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OfficeRefusal {
    /// An act needs a reason and a name.
    #[error("this needs a reason and the name of who does it, of at most {LONGEST} characters each")]
    Unsigned,
    /// No such notice.
    #[error("this creditor has no such notice")]
    NoNotice,
    /// No such bill.
    #[error("this creditor has no such bill")]
    NoBill,
    /// The notice is settled.
    #[error("the notice is paid")]
    Paid,
    /// It can't be paid any more.
    #[error("the notice is cancelled")]
    Cancelled,
    /// It is a bill's.
    #[error("the notice is a bill's: withdraw the bill")]
    OfBill,
    /// The wallet takes no money.
    #[error("the wallet is closed")]
    WalletClosed,
    /// Nothing is left of the bill.
    #[error("nothing is left of the bill: there is nothing to withdraw")]
    Settled,
    /// No such guardian.
    #[error("no guardian of this creditor signs in as {0}")]
    NoGuardian(String),
    /// No such adult.
    #[error("no adult of this creditor has this user name or codice fiscale")]
    NoAdult,
    /// No such child.
    #[error("this creditor has no child with this codice fiscale")]
    NoSuchChild,
    /// Their access was ended.
    #[error("their access was ended: give it back first (borsellino guardian restore)")]
    AccessEnded,
    /// Somebody has this codice fiscale already.
    #[error("an adult with this codice fiscale is known already")]
    Known,
    /// A child of theirs is not known.
    #[error("child {0} of theirs: this creditor has no child with this codice fiscale")]
    NoChildOf(usize),
    /// They have nothing to do with the children of the bill.
    #[error("{0} is no guardian of a child on this bill")]
    NotTheirs(String),
    /// No such child; which one stands in the file.
    #[error("line {0}: this creditor has no child with this codice fiscale")]
    NoChild(usize),
    /// No such service.
    #[error("line {line}: this creditor has no service called {service}")]
    NoService {
        /// Which line, from 1.
        line: usize,
        /// As written.
        service: String,
    },
    /// The bill makes no sense.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The reason is printed, shown by any PSP and sent to the platform.
    #[error("the reason names a child: write what is paid for, and nobody's name")]
    ChildNamed,
    /// Another bill has this number.
    #[error("another bill has the number {0}")]
    NumberUsed(String),
}

/// Refuses what nobody stands for.
pub(super) fn check(by: &Act) -> Result<(), Stop<OfficeRefusal>> {
    if signed(&by.reason) && signed(&by.operator) { Ok(()) } else { Err(Stop::Refused(OfficeRefusal::Unsigned)) }
}

/// Ends every session of a guardian whose phone was lost, and has the phones that come back keep nothing of the account.
/// Answers how many sessions there were.
///
/// # Errors
/// [`OfficeRefusal`], or a [`super::Fault`].
pub async fn wipe_phones(store: &Store, by: Act, username: String) -> Result<u64, Stop<OfficeRefusal>> {
    check(&by)?;
    let written = store.write("wipe phones", move |tx| {
        let (by, username) = (by.clone(), username.trim().to_lowercase());
        Box::pin(async move {
            let Some(guardian) = tx.guardian_by_username(&by.creditor, &username).await? else {
                return Ok(Err(OfficeRefusal::NoGuardian(username)));
            };
            by.keep(tx, (OfficeAction::PhonesWiped, &guardian.id.to_string()), None).await?;
            // What was confirmed on the lost phone is confirmed no more.
            tx.end_recoveries(&by.creditor, (guardian.id, Uuid::nil()), by.at).await?;
            Ok(Ok(tx.wipe_sessions(&by.creditor, guardian.id, by.at).await?))
        })
    });
    written.await?.map_err(Stop::Refused)
}

/// Makes a top-up's notice unpayable. A receipt that is under way finds the wallet all the same.
///
/// # Errors
/// [`OfficeRefusal`], or a [`super::Fault`].
pub async fn cancel_notice(store: &Store, by: Act, number: String) -> Result<(), Stop<OfficeRefusal>> {
    check(&by)?;
    let written = store.write("cancel a notice", move |tx| {
        let (by, number) = (by.clone(), number.clone());
        Box::pin(async move {
            let row = match tx.notice(&by.creditor, &number).await? {
                Some(row) if row.bill.is_some() => return Ok(Err(OfficeRefusal::OfBill)),
                Some(row) => row,
                None => return Ok(Err(OfficeRefusal::NoNotice)),
            };
            if !by.keep(tx, (OfficeAction::NoticeCancelled, &number), None).await? {
                return Ok(Ok(()));
            }
            if !tx.cancel_notice(&by.creditor, &number).await? {
                // What was kept of the act goes with the transaction.
                return Ok(Err(match row.state {
                    NoticeState::Cancelled => OfficeRefusal::Cancelled,
                    _ => OfficeRefusal::Paid,
                }));
            }
            by.tell_family(tx, &row, &number).await?;
            by.tell_archive(tx, (0, &number)).await.map(Ok)
        })
    });
    written.await?.map_err(Stop::Refused)
}

/// Takes what a notice asks for at the office's own counter, outside pagoPA: its wallet is filled, or its bill paid, and
/// nobody can pay it a second time. A receipt that comes all the same is a second payment. Answers what was taken.
///
/// # Errors
/// [`OfficeRefusal`], or a [`super::Fault`].
pub async fn settle_notice(store: &Store, by: Act, number: String) -> Result<Amount, Stop<OfficeRefusal>> {
    check(&by)?;
    let written = store.write("take money at the counter", move |tx| {
        let (by, number) = (by.clone(), number.clone());
        Box::pin(async move { settle(tx, &by, &number).await })
    });
    written.await?.map_err(Stop::Refused)
}

async fn settle(tx: &mut Tx, by: &Act, number: &str) -> Result<Result<Amount, OfficeRefusal>, StoreError> {
    let Some(row) = tx.notice(&by.creditor, number).await? else { return Ok(Err(OfficeRefusal::NoNotice)) };
    let bad = |_| StoreError::Corrupt("a notice's amount");
    if let Some(taken) = by.done(tx).await? {
        return Ok(Ok(taken));
    }
    match row.state {
        NoticeState::Paid => return Ok(Err(OfficeRefusal::Paid)),
        NoticeState::Cancelled => return Ok(Err(OfficeRefusal::Cancelled)),
        NoticeState::Open | NoticeState::Expired => {}
    }
    if row.wallet_closed_at_ms.is_some() {
        return Ok(Err(OfficeRefusal::WalletClosed));
    }
    let Some(amount) = amount_due(&row).map_err(bad)? else { return Ok(Err(OfficeRefusal::Paid)) };
    by.keep(tx, (OfficeAction::NoticeSettled, number), Some(amount.as_cents())).await?;
    let account = match (row.wallet, row.bill) {
        (Some(wallet), None) => Account::wallet(wallet.into()),
        (None, Some(bill)) => Account::bill(bill.into()),
        _ => return Err(StoreError::Corrupt("a notice for nothing, or for two things")),
    };
    let sides = (account, Account::COUNTER, amount.as_cents());
    let after = by.book(tx, EntryKind::CounterPayment, sides).await?;
    // Paid in the same moment, or another instalment was: what it asks for has to be asked anew.
    let moved = after.is_none_or(|head| row.head().is_none_or(|seen| head.seq != seen.seq.saturating_add(1)));
    if moved || !tx.settle_notice(&by.creditor, number, by.at).await? {
        return Err(StoreError::Conflict);
    }
    by.tell_family(tx, &row, number).await?;
    by.tell_archive(tx, (0, number)).await?;
    Ok(Ok(amount))
}

/// A bill that was withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// What is no longer owed.
    pub residual: Amount,
    /// A pagoPA page for it may still be paid until then; that money will wait for the office.
    pub page_until: Option<Millis>,
}

/// Withdraws what is left of a bill: its notices can no longer be paid, and nothing is owed. What was paid stays paid.
///
/// # Errors
/// [`OfficeRefusal`], or a [`super::Fault`].
pub async fn withdraw_bill(store: &Store, by: Act, bill: BillId) -> Result<Withdrawn, Stop<OfficeRefusal>> {
    check(&by)?;
    let written = store.write("withdraw a bill", move |tx| {
        let by = by.clone();
        Box::pin(async move { withdraw(tx, &by, bill).await })
    });
    written.await?.map_err(Stop::Refused)
}

async fn withdraw(tx: &mut Tx, by: &Act, bill: BillId) -> Result<Result<Withdrawn, OfficeRefusal>, StoreError> {
    let code = &by.creditor;
    let Some(row) = tx.bill(code, bill).await? else { return Ok(Err(OfficeRefusal::NoBill)) };
    let notices = tx.notices_of_bill(code, bill).await?;
    let opened = notices.iter().filter_map(|notice| notice.page_opened_at_ms).max();
    let page_until = opened.map(|at| Millis::new(at).plus(PAYMENT_TOKEN_MILLIS)).filter(|until| by.at < *until);
    let owed = row.balance_cents.negated().map_err(|_| StoreError::Corrupt("a bill's balance"))?;
    if let Some(residual) = by.done(tx).await? {
        return Ok(Ok(Withdrawn { residual, page_until }));
    }
    let Ok(residual) = Amount::from_cents(owed.get()) else { return Ok(Err(OfficeRefusal::Settled)) };
    by.keep(tx, (OfficeAction::BillWithdrawn, &bill.to_string()), Some(residual.as_cents())).await?;
    let sides = (Account::bill(bill), Account::REVENUE, residual.as_cents());
    let after = by.book(tx, EntryKind::BillWithdrawn, sides).await?;
    if after.is_none_or(|head| head.balance != Cents::ZERO) {
        // Paid in the same moment.
        return Err(StoreError::Conflict);
    }
    tx.withdraw_bill(code, bill, residual.cents()).await?;
    tx.cancel_bill(code, bill).await?;
    for (place, notice) in notices.iter().enumerate().filter(|(_, notice)| notice.state == NoticeState::Open) {
        by.tell_archive(tx, (place, notice.number.as_str())).await?;
    }
    if let Some(first) = notices.first() {
        tx.number_bill_change(code, bill.uuid()).await?;
        tx.feed_bill_change(code, bill.uuid(), by.at, first.number.as_str()).await?;
    }
    Ok(Ok(Withdrawn { residual, page_until }))
}

/// A bill as the office writes it.
#[derive(Clone, Debug)]
pub struct BillOrder {
    /// The user name of who owes.
    pub guardian: String,
    /// The creditor's number, its period, and the reason on its notices.
    pub words: (String, String, String),
    /// The child's codice fiscale, the service's name, how much.
    pub lines: Vec<(String, String, Amount)>,
    /// When and how much: one part is the whole, several are instalments.
    pub parts: Vec<DraftPart>,
}

impl BillOrder {
    /// Tells the same order from another.
    fn digest(&self) -> Hash {
        Hash::of(format!("borsellino.bill.v1|{self:?}").as_bytes())
    }
}

/// A bill that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Its id.
    pub bill: BillId,
    /// Its notices, in the order of its parts.
    pub notices: Vec<NoticeNumber>,
    /// It was issued before, with the same content.
    pub stood: bool,
}

/// Issues a bill with a notice per part. The same order again finds it.
///
/// # Errors
/// [`OfficeRefusal`], or a [`super::Fault`].
pub async fn issue_bill(
    store: &Store,
    creditor: &CreditorRow,
    by: Act,
    order: BillOrder,
) -> Result<Issued, Stop<OfficeRefusal>> {
    check(&by)?;
    let mut numbers = Vec::with_capacity(order.parts.len());
    for _ in &order.parts {
        numbers.push(draw(creditor)?);
    }
    let bill = uuid_v7(by.at, random()?).into();
    let plan = Issue { by, order, numbers, bill };
    let written = store.write("issue a bill", move |tx| {
        let plan = plan.clone();
        Box::pin(async move { plan.run(tx).await })
    });
    written.await?.map_err(Stop::Refused)
}

#[derive(Clone)]
struct Issue {
    by: Act,
    order: BillOrder,
    numbers: Vec<[NoticeNumber; DRAWS]>,
    bill: BillId,
}

impl Issue {
    async fn run(&self, tx: &mut Tx) -> Result<Result<Issued, OfficeRefusal>, StoreError> {
        let code = &self.by.creditor;
        let Some(debtor) = tx.debtor(code, &self.order.guardian).await? else {
            return Ok(Err(OfficeRefusal::NoGuardian(self.order.guardian.clone())));
        };
        let (draft, taxonomy) = match self.draft(tx).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(row) = tx.bill_by_number(code, draft.number()).await? {
            if row.order_digest.as_deref() != Some(&self.order.digest().0[..]) {
                return Ok(Err(OfficeRefusal::NumberUsed(draft.number().to_owned())));
            }
            let notices = tx.notices_of_bill(code, row.id).await?.into_iter().map(|notice| notice.number).collect();
            // Our own: this runs again because the answer to its commit was lost.
            return Ok(Ok(Issued { bill: row.id, notices, stood: row.id != self.bill }));
        }
        let mut related = false;
        for line in draft.lines() {
            related |= tx.is_guardian_of(code, (debtor.id.uuid(), line.child.uuid())).await?;
        }
        if !related {
            return Ok(Err(OfficeRefusal::NotTheirs(self.order.guardian.clone())));
        }
        let act = (OfficeAction::BillIssued, &*self.bill.to_string());
        self.by.keep(tx, act, Some(draft.total().as_cents())).await?;
        self.write(tx, &draft, &debtor, &taxonomy).await.map(Ok)
    }

    /// The draft with children and services found, and the taxonomy code of its first service.
    async fn draft(&self, tx: &mut Tx) -> Result<Result<(Draft, String), OfficeRefusal>, StoreError> {
        let code = &self.by.creditor;
        let services = tx.services(code).await?;
        if self.order.words.2.split_whitespace().any(|word| PersonalCode::parse(word).is_ok()) {
            return Ok(Err(OfficeRefusal::ChildNamed));
        }
        let (mut lines, mut taxonomy) = (Vec::new(), None);
        for (line, (child, service, amount)) in (1usize..).zip(&self.order.lines) {
            let Some(child) = tx.child_by_code(code, child).await? else {
                return Ok(Err(OfficeRefusal::NoChild(line)));
            };
            let names = [words(&child.given_name), words(&child.family_name)].concat();
            if words(&self.order.words.2).iter().any(|word| names.contains(word)) {
                return Ok(Err(OfficeRefusal::ChildNamed));
            }
            let Some(found) = services.iter().find(|row| row.name == *service) else {
                return Ok(Err(OfficeRefusal::NoService { line, service: service.clone() }));
            };
            taxonomy.get_or_insert_with(|| found.taxonomy.clone());
            lines.push(DraftLine { child: child.id, service: found.id, amount: *amount });
        }
        let draft = Draft::new(self.order.words.clone(), lines, self.order.parts.clone());
        Ok(draft.map(|draft| (draft, taxonomy.unwrap_or_default())).map_err(OfficeRefusal::from))
    }

    async fn write(
        &self,
        tx: &mut Tx,
        draft: &Draft,
        debtor: &DebtorRow,
        taxonomy: &str,
    ) -> Result<Issued, StoreError> {
        let (by, code, bill) = (&self.by, &self.by.creditor, self.bill);
        let due = draft.due().ok_or(StoreError::Corrupt("a bill without a due date"))?;
        let row = NewBill {
            id: bill,
            guardian: debtor.id,
            number: draft.number().to_owned(),
            period: draft.period().to_owned(),
            due_date: due.to_string(),
            issued_at: by.at,
            total: draft.total(),
            order_digest: Some(self.order.digest()),
        };
        if !tx.insert_bill(code, &row).await? {
            // Issued in the same moment: look again.
            return Err(StoreError::Conflict);
        }
        for (place, line) in (0i64..).zip(draft.lines()) {
            let about = (line.child.uuid(), line.service.uuid(), line.amount.cents());
            tx.insert_bill_line(code, (bill, place), about).await?;
        }
        let account = Account::bill(bill);
        tx.open_account(code, account, &Head::genesis(code, account)).await?;
        let owed = draft.total().as_cents().negated().map_err(|_| StoreError::Corrupt("a bill's amount"))?;
        by.book(tx, EntryKind::BillIssued, (account, Account::REVENUE, owed)).await?;
        let mut notices = Vec::new();
        for ((instalment, reason, part), numbers) in draft.notices().zip(&self.numbers) {
            let notice = NewNotice {
                number: numbers[0],
                wallet: None,
                bill: Some(bill),
                instalment,
                amount: part.amount,
                reason,
                taxonomy: taxonomy.to_owned(),
                debtor_code: debtor.fiscal_code.clone(),
                debtor_name: debtor.full_name.clone(),
                due_date: part.due.to_string(),
                created_at: by.at,
                expires_at: None,
            };
            notices.push(insert_notice(tx, code, notice, numbers).await?);
        }
        for (place, number) in notices.iter().enumerate() {
            by.tell_archive(tx, (place, number.as_str())).await?;
        }
        tx.number_bill_change(code, bill.uuid()).await?;
        if let Some(first) = notices.first() {
            tx.feed_bill_change(code, bill.uuid(), by.at, first.as_str()).await?;
        }
        Ok(Issued { bill, notices, stood: false })
    }
}

/// The words of a name or a reason, of more than one letter, in small letters; every apostrophe, hyphen or blank ends one.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).map(str::to_lowercase);
    words.filter(|word| word.chars().count() > 1).collect()
}
