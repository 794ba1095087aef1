//! The same for programs: one JSON object per line.

use std::path::Path;

use borsellino_core::{
    Connection, DocumentFile, Error, Event, HomeView, Language, MovementsView, NoticeView, PayBillView, ReceiptsView,
    TopUpState, TopUpView,
};
use serde_json::{Value, json};

pub(crate) fn error(error: &Error, language: Language) -> Value {
    let reason = match error {
        Error::Refused(refusal) => Some(format!("{:?}", refusal.reason)),
        _ => None,
    };
    json!({ "event": "error", "kind": kind(error), "reason": reason, "sentence": error.sentence(language) })
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Offline => "offline",
        Error::OutcomeUnknown => "outcome-unknown",
        Error::NotOurServer => "not-our-server",
        Error::CertificateTime => "certificate-time",
        Error::OlderServer => "older-server",
        Error::Refused(_) => "refused",
        Error::SignedOut => "signed-out",
        Error::Invalid(_) => "invalid",
        Error::SecureStore(_) => "secure-store",
        Error::Cache(_) => "cache",
        Error::NoRandomness => "no-randomness",
        Error::Wiped => "wiped",
        Error::InProgress(_) => "in-progress",
        Error::Closed => "closed",
    }
}

fn state(state: &TopUpState) -> &'static str {
    match state {
        TopUpState::Queued { .. } => "queued",
        TopUpState::Payable { .. } => "payable",
        TopUpState::InProgress { .. } => "in-progress",
        TopUpState::NotCompleted { .. } => "not-completed",
        TopUpState::Paid { .. } => "paid",
        TopUpState::PaidTwice { .. } => "paid-twice",
        TopUpState::Expired => "expired",
        TopUpState::Cancelled => "cancelled",
        TopUpState::Refused(_) => "refused",
        TopUpState::Unknown => "unknown",
    }
}

fn notice(notice: &NoticeView) -> Value {
    json!({
        "number": notice.number, "cents": notice.amount.cents, "creditor": notice.creditor_fiscal_code,
        "cbill": notice.cbill, "qr": notice.qr_text,
    })
}

fn top_up_value(view: &TopUpView) -> Value {
    json!({
        "id": view.id.to_string(), "wallet": view.wallet.to_string(), "cents": view.amount.cents,
        "state": state(&view.state), "sentence": view.sentence, "checkout_url": view.checkout_url,
        "checkout_unavailable": view.checkout_unavailable, "notice": view.notice.as_ref().map(notice),
    })
}

fn named(event: &str, mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.insert("event".to_owned(), event.into());
    }
    value
}

pub(crate) fn top_up(view: &TopUpView) -> Value {
    named("top_up", top_up_value(view))
}

pub(crate) fn pay_bill(paid: &PayBillView) -> Value {
    json!({
        "event": "pay_bill", "id": paid.bill.id.to_string(), "state": state(&paid.bill.payment),
        "residual_cents": paid.bill.residual.cents, "checkout_url": paid.checkout_url,
        "checkout_unavailable": paid.checkout_unavailable, "notice": paid.bill.notice.as_ref().map(notice),
    })
}

pub(crate) fn home(home: &HomeView) -> Value {
    let wallets = home.children.iter().flat_map(|child| child.wallets.iter().map(move |wallet| (child, wallet)));
    let wallet = |(child, wallet): (&borsellino_core::ChildView, &borsellino_core::WalletView)| {
        json!({
            "id": wallet.id.to_string(), "child": child.name, "service": wallet.service_name,
            "cents": wallet.balance.cents, "covers": wallet.covers, "low": wallet.low.is_some(),
        })
    };
    let bill = |bill: &borsellino_core::BillView| json!({ "id": bill.id.to_string(), "number": bill.number, "residual_cents": bill.residual.cents });
    json!({
        "event": "home", "as_of_ms": home.as_of.get(), "as_of": home.as_of_text,
        "wallets": wallets.map(wallet).collect::<Vec<_>>(),
        "bills": home.bills.iter().map(bill).collect::<Vec<_>>(),
        "top_ups": home.top_ups.iter().map(top_up_value).collect::<Vec<_>>(),
        "total_due_cents": home.total_due.cents,
    })
}

pub(crate) fn movements(page: &MovementsView) -> Value {
    let movement = |movement: &borsellino_core::MovementView| {
        json!({
            "wallet": movement.wallet.map(|id| id.to_string()), "seq": movement.seq, "cents": movement.amount.cents,
            "balance_after_cents": movement.balance_after.cents, "sentence": movement.sentence,
        })
    };
    let movements: Vec<Value> = page.movements.iter().map(movement).collect();
    json!({ "event": "movements", "from_cache": page.from_cache, "movements": movements })
}

pub(crate) fn archive(page: &ReceiptsView) -> Value {
    let item = |item: &borsellino_core::ReceiptView| json!({ "cents": item.amount.cents, "sentence": item.sentence });
    let items: Vec<Value> = page.items.iter().map(item).collect();
    json!({ "event": "archive", "from_cache": page.from_cache, "items": items })
}

pub(crate) fn saved(path: &Path, file: &DocumentFile) -> Value {
    json!({
        "event": "document", "path": path.display().to_string(), "media_type": file.media_type,
        "bytes": file.content.len(), "from_cache": file.from_cache, "as_of": file.as_of_text,
    })
}

pub(crate) fn event(event: &Event, language: Language) -> Value {
    match event {
        Event::Connection(Connection::Live) => json!({ "event": "connection", "state": "live" }),
        Event::Connection(Connection::Lost(why)) => {
            json!({ "event": "connection", "state": "lost", "why": kind(why), "sentence": why.sentence(language) })
        }
        Event::Connection(Connection::SignedOut) => json!({ "event": "connection", "state": "signed-out" }),
        Event::BalanceChanged(change) => json!({
            "event": "balance", "wallet": change.wallet.to_string(), "before_cents": change.before.cents,
            "after_cents": change.after.cents, "sentence": change.sentence,
        }),
        Event::TopUpChanged(view) => named("top_up_changed", top_up_value(view)),
        Event::BillChanged(bill) => json!({
            "event": "bill_changed", "id": bill.id.to_string(), "residual_cents": bill.residual.cents,
            "state": state(&bill.payment),
        }),
        Event::HomeChanged => json!({ "event": "home_changed" }),
    }
}
