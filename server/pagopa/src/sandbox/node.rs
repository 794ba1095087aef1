//! The Node's questions: what a notice is worth, and its activation by a PSP; and how a creditor is called at all.
//!
//! Sources: SANP 3.12.0 "Integration via synchronous APIs" and "Best practice"; "Gestione degli errori".

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::faults::{Kind, Struck, Target};
use super::psps::Psp;
use super::rules::{self, Asked};
use super::schema::{Body, Breach, Operation, breach, read_answer};
use super::state::{Payment, PaymentState};
use super::wire::{self, Activation};
use super::xml::Element;
use super::{Creditor, Platform, line, token};

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
pub(super) const BAD_ANSWER: &str = "PPT_STAZIONE_INT_PA_ERRORE_RESPONSE";
/// The creditor cannot be reached, or the connection is gone.
const UNREACHABLE: &str = "PPT_STAZIONE_INT_PA_IRRAGGIUNGIBILE";
/// The creditor did not answer in time.
const TIME_OUT: &str = "PPT_STAZIONE_INT_PA_TIMEOUT";
/// Rules that an answer may break and still be used: they are noted.
const NOTED: [&str; 2] = ["content-type", rules::POSTAL];

/// What a creditor says of a payable notice.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    /// Euro cents.
    pub(super) amount: i64,
    pub(super) description: String,
    pub(super) company: String,
    pub(super) due: Option<String>,
    /// `allCCP`: every transfer can go to a postal account.
    pub(super) all_ccp: bool,
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
    /// What the verification said of postal accounts.
    pub(super) all_ccp: bool,
}

/// A payment by one PSP, for one or several notices.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) dues: Vec<Due>,
    pub(super) psp: &'static Psp,
    pub(super) outcome: Outcome,
    pub(super) note: Option<String>,
    pub(super) transfer_type: Option<&'static str>,
    /// The owner of a notice gets a version 1 copy of the receipt besides.
    pub(super) also_v1: bool,
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
pub(super) enum Answer {
    Ok(Element),
    Ko(String),
}

/// One call to a creditor.
pub(super) struct Call<'a> {
    pub(super) creditor: &'a Creditor,
    pub(super) operation: Operation,
    pub(super) asked: Asked<'a>,
    pub(super) request: Element,
    /// How long the Node waits for the answer.
    pub(super) limit: Duration,
}

/// What became of a call: an answer or a code of the Node's, and the fault that struck it.
pub(super) struct Try {
    pub(super) answer: Result<Answer, &'static str>,
    pub(super) struck: Option<Struck>,
}

impl Platform {
    /// Calls a creditor, with whatever fault is due. The second try is that of a call made twice.
    pub(super) async fn call(&self, call: &Call<'_>) -> (Try, Option<Try>) {
        let notice = (call.operation != Operation::Demand).then_some(call.asked.notice);
        let target = target(call.operation);
        let struck = self.state().faults.strike(target, &call.creditor.fiscal_code, notice, self.now());
        let made = |answer| Try { answer, struck };
        match struck.map(|struck| struck.kind) {
            Some(Kind::Twice) => {
                let (one, other) = tokio::join!(self.exchange(call, None), self.exchange(call, None));
                (made(one), Some(made(other)))
            }
            Some(Kind::Again) => match self.exchange(call, None).await {
                Ok(Answer::Ok(answer)) => {
                    let again = self.exchange(call, None).await;
                    (Try { answer: Ok(Answer::Ok(answer)), struck: None }, Some(made(again)))
                }
                other => (made(other), None),
            },
            kind => (made(self.exchange(call, kind).await), None),
        }
    }

