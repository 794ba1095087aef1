//! The letter of a recovery: who is to be written to, and what the letter says.
//!
//! 1. [`claim`] takes a letter for as long as a lease lasts, and gives it a code. The database knows the code's digest alone,
//!    and only while the letter is under way or was sent: whoever takes it again writes a new code.
//! 2. [`settle`] says what became of it.
//!
//! A letter that was sent and not settled is sent again, with another code; the last one counts.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::GuardianId;
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use borsellino_store::rows::RecoveryLetterRow;
use uuid::Uuid;

use super::post::letters::nobody_there;
use super::recovery::letter_digest;
use super::{App, Fault};
use crate::clock::random;
use crate::mail::{Address, Letter, Trouble};

/// How many are taken at once.
pub const BATCH: i64 = 16;

/// How long one that was taken is nobody else's beyond what sending takes, in milliseconds.
const LEASE_MILLIS: i64 = 60_000;

/// How long after the first refusal for now it is tried again, in milliseconds; twice as long each further time.
const FIRST_WAIT_MILLIS: i64 = 15_000;

/// The longest such wait, in milliseconds: somebody sits in front of the app.
const LONGEST_WAIT_MILLIS: i64 = 10 * 60_000;

/// A letter that was taken to be sent.
#[derive(Debug)]
pub struct Taken {
    creditor: CreditorCode,
    recovery: Uuid,
    guardian: GuardianId,
    at: Millis,
    attempts: i64,
    /// What is sent; `None` where there is no address that it could go to.
    pub letter: Option<Letter>,
}

/// The creditors that have letters to send.
///
/// # Errors
/// A [`Fault`].
pub async fn due(app: &App) -> Result<Vec<CreditorCode>, Fault> {
    let now = app.now();
    let codes = app.store.read(move |tx| Box::pin(async move { tx.due_for_letters(now).await })).await?;
    let read = |code: String| CreditorCode::from_digits(&code).map_err(|_| Fault::BadData("a creditor's code"));
    codes.into_iter().map(read).collect()
}

/// Takes letters of a creditor; `sending` is how long sending all of them may take, in milliseconds.
///
/// # Errors
/// A [`Fault`].
pub async fn claim(app: &App, creditor: CreditorCode, sending: i64) -> Result<Vec<Taken>, Fault> {
    let now = app.now();
    let lease = now.plus(sending.saturating_add(LEASE_MILLIS));
    let claimed = app.store.write::<_, (), _>("take letters", move |tx| {
        Box::pin(async move {
            let rows = tx.claim_letters(&creditor, (now, lease), BATCH).await?;
            let mut letters = Vec::with_capacity(rows.len());
            for row in rows {
                let holder = tx.holder(&creditor, row.guardian).await?;
                letters.push((row, holder.and_then(|holder| holder.email)));
            }
            Ok(Ok(letters))
        })
    });
    let town = app.directory.listing().creditor(creditor.as_str()).map(|row| row.name.clone()).unwrap_or_default();
    let mut taken = Vec::new();
    for (row, email) in claimed.await?.unwrap_or_default() {
        let code = eight_digits(random()?);
        let (id, attempts, digest) = (row.id, row.mail_attempts, letter_digest(row.id, &code));
        let kept = app.store.write::<_, (), _>("write a letter", move |tx| {
            Box::pin(async move { tx.write_letter(&creditor, (id, attempts), digest).await.map(Ok) })
        });
        if kept.await?.unwrap_or_default() {
            let to = email.as_deref().map(Address::parse);
            let letter = to.and_then(Result::ok).map(|to| letter(&row, to, (&town, &code)));
            let guardian = row.guardian;
            taken.push(Taken { creditor, recovery: id, guardian, at: now, attempts, letter });
        }
    }
    Ok(taken)
}

/// Eight digits, each sequence as likely as any other but for one part in 10^11.
fn eight_digits(random: [u8; 8]) -> String {
    format!("{:08}", u64::from_be_bytes(random) % 100_000_000)
}

