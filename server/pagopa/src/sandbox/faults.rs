//! Faults on order: what the network and the platform do wrong at times, armed by a test or on the page `/faults`.
//!
//! An armed [`Fault`] names what it hits and what happens then. It strikes a call at the moment the call is made; of
//! several that fit, the oldest. Those that hold a receipt back ([`Kind::holds_back`]) strike when the receipt falls
//! due, so one of these and one of the others can meet in the same receipt.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// Older strikes make room for newer ones.
const MAX_STRIKES: usize = 500;
/// Bounds of what can be asked for: far beyond any use, far below any overflow.
const MAX_MILLIS: u64 = 600_000;
const MAX_COUNT: u32 = 1_000;
const MAX_CALLS: u32 = 1_000_000;

/// A call that can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    Verify,
    Activate,
    Receipt,
    /// paDemandPaymentNotice.
    Demand,
    /// The creditor's own call: `POST /checkout/ec/v2/carts`.
    Cart,
}

impl Target {
    pub(super) const ALL: [Self; 5] = [Self::Verify, Self::Activate, Self::Receipt, Self::Demand, Self::Cart];

    /// Name in the API.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Activate => "activate",
            Self::Receipt => "receipt",
            Self::Demand => "demand",
            Self::Cart => "cart",
        }
    }

    /// In Italian.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Verify => "verifica",
            Self::Activate => "attivazione",
            Self::Receipt => "ricevuta",
            Self::Demand => "pagamento spontaneo",
            Self::Cart => "apertura del carrello",
        }
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The request leaves after so many milliseconds; the Node's time runs already.
    Slow(u64),
    /// The answer is read after so many milliseconds; the Node's time runs.
    SlowAnswer(u64),
    LostRequest,
    LostAnswer,
    Twice,
    Again,
    /// Held until so many more receipts are due, then all of them in reverse.
    OutOfOrder(u32),
    /// Held for so many of the platform's hours.
    Late(u32),
    Never,
    TimeOut,
    Cut,
}

/// Name in the API, name on the page, and what the number beside it counts (Italian), for each kind.
pub(super) const KINDS: [(&str, &str, &str); 11] = [
    ("slow", "Lenta: la richiesta parte dopo", "millisecondi"),
    ("slow_answer", "Risposta lenta: letta solo dopo", "millisecondi"),
    ("lost_request", "Richiesta persa: l'ente non la riceve", ""),
    ("lost_answer", "Risposta persa: l'ente ha fatto, il Nodo non lo sa", ""),
    ("twice", "Due volte insieme", ""),
    ("again", "Ancora una volta, dopo la risposta OK", ""),
    ("out_of_order", "Fuori ordine: trattenuta fino ad altre", "ricevute"),
    ("late", "In ritardo di", "ore"),
    ("never", "Mai spedita", ""),
    ("time_out", "Tempo scaduto: il Nodo smette di aspettare", ""),
    ("cut", "Connessione tagliata a metà", ""),
];

