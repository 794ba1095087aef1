//! The Node: verify, activate, outcome of the PSP, and receipts until somebody answers them.
//!
//! Sources: SANP 3.12.0 "Integration via synchronous APIs" and "Best practice"; "Gestione degli errori".

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::oneshot;

use super::psps::Psp;
use super::schema::{Body, Breach, Operation, breach, read_answer};
use super::state::{Attempt, Delivery, DeliveryStatus, Payment, PaymentState};
use super::wire::{self, Activation};
use super::xml::Element;
use super::{Creditor, Platform, Shared, rules, token};

/// Redeliveries after the first attempt (SANP 3.12.0: 48 times, once an hour).
const REDELIVERIES: usize = 48;
/// Answers beyond this are unreadable; the largest legal one is a few kilobytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// Why a notice cannot be paid now, as the Node tells a PSP.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub(super) struct Fault {
    /// The Node's own code.
    pub(super) code: &'static str,
    /// The creditor's code, where the creditor refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) original_code: Option<String>,
}

impl From<&'static str> for Fault {
    fn from(code: &'static str) -> Self {
        Self { code, original_code: None }
    }
}

impl Fault {
    /// For a person, in Italian: the groups that pagoPA's guide for touchpoints shows to payers.
    pub(super) fn words(&self) -> &'static str {
        match self.original_code.as_deref().unwrap_or(self.code) {
            IN_PROGRESS | "PAA_PAGAMENTO_IN_CORSO" => {
                "C'è già un pagamento in corso per questo avviso. Se non è andato a buon fine, riprova più tardi."
            }
            "PPT_PAGAMENTO_DUPLICATO" | "PAA_PAGAMENTO_DUPLICATO" => "Questo avviso è già stato pagato.",
            "PAA_PAGAMENTO_SCADUTO" => "Questo avviso è scaduto e non si può più pagare.",
            "PAA_PAGAMENTO_ANNULLATO" => "L'ente ha annullato questo avviso.",
            "PAA_PAGAMENTO_SCONOSCIUTO" => "L'ente non conosce questo avviso: controlla il codice.",
            "PPT_DOMINIO_SCONOSCIUTO" => "L'ente creditore non è fra quelli del simulatore.",
            "PPT_SINTASSI_EXTRAXSD" => {
                "I dati dell'avviso non sono scritti bene: 11 cifre per l'ente, 18 per l'avviso."
            }
            AMOUNT_CHANGED => "L'importo è cambiato nel frattempo: controllalo e riprova.",
            _ => "L'ente creditore ha problemi tecnici. Riprova più tardi.",
        }
    }
}

/// Not pagoPA's: the creditor activated another amount than the one the payer was shown.
pub(super) const AMOUNT_CHANGED: &str = "SANDBOX_IMPORTO_CAMBIATO";
/// Another activation holds the notice.
pub(super) const IN_PROGRESS: &str = "PPT_PAGAMENTO_IN_CORSO";
/// The Node is going down.
const SYSTEM_ERROR: &str = "PPT_SYSTEM_ERROR";
/// The creditor's answer cannot be used.
const BAD_ANSWER: &str = "PPT_STAZIONE_INT_PA_ERRORE_RESPONSE";

/// What a creditor says of a payable notice.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    /// Euro cents.
    pub(super) amount: i64,
    pub(super) description: String,
    pub(super) company: String,
    pub(super) due: Option<String>,
}

/// What happens at the PSP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    Refused,
    Unknown,
}

/// A notice to be paid, and the amount that the payer saw (euro cents).
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) creditor: String,
    pub(super) notice: String,
    pub(super) shown: Option<i64>,
}

/// A payment by one PSP, for one or several notices.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) dues: Vec<Due>,
    pub(super) psp: &'static Psp,
    pub(super) outcome: Outcome,
    pub(super) note: Option<String>,
    pub(super) transfer_type: Option<&'static str>,
}

/// An order that was not carried out: the notice at fault, its new amount where only that changed.
#[derive(Clone, Debug)]
pub(super) struct NotPayable {
    pub(super) creditor: String,
    pub(super) notice: String,
    pub(super) amount: Option<i64>,
    pub(super) fault: Fault,
}

/// An answer that may be believed.
enum Answer {
    Ok(Element),
    Ko(String),
}