fn letter(row: &RecoveryLetterRow, to: Address, (town, code): (&str, &str)) -> Letter {
    let language = Language::from_tag(&row.language);
    let grouped = format!("{} {}", code.get(..4).unwrap_or_default(), code.get(4..).unwrap_or_default());
    let (subject, text) = match language {
        Language::Italian => (
            "Il codice per la password nuova".to_owned(),
            format!(
                "Qualcuno ha chiesto una password nuova per il tuo accesso ai pagamenti scolastici di {town}.\n\n\
                Il codice è: {grouped}\n\n\
                Scrivilo nell'app o sul portale entro 24 ore dalla richiesta. Da solo non basta: serve anche il codice dell'ufficio, o la conferma da un \
                dispositivo su cui hai già fatto l'accesso.\n\n\
                Non sei stato tu? Non dare il codice a nessuno: senza, la tua password resta quella che è. L'ufficio non te lo \
                chiederà mai.\n"
            ),
        ),
        Language::English => (
            "Your code for a new password".to_owned(),
            format!(
                "Somebody asked for a new password of your account for the school payments of {town}.\n\n\
                The code is: {grouped}\n\n\
                Type it in the app or on the portal within 24 hours of the request. It is not enough by itself: a code from the office is needed, too, or the \
                confirmation of a device on which you are signed in.\n\n\
                It was not you? Give the code to nobody: without it your password stays as it is. The office will never ask for \
                it.\n"
            ),
        ),
        Language::German => (
            "Ihr Code für ein neues Passwort".to_owned(),
            format!(
                "Jemand hat ein neues Passwort für Ihren Zugang zu den Schulzahlungen von {town} verlangt.\n\n\
                Der Code lautet: {grouped}\n\n\
                Geben Sie ihn innerhalb von 24 Stunden nach der Anfrage in der App oder im Portal ein. Er genügt nicht allein: Nötig ist auch der Code der Gemeinde oder die \
                Bestätigung auf einem Gerät, auf dem Sie angemeldet sind.\n\n\
                Das waren nicht Sie? Geben Sie den Code niemandem: Ohne ihn bleibt Ihr Passwort, wie es ist. Die Gemeinde wird Sie nie \
                danach fragen.\n"
            ),
        ),
    };
    // Another code is another letter.
    let name = [row.id.as_bytes().as_slice(), &row.mail_attempts.to_be_bytes()].concat();
    let Hash(digest) = Hash::of(&name);
    let mut id = [0; 16];
    id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Letter::plain(Uuid::from_bytes(id), to, language, (subject, text))
}

/// Says what became of a letter.
///
/// # Errors
/// A [`Fault`].
pub async fn settle(app: &App, taken: &Taken, outcome: Result<String, Trouble>) -> Result<(), Fault> {
    let now = app.now();
    let bounced = matches!(&outcome, Err(Trouble::Refused(code)) if nobody_there(code));
    let (guardian, taken_at) = (taken.guardian, taken.at);
    let (due, code) = match outcome {
        Ok(_) => (None, "sent".to_owned()),
        Err(Trouble::Refused(code)) => (None, code),
        Err(Trouble::Later(code)) => {
            let doublings = u32::try_from(taken.attempts.saturating_sub(1).clamp(0, 20)).unwrap_or(20);
            let wait = FIRST_WAIT_MILLIS.checked_shl(doublings).unwrap_or(LONGEST_WAIT_MILLIS);
            (Some(now.plus(wait.min(LONGEST_WAIT_MILLIS))), code)
        }
    };
    let (creditor, recovery, attempts) = (taken.creditor, taken.recovery, taken.attempts);
    let settled = app.store.write::<(), (), _>("settle a letter", move |tx| {
        let code = code.clone();
        Box::pin(async move {
            let row = tx.recovery(&creditor, recovery).await?;
            // Too late to be of use: it is not tried again.
            let due: Option<Millis> = due.filter(|due| row.is_some_and(|row| *due < row.expires_at_ms));
            tx.settle_letter(&creditor, (recovery, attempts), (due, &code)).await?;
            if bounced {
                tx.bounce_email(&creditor, guardian, (now, taken_at)).await?;
            }
            Ok(Ok(()))
        })
    });
    let _committed = settled.await?;
    Ok(())
}
