//! A notice by e-mail, on request (`INVIA EMAIL`): to oneself, or to somebody who is to pay it.
//!
//! To the address on file goes the notice. Any other address is one that nobody has verified: it gets a link to pay and nothing
//! that names anybody, is sealed until the letter is settled, and is kept as a keyed digest, so that the office can answer
//! whether something was sent to an address that somebody shows.

use borsellino_domain::language::Language;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use borsellino_store::rows::{NewLetter, NewMailedNotice, NewPayLink};
use uuid::Uuid;

use super::{Kind, letter_id, pay_link, seal};
use crate::auth::token::Identity;
use crate::mail::{Address, AddressError};
use crate::usecases::carts::{is_theirs, payable};
use crate::usecases::sessions::{SessionRefusal, standing};
use crate::usecases::{App, Stop};

/// How many notices a guardian may have sent in [`WINDOW_MILLIS`], wherever they go.
pub const MOST: usize = 5;

/// In milliseconds: 24 hours that move on.
pub const WINDOW_MILLIS: i64 = 24 * 3_600_000;

/// The same notice to the same address within the same minute is a second tap, and one letter.
const TAP_MILLIS: i64 = 60_000;

/// What the digest of an address is for.
const AUDIT: &str = "mailed-notice.to";

/// Why no notice is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostRefusal {
    /// The session does not go on.
    Session(SessionRefusal),
    /// This server sends no e-mail.
    NotConfigured,
    /// Nobody's, or another family's.
    UnknownNotice,
    /// Paid, expired or withdrawn.
    NotPayable,
    /// No address was typed, and none is on file.
    NoAddress,
    /// What was typed is no address.
    AddressInvalid(AddressError),
    /// Letters to the address on file come back: the office has to change it.
    AddressBounced,
    /// [`MOST`] were sent: the next may be at this time.
    Limit {
        /// When.
        until: Millis,
    },
}

/// A notice that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentNotice {
    /// It goes to the address on file, and not elsewhere.
    pub own: bool,
    /// How many more may be sent now.
    pub left: usize,
}

/// Has a notice sent: to the address on file with `None`, else to `address`, as it was typed. The same again within a minute is
/// the same letter.
///
/// # Errors
/// [`PostRefusal`], or a [`super::Fault`].
pub async fn send_notice(
    app: &App,
    who: Identity,
    notice: NoticeNumber,
    address: Option<String>,
    language: Language,
) -> Result<SentNotice, Stop<PostRefusal>> {
    let refused = |refusal| Stop::Refused(refusal);
    if app.mailer.is_none() {
        return Err(refused(PostRefusal::NotConfigured));
    }
    let typed = address.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let typed = typed.map(|text| Address::parse(&text)).transpose();
    let typed = typed.map_err(|error| refused(PostRefusal::AddressInvalid(error)))?;
    // Made outside: the body may be run again.
    let typed = match typed {
        Some(address) => {
            let sealed = seal(&app.keys, &address)?;
            let digest = app.keys.digest(AUDIT, address.as_str().to_ascii_lowercase().as_bytes());
            Some((address, sealed, digest))
        }
        None => None,
    };
    let (now, keys) = (app.now(), app.keys.clone());
    let tap = Millis::new(now.get().saturating_sub(now.get().rem_euclid(TAP_MILLIS)));
    let creditor = who.creditor;
    let written = app.store.write("send a notice", move |tx| {
        let (typed, keys) = (typed.clone(), keys.clone());
        Box::pin(async move {
            let session = tx.session(&creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(PostRefusal::Session(refusal)));
            }
            // What was sent stays counted until this is written: two at once are two.
            tx.hold_guardian(&creditor, who.guardian).await?;
            if !is_theirs(tx, who, notice).await? {
                return Ok(Err(PostRefusal::UnknownNotice));
            }
            let Some(found) = payable(tx, creditor, notice, now).await? else {
                return Ok(Err(PostRefusal::NotPayable));
            };
            let target = tx.mail_target(&creditor, who.guardian, Kind::Notice.code()).await?;
            let (email, gone) = target.map_or((None, false), |row| (row.email, row.email_bounced_at_ms.is_some()));
            let is_own =
                |address: &Address| email.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(address.as_str()));
            let elsewhere = typed.filter(|(address, ..)| !is_own(address));
            if elsewhere.is_none() {
                match email {
                    None => return Ok(Err(PostRefusal::NoAddress)),
                    Some(_) if gone => return Ok(Err(PostRefusal::AddressBounced)),
                    Some(_) => {}
                }
            }
            let digest = elsewhere.as_ref().map(|(.., digest)| *digest);
            let to = digest.map_or_else(Vec::new, |digest| digest.0.to_vec());
            let id: Uuid = letter_id(Kind::Notice, &[notice.as_str().as_bytes(), &to].concat(), who.guardian, tap);
            let sent = tx.mailed_notices(&creditor, who.guardian, now.plus(-WINDOW_MILLIS)).await?;
            let own = elsewhere.is_none();
            if sent.iter().any(|(known, _)| *known == id) {
                return Ok(Ok(SentNotice { own, left: MOST.saturating_sub(sent.len()) }));
            }
            // Free again is the one whose going leaves fewer than the most.
            if let Some((_, at)) = sent.len().checked_sub(MOST).and_then(|over| sent.get(over)) {
                return Ok(Err(PostRefusal::Limit { until: Millis::new(*at).plus(WINDOW_MILLIS) }));
            }
            let number = notice.as_str().to_owned();
            let letter = NewLetter {
                id,
                guardian: who.guardian,
                kind: Kind::Notice.code(),
                about: number.clone(),
                language: Some(language.tag()),
                at: now,
                elsewhere: elsewhere.map(|(_, sealed, _)| sealed),
                created_at: now,
            };
            tx.insert_letter(&creditor, &letter).await?;
            if !own {
                let digest = pay_link::digest(&keys, creditor, id);
                let expires_at = Some(found.wanted.notice.expires_at.unwrap_or(now.plus_days(pay_link::LINK_DAYS)));
                let link = NewPayLink {
                    digest,
                    notice: number.clone(),
                    created_at: now,
                    expires_at,
                    id,
                    guardian: who.guardian,
                    made_by: "letter",
                };
                tx.insert_pay_link(&creditor, &link).await?;
            }
            let kept = NewMailedNotice { id, guardian: who.guardian, notice: number, at: now, address_digest: digest };
            tx.insert_mailed_notice(&creditor, &kept).await?;
            Ok(Ok(SentNotice { own, left: MOST.saturating_sub(sent.len()).saturating_sub(1) }))
        })
    });
    written.await?.map_err(Stop::Refused)
}
