//! What use cases answer: domain types, ready for any edge to encode.

use borsellino_domain::bill::{BillState, Share, asked};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{BillId, ChildId, GuardianId, TopUpId, WalletId};
use borsellino_domain::ledger::EntryKind;
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::notice::{NoticeNumber, QrText};
use borsellino_domain::service::ServiceKind;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::{NoticeState, PAYMENT_TOKEN_MILLIS, PayBy, PaymentState, payment_state};
use borsellino_store::rows::{CreditorRow, DueRow, MovementRow, TopUpRow};
use uuid::Uuid;

use super::Fault;

/// A creditor, as a parent needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditorView {
    /// Its tax code.
    pub fiscal_code: CreditorCode,
    /// Its name.
    pub name: String,
    /// Its interbank code, may be empty.
    pub cbill: String,
    /// Whom to call, may be empty.
    pub help_phone: String,
}

impl From<&CreditorRow> for CreditorView {
    fn from(row: &CreditorRow) -> Self {
        let (name, cbill, help_phone) = (row.name.clone(), row.cbill.clone(), row.help_phone.clone());
        Self { fiscal_code: row.fiscal_code, name, cbill, help_phone }
    }
}

/// A notice, as a parent shows or types it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeView {
    /// 18 digits.
    pub number: NoticeNumber,
    /// How much.
    pub amount: Amount,
    /// What for.
    pub reason: String,
    /// The text of its QR code.
    pub qr_text: String,
    /// When it stops being payable.
    pub expires_at: Option<Millis>,
}

impl NoticeView {
    /// The view of a notice of `creditor`.
    pub fn new(
        creditor: CreditorCode,
        number: NoticeNumber,
        amount: Amount,
        reason: String,
        expires_at_ms: Option<i64>,
    ) -> Self {
        let qr_text = QrText::new(number, creditor, amount).to_string();
        Self { number, amount, reason, qr_text, expires_at: expires_at_ms.map(Millis::new) }
    }
}

/// A top-up, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentView {
    /// The top-up.
    pub id: TopUpId,
    /// Where its money goes.
    pub wallet: WalletId,
    /// How much.
    pub amount: Amount,
    /// How the parent meant to pay.
    pub pay_by: PayBy,
    /// How it stands.
    pub state: PaymentState,
    /// When it was asked for.
    pub created_at: Millis,
    /// When the receipt came.
    pub paid_at: Option<Millis>,
    /// Its notice.
    pub notice: NoticeView,
    /// The pagoPA page, while one is live.
    pub page_url: Option<String>,
    /// A second payment of it was put aside.
    pub paid_twice: bool,
}

/// The page of a notice, while pagoPA may still hold its payment.
pub fn live_page(url: Option<&str>, opened_at_ms: Option<i64>, now: Millis) -> Option<String> {
    let live = opened_at_ms.is_some_and(|at| now < Millis::new(at).plus(PAYMENT_TOKEN_MILLIS));
    url.filter(|_| live).map(str::to_owned)
}

impl PaymentView {
    /// Whether its notice can be paid now.
    pub const fn can_be_paid(&self) -> bool {
        matches!(self.state, PaymentState::Payable | PaymentState::NotCompleted)
    }

    /// The view of a stored top-up at `now`.
    pub fn new(creditor: CreditorCode, row: &TopUpRow, now: Millis) -> Self {
        let opened = row.page_opened_at_ms.map(Millis::new);
        let state = payment_state(row.state, row.expires_at_ms.map(Millis::new), opened, now);
        let live = matches!(state, PaymentState::InProgress { .. });
        Self {
            id: row.id,
            wallet: row.wallet,
            amount: row.amount_cents,
            pay_by: row.pay_by,
            state,
            created_at: row.created_at_ms,
            paid_at: row.settled_at_ms.map(Millis::new),
            notice: NoticeView::new(creditor, row.number, row.amount_cents, row.reason.clone(), row.expires_at_ms),
            page_url: if live { live_page(row.page_url.as_deref(), row.page_opened_at_ms, now) } else { None },
            paid_twice: row.paid_twice_at_ms.is_some(),
        }
    }

    /// The same from a row of what is due.
    pub fn from_due(creditor: CreditorCode, row: &DueRow, now: Millis) -> Option<Self> {
        let opened = row.page_opened_at_ms.map(Millis::new);
        let state = payment_state(row.state, row.expires_at_ms.map(Millis::new), opened, now);
        let live = matches!(state, PaymentState::InProgress { .. });
        Some(Self {
            id: row.top_up?.into(),
            wallet: row.wallet?.into(),
            amount: row.amount_cents,
            pay_by: PayBy::try_from(row.pay_by.clone()?).ok()?,
            state,
            created_at: Millis::new(row.created_at_ms),
            paid_at: row.settled_at_ms.map(Millis::new),
            notice: NoticeView::new(creditor, row.number, row.amount_cents, row.reason.clone(), row.expires_at_ms),
            page_url: if live { live_page(row.page_url.as_deref(), row.page_opened_at_ms, now) } else { None },
            paid_twice: row.paid_twice_at_ms.is_some(),
        })
    }
}