impl Kind {
    /// Name in the API.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Slow(_) => "slow",
            Self::SlowAnswer(_) => "slow_answer",
            Self::LostRequest => "lost_request",
            Self::LostAnswer => "lost_answer",
            Self::Twice => "twice",
            Self::Again => "again",
            Self::OutOfOrder(_) => "out_of_order",
            Self::Late(_) => "late",
            Self::Never => "never",
            Self::TimeOut => "time_out",
            Self::Cut => "cut",
        }
    }

    /// What became of one call, in Italian.
    pub(super) fn words(self) -> String {
        match self {
            Self::Slow(millis) => format!("richiesta spedita con {millis} ms di ritardo"),
            Self::SlowAnswer(millis) => format!("risposta letta con {millis} ms di ritardo"),
            Self::LostRequest => "richiesta persa: non è mai arrivata".to_owned(),
            Self::LostAnswer => "risposta persa: data, ma non letta".to_owned(),
            Self::Twice => "spedita due volte insieme".to_owned(),
            Self::Again => "spedita ancora dopo la risposta OK".to_owned(),
            Self::OutOfOrder(1) => "trattenuta fino alla prossima ricevuta, poi spedita dopo di quella".to_owned(),
            Self::OutOfOrder(more) => format!("trattenuta fino ad altre {more} ricevute, poi spedite all'inverso"),
            Self::Late(1) => "trattenuta per un'ora".to_owned(),
            Self::Late(hours) => format!("trattenuta per {hours} ore"),
            Self::Never => "mai spedita".to_owned(),
            Self::TimeOut => "tempo scaduto prima di leggere la risposta".to_owned(),
            Self::Cut => "connessione tagliata a metà".to_owned(),
        }
    }

    /// Whether it keeps a receipt from being sent at all, for now or for good.
    pub(super) const fn holds_back(self) -> bool {
        matches!(self, Self::OutOfOrder(_) | Self::Late(_) | Self::Never)
    }

    /// The number that it was ordered with.
    fn number(self) -> Option<(&'static str, u64)> {
        match self {
            Self::Slow(millis) | Self::SlowAnswer(millis) => Some(("millis", millis)),
            Self::OutOfOrder(more) => Some(("receipts", more.into())),
            Self::Late(hours) => Some(("hours", hours.into())),
            _ => None,
        }
    }
}

/// What may be ordered: the body of `POST /api/faults`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    pub(super) fault: String,
    pub(super) operation: String,
    pub(super) creditor: Option<String>,
    pub(super) notice_number: Option<String>,
    /// How many calls it strikes; until it is removed where left out.
    pub(super) calls: Option<u32>,
    pub(super) millis: Option<u64>,
    pub(super) receipts: Option<u32>,
    pub(super) hours: Option<u32>,
}

/// Why a fault cannot be armed: for a program, and on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) english: &'static str,
    pub(super) italian: &'static str,
}

const fn wrong(english: &'static str, italian: &'static str) -> Wrong {
    Wrong { english, italian }
}

/// A fault that is armed.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) id: u64,
    pub(super) kind: Kind,
    pub(super) target: Target,
    pub(super) creditor: Option<String>,
    pub(super) notice: Option<String>,
    /// Calls it will still strike; `None` until it is removed.
    pub(super) left: Option<u32>,
    /// Calls it has struck.
    pub(super) strikes: u32,
    /// Receipts of an open group, oldest first ([`Kind::OutOfOrder`]).
    held: Vec<Waiting>,
}

impl Fault {
    /// As the API shows it.
    pub(super) fn json(&self) -> serde_json::Value {
        let mut fault = serde_json::json!({
            "id": self.id, "fault": self.kind.key(), "operation": self.target, "creditor": self.creditor,
            "notice_number": self.notice, "calls_left": self.left, "struck": self.strikes, "held": self.held.len(),
        });
        if let (Some(fields), Some((name, number))) = (fault.as_object_mut(), self.kind.number()) {
            fields.insert(name.to_owned(), number.into());
        }
        fault
    }

    /// How many receipts it holds back until more are due.
    pub(super) fn holding(&self) -> usize {
        self.held.len()
    }

    fn hits(&self, target: Target, creditor: &str, notice: Option<&str>) -> bool {
        self.target == target
            && self.creditor.as_deref().is_none_or(|its| its == creditor)
            && self.notice.as_deref().is_none_or(|its| Some(its) == notice)
    }

    /// Counts one strike; whether that was its last.
    fn struck(&mut self) -> bool {
        self.strikes = self.strikes.saturating_add(1);
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.left == Some(0)
    }
}

/// A receipt that may go when `go` fires, and is out when the other end of `gone` is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) go: oneshot::Sender<()>,
    pub(super) gone: oneshot::Receiver<()>,
}

/// A call that was struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Struck {
    pub(super) id: u64,
    pub(super) kind: Kind,
}

impl Struck {
    /// In Italian, with the fault's number.
    pub(super) fn words(self) -> String {
        format!("guasto {}: {}", self.id, self.kind.words())
    }
}

/// One line of what happened.
#[derive(Debug)]
pub(super) struct Strike {
    pub(super) at: Timestamp,
    pub(super) struck: Struck,
    pub(super) target: Target,
    pub(super) creditor: String,
}

