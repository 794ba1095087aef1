//! Who is who, and what the home screen shows.

use borsellino_domain::creditor::{BrokerCode, CreditorCode, StationId};
use borsellino_domain::iban::Iban;
use borsellino_domain::id::{GuardianId, ServiceId, WalletId};
use borsellino_domain::ledger::EntryKind;
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::notice::{NoticeNumber, SegregationCode};
use borsellino_domain::service::{ServiceKind, TopUpRules};
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::NoticeState;
use sqlx::FromRow;
use uuid::Uuid;

/// A creditor with its station.
#[derive(Clone, Debug, FromRow)]
pub struct CreditorRow {
    /// The tenant's key.
    #[sqlx(try_from = "String")]
    pub fiscal_code: CreditorCode,
    /// As printed on notices.
    pub name: String,
    /// The office that answers.
    pub office_name: String,
    /// The station its notices are served by.
    #[sqlx(try_from = "String")]
    pub station: StationId,
    /// The station's broker.
    #[sqlx(try_from = "String")]
    pub broker: BrokerCode,
    /// 1: a receipt delivered again is answered KO PAA_RECEIPT_DUPLICATA.
    pub duplicate_is_ko: i64,
    /// The two digits after the aux digit of its notices.
    #[sqlx(try_from = "String")]
    pub segregation_code: SegregationCode,
    /// The interbank code, may be empty.
    pub cbill: String,
    /// Where money is to go.
    #[sqlx(try_from = "String")]
    pub iban: Iban,
    /// Its postal account, if it has one.
    pub postal_iban: Option<String>,
    /// Whom parents call, may be empty.
    pub help_phone: String,
    /// How many days an unpaid top-up's notice stays payable.
    pub top_up_days: i64,
    /// The colour of its pages, `#rrggbb`.
    pub colour: Option<String>,
    /// Which logo its pages show; `None` where they show none.
    pub logo_mark: Option<String>,
}

/// A station of ours.
#[derive(Clone, Debug, FromRow)]
pub struct StationRow {
    /// Its id.
    #[sqlx(try_from = "String")]
    pub id: StationId,
    /// Its broker.
    #[sqlx(try_from = "String")]
    pub broker: BrokerCode,
    /// 1: a receipt delivered again is answered KO PAA_RECEIPT_DUPLICATA.
    pub duplicate_is_ko: i64,
}

/// A guardian, as signing in needs them.
#[derive(Clone, FromRow)]
pub struct GuardianRow {
    /// Their id.
    #[sqlx(try_from = "Uuid")]
    pub id: GuardianId,
    /// Their name.
    pub full_name: String,
    /// argon2id in PHC form; `None` before they have registered.
    pub password_hash: Option<String>,
    /// When the office ended their access.
    pub disabled_at_ms: Option<i64>,
}

/// A guardian to be added.
#[derive(Clone)]
pub struct NewGuardian {
    /// Their id.
    pub id: GuardianId,
    /// Lower case.
    pub username: String,
    /// Their name.
    pub full_name: String,
    /// Their tax code.
    pub fiscal_code: String,
    /// Their address, if known.
    pub email: Option<String>,
    /// argon2id in PHC form; empty for one who has not registered yet.
    pub password_hash: String,
}

/// A child to be added.
#[derive(Clone)]
pub struct NewChild {
    /// Its id.
    pub id: Uuid,
    /// First name.
    pub given_name: String,
    /// Surname.
    pub family_name: String,
    /// Its tax code.
    pub fiscal_code: String,
    /// School.
    pub school: String,
    /// Class.
    pub class_name: String,
}

/// A service to be added.
#[derive(Clone, Debug)]
pub struct NewService {
    /// Its id.
    pub id: ServiceId,
    /// What it is.
    pub kind: ServiceKind,
    /// What the creditor calls it.
    pub name: String,
    /// Under which it is collected.
    pub taxonomy: String,
    /// Preset top-ups, ascending.
    pub presets: Vec<Amount>,
    /// What may be put into its wallets.
    pub rules: TopUpRules,
    /// A balance below it is said to run out.
    pub low_mark: Cents,
}

/// What a top-up needs to know about a wallet that the guardian may see.
#[derive(Clone, Debug, FromRow)]
pub struct WalletFactsRow {
    /// When it was closed.
    pub closed_at_ms: Option<i64>,
    /// What it holds.
    #[sqlx(try_from = "i64")]
    pub balance_cents: Cents,
    /// The service's smallest top-up.
    #[sqlx(try_from = "i64")]
    pub min_cents: Amount,
    /// The service's largest top-up.
    #[sqlx(try_from = "i64")]
    pub max_cents: Amount,
    /// The most a wallet may hold.
    #[sqlx(try_from = "i64")]
    pub wallet_max_cents: Amount,
    /// How many unpaid top-ups it may have.
    pub max_open: i64,
    /// Unpaid, unexpired top-ups.
    pub open_count: i64,
    /// What they are worth together.
    #[sqlx(try_from = "i64")]
    pub open_cents: Cents,
    /// The service's name.
    pub service_name: String,
    /// Under which its money is collected.
    pub taxonomy: String,
    /// The guardian's tax code: the debtor of the notice.
    pub debtor_code: String,
    /// The guardian's name.
    pub debtor_name: String,
}