/// One line of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillLineView {
    /// Whose.
    pub child: ChildId,
    /// For what.
    pub service_name: String,
    /// How much.
    pub cents: Cents,
}

/// One instalment of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalmentView {
    /// Which, from 1.
    pub number: i64,
    /// ISO date.
    pub due_date: String,
    /// What it was made for.
    pub amount: Amount,
    /// How it stands.
    pub payment: PaymentState,
    /// Under which it is paid; `None` where nothing is left to pay under it.
    pub notice: Option<NoticeView>,
}

/// A bill, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillView {
    /// Its id.
    pub id: BillId,
    /// The creditor's number.
    pub number: String,
    /// For which period.
    pub period: String,
    /// ISO date; of the next instalment, where it has several.
    pub due_date: String,
    /// ISO date, of the first instalment where it has several: by it a bill belongs to its school year.
    pub first_due: String,
    /// What it was issued for.
    pub total: Amount,
    /// What of it the creditor no longer asks for.
    pub withdrawn: Cents,
    /// How far it is paid.
    pub state: BillState,
    /// Its lines.
    pub lines: Vec<BillLineView>,
    /// Under which the rest, or the next instalment, is paid.
    pub notice: Option<NoticeView>,
    /// How that payment stands.
    pub payment: PaymentState,
    /// The pagoPA page, while one is live.
    pub page_url: Option<String>,
    /// Its instalments, the first due first; empty for a bill that is paid at once.
    pub instalments: Vec<InstalmentView>,
    /// A second payment of one of its notices was put aside.
    pub paid_twice: bool,
}

impl BillView {
    /// Bills from rows of what is due: a row per notice and line, a bill's notices by due date.
    ///
    /// # Errors
    /// [`Fault::BadData`] where an amount cannot be a bill's.
    pub fn gather(creditor: CreditorCode, rows: &[DueRow], now: Millis) -> Result<Vec<Self>, Fault> {
        let mut groups: Vec<(Uuid, Vec<&DueRow>)> = Vec::new();
        for row in rows {
            let Some(id) = row.bill else { continue };
            match groups.iter_mut().find(|(its, _)| *its == id) {
                Some((_, group)) => group.push(row),
                None => groups.push((id, vec![row])),
            }
        }
        groups.into_iter().map(|(id, rows)| Self::of(creditor, id, &rows, now)).collect()
    }

    fn of(creditor: CreditorCode, id: Uuid, rows: &[&DueRow], now: Millis) -> Result<Self, Fault> {
        let first = *rows.first().ok_or(Fault::BadData("a bill without a notice"))?;
        let bad = Fault::BadData("a bill's amounts");
        let total = first.total_cents.and_then(|cents| Amount::from_cents(cents).ok()).ok_or(bad)?;
        let balance = Cents::new(first.bill_balance_cents.unwrap_or_default());
        let withdrawn = Cents::new(first.withdrawn_cents.unwrap_or_default());
        let state = BillState::with_withdrawn(total, withdrawn, balance);
        let state = state.map_err(|_| Fault::BadData("a bill's balance"))?;
        // Of the rows of each notice one, of the rows of each line one.
        let mut notices: Vec<&DueRow> = Vec::new();
        let (mut lines, mut seen) = (Vec::new(), Vec::new());
        for row in rows {
            if notices.last().is_none_or(|last| last.number != row.number) {
                notices.push(row);
            }
            if !seen.contains(&row.line) {
                seen.push(row.line);
                lines.extend(Self::line(row));
            }
        }
        let held = sum(notices.iter().map(|row| row.held_cents));
        let asking = |row: &DueRow| {
            let open = notices.iter().filter(|other| other.state == NoticeState::Open);
            let before = open.clone().filter(|other| other.instalment < row.instalment);
            let share = Share {
                own: row.instalment.map(|_| row.amount_cents),
                before: sum(before.map(|other| other.amount_cents.cents())),
                others_after: open.clone().any(|other| other.instalment > row.instalment),
                held,
            };
            asked(state.residual().filter(|_| row.state == NoticeState::Open), share)
                .map(|amount| NoticeView::new(creditor, row.number, amount, row.reason.clone(), row.expires_at_ms))
        };
        let payment = |row: &DueRow| {
            let opened = row.page_opened_at_ms.map(Millis::new);
            match state {
                BillState::Open { .. } | BillState::PartPaid { .. } => {
                    payment_state(row.state, row.expires_at_ms.map(Millis::new), opened, now)
                }
                BillState::Withdrawn { .. } => PaymentState::Cancelled,
                BillState::Paid | BillState::Overpaid { .. } => PaymentState::Paid,
            }
        };
        let next = notices.iter().find(|row| row.state == NoticeState::Open).copied().unwrap_or(first);
        let live = matches!(payment(next), PaymentState::InProgress { .. });
        let instalments = notices.iter().filter_map(|row| {
            Some(InstalmentView {
                number: row.instalment?,
                due_date: row.due_date.clone(),
                amount: row.amount_cents,
                payment: payment(row),
                notice: asking(row),
            })
        });
        Ok(Self {
            id: id.into(),
            number: first.bill_number.clone().unwrap_or_default(),
            period: first.period.clone().unwrap_or_default(),
            due_date: next.due_date.clone(),
            first_due: notices.iter().map(|row| row.due_date.clone()).min().unwrap_or_default(),
            total,
            withdrawn,
            state,
            lines,
            notice: asking(next),
            payment: payment(next),
            page_url: if live { live_page(next.page_url.as_deref(), next.page_opened_at_ms, now) } else { None },
            instalments: instalments.collect(),
            paid_twice: notices.iter().any(|row| row.paid_twice_at_ms.is_some()),
        })
    }

