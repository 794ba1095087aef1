//! Views to messages.

use borsellino_domain::fees::FeeBand;
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::PaymentState;
use borsellino_proto::v1;

use crate::usecases::archive::PaidView;
use crate::usecases::feed::Change;
use crate::usecases::fees::Fees;
use crate::usecases::sync::{Stamp, Synced};
use crate::usecases::views::{
    BillView, ChildView, ChoicesView, CreditorView, HomeView, InstalmentView, MovementView, NoticeView, PaymentView,
    WalletView,
};

fn in_progress_until(state: PaymentState) -> i64 {
    match state {
        PaymentState::InProgress { until } => until.get(),
        _ => 0,
    }
}

pub(super) fn creditor(view: CreditorView) -> v1::Creditor {
    v1::Creditor {
        fiscal_code: view.fiscal_code.to_string(),
        name: view.name,
        cbill: view.cbill,
        help_phone: view.help_phone,
    }
}

fn notice(view: NoticeView) -> v1::Notice {
    v1::Notice {
        number: view.number.to_string(),
        amount_cents: view.amount.cents(),
        reason: view.reason,
        qr_text: view.qr_text,
        expires_at_ms: view.expires_at.map_or(0, Millis::get),
    }
}

pub(super) fn payment(view: PaymentView) -> v1::Payment {
    v1::Payment {
        id: view.id.to_string(),
        wallet_id: view.wallet.to_string(),
        amount_cents: view.amount.cents(),
        pay_by: v1::PayBy::from(view.pay_by).into(),
        state: v1::PaymentState::from(view.state).into(),
        created_at_ms: view.created_at.get(),
        in_progress_until_ms: in_progress_until(view.state),
        paid_at_ms: view.paid_at.map_or(0, Millis::get),
        notice: Some(notice(view.notice)),
        checkout_url: view.page_url.unwrap_or_default(),
        paid_twice: view.paid_twice,
    }
}

pub(super) fn bill(view: BillView) -> v1::Bill {
    let residual = view.state.residual().map_or(0, Amount::cents);
    let surplus = match view.state {
        borsellino_domain::bill::BillState::Overpaid { surplus } => surplus.cents(),
        borsellino_domain::bill::BillState::Withdrawn { surplus } => surplus.get(),
        _ => 0,
    };
    let unpaid = residual.saturating_add(view.withdrawn.get());
    let lines = view.lines.into_iter().map(|line| v1::BillLine {
        child_id: line.child.to_string(),
        service_name: line.service_name,
        cents: line.cents.get(),
    });
    v1::Bill {
        id: view.id.to_string(),
        number: view.number,
        period: view.period,
        due_date: view.due_date,
        total_cents: view.total.cents(),
        paid_cents: view.total.cents().saturating_sub(unpaid).saturating_add(surplus),
        residual_cents: residual,
        state: v1::BillState::from(view.state).into(),
        lines: lines.collect(),
        notice: view.notice.map(notice),
        payment_state: v1::PaymentState::from(view.payment).into(),
        in_progress_until_ms: in_progress_until(view.payment),
        instalments: view.instalments.into_iter().map(instalment).collect(),
        checkout_url: view.page_url.unwrap_or_default(),
        paid_twice: view.paid_twice,
    }
}

fn instalment(view: InstalmentView) -> v1::Instalment {
    v1::Instalment {
        number: u32::try_from(view.number).unwrap_or_default(),
        due_date: view.due_date,
        amount_cents: view.amount.cents(),
        state: v1::PaymentState::from(view.payment).into(),
        in_progress_until_ms: in_progress_until(view.payment),
        notice: view.notice.map(notice),
    }
}

pub(super) fn movement(view: MovementView) -> v1::Movement {
    v1::Movement {
        wallet_id: view.wallet.to_string(),
        seq: view.seq,
        cents: view.cents.get(),
        balance_after_cents: view.balance_after.get(),
        kind: v1::MovementKind::from(view.kind).into(),
        at_ms: view.at.get(),
        day: view.day.unwrap_or_default(),
        tariff: view.tariff.unwrap_or_default(),
    }
}

