//! Bills as the app shows them, with the instalments they are paid in.

use borsellino_domain::id::BillId;
use borsellino_proto::v1;

use crate::models::{Money, NoticeView, Shown, TopUpState, payment_state, safe_url};

/// How a bill stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillState {
    /// Nothing paid.
    Open,
    /// Something paid, something left.
    PartPaid,
    /// Paid.
    Paid,
    /// More paid than asked.
    Overpaid,
    /// Withdrawn by the creditor: nothing more is to pay.
    Withdrawn,
    /// A state this app does not know yet.
    Unknown,
}

/// An amount issued for a period.
#[derive(Clone, Debug, PartialEq)]
pub struct BillView {
    /// Names it.
    pub id: BillId,
    /// The creditor's number.
    pub number: String,
    /// `ottobre 2026`
    pub period: String,
    /// ISO date.
    pub due_date: String,
    /// `da pagare 57,33 € entro il 20 febbraio`, or `pagato`
    pub due_text: String,
    /// What it asks for.
    pub total: Money,
    /// What was paid.
    pub paid: Money,
    /// What is left.
    pub residual: Money,
    /// How it stands.
    pub state: BillState,
    /// How its payment stands.
    pub payment: TopUpState,
    /// The same in words.
    pub sentence: String,
    /// What to do while it is being paid, or when nothing came of it.
    pub advice: Option<String>,
    /// What it is for.
    pub lines: Vec<BillLineView>,
    /// Under which it is paid.
    pub notice: Option<NoticeView>,
    /// The parts it is paid in, the first due first; empty where it is paid at once.
    pub instalments: Vec<InstalmentView>,
    /// The pagoPA page that is open for it.
    pub checkout_url: Option<String>,
}

/// One of the parts that a bill is paid in, each under a notice of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct InstalmentView {
    /// From 1.
    pub number: u32,
    /// ISO date.
    pub due_date: String,
    /// `da pagare 28,67 € entro il 20 febbraio`, or `pagato`
    pub due_text: String,
    /// What it asks for now.
    pub amount: Money,
    /// How its payment stands.
    pub payment: TopUpState,
    /// The same in words.
    pub sentence: String,
    /// What to do while it is being paid, or when nothing came of it.
    pub advice: Option<String>,
    /// Under which it is paid; `None` where nothing is left to pay under it.
    pub notice: Option<NoticeView>,
}

/// A part of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillLineView {
    /// The child's given name; empty where it is not in the family any more.
    pub child_name: String,
    /// The service.
    pub service_name: String,
    /// Its part.
    pub amount: Money,
}

/// What to open or show for a bill.
#[derive(Clone, Debug, PartialEq)]
pub struct PayBillView {
    /// How the bill stands now.
    pub bill: BillView,
    /// The pagoPA page to open.
    pub checkout_url: Option<String>,
    /// No page could be had: pay with the bill's notice, or ask again later.
    pub checkout_unavailable: bool,
}

impl Shown<'_> {
    /// `page`: one is about to be shown with it.
    pub(crate) fn bill(&self, bill: &v1::Bill, page: bool) -> Option<BillView> {
        let payment = payment_state(bill.payment_state, bill.notice.as_ref(), bill.in_progress_until_ms, 0, self.now);
        let payment = if bill.paid_twice { TopUpState::PaidTwice { at: None } } else { payment };
        let is_live = matches!(payment, TopUpState::InProgress { .. } | TopUpState::Payable { .. });
        let checkout_url = safe_url(&bill.checkout_url).filter(|_| is_live);
        let state = match v1::BillState::try_from(bill.state) {
            Ok(v1::BillState::Open) => BillState::Open,
            Ok(v1::BillState::PartPaid) => BillState::PartPaid,
            Ok(v1::BillState::Paid) => BillState::Paid,
            Ok(v1::BillState::Overpaid) => BillState::Overpaid,
            Ok(v1::BillState::Withdrawn) => BillState::Withdrawn,
            Ok(v1::BillState::Unspecified) | Err(_) => BillState::Unknown,
        };
        let line = |line: &v1::BillLine| BillLineView {
            child_name: self.child_name(&line.child_id),
            service_name: line.service_name.clone(),
            amount: self.money(line.cents),
        };
        Some(BillView {
            id: bill.id.parse().ok()?,
            number: bill.number.clone(),
            period: bill.period.clone(),
            due_date: bill.due_date.clone(),
            due_text: self.words.bill_due(state, bill.residual_cents, &self.words.iso_day(&bill.due_date)),
            total: self.money(bill.total_cents),
            paid: self.money(bill.paid_cents),
            residual: self.money(bill.residual_cents),
            state,
            sentence: self.words.state(&payment),
            advice: self.words.advice(&payment, page || checkout_url.is_some()),
            payment,
            lines: bill.lines.iter().map(line).collect(),
            notice: bill.notice.as_ref().map(|notice| self.notice(notice)),
            instalments: bill.instalments.iter().map(|part| self.instalment(part)).collect(),
            checkout_url,
        })
    }

    fn instalment(&self, part: &v1::Instalment) -> InstalmentView {
        let notice = part.notice.as_ref();
        let payment = payment_state(part.state, notice, part.in_progress_until_ms, 0, self.now);
        // What is asked for now, which is not always what it was made for.
        let cents = notice.map_or(part.amount_cents, |notice| notice.amount_cents);
        let (state, left) = match notice {
            Some(_) => (BillState::Open, cents),
            None => (BillState::Paid, 0),
        };
        InstalmentView {
            number: part.number,
            due_date: part.due_date.clone(),
            due_text: self.words.bill_due(state, left, &self.words.iso_day(&part.due_date)),
            amount: self.money(cents),
            sentence: self.words.state(&payment),
            advice: self.words.advice(&payment, false),
            payment,
            notice: notice.map(|notice| self.notice(notice)),
        }
    }
}