    fn line(row: &DueRow) -> Option<BillLineView> {
        Some(BillLineView {
            child: row.line_child?.into(),
            service_name: row.line_service.clone()?,
            cents: Cents::new(row.line_cents?),
        })
    }
}

/// A sum, or the largest number where it does not fit one.
fn sum(mut cents: impl Iterator<Item = i64>) -> Cents {
    let sum = cents.try_fold(Cents::ZERO, |sum, cents| sum.plus(Cents::new(cents)));
    sum.unwrap_or(Cents::new(i64::MAX))
}

/// One movement of a wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovementView {
    /// The wallet.
    pub wallet: WalletId,
    /// Counts its movements.
    pub seq: i64,
    /// How much.
    pub cents: Cents,
    /// What it held then.
    pub balance_after: Cents,
    /// Why.
    pub kind: EntryKind,
    /// When it was booked.
    pub at: Millis,
    /// The day of a charge.
    pub day: Option<String>,
    /// The tariff of a charge.
    pub tariff: Option<String>,
}

impl From<MovementRow> for MovementView {
    fn from(row: MovementRow) -> Self {
        Self {
            wallet: row.wallet,
            seq: row.seq,
            cents: row.cents,
            balance_after: row.balance_after_cents,
            kind: row.kind,
            at: row.at_ms,
            day: row.day,
            tariff: row.tariff,
        }
    }
}

/// What may be put into a wallet, ready to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoicesView {
    /// The service's presets that still fit.
    pub presets: Vec<Amount>,
    /// The one to mark.
    pub suggested: Option<Amount>,
    /// The smallest.
    pub min: Amount,
    /// The largest that fits now; `None` where nothing does.
    pub max: Option<Amount>,
}

/// A wallet on the home screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletView {
    /// Its id.
    pub id: WalletId,
    /// The service's kind.
    pub kind: ServiceKind,
    /// The service's name.
    pub service_name: String,
    /// What it holds.
    pub balance: Cents,
    /// How many movements it has.
    pub seq: i64,
    /// Of one unit for this child.
    pub unit_price: Option<Amount>,
    /// How many units it still pays for.
    pub covers: Option<u64>,
    /// Below the service's low mark.
    pub low: bool,
    /// Takes money.
    pub open: bool,
    /// What may be put in.
    pub choices: ChoicesView,
}

/// A child on the home screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildView {
    /// Its id.
    pub id: ChildId,
    /// First name.
    pub given_name: String,
    /// Class.
    pub class_name: String,
    /// School.
    pub school: String,
    /// Its wallets.
    pub wallets: Vec<WalletView>,
}

/// The home screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeView {
    /// When it was read.
    pub as_of: Millis,
    /// Everything up to this number of the feed is in it.
    pub feed_seq: i64,
    /// Whose.
    pub guardian: GuardianId,
    /// Their name.
    pub guardian_name: String,
    /// Their children.
    pub children: Vec<ChildView>,
    /// Bills with something left, soonest first.
    pub bills: Vec<BillView>,
    /// Top-ups under way or waiting, newest first.
    pub payments: Vec<PaymentView>,
    /// The last five.
    pub movements: Vec<MovementView>,
    /// What all open bills ask for.
    pub total_due: Cents,
}