/// When a receipt that has fallen due goes out.
#[derive(Debug)]
pub(super) enum Due {
    Now,
    Never(Struck),
    /// After so many of the platform's hours.
    Late(Struck, u32),
    /// When `go` fires; `gone` is dropped once it is out. Where this receipt completed its group, all of them are
    /// here, oldest first, to be let go in reverse.
    Queued(Struck, oneshot::Receiver<()>, oneshot::Sender<()>, Option<Vec<Waiting>>),
}

/// All the faults.
#[derive(Debug, Default)]
pub(super) struct Faults {
    last: u64,
    armed: Vec<Fault>,
    strikes: VecDeque<Strike>,
}

impl Faults {
    pub(super) fn armed(&self) -> &[Fault] {
        &self.armed
    }

    /// Oldest first.
    pub(super) fn strikes(&self) -> impl DoubleEndedIterator<Item = &Strike> {
        self.strikes.iter()
    }

    /// Arms a fault.
    ///
    /// # Errors
    /// What is wrong with the wish.
    pub(super) fn arm(&mut self, wish: Wish) -> Result<&Fault, Wrong> {
        let (kind, target) = wish.check()?;
        self.last = self.last.saturating_add(1);
        let fault = Fault {
            id: self.last,
            kind,
            target,
            creditor: wish.creditor,
            notice: wish.notice_number,
            left: wish.calls,
            strikes: 0,
            held: Vec::new(),
        };
        self.armed.push(fault);
        self.armed.last().ok_or(wrong("no fault", "Nessun guasto."))
    }

    /// Removes a fault; `None` where it is not armed. Answers it with the receipts it held: they may go now.
    pub(super) fn remove(&mut self, id: u64) -> Option<(Fault, Vec<Waiting>)> {
        let at = self.armed.iter().position(|fault| fault.id == id)?;
        let mut fault = self.armed.remove(at);
        let held = std::mem::take(&mut fault.held);
        Some((fault, held))
    }

    /// Strikes a call that is about to be made.
    pub(super) fn strike(
        &mut self,
        target: Target,
        creditor: &str,
        notice: Option<&str>,
        at: Timestamp,
    ) -> Option<Struck> {
        let fits = |fault: &Fault| !fault.kind.holds_back() && fault.hits(target, creditor, notice);
        let index = self.armed.iter().position(fits)?;
        let struck = self.struck(index)?;
        self.note(at, struck, target, creditor);
        Some(struck)
    }

    /// Says when a receipt that has fallen due goes out.
    pub(super) fn due(&mut self, creditor: &str, notice: &str, at: Timestamp) -> Due {
        // An open group takes whatever falls due next for the creditor, whichever notice opened it.
        let joins = |fault: &Fault| !fault.held.is_empty() && fault.creditor.as_deref().is_none_or(|c| c == creditor);
        let opens = |fault: &Fault| fault.kind.holds_back() && fault.hits(Target::Receipt, creditor, Some(notice));
        let index = self.armed.iter().position(|fault| joins(fault) || opens(fault));
        let Some((index, fault)) = index.and_then(|index| Some((index, self.armed.get_mut(index)?))) else {
            return Due::Now;
        };
        let struck = Struck { id: fault.id, kind: fault.kind };
        let due = match fault.kind {
            Kind::Late(hours) => Due::Late(struck, hours),
            Kind::OutOfOrder(more) => {
                let ((go, may_go), (gone, out)) = (oneshot::channel(), oneshot::channel());
                fault.held.push(Waiting { go, gone: out });
                let complete = fault.held.len() > usize::try_from(more).unwrap_or(usize::MAX);
                Due::Queued(struck, may_go, gone, complete.then(|| std::mem::take(&mut fault.held)))
            }
            _ => Due::Never(struck),
        };
        // A group counts once, when it is complete.
        if !matches!(due, Due::Queued(_, _, _, None)) {
            self.struck(index);
        }
        self.note(at, struck, Target::Receipt, creditor);
        due
    }