impl Platform {
    /// Calls a creditor once.
    async fn call(
        &self,
        creditor: &Creditor,
        operation: Operation,
        notice: &str,
        request: &Element,
        timeout: Duration,
    ) -> Result<Answer, &'static str> {
        let sent = self
            .http
            .post(&creditor.endpoint)
            .header("content-type", "text/xml; charset=UTF-8")
            .header("soapaction", format!("\"{}\"", operation.name()))
            .body(request.envelope());
        let exchange = async {
            let mut response = sent.send().await.map_err(|_| "PPT_STAZIONE_INT_PA_IRRAGGIUNGIBILE")?;
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|_| BAD_ANSWER)? {
                body.extend_from_slice(&chunk);
                if body.len() > MAX_ANSWER {
                    break;
                }
            }
            Ok::<_, &'static str>((response, body))
        };
        let (response, body) =
            tokio::time::timeout(timeout, exchange).await.map_err(|_| "PPT_STAZIONE_INT_PA_TIMEOUT")??;

        let is_receipt = matches!(operation, Operation::SendRt | Operation::SendRtV2);
        let mut breaches = Vec::new();
        let mut answer = None;
        match read_answer(operation, &body) {
            Body::Answer(found) => {
                if response.status() != 200 {
                    let words = format!("Risposta con stato HTTP {}: deve essere 200.", response.status().as_u16());
                    breach(&mut breaches, "http-status", "", words);
                }
                breaches.extend(rules::judge(operation, &found, creditor, &self.config.creditors, notice));
                answer = breaches.is_empty().then_some(found);
                self.check_type(&response, &mut breaches);
            }
            // For a receipt this is how a creditor asks for it again; elsewhere a KO would have been the answer.
            Body::SoapFault if is_receipt => {}
            Body::SoapFault => {
                breach(&mut breaches, "soap-fault", "", "Un errore va detto con esito KO, non con un SOAP Fault.")
            }
            Body::Invalid(found) => breaches = found,
        }
        if !breaches.is_empty() {
            self.state().violated(self.now(), &creditor.fiscal_code, operation.name(), breaches);
        }
        let answer = answer.ok_or(BAD_ANSWER)?;
        Ok(match answer.text_at(&["outcome"]) {
            Some("OK") => Answer::Ok(answer),
            _ => Answer::Ko(answer.text_at(&["fault", "faultCode"]).unwrap_or_default().to_owned()),
        })
    }

    /// SOAP 1.1 over HTTP prescribes text/xml. Noted, but not a reason to refuse the answer.
    fn check_type(&self, response: &reqwest::Response, breaches: &mut Vec<Breach>) {
        let kind = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/xml") {
            breach(breaches, "content-type", "", "Il Content-Type della risposta non è text/xml.");
        }
    }

    /// The creditor behind a well-shaped notice.
    fn known(&self, creditor: &str, notice: &str) -> Result<Creditor, Fault> {
        let digits = |s: &str, n| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(creditor, 11) || !digits(notice, 18) {
            return Err("PPT_SINTASSI_EXTRAXSD".into());
        }
        self.creditor(creditor).cloned().ok_or_else(|| "PPT_DOMINIO_SCONOSCIUTO".into())
    }

    /// Whether the Node itself has something against paying this notice now.
    fn blocked(&self, creditor: &str, notice: &str, now: Timestamp) -> Option<Fault> {
        let state = self.state();
        let position = state.positions.get(&(creditor.to_owned(), notice.to_owned()))?;
        if position.paid {
            return Some("PPT_PAGAMENTO_DUPLICATO".into());
        }
        position.token.as_ref().filter(|(_, until)| now < *until).map(|_| IN_PROGRESS.into())
    }

    /// Asks the creditor what a notice is worth today.
    ///
    /// # Errors
    /// The fault a PSP would be shown.
    pub(super) async fn verify(&self, creditor: &str, notice: &str) -> Result<Verified, Fault> {
        let creditor = self.known(creditor, notice)?;
        if let Some(fault) = self.blocked(&creditor.fiscal_code, notice, self.now()) {
            return Err(fault);
        }
        let request = wire::verify(&creditor, notice);
        let answer = match self.call(&creditor, Operation::Verify, notice, &request, self.timeouts.verify).await? {
            Answer::Ok(answer) => answer,
            Answer::Ko(code) => return Err(refused(code)),
        };
        let text = |path: &[&str]| answer.text_at(path).map(str::to_owned);
        let amount = answer.text_at(&["paymentList", "paymentOptionDescription", "amount"]).and_then(rules::amount);
        Ok(Verified {
            amount: amount.ok_or(BAD_ANSWER)?,
            description: text(&["paymentDescription"]).unwrap_or_default(),
            company: text(&["companyName"]).unwrap_or(creditor.name),
            due: text(&["paymentList", "paymentOptionDescription", "dueDate"]),
        })
    }

    /// Activates one notice: from here on its token blocks it.
    async fn activate(&self, due: &Due, order: &Order, fee: i64) -> Result<String, NotPayable> {
        let not =
            |amount, fault| NotPayable { creditor: due.creditor.clone(), notice: due.notice.clone(), amount, fault };
        let creditor = self.known(&due.creditor, &due.notice).map_err(|f| not(None, f))?;
        let token = token().map_err(|_| not(None, SYSTEM_ERROR.into()))?;
        let now = self.now();
        let lifetime = jiff::SignedDuration::try_from(self.config.token_lifetime).unwrap_or(jiff::SignedDuration::MAX);
        let expires = now.checked_add(lifetime).unwrap_or(Timestamp::MAX);
        {
            // Taken before the creditor is asked, so that of two simultaneous activations one is turned away.
            let mut state = self.state();
            let position = state.positions.entry((due.creditor.clone(), due.notice.clone())).or_default();
            if position.paid {
                return Err(not(None, "PPT_PAGAMENTO_DUPLICATO".into()));
            }
            if position.token.as_ref().is_some_and(|(_, until)| now < *until) {
                return Err(not(None, IN_PROGRESS.into()));
            }
            position.token = Some((token.clone(), expires));
        }
        let found = self.ask_payment(&creditor, due, order).await;
        let (data, amount) = match found {
            Ok((_, amount)) if due.shown.is_some_and(|shown| shown != amount) => {
                self.state().release(&due.creditor, &due.notice, &token);
                return Err(not(Some(amount), AMOUNT_CHANGED.into()));
            }
            Ok(found) => found,
            Err(fault) => {
                self.state().release(&due.creditor, &due.notice, &token);
                return Err(not(None, fault));
            }
        };
        let text = |name| data.text_at(&[name]).map(str::to_owned);
        let payment = Payment {
            token: token.clone(),
            creditor: due.creditor.clone(),
            notice: due.notice.clone(),
            amount,
            description: text("description").unwrap_or_default(),
            company: text("companyName").unwrap_or(creditor.name),
            note: order.note.clone(),
            data,
            at: now,
            expires,
            state: PaymentState::Activated,
            psp: order.psp,
            fee,
            paid_at: None,
            deliveries: Vec::new(),
        };
        self.state().add_payment(payment);
        Ok(token)
    }

    async fn ask_payment(&self, creditor: &Creditor, due: &Due, order: &Order) -> Result<(Element, i64), Fault> {
        let operation = if creditor.v1 { Operation::GetPayment } else { Operation::GetPaymentV2 };
        let activation = Activation { amount: due.shown, note: order.note.clone(), transfer_type: order.transfer_type };
        let request = wire::activate(operation, creditor, &due.notice, &activation);
        match self.call(creditor, operation, &due.notice, &request, self.timeouts.verify).await? {
            Answer::Ok(answer) => {
                let data = answer.child("data").cloned().ok_or(BAD_ANSWER)?;
                let amount = data.text_at(&["paymentAmount"]).and_then(rules::amount).ok_or(BAD_ANSWER)?;
                Ok((data, amount))
            }
            Answer::Ko(code) => Err(refused(code)),
        }
    }

    /// Money was taken for this token: the position is closed and its receipts are due. `None` if it is not waiting
    /// for an outcome (any more).
    fn settle(&self, token: &str) -> Option<usize> {
        let now = self.now();
        let mut guard = self.state();
        let state = &mut *guard;
        let payment = state.payments.get_mut(token).filter(|p| p.state == PaymentState::Activated)?;
        payment.state = PaymentState::Paid;
        payment.paid_at = Some(now);
        let mut recipients = vec![payment.creditor.clone()];
        // Broadcast: another creditor of the payment gets its own copy.
        for transfer in payment.data.child("transferList").into_iter().flat_map(|l| l.all("transfer")) {
            let owner = transfer.text_at(&["fiscalCodePA"]).unwrap_or_default();
            if self.creditor(owner).is_some() && !recipients.iter().any(|r| r == owner) {
                recipients.push(owner.to_owned());
            }
        }
        payment.deliveries = recipients
            .into_iter()
            .map(|creditor| Delivery { creditor, status: DeliveryStatus::Pending, attempts: Vec::new() })
            .collect();
        let count = payment.deliveries.len();
        let position = state.positions.entry((payment.creditor.clone(), payment.notice.clone())).or_default();
        position.paid = true;
        position.token = None;
        Some(count)
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

    /// Sends one receipt once and records what became of it.
    pub(super) async fn deliver(&self, token: &str, index: usize) -> Option<(DeliveryStatus, Option<String>)> {
        let (creditor, operation, request, notice) = {
            let state = self.state();
            let payment = state.payments.get(token)?;
            let creditor = self.creditor(&payment.deliveries.get(index)?.creditor)?.clone();
            let (operation, request) = wire::receipt(&creditor, payment, &payment.company);
            (creditor, operation, request, payment.notice.clone())
        };
        let answer = self.call(&creditor, operation, &notice, &request, self.timeouts.receipt).await;
        let (status, code, result) = match answer {
            Ok(Answer::Ok(_)) => (DeliveryStatus::Acknowledged, None, "OK".to_owned()),
            Ok(Answer::Ko(code)) => (DeliveryStatus::Refused, Some(code.clone()), format!("KO {code}")),
            Err(code) => (DeliveryStatus::Pending, Some(code.to_owned()), code.to_owned()),
        };
        let at = self.now();
        let mut state = self.state();
        let delivery = state.payments.get_mut(token)?.deliveries.get_mut(index)?;
        delivery.attempts.push(Attempt { at, result });
        // Once a creditor has acknowledged, nothing it says to a repeated receipt takes that back.
        if delivery.status != DeliveryStatus::Acknowledged && status != DeliveryStatus::Pending {
            delivery.status = status;
        }
        Some((status, code))
    }
}

