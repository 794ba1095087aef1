//! The guard against paying twice: what pagoPA may still conclude is not begun anew. It warns until the page's deadline, by the
//! server's clock; afterwards the parent may try again.

use borsellino_domain::time::Millis;
use borsellino_proto::v1;

use crate::cache::Snapshot;
use crate::clock::Clock;
use crate::error::{Error, InProgress, Result};
use crate::inner::Inner;
use crate::models::{instant, safe_url};
use crate::session::AccountKey;
use crate::sync;
use crate::words::Words;

/// What is about to be paid.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// This many cents into this wallet: another amount is another payment.
    Wallet(String, i64),
    /// What this bill asks for next.
    Bill(String),
    /// This part of a bill.
    Instalment(String, u32),
}

/// How something stands: in progress until (0: not said), and the page that is open.
type Page<'a> = (i64, &'a str);

fn pages<'a>(home: &'a v1::HomeResponse, wanted: &Wanted) -> Option<Page<'a>> {
    let in_progress = v1::PaymentState::InProgress;
    let bill = |id: &str| home.bills.iter().find(|bill| bill.id == *id);
    match wanted {
        Wanted::Wallet(id, cents) => {
            let same = |it: &&v1::Payment| it.wallet_id == *id && it.amount_cents == *cents;
            let theirs = home.payments.iter().filter(same).filter(|it| it.state() == in_progress);
            let last = theirs.max_by_key(|it| it.in_progress_until_ms)?;
            Some((last.in_progress_until_ms, &last.checkout_url))
        }
        Wanted::Bill(id) => {
            let bill = bill(id).filter(|bill| bill.payment_state() == in_progress)?;
            Some((bill.in_progress_until_ms, &bill.checkout_url))
        }
        Wanted::Instalment(id, number) => {
            let bill = bill(id)?;
            let part = bill.instalments.iter().find(|part| part.number == *number)?;
            let is_next = part.notice.is_some() && part.notice == bill.notice;
            (part.state() == in_progress)
                .then_some((part.in_progress_until_ms, if is_next { bill.checkout_url.as_str() } else { "" }))
        }
    }
}

/// The page that stands in the way. Without a time that can be believed it does stand in the way: the server will say.
fn in_the_way<'a>(snapshot: &'a Snapshot, wanted: &Wanted, clock: &dyn Clock) -> Option<Page<'a>> {
    let now = snapshot.server_now(clock);
    pages(&snapshot.home, wanted).filter(|(until, _)| *until == 0 || now.is_none_or(|now| now.get() < *until))
}

impl Inner {
    /// Refuses to begin what is under way.
    ///
    /// # Errors
    /// [`Error::InProgress`], [`Error::Cache`].
    pub(crate) async fn guard(&self, account: &AccountKey, wanted: &Wanted) -> Result<()> {
        let clock = self.clock.as_ref();
        let Some(mut snapshot) = self.snapshot(account).await? else { return Ok(()) };
        if in_the_way(&snapshot, wanted, clock).is_some() && snapshot.server_now(clock).is_none() {
            // Started again since: a look at the server says what time it is. Without the network the warning stands.
            let _ = sync::sync(self, account).await;
            snapshot = self.snapshot(account).await?.unwrap_or(snapshot);
        }
        let Some((until, page)) = in_the_way(&snapshot, wanted, clock) else { return Ok(()) };
        let words = Words::new(self.language, snapshot.server_now(clock));
        let (until, checkout_url) = (instant(until), safe_url(page));
        let sentence = words.already_paying(until, checkout_url.is_some());
        Err(Error::InProgress(Box::new(InProgress { until, checkout_url, sentence })))
    }
}

impl Words {
    /// Why nothing is begun, and what to do instead.
    pub(crate) fn already_paying(&self, until: Option<Millis>, page: bool) -> String {
        let why = match until.map(|at| self.day_and_hour(at)) {
            None => self
                .of([
                    "C'è già un pagamento in corso: non pagare di nuovo.",
                    "A payment is already in progress: do not pay again.",
                    "Es läuft schon eine Zahlung: Zahlen Sie nicht noch einmal.",
                ])
                .to_owned(),
            Some(when) => self.elided(match self.language {
                borsellino_domain::language::Language::Italian => {
                    format!("C'è già un pagamento in corso: non pagare di nuovo fino al {when}.")
                }
                borsellino_domain::language::Language::English => {
                    format!("A payment is already in progress: do not pay again until {when}.")
                }
                borsellino_domain::language::Language::German => {
                    format!("Es läuft schon eine Zahlung: Zahlen Sie bis {when} nicht noch einmal.")
                }
            }),
        };
        let then = if page {
            self.of([
                "Se non hai ancora pagato, continua sulla pagina aperta.",
                "If you have not paid yet, go on with the page that is open.",
                "Falls Sie noch nicht bezahlt haben, fahren Sie auf der offenen Seite fort.",
            ])
        } else {
            self.of([
                "Appena arriva la conferma lo vedi qui.",
                "You will see it here as soon as it is confirmed.",
                "Sobald die Bestätigung kommt, sehen Sie es hier.",
            ])
        };
        format!("{why} {then}")
    }
}
