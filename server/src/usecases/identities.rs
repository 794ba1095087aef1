//! Signing in with an identity that a provider vouches for: SPID, CIE, CNS. What the provider proves is a codice fiscale, so whoever
//! comes is the guardian whom the office entered with it, registered or not (ARCHITECTURE.md, signing in).

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::language::Language;

use super::post::{Event, lay_event};
use super::sessions::{Opening, SignedIn};
use super::{App, Stop};

/// Why somebody who proved who they are does not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityRefusal {
    /// The office has entered no adult with this codice fiscale.
    Unknown,
    /// The office ended their access.
    AccessEnded,
    /// There is no such creditor.
    NoCreditor,
}

/// Somebody whose identity was proved.
#[derive(Clone)]
pub struct Proved {
    /// To whom they come.
    pub creditor: CreditorCode,
    /// Who they are.
    pub fiscal_code: PersonalCode,
    /// What their browser is called in the list of devices.
    pub device_name: String,
    /// What they read.
    pub language: Language,
}

/// What it holds is personal.
impl std::fmt::Debug for Proved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proved({})", self.creditor)
    }
}

/// Opens a session for somebody whose identity was proved. The account's password, and the tries that were counted for it, stay as
/// they are.
///
/// # Errors
/// [`IdentityRefusal`], or a [`super::Fault`].
pub async fn enter(app: &App, proved: Proved) -> Result<SignedIn, Stop<IdentityRefusal>> {
    let (code, now) = (proved.creditor, app.now());
    let listing = app.directory.listing();
    let creditor = listing.creditor(code.as_str()).ok_or(Stop::Refused(IdentityRefusal::NoCreditor))?;
    let fiscal_code = proved.fiscal_code.as_str().to_owned();
    let read = app.store.read(move |tx| Box::pin(async move { tx.holder_by_code(&code, &fiscal_code).await }));
    let holder = read.await?.ok_or(Stop::Refused(IdentityRefusal::Unknown))?;
    if holder.disabled_at_ms.is_some() {
        return Err(Stop::Refused(IdentityRefusal::AccessEnded));
    }
    let opening = Opening::new(app, (code, holder.id), (&proved.device_name, Some(proved.language)))?;
    let opened = opening.clone();
    let written = app.store.write("open a session of an identity", move |tx| {
        let opening = opened.clone();
        Box::pin(async move {
            // Held until the end, and looked at again: the access may have ended meanwhile.
            tx.hold_guardian(&code, opening.guardian()).await?;
            let holder = tx.holder(&code, opening.guardian()).await?;
            if holder.is_none_or(|holder| holder.disabled_at_ms.is_some()) {
                return Ok(Err(IdentityRefusal::AccessEnded));
            }
            opening.write(tx).await?;
            lay_event(tx, &code, (opening.guardian(), Event::NewDevice, opening.session().uuid()), now).await?;
            Ok(Ok(()))
        })
    });
    written.await?.map_err(Stop::Refused)?;
    Ok(opening.signed_in(app, holder.full_name, creditor.into()))
}