    fn struck(&mut self, index: usize) -> Option<Struck> {
        let fault = self.armed.get_mut(index)?;
        let struck = Struck { id: fault.id, kind: fault.kind };
        if fault.struck() {
            self.armed.remove(index);
        }
        Some(struck)
    }

    fn note(&mut self, at: Timestamp, struck: Struck, target: Target, creditor: &str) {
        if self.strikes.len() >= MAX_STRIKES {
            self.strikes.pop_front();
        }
        self.strikes.push_back(Strike { at, struck, target, creditor: creditor.to_owned() });
    }
}

impl Wish {
    fn check(&self) -> Result<(Kind, Target), Wrong> {
        let target = Target::ALL
            .into_iter()
            .find(|target| target.key() == self.operation)
            .ok_or(wrong("operation: verify, activate, receipt, demand or cart", "Scegli quale chiamata colpire."))?;
        let kind = self.kind()?;
        let only_receipts = kind.holds_back() && target != Target::Receipt;
        let only_the_node = matches!(kind, Kind::Twice | Kind::Again) && target == Target::Cart;
        if only_receipts || only_the_node {
            return Err(wrong(
                "fault: not for this operation: out_of_order, late and never are for receipts, twice and again not for carts",
                "Questo guasto non va con questa chiamata: solo le ricevute si trattengono, e i carrelli li apre l'ente.",
            ));
        }
        let digits = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
        if self.creditor.as_deref().is_some_and(|code| !digits(code, 11)) {
            return Err(wrong("creditor: 11 digits", "Il codice fiscale dell'ente ha 11 cifre."));
        }
        if self.notice_number.as_deref().is_some_and(|number| !digits(number, 18)) {
            return Err(wrong("notice_number: 18 digits", "Il codice avviso ha 18 cifre."));
        }
        if self.notice_number.is_some() && matches!(target, Target::Demand | Target::Cart) {
            return Err(wrong(
                "notice_number: this operation is not about one notice",
                "Questa chiamata non riguarda un solo avviso.",
            ));
        }
        if self.calls.is_some_and(|calls| !(1..=MAX_CALLS).contains(&calls)) {
            return Err(wrong("calls: 1 to 1000000, or left out", "Il numero di volte va da 1 a 1000000."));
        }
        Ok((kind, target))
    }

    /// The kind, with its own number and no other.
    fn kind(&self) -> Result<Kind, Wrong> {
        let millis = self.millis.filter(|millis| (1..=MAX_MILLIS).contains(millis));
        let count = |number: Option<u32>| number.filter(|number| (1..=MAX_COUNT).contains(number));
        let (kind, others) = match self.fault.as_str() {
            "slow" => (millis.map(Kind::Slow), [self.receipts, self.hours]),
            "slow_answer" => (millis.map(Kind::SlowAnswer), [self.receipts, self.hours]),
            "out_of_order" => (count(self.receipts).map(Kind::OutOfOrder), [self.hours, self.no_millis()]),
            "late" => (count(self.hours).map(Kind::Late), [self.receipts, self.no_millis()]),
            plain => {
                let kind = match plain {
                    "lost_request" => Kind::LostRequest,
                    "lost_answer" => Kind::LostAnswer,
                    "twice" => Kind::Twice,
                    "again" => Kind::Again,
                    "never" => Kind::Never,
                    "time_out" => Kind::TimeOut,
                    "cut" => Kind::Cut,
                    _ => return Err(wrong("fault: unknown", "Scegli che cosa va storto.")),
                };
                (Some(kind).filter(|_| self.millis.is_none()), [self.receipts, self.hours])
            }
        };
        kind.filter(|_| others == [None, None]).ok_or(wrong(
            "millis (1 to 600000) for slow and slow_answer, receipts (1 to 1000) for out_of_order, hours (1 to 1000) for late, nothing else",
            "Serve un numero per i guasti che lo chiedono: millisecondi (fino a 600000), ricevute o ore (fino a 1000).",
        ))
    }

    fn no_millis(&self) -> Option<u32> {
        self.millis.map(|_| 0)
    }
}
