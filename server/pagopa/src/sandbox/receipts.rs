//! What follows a payment: the PSP's outcome, and receipts until somebody answers them.
//!
//! Sources: SANP 3.12.0 "Integration via synchronous APIs" and "Best practice". A receipt is sent again after a SOAP
//! Fault, a time-out, a lost connection or an unreadable answer: once an hour, 48 times, and then no more. It is never
//! sent again by itself after a well-formed answer, a KO included.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::faults::{Due, Waiting};
use super::node::{Answer, Call, NotPayable, Order, Outcome, Try};
use super::rules::Asked;
use super::state::{Attempt, Delivery, DeliveryStatus, Payment, PaymentState};
use super::{Platform, Shared, token, wire};

/// Redeliveries after the first attempt (SANP 3.12.0: 48 times, once an hour).
const REDELIVERIES: usize = 48;

/// Signals that fire after each receipt's first delivery, or at once where a fault holds it back.
pub(super) type First = Vec<oneshot::Receiver<()>>;

/// Carries out an order: activates every notice, applies the PSP's outcome, and starts the receipts.
/// Answers the tokens, in the order of the notices.
///
/// # Errors
/// The first notice that could not be activated; the others are free again.
pub(super) async fn pay(platform: Shared, order: Order) -> Result<(Vec<String>, First), NotPayable> {
    let mut tokens = Vec::with_capacity(order.dues.len());
    for (i, due) in order.dues.iter().enumerate() {
        let fee = if i == 0 { order.psp.fee_cents } else { 0 };
        match platform.activate(due, &order, fee).await {
            Ok(token) => tokens.push(token),
            Err(not) => {
                for token in &tokens {
                    platform.refuse(token);
                }
                return Err(not);
            }
        }
    }
    let mut first = Vec::new();
    for token in &tokens {
        match order.outcome {
            Outcome::Ok => first.extend(send_receipts(&platform, token).into_iter().flatten()),
            Outcome::Refused => platform.refuse(token),
            Outcome::Unknown => {}
        }
    }
    Ok((tokens, first))
}

/// A second real payment of a notice that was paid before: pagoPA's own checks have failed, and another activation
/// from before the first outcome is paid, too. Nobody is asked. Answers its token.
///
/// # Errors
/// In words, for a program: there is no first payment, or no token.
pub(super) fn pay_again(
    platform: &Shared,
    creditor: &str,
    notice: &str,
    order: impl FnOnce(&mut Payment),
) -> Result<(String, First), &'static str> {
    let token = token().map_err(|_| "no token")?;
    let mut again = platform.state().paid(creditor, notice).cloned().ok_or("not paid yet: there is no `again`")?;
    again.token = token.clone();
    again.at = platform.now();
    again.state = PaymentState::Activated;
    order(&mut again);
    platform.state().add_payment(again);
    let first = send_receipts(platform, &token).ok_or("no such payment")?;
    Ok((token, first))
}

/// Settles an activation whose outcome was unknown so far.
///
/// # Errors
/// `PPT_TOKEN_SCONOSCIUTO` without such a waiting activation, `PPT_TOKEN_SCADUTO` after its lifetime unless `late`:
/// PSPs do sometimes send outcomes late, and the receipt is sent all the same.
pub(super) fn conclude(platform: &Shared, token: &str, outcome: Outcome, late: bool) -> Result<First, &'static str> {
    let expires = {
        let state = platform.state();
        let payment = state.payments.get(token).filter(|p| p.state == PaymentState::Activated);
        payment.ok_or("PPT_TOKEN_SCONOSCIUTO")?.expires
    };
    if platform.now() >= expires && !late {
        return Err("PPT_TOKEN_SCADUTO");
    }
    let first = match outcome {
        Outcome::Ok => send_receipts(platform, token).ok_or("PPT_TOKEN_SCONOSCIUTO")?,
        Outcome::Refused => {
            platform.refuse(token);
            Vec::new()
        }
        Outcome::Unknown => Vec::new(),
    };
    platform.state().concluded(token);
    Ok(first)
}

/// Waits until each receipt was tried once, or held back.
pub(super) async fn wait(first: First) {
    for told in first {
        // An error means the sandbox is going down: there is nothing left to wait for.
        let _ = told.await;
    }
}

