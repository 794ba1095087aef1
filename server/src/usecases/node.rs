//! What the Node asks before a payment: what does this notice cost, and who gets the money. Both only read: pagoPA
//! holds the token, our position stays payable until a receipt arrives (ARCHITECTURE.md, rules of money, 6).

use borsellino_domain::bill::asked;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::iban::Iban;
use borsellino_domain::money::Amount;
use borsellino_domain::notice::AnyNotice;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::NoticeState;
use borsellino_store::rows::{CreditorRow, NoticeRow};

use super::{App, Fault, Stop};

/// Why a notice can't be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPayable {
    /// We have no such notice.
    Unknown,
    /// It is settled.
    Paid,
    /// Its time ran out.
    Expired,
    /// It was withdrawn.
    Cancelled,
}

/// A payable notice.
#[derive(Clone)]
pub struct Payable {
    /// What is due now.
    pub amount: Amount,
    /// ISO date.
    pub due_date: String,
    /// What for; names no child.
    pub reason: String,
    /// Under which it is collected.
    pub taxonomy: String,
    /// Who owes.
    pub debtor_code: String,
    /// Their name.
    pub debtor_name: String,
    /// The creditor's name.
    pub company_name: String,
    /// Its office.
    pub office_name: String,
    /// Whose money.
    pub creditor: CreditorCode,
    /// The reference (IUV).
    pub iuv: String,
    /// The account for any channel.
    pub iban: Iban,
    /// The postal account, if there is one.
    pub postal_iban: Option<Iban>,
}

/// What notice `number` (18 digits, as the Node says) of `creditor` costs now.
///
/// # Errors
/// [`NotPayable`], or a [`Fault`].
pub async fn look_up(app: &App, creditor: &CreditorRow, number: &str) -> Result<Payable, Stop<NotPayable>> {
    let now = app.now();
    let code = creditor.fiscal_code;
    // A number that is none of ours by its form (the stand-in probe is eighteen zeros) is simply unknown.
    let notice = AnyNotice::parse(number).map_err(|_| Stop::Refused(NotPayable::Unknown))?;
    let key = number.to_owned();
    let row = app.store.read(move |tx| Box::pin(async move { tx.notice(&code, &key).await })).await?;
    let row = row.ok_or(Stop::Refused(NotPayable::Unknown))?;
    match row.state.at(row.expires_at_ms.map(Millis::new), now) {
        NoticeState::Open => {}
        NoticeState::Paid => return Err(Stop::Refused(NotPayable::Paid)),
        NoticeState::Expired => return Err(Stop::Refused(NotPayable::Expired)),
        NoticeState::Cancelled => return Err(Stop::Refused(NotPayable::Cancelled)),
    }
    let amount = amount_due(&row)?.ok_or(Stop::Refused(NotPayable::Paid))?;
    let postal_iban = match &creditor.postal_iban {
        Some(text) => Some(Iban::parse(text).map_err(|_| Fault::BadData("a creditor's postal IBAN"))?),
        None => None,
    };
    Ok(Payable {
        amount,
        due_date: row.due_date,
        reason: row.reason,
        taxonomy: row.taxonomy,
        debtor_code: row.debtor_code,
        debtor_name: row.debtor_name,
        company_name: creditor.name.clone(),
        office_name: creditor.office_name.clone(),
        creditor: code,
        iuv: notice.iuv().as_str().to_owned(),
        iban: creditor.iban.clone(),
        postal_iban,
    })
}

/// A top-up costs what it asks for; a bill what is left of it, or its instalment (`None`: nothing).
pub(super) fn amount_due(row: &NoticeRow) -> Result<Option<Amount>, Fault> {
    let Some(balance) = row.bill_balance_cents else { return Ok(Some(row.amount_cents)) };
    let owed = balance.checked_neg().ok_or(Fault::BadData("a bill's balance"))?;
    Ok(asked(Amount::from_cents(owed).ok(), row.share()))
}