    /// Asks a creditor something that only needs one answer.
    pub(super) async fn ask(&self, call: &Call<'_>) -> Result<Answer, &'static str> {
        self.call(call).await.0.answer
    }

    /// One request and what the Node gets to read of its answer.
    async fn exchange(&self, call: &Call<'_>, kind: Option<Kind>) -> Result<Answer, &'static str> {
        let sent = self.send(call, kind);
        let (response, body) = tokio::time::timeout(call.limit, sent).await.map_err(|_| TIME_OUT)??;
        self.judge(call, &response, &body)
    }

    async fn send(&self, call: &Call<'_>, kind: Option<Kind>) -> Result<(reqwest::Response, Vec<u8>), &'static str> {
        let (endpoint, action) = (&call.creditor.endpoint, call.operation.name());
        let envelope = call.request.envelope();
        match kind {
            Some(Kind::LostRequest) => return Err(UNREACHABLE),
            Some(Kind::Cut) => {
                // Reachable or not, nobody got a whole request.
                let _ = line::half_a_call(endpoint, action, &envelope).await;
                return Err(UNREACHABLE);
            }
            Some(Kind::Slow(millis)) => tokio::time::sleep(Duration::from_millis(millis)).await,
            _ => {}
        }
        let request = self
            .http
            .post(endpoint)
            .header("content-type", "text/xml; charset=UTF-8")
            .header("soapaction", format!("\"{action}\""))
            .body(envelope);
        let mut response = request.send().await.map_err(|_| UNREACHABLE)?;
        match kind {
            // Not before the head of its answer is here: then the creditor has done what it was asked.
            Some(Kind::LostAnswer) => return Err(UNREACHABLE),
            Some(Kind::TimeOut) => std::future::pending().await,
            Some(Kind::SlowAnswer(millis)) => tokio::time::sleep(Duration::from_millis(millis)).await,
            _ => {}
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| BAD_ANSWER)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                break;
            }
        }
        Ok((response, body))
    }

    /// Whether the answer may be believed; what it breaks is kept.
    fn judge(&self, call: &Call<'_>, response: &reqwest::Response, body: &[u8]) -> Result<Answer, &'static str> {
        let operation = call.operation;
        let is_receipt = matches!(operation, Operation::SendRt | Operation::SendRtV2);
        let mut breaches = Vec::new();
        let mut answer = None;
        match read_answer(operation, body) {
            Body::Answer(found) => {
                if response.status() != 200 {
                    let words = format!("Risposta con stato HTTP {}: deve essere 200.", response.status().as_u16());
                    breach(&mut breaches, "http-status", "", words);
                }
                breaches.extend(rules::judge(operation, &found, call.creditor, &self.config.creditors, &call.asked));
                self.check_type(response, &mut breaches);
                answer = breaches.iter().all(|b| NOTED.contains(&b.rule)).then_some(found);
            }
            // For a receipt this is how a creditor asks for it again; elsewhere a KO would have been the answer.
            Body::SoapFault if is_receipt => {}
            Body::SoapFault => {
                breach(&mut breaches, "soap-fault", "", "Un errore va detto con esito KO, non con un SOAP Fault.")
            }
            Body::Invalid(found) => breaches = found,
        }
        if !breaches.is_empty() {
            self.state().violated(self.now(), &call.creditor.fiscal_code, operation.name(), breaches);
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
    pub(super) fn known(&self, creditor: &str, notice: &str) -> Result<Creditor, Fault> {
        let digits = |s: &str, n| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(creditor, 11) || !digits(notice, 18) {
            return Err("PPT_SINTASSI_EXTRAXSD".into());
        }
        self.creditor(creditor).cloned().ok_or_else(|| "PPT_DOMINIO_SCONOSCIUTO".into())
    }

    /// Whether the Node itself has something against paying this notice now.
    pub(super) fn blocked(&self, creditor: &str, notice: &str, now: Timestamp) -> Option<Fault> {
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
        let call = Call {
            creditor: &creditor,
            operation: Operation::Verify,
            asked: Asked::about(notice),
            request: wire::verify(&creditor, notice),
            limit: self.config.timeouts.verify,
        };
        match self.ask(&call).await? {
            Answer::Ok(answer) => Ok(Verified::of(&answer, &creditor).ok_or(BAD_ANSWER)?),
            Answer::Ko(code) => Err(refused(code)),
        }
    }

    /// Activates one notice: from here on its token blocks it.
    pub(super) async fn activate(&self, due: &Due, order: &Order, fee: i64) -> Result<String, NotPayable> {
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
            stand_in: false,
            also_v1: order.also_v1,
        };
        self.state().add_payment(payment);
        Ok(token)
    }

    async fn ask_payment(&self, creditor: &Creditor, due: &Due, order: &Order) -> Result<(Element, i64), Fault> {
        let operation = if creditor.v1 { Operation::GetPayment } else { Operation::GetPaymentV2 };
        let activation = Activation { amount: due.shown, note: order.note.clone(), transfer_type: order.transfer_type };
        let call = Call {
            creditor,
            operation,
            asked: Asked { notice: &due.notice, transfer_type: order.transfer_type, all_ccp: due.all_ccp },
            request: wire::activate(operation, creditor, &due.notice, &activation),
            limit: self.config.timeouts.verify,
        };
        match self.ask(&call).await? {
            Answer::Ok(answer) => {
                let data = answer.child("data").cloned().ok_or(BAD_ANSWER)?;
                let amount = data.text_at(&["paymentAmount"]).and_then(rules::amount).ok_or(BAD_ANSWER)?;
                Ok((data, amount))
            }
            Answer::Ko(code) => Err(refused(code)),
        }
    }
}

impl Verified {
    /// Reads a valid answer to a verification, or to a demand. `None` without an amount, which no valid one is.
    pub(super) fn of(answer: &Element, creditor: &Creditor) -> Option<Self> {
        let option = ["paymentList", "paymentOptionDescription"];
        let in_option = |name| answer.text_at(&[option[0], option[1], name]);
        let text = |name| answer.text_at(&[name]).map(str::to_owned);
        Some(Self {
            amount: in_option("amount").and_then(rules::amount)?,
            description: text("paymentDescription").unwrap_or_default(),
            company: text("companyName").unwrap_or_else(|| creditor.name.clone()),
            due: in_option("dueDate").map(str::to_owned),
            all_ccp: in_option("allCCP").is_some_and(|its| matches!(its.trim(), "true" | "1")),
        })
    }
}

/// What a fault has to name to hit this operation.
const fn target(operation: Operation) -> Target {
    match operation {
        Operation::Verify => Target::Verify,
        Operation::GetPayment | Operation::GetPaymentV2 => Target::Activate,
        Operation::SendRt | Operation::SendRtV2 => Target::Receipt,
        Operation::Demand => Target::Demand,
    }
}

/// The creditor's own KO, as the Node passes it on.
pub(super) fn refused(code: String) -> Fault {
    Fault { code: "PPT_ERRORE_EMESSO_DA_PAA", original_code: Some(code) }
}
