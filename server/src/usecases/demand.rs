//! A top-up asked for at a PSP, without a notice: somebody names a service of pagoPA's catalogue, a child's codice
//! fiscale and an amount, and we make the notice that they pay on the spot.
//!
//! Whoever asks is told what the notice costs and what for, never whose it is: it names nobody as debtor, and an unknown
//! child, a child without the service and a closed wallet get the same answer.

use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::id::OutboxId;
use borsellino_domain::ledger::Hash;
use borsellino_domain::money::Amount;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::service::LimitRefusal;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::{NoticeState, PAYMENT_TOKEN_MILLIS};
use borsellino_store::rows::{CreditorRow, NewDemand, NewNotice, SpontaneousRow};
use borsellino_store::{StoreError, Tx};
use uuid::Uuid;

use super::node::{NotPayable, Payable, look_up};
use super::pay::{DRAWS, draw, insert_notice, wallet_facts};
use super::{App, Fault, Stop};

/// What somebody at a PSP asks for.
#[derive(Clone)]
pub struct Demand {
    /// `idServizio`, 5 characters.
    pub catalogue_service: String,
    /// `idSoggettoServizio`, 5 characters.
    pub catalogue_subject: String,
    /// The child's codice fiscale, as typed.
    pub child_code: String,
    /// How much.
    pub amount: Amount,
}

/// Why no notice is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemandRefusal {
    /// The creditor has no such service in the catalogue.
    UnknownService,
    /// No open wallet of a child with this code for this service.
    UnknownWallet,
    /// The amount fits neither service nor wallet.
    Limit(LimitRefusal),
}

/// Makes the notice, or finds the one just made for the same demand: the Node may ask again when our answer was lost,
/// and somebody may press a button twice.
///
/// # Errors
/// [`DemandRefusal`], or a [`Fault`].
pub async fn demand(
    app: &App,
    creditor: &CreditorRow,
    demand: Demand,
) -> Result<(NoticeNumber, Payable), Stop<DemandRefusal>> {
    let child_code =
        PersonalCode::parse(&demand.child_code).map_err(|_| Stop::Refused(DemandRefusal::UnknownWallet))?;
    let plan = Plan {
        creditor: creditor.clone(),
        digest: Hash::of(
            format!(
                "borsellino.demand.v1|{}|{}|{}|{}",
                demand.catalogue_service,
                demand.catalogue_subject,
                child_code.as_str(),
                demand.amount.cents()
            )
            .as_bytes(),
        ),
        child_code: child_code.as_str().to_owned(),
        demand,
        numbers: draw(creditor)?,
        now: app.now(),
        outbox: app.new_id()?,
    };
    let outcome = app.store.write("make a notice on demand", move |tx| {
        let plan = plan.clone();
        Box::pin(async move { plan.run(tx).await })
    });
    let number = outcome.await.map_err(Fault::from)?.map_err(Stop::Refused)?;
    match look_up(app, creditor, number.as_str()).await {
        Ok(payable) => Ok((number, payable)),
        // Paid or withdrawn in the same moment: asked again, another is made.
        Err(Stop::Refused(NotPayable::Unknown | NotPayable::Paid | NotPayable::Expired | NotPayable::Cancelled)) => {
            Err(StoreError::Conflict.into())
        }
        Err(Stop::Fault(fault)) => Err(Stop::Fault(fault)),
    }
}

/// One demand with everything drawn for it, so that it can be run again.
#[derive(Clone)]
struct Plan {
    creditor: CreditorRow,
    demand: Demand,
    child_code: String,
    digest: Hash,
    numbers: [NoticeNumber; DRAWS],
    now: Millis,
    outbox: OutboxId,
}

impl Plan {
    async fn run(&self, tx: &mut Tx) -> Result<Result<NoticeNumber, DemandRefusal>, StoreError> {
        let (code, now) = (self.creditor.fiscal_code, self.now);
        let catalogue = (self.demand.catalogue_service.as_str(), self.demand.catalogue_subject.as_str());
        let Some(service) = tx.spontaneous_service(&code, catalogue).await? else {
            return Ok(Err(DemandRefusal::UnknownService));
        };
        let Some(SpontaneousRow { wallet, .. }) = self.wallet(tx, service).await? else {
            return Ok(Err(DemandRefusal::UnknownWallet));
        };
        // Held until the commit, so that two demands never both take the last room; then read as it stands now.
        tx.hold_wallet(&code, wallet.uuid()).await?;
        let Some(SpontaneousRow { facts, .. }) = self.wallet(tx, service).await? else {
            return Ok(Err(DemandRefusal::UnknownWallet));
        };
        let earlier = tx.demand(&code, self.digest).await?;
        let just_made = |at: Millis| now < at.plus(PAYMENT_TOKEN_MILLIS);
        if let Some(row) = earlier.filter(|row| row.state == NoticeState::Open && just_made(row.at_ms)) {
            return Ok(Ok(row.notice));
        }
        let known = wallet_facts(&facts);
        if let Err(limit) = known.rules.check(self.demand.amount, known.balance, known.open_sum, known.open_count) {
            return Ok(Err(DemandRefusal::Limit(limit)));
        }
        // Paid on the spot, or not at all: a stranger takes a parent's room in the wallet for an hour at most.
        let expires_at = now.plus(2 * PAYMENT_TOKEN_MILLIS);
        let due_date = expires_at.day_in_italy().ok_or(StoreError::Corrupt("the clock is outside the calendar"))?;
        let notice = NewNotice {
            number: self.numbers[0],
            wallet: Some(wallet),
            bill: None,
            instalment: None,
            amount: self.demand.amount,
            reason: format!("Ricarica {}", facts.service_name),
            taxonomy: facts.taxonomy.clone(),
            debtor_code: facts.debtor_code.clone(),
            debtor_name: facts.debtor_name.clone(),
            due_date: due_date.to_string(),
            created_at: now,
            expires_at: Some(expires_at),
        };
        let number = insert_notice(tx, &code, notice, &self.numbers).await?;
        tx.put_demand(&code, &NewDemand { digest: self.digest, notice: number, at: now }).await?;
        let due = now.plus(PAYMENT_TOKEN_MILLIS);
        tx.insert_outbox(&code, self.outbox, ("aca_position", number.as_str()), due).await?;
        Ok(Ok(number))
    }

    async fn wallet(&self, tx: &mut Tx, service: Uuid) -> Result<Option<SpontaneousRow>, StoreError> {
        let row = tx.spontaneous_wallet(&self.creditor.fiscal_code, (&self.child_code, service), self.now).await?;
        Ok(row.filter(|row| row.facts.closed_at_ms.is_none()))
    }
}
