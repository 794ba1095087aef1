//! Coming back: what changed since a phone was last here, in a few bytes where nothing did; and the instants that the server
//! signs, by which what was done without the network is dated.

use borsellino_domain::asked::Asked;
use borsellino_domain::money::Cents;
use borsellino_domain::time::Millis;

use super::feed::{self, After, Change, Page};
use super::home::home;
use super::sessions::SessionRefusal;
use super::views::{MovementView, WalletView};
use super::{App, Stop};
use crate::auth::keys::Keys;
use crate::auth::token::Identity;

/// What separates these signatures from all others of the key.
const STAMP: &[u8] = b"borsellino.server-time.v1";

/// An instant that this server knows again as its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The instant.
    pub at: Millis,
    /// Holds for one guardian of one creditor: also after they signed in anew, on any of their phones.
    pub signature: [u8; 16],
}

fn stamped(who: &Identity, at: Millis) -> Vec<u8> {
    [STAMP, who.creditor.as_str().as_bytes(), who.guardian.uuid().as_bytes(), &at.get().to_be_bytes()].concat()
}

/// Signs an instant for `who`.
pub fn stamp(keys: &Keys, who: &Identity, at: Millis) -> Stamp {
    Stamp { at, signature: keys.stamp(&stamped(who, at)) }
}

/// What a phone says of when something was asked for.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The instant it counts from.
    pub at: Millis,
    /// Ours, it says.
    pub signature: Vec<u8>,
    /// How many milliseconds it counted; `None` where it was started again since.
    pub since: Option<i64>,
}

/// How far a claim is believed. One that is not hinders nothing: it is kept as such, and noted.
pub fn judge(keys: &Keys, who: &Identity, claim: &Claim, now: Millis) -> Asked {
    let ours = keys.stamped(&stamped(who, claim.at), &claim.signature);
    let asked = Asked::judge(ours.then_some(claim.at), claim.since, now);
    if asked.is_disbelieved() {
        tracing::warn!(creditor = %who.creditor, how = asked.how.code(), "when a parent asked is not believed");
    }
    asked
}

/// What follows from changes, beside them.
#[derive(Clone, Debug)]
pub struct Summary {
    /// All of the family.
    pub wallets: Vec<WalletView>,
    /// The last five.
    pub movements: Vec<MovementView>,
    /// What all open bills ask for.
    pub total_due: Cents,
}

/// What there is for a phone that comes back.
#[derive(Clone, Debug)]
pub enum Synced {
    /// Nothing, or these changes up to a number; with the last of them what follows.
    Changes {
        /// In the order of their numbers.
        changes: Vec<Change>,
        /// The last number read.
        last: i64,
        /// There are more.
        more: bool,
        /// Where there are no more, and were some.
        summary: Option<Summary>,
    },
    /// Home has to be asked anew.
    Resync(i64),
}

/// What changed after `after` for a phone whose last Home was read at `home_at`.
///
/// # Errors
/// [`SessionRefusal`], or a [`super::Fault`].
pub async fn sync(
    app: &App,
    who: Identity,
    after: i64,
    home_at: Option<Millis>,
) -> Result<Synced, Stop<SessionRefusal>> {
    let Page { changes, last, more } = match feed::after(app, who, after).await? {
        After::Resync(newest) => return Ok(Synced::Resync(newest)),
        After::Changes(page) => page,
    };
    // Notices expire, school years begin: nobody writes a row of the feed at midnight.
    if home_at.is_none_or(|at| at.day_in_italy() != app.now().day_in_italy()) {
        return Ok(Synced::Resync(last));
    }
    if last == after || more {
        return Ok(Synced::Changes { changes, last, more, summary: None });
    }
    let home = home(app, who).await?;
    let wallets = home.children.into_iter().flat_map(|child| child.wallets).collect();
    let summary = Summary { wallets, movements: home.movements, total_due: home.total_due };
    Ok(Synced::Changes { changes, last, more, summary: Some(summary) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use borsellino_domain::asked::AskedHow;
    use borsellino_domain::creditor::CreditorCode;
    use uuid::Uuid;

    #[test]
    fn an_instant_is_one_guardians_of_one_creditor() {
        let keys = Keys::derive(&[7; 32]).unwrap();
        let who = Identity {
            creditor: CreditorCode::from_digits("99900010010").unwrap(),
            guardian: Uuid::from_u128(1).into(),
            session: Uuid::from_u128(2).into(),
        };
        let (at, now) = (Millis::new(1_000_000), Millis::new(2_000_000));
        let claim = |stamp: Stamp| Claim { at: stamp.at, signature: stamp.signature.to_vec(), since: Some(5) };
        let how = |who: &Identity, claim: &Claim| judge(&keys, who, claim, now).how;
        let mine = claim(stamp(&keys, &who, at));
        assert_eq!(how(&who, &mine), AskedHow::Known);
        // Another phone of the same guardian, or the same one after a new sign-in.
        assert_eq!(how(&Identity { session: Uuid::from_u128(3).into(), ..who }, &mine), AskedHow::Known);
        assert_eq!(how(&Identity { guardian: Uuid::from_u128(3).into(), ..who }, &mine), AskedHow::Forged);
        let other = CreditorCode::from_digits("99900040017").unwrap();
        assert_eq!(how(&Identity { creditor: other, ..who }, &mine), AskedHow::Forged);
        assert_eq!(how(&who, &Claim { at: at.plus(1), ..mine.clone() }), AskedHow::Forged);
        for bad in [vec![], vec![0; 16], mine.signature[..15].to_vec(), [&mine.signature[..], &[0]].concat()] {
            assert_eq!(how(&who, &Claim { signature: bad, ..mine.clone() }), AskedHow::Forged);
        }
        assert_eq!(how(&who, &Claim { since: Some(9_000_000), ..mine }), AskedHow::Impossible);
    }
}
