//! Enums of the wire to those of the domain and back.

use borsellino_domain::bill::BillState;
use borsellino_domain::ledger::EntryKind;
use borsellino_domain::service::ServiceKind;
use borsellino_domain::top_up::{PayBy, PaymentState};

use crate::v1;

impl From<ServiceKind> for v1::ServiceKind {
    fn from(kind: ServiceKind) -> Self {
        match kind {
            ServiceKind::Canteen => Self::Canteen,
            ServiceKind::Transport => Self::Transport,
            ServiceKind::BeforeSchool => Self::BeforeSchool,
            ServiceKind::AfterSchool => Self::AfterSchool,
            ServiceKind::Nursery => Self::Nursery,
        }
    }
}

impl From<BillState> for v1::BillState {
    fn from(state: BillState) -> Self {
        match state {
            BillState::Open { .. } => Self::Open,
            BillState::PartPaid { .. } => Self::PartPaid,
            BillState::Paid => Self::Paid,
            BillState::Overpaid { .. } => Self::Overpaid,
            BillState::Withdrawn { .. } => Self::Withdrawn,
        }
    }
}

impl From<PayBy> for v1::PayBy {
    fn from(pay_by: PayBy) -> Self {
        match pay_by {
            PayBy::Online => Self::Online,
            PayBy::Notice => Self::Notice,
        }
    }
}

/// Reads a way to pay; `None` for unspecified or unknown.
pub fn pay_by(wire: i32) -> Option<PayBy> {
    match v1::PayBy::try_from(wire) {
        Ok(v1::PayBy::Online) => Some(PayBy::Online),
        Ok(v1::PayBy::Notice) => Some(PayBy::Notice),
        Ok(v1::PayBy::Unspecified) | Err(_) => None,
    }
}

impl From<PaymentState> for v1::PaymentState {
    fn from(state: PaymentState) -> Self {
        match state {
            PaymentState::Payable => Self::Payable,
            PaymentState::InProgress { .. } => Self::InProgress,
            PaymentState::NotCompleted => Self::NotCompleted,
            PaymentState::Paid => Self::Paid,
            PaymentState::Expired => Self::Expired,
            PaymentState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<EntryKind> for v1::MovementKind {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::Opening => Self::Opening,
            EntryKind::TopUp | EntryKind::CounterPayment => Self::TopUp,
            EntryKind::Charge => Self::Charge,
            EntryKind::Correction => Self::Correction,
            EntryKind::Refund => Self::Refund,
            // These never touch a wallet.
            EntryKind::BillIssued | EntryKind::BillPayment | EntryKind::BillWithdrawn | EntryKind::Suspense => {
                Self::Unspecified
            }
        }
    }
}