/// Takes the money of an activation and starts the delivery of its receipts, each in its own task. `None` if it is
/// not waiting for an outcome (any more).
pub(super) fn send_receipts(platform: &Shared, token: &str) -> Option<First> {
    let dues = platform.settle(token)?;
    let mut first = Vec::with_capacity(dues.len());
    let mut owner_tried = None;
    for (index, (due, follows)) in dues.into_iter().enumerate() {
        let ((tell, told), (tell_copy, copy_told)) = (oneshot::channel(), oneshot::channel());
        first.push(told);
        let delivering = Delivering {
            token: token.to_owned(),
            index,
            due,
            after: if follows { owner_tried.take() } else { None },
            tell: vec![tell, tell_copy],
        };
        if index == 0 {
            owner_tried = Some(copy_told);
        }
        platform.spawn(keep_delivering(Arc::clone(platform), delivering));
    }
    Some(first)
}

/// Lets receipts go, the youngest first, each when the one before it is out.
pub(super) async fn let_go(held: Vec<Waiting>) {
    for waiting in held.into_iter().rev() {
        // Errors mean that the sandbox is going down, or that it is out.
        let _ = waiting.go.send(());
        let _ = waiting.gone.await;
    }
}

struct Delivering {
    token: String,
    index: usize,
    due: Due,
    /// Fires when the one that it follows was tried.
    after: Option<oneshot::Receiver<()>>,
    tell: Vec<oneshot::Sender<()>>,
}

/// Delivers until a well-formed answer arrives, whatever it says, or the tries are used up.
async fn keep_delivering(platform: Shared, delivering: Delivering) {
    let Delivering { token, index, due, after, tell } = delivering;
    let hour = platform.config.hour;
    let mut tell = Some(tell);
    let mut told = || {
        for tell in tell.take().into_iter().flatten() {
            // Whoever asked may have gone.
            let _ = tell.send(());
        }
    };
    if let Some(after) = after {
        let _ = after.await;
    }
    let mut out = None;
    if !matches!(due, Due::Now) {
        told();
        match due {
            Due::Now => {}
            Due::Never(_) => return,
            Due::Late(_, hours) => tokio::time::sleep(hour.saturating_mul(hours)).await,
            Due::Queued(_, go, gone, complete) => {
                if let Some(held) = complete {
                    platform.spawn(let_go(held));
                }
                out = Some(gone);
                let _ = go.await;
            }
        }
        // Delivered by hand meanwhile.
        if !platform.no_longer_held(&token, index) {
            return;
        }
    }
    platform.deliver(&token, index).await;
    drop(out);
    told();
    for _ in 0..REDELIVERIES {
        // A delivery asked for by hand may have settled it meanwhile.
        if platform.delivery_status(&token, index) != Some(DeliveryStatus::Pending) {
            return;
        }
        tokio::time::sleep(hour).await;
        if platform.delivery_status(&token, index) != Some(DeliveryStatus::Pending) {
            return;
        }
        platform.deliver(&token, index).await;
    }
    let mut state = platform.state();
    let delivery = state.payments.get_mut(&token).and_then(|p| p.deliveries.get_mut(index));
    if let Some(delivery) = delivery.filter(|d| d.status == DeliveryStatus::Pending) {
        delivery.status = DeliveryStatus::Exhausted;
    }
}