/// One wallet of the home screen, or a child or guardian without one (then the later fields are absent).
#[derive(Clone, FromRow)]
pub struct HomeRow {
    /// The guardian's name.
    pub full_name: String,
    /// The last number of their feed.
    pub feed_seq: i64,
    /// When the office ended their access.
    pub disabled_at_ms: Option<i64>,
    /// When the session was ended.
    pub ended_at_ms: Option<i64>,
    /// 1: the phone must keep nothing.
    pub wipe: i64,
    /// The child.
    pub child: Option<Uuid>,
    /// Its first name.
    pub given_name: Option<String>,
    /// Its class.
    pub class_name: Option<String>,
    /// Its school.
    pub school: Option<String>,
    /// The wallet.
    pub wallet: Option<Uuid>,
    /// When it was closed.
    pub closed_at_ms: Option<i64>,
    /// What it holds.
    pub balance_cents: Option<i64>,
    /// How many movements it has.
    pub seq: Option<i64>,
    /// The service's kind.
    pub kind: Option<String>,
    /// The service's name.
    pub service_name: Option<String>,
    /// Its preset top-ups, in cents, comma-separated.
    pub presets: Option<String>,
    /// Its smallest top-up.
    pub min_cents: Option<i64>,
    /// Its largest top-up.
    pub max_cents: Option<i64>,
    /// The most a wallet may hold.
    pub wallet_max_cents: Option<i64>,
    /// A balance below it is said to run out.
    pub low_mark_cents: Option<i64>,
    /// Of one unit for this child; 0 for none.
    pub unit_price_cents: Option<i64>,
    /// Unpaid, unexpired top-ups.
    pub open_cents: i64,
}

/// The columns of a [`DueRow`] where it is a bill's: `n` is the notice, `b` the bill, `a` its account, `l` the line, `v` its service, `k` the
/// last page.
macro_rules! bill_due {
    ($rest:literal) => {
        concat!(
            "SELECT n.number, n.amount_cents, n.reason, n.state, n.created_at_ms, n.expires_at_ms, n.settled_at_ms,
            k.url AS page_url, k.opened_at_ms AS page_opened_at_ms, n.wallet AS top_up, n.wallet,
            CAST(NULL AS TEXT) AS pay_by, b.id AS bill, b.number AS bill_number, b.period, n.due_date, b.total_cents,
            a.balance_cents AS bill_balance_cents, l.child AS line_child, v.name AS line_service,
            l.cents AS line_cents, l.line, n.instalment, n.held_cents, b.withdrawn_cents, n.paid_twice_at_ms
        ",
            $rest
        )
    };
}
pub(crate) use bill_due;

/// Something to pay on the home screen: a top-up, or one line of a bill.
#[derive(Clone, Debug, FromRow)]
pub struct DueRow {
    /// The notice.
    #[sqlx(try_from = "String")]
    pub number: NoticeNumber,
    /// What the notice asks for.
    #[sqlx(try_from = "i64")]
    pub amount_cents: Amount,
    /// What it says it is for.
    pub reason: String,
    /// As stored; expiry follows from `expires_at_ms`.
    #[sqlx(try_from = "String")]
    pub state: NoticeState,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it stops being payable.
    pub expires_at_ms: Option<i64>,
    /// When a receipt settled it.
    pub settled_at_ms: Option<i64>,
    /// The last page opened for it.
    pub page_url: Option<String>,
    /// When.
    pub page_opened_at_ms: Option<i64>,
    /// The top-up, unless it is a bill's.
    pub top_up: Option<Uuid>,
    /// Its wallet.
    pub wallet: Option<Uuid>,
    /// How the parent meant to pay it.
    pub pay_by: Option<String>,
    /// The bill, unless it is a top-up's.
    pub bill: Option<Uuid>,
    /// Its number.
    pub bill_number: Option<String>,
    /// Its period.
    pub period: Option<String>,
    /// ISO date.
    pub due_date: String,
    /// What it was issued for.
    pub total_cents: Option<i64>,
    /// Its account's balance: minus what is owed.
    pub bill_balance_cents: Option<i64>,
    /// A line's child.
    pub line_child: Option<Uuid>,
    /// A line's service.
    pub line_service: Option<String>,
    /// A line's amount.
    pub line_cents: Option<i64>,
    /// A line's place.
    pub line: Option<i64>,
    /// Which instalment of its bill the notice asks for; `None` where it asks for all that is left.
    pub instalment: Option<i64>,
    /// What was paid under it and lies in suspense.
    pub held_cents: i64,
    /// What of its bill is no longer asked for.
    pub withdrawn_cents: Option<i64>,
    /// When a second payment of it was put aside.
    pub paid_twice_at_ms: Option<i64>,
}

/// One movement of a wallet.
#[derive(Clone, Debug, FromRow)]
pub struct MovementRow {
    /// The wallet.
    #[sqlx(try_from = "Uuid")]
    pub wallet: WalletId,
    /// Counts its movements.
    pub seq: i64,
    /// How much.
    #[sqlx(try_from = "i64")]
    pub cents: Cents,
    /// What it held then.
    #[sqlx(try_from = "i64")]
    pub balance_after_cents: Cents,
    /// Why.
    #[sqlx(try_from = "String")]
    pub kind: EntryKind,
    /// When it was booked.
    #[sqlx(try_from = "i64")]
    pub at_ms: Millis,
    /// The day of a charge.
    pub day: Option<String>,
    /// The tariff of a charge.
    pub tariff: Option<String>,
    /// The entry, to page on.
    pub entry: Uuid,
}

/// A wallet by the names people know it by.
#[derive(Clone, FromRow)]
pub struct WalletNameRow {
    /// The wallet.
    #[sqlx(try_from = "Uuid")]
    pub wallet: WalletId,
    /// The child's first name.
    pub child: String,
    /// The service's name.
    pub service: String,
    /// What it holds.
    pub balance_cents: i64,
}
