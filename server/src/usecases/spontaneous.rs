//! `Pagamento Spontaneo`: whoever knows a child's codice fiscale puts money into its balance for a service that allows it, without a
//! notice and without signing in. The notice is made on the spot, as for somebody at a PSP ([`super::demand`]), and names nobody.
//!
//! An unknown child and a child without the service are one answer, and tries make the next one wait, per child and per network.

use std::net::IpAddr;

use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::money::Amount;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::service::LimitRefusal;
use borsellino_store::rows::CreditorRow;
use data_encoding::HEXLOWER;

use super::demand::{Demand, DemandRefusal, demand};
use super::open_notices::{OpenNotice, OpenRefusal, hand_over};
use super::sessions::{Tries, address_key};
use super::{App, Fault, Stop};

/// A service that can be paid without a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Names it in a form.
    pub id: String,
    /// What parents call it.
    pub name: String,
    /// The smallest amount.
    pub min: Amount,
    /// The largest.
    pub max: Amount,
    catalogue: (String, String),
}

/// Why no notice is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpontaneousRefusal {
    /// The creditor offers no such service.
    UnknownService,
    /// No codice fiscale.
    Code,
    /// No open balance of a child with this codice fiscale for this service.
    UnknownChild,
    /// Below the smallest amount, or above the largest.
    Bounds {
        /// The smallest.
        min: Amount,
        /// The largest.
        max: Amount,
    },
    /// The balance takes no such amount now; how much it holds is not told.
    NotNow,
    /// Too many tries: wait this many milliseconds.
    TryLater(i64),
}

type Refused = Stop<SpontaneousRefusal>;

/// What a creditor offers.
///
/// # Errors
/// A [`Fault`].
pub async fn offers(app: &App, creditor: &CreditorRow) -> Result<Vec<Offer>, Fault> {
    let code = creditor.fiscal_code;
    let rows = app.store.read(move |tx| Box::pin(async move { tx.spontaneous_offers(&code).await })).await?;
    let offer = |row: borsellino_store::rows::OfferRow| Offer {
        id: format!("{}.{}", row.catalogue_service, row.catalogue_subject),
        name: row.name,
        min: row.min_cents,
        max: row.max_cents,
        catalogue: (row.catalogue_service, row.catalogue_subject),
    };
    Ok(rows.into_iter().map(offer).collect())
}

/// Makes the notice, and a ticket with which it is printed and paid.
///
/// # Errors
/// [`SpontaneousRefusal`], or a [`Fault`].
pub async fn begin(
    app: &App,
    creditor: &CreditorRow,
    (service, child_code, amount): (&str, &str, Amount),
    from: Option<IpAddr>,
) -> Result<(OpenNotice, String), Refused> {
    let offers = offers(app, creditor).await?;
    let offer = offers.into_iter().find(|offer| offer.id == service);
    let offer = offer.ok_or(Stop::Refused(SpontaneousRefusal::UnknownService))?;
    let bare: String = child_code.chars().filter(|c| !c.is_whitespace()).take(17).collect();
    let code = PersonalCode::parse(&bare.to_ascii_uppercase()).map_err(|_| Stop::Refused(SpontaneousRefusal::Code))?;
    let (min, max) = (offer.min, offer.max);
    if amount < min || amount > max {
        return Err(Stop::Refused(SpontaneousRefusal::Bounds { min, max }));
    }
    try_it(app, creditor, code.as_str(), from).await?;
    let (catalogue_service, catalogue_subject) = offer.catalogue;
    let wish = Demand { catalogue_service, catalogue_subject, child_code: code.as_str().to_owned(), amount };
    let made = match demand(app, creditor, wish).await {
        Ok((number, _)) => Ok(number),
        Err(Stop::Refused(DemandRefusal::UnknownWallet)) => {
            return Err(Stop::Refused(SpontaneousRefusal::UnknownChild));
        }
        Err(Stop::Refused(DemandRefusal::UnknownService)) => Err(SpontaneousRefusal::UnknownService),
        Err(Stop::Refused(DemandRefusal::Limit(LimitRefusal::BelowMinimum(_) | LimitRefusal::AboveMaximum(_)))) => {
            Err(SpontaneousRefusal::Bounds { min, max })
        }
        Err(Stop::Refused(DemandRefusal::Limit(_))) => Err(SpontaneousRefusal::NotNow),
        Err(Stop::Fault(fault)) => return Err(Stop::Fault(fault)),
    };
    let number: NoticeNumber = made.map_err(Stop::Refused)?;
    // For the network alone: for the child a right try stays counted, so that nobody keeps making notices, or finds out by amounts that
    // do not fit how much there is.
    let (code, network) = (creditor.fiscal_code, Tries::from_address(from.map(address_key)));
    let uncounted = app.store.write::<(), (), _>("a right try is none", move |tx| {
        let network = network.clone();
        Box::pin(async move { network.uncount(tx, &code).await.map(Ok) })
    });
    let _committed = uncounted.await?;
    hand_over(app, creditor, number).await.map_err(|stop: Stop<OpenRefusal>| match stop {
        Stop::Fault(fault) => Stop::Fault(fault),
        Stop::Refused(_) => Stop::Fault(Fault::BadData("a notice that was just made is gone")),
    })
}

/// Counts a try. The code stands in no table: what is counted is a digest under the server's key.
async fn try_it(app: &App, creditor: &CreditorRow, code: &str, from: Option<IpAddr>) -> Result<(), Refused> {
    let name = HEXLOWER.encode(&app.keys.digest("spontaneous.child", code.as_bytes()).0);
    let tries = Tries::of_notice(&name, from);
    let (now, code) = (app.now(), creditor.fiscal_code);
    let counted = app.store.write("count a try", move |tx| {
        let tries = tries.clone();
        Box::pin(async move {
            Ok(match tries.count(tx, &code, now).await? {
                Some(wait) => Err(SpontaneousRefusal::TryLater(wait)),
                None => Ok(()),
            })
        })
    });
    counted.await?.map_err(Stop::Refused)
}