fn refused(code: String) -> Fault {
    Fault { code: "PPT_ERRORE_EMESSO_DA_PAA", original_code: Some(code) }
}

/// Carries out an order: activates every notice, applies the PSP's outcome, and starts the receipts.
/// Answers the tokens, in the order of the notices, and signals that fire after each receipt's first delivery.
///
/// # Errors
/// The first notice that could not be activated; the others are free again.
pub(super) async fn pay(
    platform: Shared,
    order: Order,
) -> Result<(Vec<String>, Vec<oneshot::Receiver<()>>), NotPayable> {
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

/// Settles an activation whose outcome was unknown so far.
///
/// # Errors
/// `PPT_TOKEN_SCONOSCIUTO` without such a waiting activation, `PPT_TOKEN_SCADUTO` after its lifetime unless `late`:
/// PSPs do sometimes send outcomes late, and the receipt is sent all the same.
pub(super) fn conclude(
    platform: &Shared,
    token: &str,
    outcome: Outcome,
    late: bool,
) -> Result<Vec<oneshot::Receiver<()>>, &'static str> {
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

/// Starts the delivery of a payment's receipts, each in its own task.
fn send_receipts(platform: &Shared, token: &str) -> Option<Vec<oneshot::Receiver<()>>> {
    let count = platform.settle(token)?;
    let start = |index| {
        let (tell, told) = oneshot::channel();
        platform.spawn(keep_delivering(Arc::clone(platform), token.to_owned(), index, tell));
        told
    };
    Some((0..count).map(start).collect())
}

/// Delivers until a well-formed answer arrives, whatever it says, or the tries are used up.
async fn keep_delivering(platform: Shared, token: String, index: usize, first: oneshot::Sender<()>) {
    platform.deliver(&token, index).await;
    // Whoever asked may have gone.
    let _ = first.send(());
    for _ in 0..REDELIVERIES {
        // A delivery asked for by hand may have settled it meanwhile.
        if platform.delivery_status(&token, index) != Some(DeliveryStatus::Pending) {
            return;
        }
        tokio::time::sleep(platform.config.hour).await;
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
    fn delivery_status(&self, token: &str, index: usize) -> Option<DeliveryStatus> {
        self.state().payments.get(token)?.deliveries.get(index).map(|d| d.status)
    }
}