impl Platform {
    /// Money was taken for this token: the position is closed, and its receipts are due, each when a fault says so; a
    /// version 1 copy follows the first. `None` if it is not waiting for an outcome (any more).
    fn settle(&self, token: &str) -> Option<Vec<(Due, bool)>> {
        let now = self.now();
        let mut guard = self.state();
        let state = &mut *guard;
        let payment = state.payments.get_mut(token).filter(|p| p.state == PaymentState::Activated)?;
        payment.state = PaymentState::Paid;
        payment.paid_at = Some(now);
        let v1 = |code: &str| self.creditor(code).is_some_and(|creditor| creditor.v1);
        let mut recipients = vec![(payment.creditor.clone(), v1(&payment.creditor), false)];
        if payment.also_v1 {
            recipients.push((payment.creditor.clone(), true, true));
        }
        // Broadcast: another creditor of the payment gets its own copy.
        for transfer in payment.data.child("transferList").into_iter().flat_map(|l| l.all("transfer")) {
            let owner = transfer.text_at(&["fiscalCodePA"]).unwrap_or_default();
            if self.creditor(owner).is_some() && !recipients.iter().any(|(known, _, _)| known == owner) {
                recipients.push((owner.to_owned(), v1(owner), false));
            }
        }
        let mut dues = Vec::with_capacity(recipients.len());
        payment.deliveries.clear();
        for (creditor, v1, follows) in recipients {
            let due = state.faults.due(&creditor, &payment.notice, now);
            let held_by = match &due {
                Due::Now => None,
                Due::Never(struck) | Due::Late(struck, _) | Due::Queued(struck, ..) => Some(*struck),
            };
            let status = if held_by.is_some() { DeliveryStatus::Held } else { DeliveryStatus::Pending };
            payment.deliveries.push(Delivery { creditor, v1, status, held_by, attempts: Vec::new() });
            dues.push((due, follows));
        }
        let position = state.positions.entry((payment.creditor.clone(), payment.notice.clone())).or_default();
        position.paid = true;
        position.token = None;
        Some(dues)
    }

    /// The PSP says no: no receipt exists for that, and the notice is free again.
    fn refuse(&self, token: &str) {
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(payment) = state.payments.get_mut(token).filter(|p| p.state == PaymentState::Activated) {
            payment.state = PaymentState::Refused;
            let (creditor, notice) = (payment.creditor.clone(), payment.notice.clone());
            state.release(&creditor, &notice, token);
        }
    }

    /// Sends one receipt once (twice where a fault says so) and records what became of it.
    pub(super) async fn deliver(&self, token: &str, index: usize) -> Option<(DeliveryStatus, Option<String>)> {
        let (creditor, operation, request, notice) = {
            let state = self.state();
            let payment = state.payments.get(token)?;
            let delivery = payment.deliveries.get(index)?;
            let creditor = self.creditor(&delivery.creditor)?.clone();
            let (operation, request) = wire::receipt(&creditor, delivery.v1, payment);
            (creditor, operation, request, payment.notice.clone())
        };
        let limit = self.config.timeouts.receipt;
        let call = Call { creditor: &creditor, operation, asked: Asked::about(&notice), request, limit };
        let (one, other) = self.call(&call).await;
        let said = self.record(token, index, one)?;
        if let Some(other) = other {
            self.record(token, index, other)?;
        }
        Some(said)
    }

    fn record(&self, token: &str, index: usize, tried: Try) -> Option<(DeliveryStatus, Option<String>)> {
        let (status, code, result) = match tried.answer {
            Ok(Answer::Ok(_)) => (DeliveryStatus::Acknowledged, None, "OK".to_owned()),
            Ok(Answer::Ko(code)) => (DeliveryStatus::Refused, Some(code.clone()), format!("KO {code}")),
            Err(code) => (DeliveryStatus::Pending, Some(code.to_owned()), code.to_owned()),
        };
        let at = self.now();
        let mut state = self.state();
        let delivery = state.payments.get_mut(token)?.deliveries.get_mut(index)?;
        delivery.attempts.push(Attempt { at, result, struck: tried.struck });
        // Once a creditor has acknowledged, nothing it says to a repeated receipt takes that back.
        if delivery.status != DeliveryStatus::Acknowledged && status != DeliveryStatus::Pending {
            delivery.status = status;
        }
        Some((status, code))
    }

    fn delivery_status(&self, token: &str, index: usize) -> Option<DeliveryStatus> {
        self.state().payments.get(token)?.deliveries.get(index).map(|d| d.status)
    }

    /// A held receipt may go now; `false` where it went already.
    fn no_longer_held(&self, token: &str, index: usize) -> bool {
        let mut state = self.state();
        let delivery = state.payments.get_mut(token).and_then(|p| p.deliveries.get_mut(index));
        let Some(delivery) = delivery.filter(|d| d.status == DeliveryStatus::Held) else {
            return false;
        };
        delivery.status = DeliveryStatus::Pending;
        true
    }
}