fn choices(view: ChoicesView) -> v1::TopUpChoices {
    v1::TopUpChoices {
        presets_cents: view.presets.into_iter().map(Amount::cents).collect(),
        suggested_cents: view.suggested.map_or(0, Amount::cents),
        min_cents: view.min.cents(),
        max_cents: view.max.map_or(0, Amount::cents),
    }
}

fn wallet(view: WalletView) -> v1::Wallet {
    v1::Wallet {
        id: view.id.to_string(),
        kind: v1::ServiceKind::from(view.kind).into(),
        service_name: view.service_name,
        balance_cents: view.balance.get(),
        unit_price_cents: view.unit_price.map_or(0, Amount::cents),
        covers_units: view.covers.map_or(0, |units| u32::try_from(units).unwrap_or(u32::MAX)),
        low: view.low,
        open: view.open,
        choices: Some(choices(view.choices)),
        seq: view.seq,
    }
}

fn child(view: ChildView) -> v1::Child {
    v1::Child {
        id: view.id.to_string(),
        given_name: view.given_name,
        class_name: view.class_name,
        school: view.school,
        wallets: view.wallets.into_iter().map(wallet).collect(),
    }
}

pub(super) fn seq(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn time(stamp: Stamp) -> v1::ServerTime {
    v1::ServerTime { at_ms: stamp.at.get(), signature: stamp.signature.to_vec() }
}

pub(super) fn change(change: Change) -> v1::Change {
    let wallet = change.wallet.map(|view| v1::WalletBalance {
        wallet_id: view.wallet.to_string(),
        balance_cents: view.balance.get(),
        seq: view.seq,
    });
    v1::Change {
        seq: seq(change.seq),
        at_ms: change.at.get(),
        wallet,
        payment: change.payment.map(payment),
        bill: change.bill.map(bill),
    }
}

pub(super) fn sync(synced: Synced, stamp: Stamp) -> v1::SyncResponse {
    let time = Some(time(stamp));
    match synced {
        Synced::Resync(newest) => v1::SyncResponse { time, feed_seq: seq(newest), resync: true, ..Default::default() },
        Synced::Changes { changes, last, more, summary } => v1::SyncResponse {
            time,
            feed_seq: seq(last),
            resync: false,
            changes: changes.into_iter().map(change).collect(),
            more,
            summary: summary.map(|summary| v1::Summary {
                wallets: summary.wallets.into_iter().map(wallet).collect(),
                movements: summary.movements.into_iter().map(movement).collect(),
                total_due_cents: summary.total_due.get(),
            }),
        },
    }
}

pub(super) fn paid(view: PaidView) -> v1::PaidItem {
    v1::PaidItem {
        amount_cents: view.amount.cents(),
        paid_at_ms: view.at.get(),
        service_names: view.services,
        child_names: view.children,
        top_up_id: view.top_up.map(|id| id.to_string()).unwrap_or_default(),
        bill_id: view.bill.map(|id| id.to_string()).unwrap_or_default(),
        bill_number: view.bill_number,
        period: view.period,
        of_co_guardian: view.of_co_guardian,
        paid_twice: view.paid_twice,
    }
}

/// `known`: the version that the phone has.
pub(super) fn fees(fees: Fees, known: &str) -> v1::GetFeesResponse {
    let band = |band: &FeeBand| v1::FeeBand {
        channel: band.channel().to_owned(),
        from_cents: band.from(),
        to_cents: band.to(),
        fee_cents: band.fee(),
    };
    let bands = if fees.version == known { Vec::new() } else { fees.table.bands().iter().map(band).collect() };
    v1::GetFeesResponse { version: fees.version, bands, imported_at_ms: fees.imported_at.get() }
}

pub(super) fn home(view: HomeView, stamp: Stamp) -> v1::HomeResponse {
    v1::HomeResponse {
        as_of_ms: view.as_of.get(),
        feed_seq: seq(view.feed_seq),
        guardian: Some(v1::Guardian { id: view.guardian.to_string(), display_name: view.guardian_name }),
        children: view.children.into_iter().map(child).collect(),
        bills: view.bills.into_iter().map(bill).collect(),
        payments: view.payments.into_iter().map(payment).collect(),
        movements: view.movements.into_iter().map(movement).collect(),
        total_due_cents: Cents::get(view.total_due),
        time: Some(time(stamp)),
    }
}
