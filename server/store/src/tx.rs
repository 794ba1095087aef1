//! What a body works against: one connection of either engine, with a method per statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use borsellino_domain::content::ContentKind;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{
    BillId, ChildId, EnrolmentId, GuardianId, OutboxId, ServiceId, SessionId, TopUpId, WalletId,
};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::{Account, Entry, Hash, Head};
use borsellino_domain::message::MessageState;
use borsellino_domain::time::Millis;
use sqlx::pool::PoolConnection;
use sqlx::{Executor, Postgres, SqlSafeStr, Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

use crate::error::StoreError;
use crate::rows::*;
use crate::together::{Ordinary, ToldRow};
use crate::{lite, pg};

/// One connection, inside a transaction ([`crate::Store::write`]) or not ([`crate::Store::read`]).
#[derive(Debug)]
pub struct Tx {
    connection: Connection,
    statements: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Connection {
    LiteWriter(SqliteConnection),
    LiteReader(PoolConnection<Sqlite>),
    PgWriter(Transaction<'static, Postgres>),
    PgReader(PoolConnection<Postgres>),
}

impl Tx {
    pub(crate) fn lite_writer(connection: SqliteConnection, statements: Arc<AtomicU64>) -> Self {
        Self { connection: Connection::LiteWriter(connection), statements }
    }

    pub(crate) fn lite_reader(connection: PoolConnection<Sqlite>, statements: Arc<AtomicU64>) -> Self {
        Self { connection: Connection::LiteReader(connection), statements }
    }

    pub(crate) fn pg_writer(transaction: Transaction<'static, Postgres>, statements: Arc<AtomicU64>) -> Self {
        Self { connection: Connection::PgWriter(transaction), statements }
    }

    pub(crate) fn pg_reader(connection: PoolConnection<Postgres>, statements: Arc<AtomicU64>) -> Self {
        Self { connection: Connection::PgReader(connection), statements }
    }

    /// BEGIN, SAVEPOINT and the like on SQLite's writer.
    pub(crate) async fn control(&mut self, text: &'static str) -> sqlx::Result<()> {
        match &mut self.connection {
            Connection::LiteWriter(connection) => connection.execute(text.into_sql_str()).await.map(drop),
            _ => Ok(()),
        }
    }

    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        match self.connection {
            Connection::PgWriter(transaction) => transaction.commit().await,
            _ => Ok(()),
        }
    }

    pub(crate) async fn rollback(self) -> sqlx::Result<()> {
        match self.connection {
            Connection::PgWriter(transaction) => transaction.rollback().await,
            _ => Ok(()),
        }
    }

    pub(crate) fn into_lite_connection(self) -> Option<SqliteConnection> {
        match self.connection {
            Connection::LiteWriter(connection) => Some(connection),
            _ => None,
        }
    }
}

/// The statements of an `ops/` file: a constant each, and the table that [`crate::Store::prepare_all`] reads.
macro_rules! statements {
    ($($name:ident = $text:expr;)*) => {
        $(const $name: &str = $text;)*
        pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name),)*];
    };
}
pub(crate) use statements;

/// A method on [`Tx`] per statement of an `ops/` file: counts it and forwards it to the engine at hand.
macro_rules! forward {
    ($module:ident: $($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl Tx {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// [`StoreError`] of the database.
            pub async fn $name(&mut self, $($arg: $type),*) -> Result<$answer, StoreError> {
                self.statements.fetch_add(1, Ordering::Relaxed);
                let answer = match &mut self.connection {
                    Connection::LiteWriter(connection) => lite::$module::$name(connection, $($arg),*).await,
                    Connection::LiteReader(connection) => lite::$module::$name(connection, $($arg),*).await,
                    Connection::PgWriter(connection) => pg::$module::$name(connection, $($arg),*).await,
                    Connection::PgReader(connection) => pg::$module::$name(connection, $($arg),*).await,
                };
                answer.map_err(StoreError::from)
            }
        )*}
    };
}

forward! {
    families:
    /// Creditors.
    fn creditors() -> Vec<CreditorRow>;
    /// Stations.
    fn stations() -> Vec<StationRow>;
    /// Creditor of activation.
    fn creditor_of_activation(code: &str) -> Option<String>;
    /// Insert station.
    fn insert_station(row: &StationRow) -> ();
    /// Insert creditor.
    fn insert_creditor(row: &CreditorRow) -> ();
    /// Insert activation code.
    fn insert_activation_code(creditor: &CreditorCode, code: &str) -> ();
    /// Insert guardian.
    fn insert_guardian(creditor: &CreditorCode, row: &NewGuardian) -> ();
    /// Guardian by username.
    fn guardian_by_username(creditor: &CreditorCode, username: &str) -> Option<GuardianRow>;
    /// Disable guardian.
    fn disable_guardian(creditor: &CreditorCode, guardian: GuardianId, at: Millis) -> ();
    /// Insert child.
    fn insert_child(creditor: &CreditorCode, row: &NewChild) -> ();
    /// Link child.
    fn link_child(creditor: &CreditorCode, guardian: GuardianId, child: Uuid) -> ();
    /// Insert service.
    fn insert_service(creditor: &CreditorCode, row: &NewService) -> ();
    /// Insert enrolment.
    fn insert_enrolment(creditor: &CreditorCode, id_child: (EnrolmentId, Uuid, ServiceId), school_year_tariff: (i64, &str, i64)) -> ();
    /// Insert wallet.
    fn insert_wallet(creditor: &CreditorCode, wallet: WalletId, child: Uuid, service: ServiceId) -> ();
    /// Close wallet.
    fn close_wallet(creditor: &CreditorCode, wallet: WalletId, at: Millis) -> ();
    /// Wallet facts.
    fn wallet_facts(creditor: &CreditorCode, guardian: GuardianId, wallet: WalletId, now: Millis) -> Option<WalletFactsRow>;
    /// Home.
    fn home(creditor: &CreditorCode, guardian_session: (GuardianId, SessionId), now: Millis, school_year: i64) -> Vec<HomeRow>;
    /// Wallet balance.
    fn wallet_balance(creditor: &CreditorCode, wallet: Uuid) -> Option<WalletBalanceRow>;
    /// The wallets of a guardian's children.
    fn wallets_of_guardian(creditor: &CreditorCode, guardian: GuardianId) -> Vec<WalletNameRow>;
    /// Guardian sees wallet.
    fn guardian_sees_wallet(creditor: &CreditorCode, guardian: GuardianId, wallet: WalletId) -> bool;
}

forward! {
    accounts:
    /// A guardian as the office knows them.
    fn holder(creditor: &CreditorCode, guardian: GuardianId) -> Option<AccountHolderRow>;
    /// The guardian with this codice fiscale.
    fn holder_by_code(creditor: &CreditorCode, fiscal_code: &str) -> Option<AccountHolderRow>;
    /// Adults whom the office knows and who have neither an account nor a code that is good.
    fn unregistered(creditor: &CreditorCode, now_most_tries: (Millis, i64)) -> Vec<AccountHolderRow>;
    /// Whether an account still has this password and its access, which stays so until the transaction ends.
    fn hold_account(creditor: &CreditorCode, guardian: GuardianId, password_hash: &str) -> bool;
    /// Gives a guardian an account; whether there was none yet, and their access had not ended.
    fn set_credentials(creditor: &CreditorCode, guardian: GuardianId, username_hash: (&str, &str)) -> bool;
    /// Changes the password of an account; whether there is one.
    fn set_password(creditor: &CreditorCode, guardian: GuardianId, password_hash: &str) -> bool;
    /// Takes a guardian's account away, so that they register anew.
    fn reset_credentials(creditor: &CreditorCode, guardian: GuardianId, username: &str) -> ();
    /// Gives back the access that was ended.
    fn enable_guardian(creditor: &CreditorCode, guardian: GuardianId) -> ();
    /// Where letters go from now on.
    fn set_email(creditor: &CreditorCode, guardian: GuardianId, email_at: (Option<&str>, Millis)) -> ();
    /// Ends the sessions of a guardian, but for one; answers how many.
    fn end_sessions_but(creditor: &CreditorCode, guardian_kept: (GuardianId, SessionId), at: Millis) -> u64;
    /// Forgets the push tokens of a guardian, but for one session's.
    fn forget_push_but(creditor: &CreditorCode, guardian_kept: (GuardianId, SessionId)) -> ();
    /// A code of the office that was used at this instant is good again.
    fn give_back_office_code(creditor: &CreditorCode, guardian: GuardianId, used: Millis) -> ();
    /// Keeps the code that the office gives to a guardian, in place of the one before.
    fn put_office_code(creditor: &CreditorCode, guardian_digest: (GuardianId, Hash), issued_expires: (Millis, Millis)) -> ();
    /// The code that the office gave to a guardian last.
    fn office_code(creditor: &CreditorCode, guardian: GuardianId) -> Option<OfficeCodeRow>;
    /// Counts a wrong one.
    fn count_office_code(creditor: &CreditorCode, guardian: GuardianId) -> ();
    /// Uses a code up; whether it was good.
    fn use_office_code(creditor: &CreditorCode, guardian_digest: (GuardianId, Hash), at_most_tries: (Millis, i64)) -> bool;
    /// The code that the office gave to a guardian is good no more.
    fn drop_office_code(creditor: &CreditorCode, guardian: GuardianId) -> ();
    /// The devices of a guardian that are told by push.
    fn told_devices(creditor: &CreditorCode, guardian: GuardianId, unused: Millis) -> Vec<AudienceRow>;
    /// Opens a recovery, once.
    fn insert_recovery(creditor: &CreditorCode, row: &NewRecovery) -> ();
    /// A recovery.
    fn recovery(creditor: &CreditorCode, id: Uuid) -> Option<RecoveryRow>;
    /// Those of a guardian that are under way, the newest first.
    fn recoveries(creditor: &CreditorCode, guardian: GuardianId, now_count_tries: (Millis, i64, i64)) -> Vec<RecoveryRow>;
    /// Counts a proof as wrong, and holds the recovery until it is known to be right.
    fn try_recovery(creditor: &CreditorCode, id: Uuid) -> Option<RecoveryRow>;
    /// Says that it was proved, and takes the count back; whether it was still under way.
    fn prove_recovery(creditor: &CreditorCode, id_kind: (Uuid, ProofKind), at: Millis) -> bool;
    /// Ends a recovery that is under way.
    fn end_recovery(creditor: &CreditorCode, id: Uuid, at: Millis) -> ();
    /// Takes the count of a try back.
    fn untry_recovery(creditor: &CreditorCode, id: Uuid) -> ();
    /// Ends every recovery of a guardian, but for one.
    fn end_recoveries(creditor: &CreditorCode, guardian_kept: (GuardianId, Uuid), at: Millis) -> ();
    /// Says that the password was set; whether it was still under way.
    fn finish_recovery(creditor: &CreditorCode, id: Uuid, at: Millis) -> bool;
    /// Forgets recoveries made before the id `before`.
    fn sweep_recoveries(creditor: &CreditorCode, before: Uuid) -> u64;
    /// The creditors that have a letter to send, or to lay.
    fn due_for_letters(now: Millis) -> Vec<String>;
    /// Takes up to `count` due letters until `lease`.
    fn claim_letters(creditor: &CreditorCode, now_lease: (Millis, Millis), count: i64) -> Vec<RecoveryLetterRow>;
    /// Says which code the letter holds that is about to be sent; `false` where somebody else took it meanwhile.
    fn write_letter(creditor: &CreditorCode, id_attempts: (Uuid, i64), digest: Hash) -> bool;
    /// Says when a letter may be tried again, if ever, unless somebody else took it meanwhile.
    fn settle_letter(creditor: &CreditorCode, id_attempts: (Uuid, i64), due_code: (Option<Millis>, &str)) -> ();
}

forward! {
    post:
    /// The language that somebody reads, as their phone said last.
    fn set_language(creditor: &CreditorCode, guardian: GuardianId, language: &str) -> ();
    /// Holds a guardian's row until the transaction ends, so that what is counted of theirs stays true.
    fn hold_guardian(creditor: &CreditorCode, guardian: GuardianId) -> ();
    /// Where the letters of a guardian go, and whether they want this kind.
    fn mail_target(creditor: &CreditorCode, guardian: GuardianId, kind: &str) -> Option<MailTargetRow>;
    /// Whoever asked for the top-up, or whom the bill was issued to; nobody for a top-up asked for at a PSP.
    fn payer_of_notice(creditor: &CreditorCode, number: &str) -> Option<GuardianId>;
    /// Whether it was not laid before.
    fn insert_letter(creditor: &CreditorCode, row: &NewLetter) -> bool;
    /// Takes up to `count` due letters until `lease`.
    fn claim_post(creditor: &CreditorCode, now_lease: (Millis, Millis), count: i64) -> Vec<ClaimedLetterRow>;
    /// Says when a letter may be tried again, unless somebody else took it meanwhile.
    fn postpone_post(creditor: &CreditorCode, id_attempts: (Uuid, i64), due_code: (Millis, &str)) -> ();
    /// Says what became of a letter and forgets a sealed address; whether nobody else had it meanwhile.
    fn finish_post(creditor: &CreditorCode, id_attempts: (Uuid, i64), outcome_code_at: (&str, Option<&str>, Millis)) -> bool;
    /// Gives up what was laid before the id `before` and is not on its way.
    fn expire_post(creditor: &CreditorCode, before: Uuid, now: Millis) -> u64;
    /// Forgets what became of letters laid before the id `before`.
    fn prune_post(creditor: &CreditorCode, before: Uuid) -> u64;
    /// Says that a letter came back; whose it was, if it is one of ours.
    fn bounce_post(creditor: &CreditorCode, id: Uuid, at: Millis) -> Option<BouncedRow>;
    /// Says that nobody is at the address on file, if a letter laid at `laid` went there; whether that is news.
    fn bounce_email(creditor: &CreditorCode, guardian: GuardianId, at_laid: (Millis, Millis)) -> bool;
    /// The guardians whose address nobody is at.
    fn bounced_guardians(creditor: &CreditorCode) -> Vec<BouncedGuardianRow>;
    /// The newest letters.
    fn letters(creditor: &CreditorCode, count: i64) -> Vec<LetterRow>;
    /// Keeps that a notice was sent.
    fn insert_mailed_notice(creditor: &CreditorCode, row: &NewMailedNotice) -> ();
    /// What a guardian had sent after an instant, the oldest first: which and when.
    fn mailed_notices(creditor: &CreditorCode, guardian: GuardianId, after: Millis) -> Vec<(Uuid, i64)>;
    /// Keeps a link to pay, once.
    fn insert_pay_link(creditor: &CreditorCode, row: &NewPayLink) -> ();
    /// A link to pay.
    fn pay_link(creditor: &CreditorCode, digest: Hash) -> Option<PayLinkRow>;
    /// The links to a notice that a guardian made and that are good at an instant, the newest first.
    fn pay_links(creditor: &CreditorCode, whose: (&str, GuardianId), now: Millis) -> Vec<OwnPayLinkRow>;
    /// Takes a link to pay back.
    fn revoke_pay_link(creditor: &CreditorCode, digest: Hash, at: Millis) -> ();
    /// Says whether a guardian wants a kind of letters.
    fn put_mail_choice(creditor: &CreditorCode, guardian_kind: (GuardianId, &str), off_at: (bool, Millis)) -> ();
    /// Wallets that no longer run low may be told of again.
    fn forget_low_told(creditor: &CreditorCode) -> u64;
    /// Up to `count` wallets after the id `after` that run low and were not told of.
    fn low_wallets(creditor: &CreditorCode, school_year: i64, after_count: (Uuid, i64)) -> Vec<LowWalletRow>;
    /// Whether nobody else told of it meanwhile.
    fn insert_low_told(creditor: &CreditorCode, wallet: Uuid, at: Millis) -> bool;
    /// Who sees a wallet.
    fn guardians_of_wallet(creditor: &CreditorCode, wallet: Uuid) -> Vec<GuardianId>;
    /// A wallet that the guardian sees, with its price of the school year.
    fn letter_wallet(creditor: &CreditorCode, guardian_wallet: (GuardianId, Uuid), school_year: i64) -> Option<LetterWalletRow>;
    /// The receipt for a notice that came at this instant.
    fn receipt_of_letter(creditor: &CreditorCode, notice: &str, at: Millis) -> Option<LetterReceiptRow>;
    /// Keeps how a creditor wants documents to go out.
    fn insert_document_choice(creditor: &CreditorCode, row: &NewDocumentChoice) -> ();
    /// How the creditor wants documents to go out, if it ever said.
    fn document_choice(creditor: &CreditorCode) -> Option<String>;
}

forward! {
    ledger:
    /// Open account.
    fn open_account(creditor: &CreditorCode, account: Account, head: &Head) -> ();
    /// Takes the next number of an account and holds its row until the transaction ends.
    fn lock_account(creditor: &CreditorCode, account: Account) -> Option<AccountRow>;
    /// Move account.
    fn move_account(creditor: &CreditorCode, account: Account, head: &Head) -> ();
    /// Sets an account's head to the one after the head that was read; `false` where another posting came between.
    fn advance_account(creditor: &CreditorCode, account: Account, head: &Head) -> bool;
    /// Insert entry.
    fn insert_entry(entry: &Entry, digest: Hash) -> ();
    /// Insert posting.
    fn insert_posting(entry: &Entry, line: i64, account_cents: (Account, i64, Option<Head>)) -> ();
    /// The two sides of an ordinary entry in one round trip.
    fn insert_posting_pair(entry: &Entry, first: (Account, i64, Option<Head>), second: (Account, i64, Option<Head>)) -> ();
    /// Last movements.
    fn last_movements(creditor: &CreditorCode, guardian: Uuid, count: i64) -> Vec<MovementRow>;
    /// Family movements.
    fn family_movements(creditor: &CreditorCode, guardian: Uuid, before_ms_before_entry: (i64, Uuid), count: i64) -> Vec<MovementRow>;
    /// Wallet movements.
    fn wallet_movements(creditor: &CreditorCode, wallet: Uuid, before_seq: i64, count: i64) -> Vec<MovementRow>;
    /// The highest id of an entry.
    fn last_entry(creditor: &CreditorCode) -> Option<Uuid>;
    /// The sides of `count` entries from the id `from` on, each entry whole.
    fn entries(creditor: &CreditorCode, from: Uuid, count: i64) -> Vec<EntrySideRow>;
    /// The next `count` accounts after `kind_id`.
    fn accounts(creditor: &CreditorCode, kind_id: (&str, Uuid), count: i64) -> Vec<StoredAccountRow>;
    /// The next `count` postings of an account after the number `after`.
    fn chain(creditor: &CreditorCode, account: Account, after: i64, count: i64) -> Vec<ChainRow>;
    /// What each kind of account holds, by its postings and by its rows, at one instant.
    fn totals(creditor: &CreditorCode) -> Vec<TotalsRow>;
    /// A posting beyond the end of its account, or of an account that is gone.
    fn stray_posting(creditor: &CreditorCode) -> Option<StrayPostingRow>;
    /// A posting whose entry is gone.
    fn orphan_posting(creditor: &CreditorCode) -> Option<StrayPostingRow>;
    /// A receipt that no entry books as it says.
    fn stray_receipt(creditor: &CreditorCode) -> Option<StrayReceiptRow>;
    /// An entry whose receipt is gone, or rests on another entry.
    fn stray_entry(creditor: &CreditorCode) -> Option<StrayReceiptRow>;
}

forward! {
    overview:
    /// The children of a guardian with what came into their wallets last: a row per wallet, or more where several came at once.
    fn consumers(creditor: &CreditorCode, guardian: GuardianId) -> Vec<ConsumerRow>;
    /// Changes what the kitchen is told of a child.
    fn set_diet(creditor: &CreditorCode, child: ChildId, diet: Option<&str>) -> ();
    /// The bills of a family that were due from one ISO date on and before another, the latest first: a row per notice and line.
    fn family_bills(creditor: &CreditorCode, guardian: GuardianId, due: (&str, &str)) -> Vec<DueRow>;
    /// Whatever a guardian paid or may pay, and what others paid for their children, the newest first: a row per notice and line.
    fn positions(creditor: &CreditorCode, guardian: GuardianId, most: i64) -> Vec<PositionRow>;
}

forward! {
    phone:
    /// What was paid for a guardian's children, newest first, before an instant and a notice's number.
    fn paid_items(creditor: &CreditorCode, guardian: GuardianId, before: (Millis, &str), count: i64) -> Vec<PaidItemRow>;
    /// For whom and what a bill is, as far as the guardian sees it.
    fn paid_lines(creditor: &CreditorCode, guardian: GuardianId, bill: Uuid) -> Vec<PaidLineRow>;
    /// A creditor's fees.
    fn fee_table(creditor: &CreditorCode) -> Option<FeeTableRow>;
    /// Replaces a creditor's fees.
    fn put_fee_table(creditor: &CreditorCode, row: &FeeTableRow) -> ();
    /// Ends every session of a guardian, and has every phone of theirs forget the account; answers how many there are.
    fn wipe_sessions(creditor: &CreditorCode, guardian: GuardianId, at: Millis) -> u64;
}

forward! {
    payments:
    /// Whether the number was free.
    fn insert_notice(creditor: &CreditorCode, row: &NewNotice) -> bool;
    /// Notice.
    fn notice(creditor: &CreditorCode, number: &str) -> Option<NoticeRow>;
    /// Settle notice.
    fn settle_notice(creditor: &CreditorCode, number: &str, at: Millis) -> bool;
    /// Says what was paid under a notice and lies in suspense, and settles it; `false` where it is settled already.
    fn hold_notice(creditor: &CreditorCode, number: &str, at_cents_settles: (Millis, i64, bool)) -> bool;
    /// What was held under a notice found its place.
    fn release_notice(creditor: &CreditorCode, number: &str, cents: i64) -> ();
    /// Says that a second payment of a notice is put aside, or (`None`) that it found its place.
    fn paid_twice(creditor: &CreditorCode, number: &str, at: Option<Millis>) -> ();
    /// Lets a bill's notice be paid again.
    fn reopen_notice(creditor: &CreditorCode, number: &str) -> ();
    /// Holds a bill's account until the transaction ends, so that what is left of it stays true.
    fn hold_bill(creditor: &CreditorCode, bill: Uuid) -> ();
    /// Cancel notice.
    fn cancel_notice(creditor: &CreditorCode, number: &str) -> bool;
    /// Insert top up.
    fn insert_top_up(creditor: &CreditorCode, row: &NewTopUp) -> ();
    /// Top up.
    fn top_up(creditor: &CreditorCode, id: TopUpId) -> Option<TopUpRow>;
    /// Top up of notice.
    fn top_up_of_notice(creditor: &CreditorCode, number: &str) -> Option<TopUpRow>;
    /// Holds a wallet's account until the transaction ends, so that two top-ups cannot both see the last free place.
    fn hold_wallet(creditor: &CreditorCode, wallet: Uuid) -> ();
    /// Insert cart.
    fn insert_cart(creditor: &CreditorCode, row: &NewCart) -> ();
    /// The last page opened for a notice.
    fn cart_of_notice(creditor: &CreditorCode, number: &str) -> Option<CartRow>;
    /// Set cart.
    fn set_cart(creditor: &CreditorCode, number: &str, cart: Uuid) -> ();
    /// Whether the creditor's number for the bill was free.
    fn insert_bill(creditor: &CreditorCode, row: &NewBill) -> bool;
    /// Insert bill line.
    fn insert_bill_line(creditor: &CreditorCode, bill_line: (BillId, i64), child_service: (Uuid, Uuid, i64)) -> ();
    /// What a guardian has to pay: own top-ups whose notice expires after `expiring_after`, and a row per line of each
    /// bill of their children with something left.
    fn dues(creditor: &CreditorCode, guardian: GuardianId, expiring_after: Millis) -> Vec<DueRow>;
    /// A bill that the guardian may see, a row per line.
    fn bill_due(creditor: &CreditorCode, guardian: GuardianId, bill: Uuid) -> Vec<DueRow>;
    /// Receipt.
    fn receipt(creditor: &CreditorCode, issuer: &str, receipt_id: &str) -> Option<ReceiptRow>;
    /// Whether the receipt is new. Another transaction with the same key is waited for.
    fn insert_receipt(creditor: &CreditorCode, row: &NewReceipt) -> bool;
    /// Keep message.
    fn keep_message(creditor: &CreditorCode, row: &KeptMessage) -> ();
    /// Kept messages.
    fn kept_messages(creditor: &CreditorCode, queue: &str) -> i64;
    /// Notices of a creditor that can be paid at `now`.
    fn payable(creditor: &CreditorCode, now: Millis, count: i64) -> Vec<PayableRow>;
}

forward! {
    sessions:
    /// Insert session.
    fn insert_session(creditor: &CreditorCode, row: &NewSession) -> ();
    /// Session.
    fn session(creditor: &CreditorCode, id: SessionId) -> Option<SessionRow>;
    /// Whether the session stood at one of the two digests: it may have moved on since it was read.
    fn rotate_session(creditor: &CreditorCode, id: SessionId, previous_newest: (Hash, Hash), at: Millis) -> bool;
    /// Says that a browser's session is used.
    fn use_session(creditor: &CreditorCode, id: SessionId, at: Millis) -> ();
    /// End session.
    fn end_session(creditor: &CreditorCode, id: SessionId, at: Millis) -> ();
    /// Counts a try to sign in; answers the count with this one, and when the last one was.
    fn count_sign_in(creditor: &CreditorCode, who: Hash, at_forgotten: (Millis, Millis)) -> FailureRow;
    /// Says that the try just counted was allowed at this instant.
    fn touch_sign_in(creditor: &CreditorCode, who: Hash, at: Millis) -> ();
    /// Takes one try back.
    fn uncount_sign_in(creditor: &CreditorCode, who: Hash) -> ();
    /// Forgets all tries.
    fn clear_sign_ins(creditor: &CreditorCode, who: Hash) -> ();
    /// Forgets the tries of whoever has not tried since; answers of how many.
    fn sweep_sign_ins(creditor: &CreditorCode, since: Millis) -> u64;
}

forward! {
    feed:
    /// Gives each guardian who sees the wallet the next number; answers who.
    fn number_wallet_change(creditor: &CreditorCode, wallet: Uuid) -> Vec<Uuid>;
    /// Writes the rows for the numbers just taken.
    fn feed_wallet_change(creditor: &CreditorCode, wallet: Uuid, at: Millis, notice: &str) -> ();
    /// Gives each guardian who sees the bill the next number; answers who.
    fn number_bill_change(creditor: &CreditorCode, bill: Uuid) -> Vec<Uuid>;
    /// Writes the rows for the numbers just taken.
    fn feed_bill_change(creditor: &CreditorCode, bill: Uuid, at: Millis, notice: &str) -> ();
    /// Feed after.
    fn feed_after(creditor: &CreditorCode, guardian: GuardianId, after: i64, count: i64) -> Vec<FeedRow>;
    /// Where the guardians of these sessions stand, at most [`TOGETHER`] of them.
    fn standings(creditor: &CreditorCode, sessions: &[SessionId]) -> Vec<StandingRow>;
    /// Insert outbox.
    fn insert_outbox(creditor: &CreditorCode, id: OutboxId, kind_notice: (&str, &str), at: Millis) -> ();
    /// Outbox waiting.
    fn outbox_waiting(creditor: &CreditorCode) -> i64;
}

forward! {
    queue:
    /// Receipts whose money has not found its place by itself, oldest first.
    fn queued_receipts(creditor: &CreditorCode) -> Vec<QueuedReceiptRow>;
    /// Messages kept because they could not be booked, oldest first.
    fn queued_messages(creditor: &CreditorCode) -> Vec<QueuedMessageRow>;
    /// A receipt as it came, sealed.
    fn sealed_receipt(creditor: &CreditorCode, issuer_id: (&str, &str)) -> Option<SealedMessageRow>;
    /// A kept message as it came, sealed.
    fn sealed_message(creditor: &CreditorCode, queue_digest: (&str, Hash)) -> Option<SealedMessageRow>;
    /// What was decided.
    fn resolutions(creditor: &CreditorCode) -> Vec<ResolutionRow>;
    /// What was decided about an item.
    fn resolution(creditor: &CreditorCode, item: &str) -> Option<ResolutionRow>;
    /// Keeps a decision; `false` where the item has been decided.
    fn resolve(creditor: &CreditorCode, row: &ResolutionRow) -> bool;
    /// Whether the wallet exists and takes money.
    fn wallet_stands(creditor: &CreditorCode, wallet: Uuid) -> bool;
}

forward! {
    office:
    /// Says which service of ours a service of the catalogue is.
    fn insert_spontaneous(creditor: &CreditorCode, catalogue: (&str, &str), service: ServiceId) -> ();
    /// Ours for a service of the catalogue (idServizio, idSoggettoServizio).
    fn spontaneous_service(creditor: &CreditorCode, catalogue: (&str, &str)) -> Option<Uuid>;
    /// The services that can be paid without a notice.
    fn spontaneous_offers(creditor: &CreditorCode) -> Vec<OfferRow>;
    /// The wallet of the child with this codice fiscale, for a service.
    fn spontaneous_wallet(creditor: &CreditorCode, child_service: (&str, Uuid), now: Millis) -> Option<SpontaneousRow>;
    /// The last notice made for a demand.
    fn demand(creditor: &CreditorCode, digest: Hash) -> Option<DemandRow>;
    /// Keeps the last notice made for a demand.
    fn put_demand(creditor: &CreditorCode, row: &NewDemand) -> ();
    /// The child with this codice fiscale.
    fn child_by_code(creditor: &CreditorCode, fiscal_code: &str) -> Option<ChildRow>;
    /// All services.
    fn services(creditor: &CreditorCode) -> Vec<ServiceRow>;
    /// The guardian with this user name, as the debtor of a bill.
    fn debtor(creditor: &CreditorCode, username: &str) -> Option<DebtorRow>;
    /// A bill and how far it is paid.
    fn bill(creditor: &CreditorCode, bill: BillId) -> Option<BillRow>;
    /// The bill with this number of the creditor's.
    fn bill_by_number(creditor: &CreditorCode, number: &str) -> Option<BillRow>;
    /// The notices of a bill.
    fn notices_of_bill(creditor: &CreditorCode, bill: BillId) -> Vec<BillNoticeRow>;
    /// Cancels every open notice of a bill; answers how many.
    fn cancel_bill(creditor: &CreditorCode, bill: BillId) -> u64;
    /// Says that so many cents of a bill are no longer asked for.
    fn withdraw_bill(creditor: &CreditorCode, bill: BillId, cents: i64) -> ();
    /// Bills for which more was paid than they ask for.
    fn surplus(creditor: &CreditorCode) -> Vec<SurplusRow>;
    /// Whether the guardian is one of the child's.
    fn is_guardian_of(creditor: &CreditorCode, guardian_child: (Uuid, Uuid)) -> bool;
    /// An act of the office.
    fn action(creditor: &CreditorCode, id: Uuid) -> Option<OfficeActionRow>;
    /// Keeps an act of the office; `false` where it stands already.
    fn insert_action(creditor: &CreditorCode, row: &OfficeActionRow) -> bool;
    /// What the office did, oldest first.
    fn actions(creditor: &CreditorCode) -> Vec<OfficeActionRow>;
}

forward! {
    seal:
    /// The creditor's last seal.
    fn last_seal(creditor: &CreditorCode) -> Option<SealRow>;
    /// The seal with this number.
    fn seal(creditor: &CreditorCode, number: i64) -> Option<SealRow>;
    /// The next `count` seals after the number `after`.
    fn seals(creditor: &CreditorCode, after: i64, count: i64) -> Vec<SealRow>;
    /// The last of the next `count` entries from the id `from` on.
    fn journal_page_end(creditor: &CreditorCode, from: Uuid, count: i64) -> Option<Uuid>;
    /// The chained postings of the first `count` entries between two ids (both included) that are in no seal.
    fn unsealed(creditor: &CreditorCode, from_to: (Uuid, Uuid), count: i64) -> Vec<UnsealedRow>;
    /// The first entry before the id `before` that is in no seal.
    fn unsealed_before(creditor: &CreditorCode, before: Uuid) -> Option<Uuid>;
    /// How many entries before the id `before` are in no seal.
    fn count_unsealed(creditor: &CreditorCode, before: Uuid) -> i64;
    /// Whether the number was free. Another transaction with the same one is waited for.
    fn insert_seal(creditor: &CreditorCode, row: &SealRow) -> bool;
    /// Lists the entries of a seal.
    fn seal_entries(creditor: &CreditorCode, seal: i64, entries: &[(Uuid, Hash)]) -> ();
    /// The number of the seal that an entry is in.
    fn seal_of_entry(creditor: &CreditorCode, entry: Uuid) -> Option<i64>;
    /// The entries of a seal with their chained postings.
    fn sealed(creditor: &CreditorCode, seal: i64) -> Vec<SealedRow>;
    /// The entries of a seal and their digests, in the order of the tree.
    fn sealed_digests(creditor: &CreditorCode, seal: i64) -> Vec<(Uuid, Vec<u8>)>;
    /// An entry listed in a seal that is gone.
    fn stray_sealed(creditor: &CreditorCode) -> Option<StraySealedRow>;
    /// What each kind of account held just before an instant.
    fn held_before(creditor: &CreditorCode, before: Millis) -> Vec<HeldRow>;
    /// What a chained account held just before an instant; `None` where there is no such account.
    fn account_held_before(creditor: &CreditorCode, account: Account, before: Millis) -> Option<HeldRow>;
    /// The receipts that came under a notice and what books each, wherever it went.
    fn booked_under(creditor: &CreditorCode, notice: &str) -> Vec<BookedRow>;
    /// The entries of an account that rest on a receipt under a notice, in their order.
    fn booked_on(creditor: &CreditorCode, account: Account, notice: &str) -> Vec<BookedRow>;
}

forward! {
    push:
    /// Keeps a session's token; where another session had it, it is this one's from now on.
    fn put_push_token(creditor: &CreditorCode, row: &NewPushToken) -> ();
    /// Forgets the token that a session had before the one with this digest.
    fn forget_push_before(creditor: &CreditorCode, session: SessionId, digest: Hash) -> ();
    /// Leaves a guardian the `keep` tokens registered last.
    fn forget_push_over(creditor: &CreditorCode, guardian: GuardianId, keep: i64) -> ();
    /// Forgets a session's token.
    fn forget_push(creditor: &CreditorCode, session: SessionId) -> ();
    /// Forgets a session's token if it is still this one; whether it was.
    fn forget_push_token(creditor: &CreditorCode, session: SessionId, digest: Hash) -> bool;
    /// Forgets the tokens of sessions that ended, are not used since `unused`, or whose guardian's access ended.
    fn sweep_push_tokens(creditor: &CreditorCode, unused: Millis) -> u64;
    /// The sessions of a guardian used since `unused`, the last used first.
    fn devices(creditor: &CreditorCode, guardian: GuardianId, unused_count: (Millis, i64)) -> Vec<DeviceRow>;
    /// The creditors that have something to be told or sent by push.
    fn due_for_push(now: Millis) -> Vec<String>;
    /// What is to be told, held until the transaction ends.
    fn hold_outbox(creditor: &CreditorCode, now: Millis, count: i64) -> Vec<ToTellRow>;
    /// Takes rows out of the outbox, at most [`TOGETHER`] of them.
    fn drop_outbox(creditor: &CreditorCode, ids: &[Uuid]) -> ();
    /// The devices of those who see what a notice paid.
    fn audience(creditor: &CreditorCode, notice_at: (&str, Millis), unused: Millis) -> Vec<AudienceRow>;
    /// Lays a message to one device ready, once.
    fn insert_delivery(creditor: &CreditorCode, row: &NewDelivery) -> ();
    /// Takes up to `count` due deliveries until `lease`.
    fn claim_pushes(creditor: &CreditorCode, now_lease: (Millis, Millis), count: i64) -> Vec<ClaimedRow>;
    /// The tokens of these sessions, at most [`TOGETHER`] of them, as far as they may still be told anything.
    fn push_targets(creditor: &CreditorCode, sessions: &[SessionId], unused: Millis) -> Vec<PushTargetRow>;
    /// Writes what became of deliveries.
    fn finish_deliveries(creditor: &CreditorCode, outcome_code_at: (&str, Option<&str>, Millis), ids: &[Uuid]) -> ();
    /// Says when a delivery may be tried again, unless its lease has passed to somebody else.
    fn postpone_delivery(creditor: &CreditorCode, id_attempts: (Uuid, i64), due_code: (Millis, &str)) -> ();
    /// Forgets what became of deliveries made before the id `before`.
    fn prune_deliveries(creditor: &CreditorCode, before: Uuid) -> u64;
}

forward! {
    together:
    /// The notices with these keys, each in its key's place.
    fn notices(keys: &[(CreditorCode, String)]) -> Vec<Option<NoticeRow>>;
    /// As [`crate::Store::receive_together`]; on SQLite whoever gets `None` must undo what was done until then.
    fn receive_together(kind: &str, batch: &[Ordinary]) -> Option<Vec<ToldRow>>;
}

impl Tx {
    /// Books an entry: takes the next place of each chained account it touches (in a fixed order, so that two entries
    /// over the same accounts never wait for each other in a circle), links its postings, moves the balances. Answers
    /// where each side's account stands after it (`None` for accounts without a running balance).
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where an account is missing or a sum overflows; [`StoreError`] of the database.
    pub async fn book(&mut self, entry: &Entry) -> Result<Vec<Option<Head>>, StoreError> {
        self.book_after(entry, None).await
    }

    /// [`Tx::book`] for a caller that has just read where the account of the first side stands (`seen`). The account
    /// is then moved in one step instead of two, unless another posting came between: that one is waited for, as ever.
    ///
    /// # Errors
    /// As there.
    pub async fn book_after(&mut self, entry: &Entry, seen: Option<Head>) -> Result<Vec<Option<Head>>, StoreError> {
        let digest = entry.digest();
        let mut order: Vec<usize> = (0..entry.sides().len()).collect();
        order.sort_by_key(|index| entry.sides().get(*index).map(|side| side.account));
        let mut heads: Vec<Option<Head>> = vec![None; entry.sides().len()];
        for index in order {
            let (Some(side), Some(slot)) = (entry.sides().get(index), heads.get_mut(index)) else { continue };
            if !side.account.kind.is_chained() {
                continue;
            }
            let append = |before: Head| {
                before.append(side.cents, digest).map_err(|_| StoreError::Corrupt("a balance overflows"))
            };
            if let Some(seen) = seen.filter(|_| index == 0) {
                let after = append(seen)?;
                if self.advance_account(entry.creditor(), side.account, &after).await? {
                    *slot = Some(after);
                    continue;
                }
            }
            let row = self.lock_account(entry.creditor(), side.account).await?;
            let row = row.ok_or(StoreError::Corrupt("a posting's account is missing"))?;
            // The row's number was raised when it was locked.
            let after = append(Head { seq: row.seq - 1, balance: row.balance_cents, hash: row.head })?;
            self.move_account(entry.creditor(), side.account, &after).await?;
            *slot = Some(after);
        }
        self.insert_entry(entry, digest).await?;
        let lines: Vec<_> =
            entry.sides().iter().zip(&heads).map(|(side, head)| (side.account, side.cents.get(), *head)).collect();
        match lines.as_slice() {
            [first, second] => self.insert_posting_pair(entry, *first, *second).await?,
            many => {
                for (line, posting) in (0i64..).zip(many) {
                    self.insert_posting(entry, line, *posting).await?;
                }
            }
        }
        Ok(heads)
    }
}

forward! {
    documents:
    /// What is printed on the creditor's documents.
    fn letterhead(creditor: &CreditorCode) -> Option<LetterheadRow>;
    /// Changes what is printed on the creditor's documents.
    fn put_letterhead(creditor: &CreditorCode, row: &LetterheadRow) -> ();
    /// Changes where a guardian lives.
    fn set_address(creditor: &CreditorCode, guardian: GuardianId, address: Option<&str>) -> ();
    /// Whose a notice is.
    fn notice_owner(creditor: &CreditorCode, number: &str) -> Option<NoticeOwnerRow>;
    /// The notices of a bill, the first due first.
    fn bill_parts(creditor: &CreditorCode, bill: BillId) -> Vec<BillPartRow>;
    /// The next `count` bills of a period after a number.
    fn bills_of_run(creditor: &CreditorCode, period_after: (&str, &str), count: i64) -> Vec<RunBillRow>;
    /// The lines of a bill, whoever sees them.
    fn bill_lines(creditor: &CreditorCode, bill: BillId) -> Vec<FullLineRow>;
    /// The bills that have a line for a child.
    fn bills_of_child(creditor: &CreditorCode, child: ChildId) -> Vec<BillId>;
    /// A receipt with its message; the last argument is its name in the office's queues.
    fn kept_receipt(creditor: &CreditorCode, issuer_id: (&str, &str), item: &str) -> Option<KeptReceiptRow>;
    /// The receipts of a notice that the creditor issued itself, oldest first; 20 at most.
    fn receipts_of_notice(creditor: &CreditorCode, number: &str) -> Vec<ReceiptOfNoticeRow>;
    /// What was paid into an account, in the order it was booked.
    fn payments_in(creditor: &CreditorCode, account: Account) -> Vec<PaymentInRow>;
    /// What was given back of a receipt.
    fn refunds(creditor: &CreditorCode, subject: &str) -> Vec<RefundRow>;
    /// A child of a guardian.
    fn child_of_guardian(creditor: &CreditorCode, guardian: GuardianId, child: ChildId) -> Option<CertifiedChildRow>;
    /// A child by codice fiscale.
    fn certified_child(creditor: &CreditorCode, fiscal_code: &str) -> Option<CertifiedChildRow>;
    /// The wallets of a child.
    fn wallets_of_child(creditor: &CreditorCode, child: ChildId) -> Vec<ChildWalletRow>;
    /// Whose a wallet is and for what.
    fn wallet_title(creditor: &CreditorCode, wallet: WalletId) -> Option<WalletTitleRow>;
    /// The numbers of a wallet's first and last movement booked from one instant on and before another.
    fn statement_range(creditor: &CreditorCode, wallet: WalletId, from_before: (Millis, Millis)) -> Option<(i64, i64)>;
    /// The movements of a wallet between two numbers, both included.
    fn statement_rows(creditor: &CreditorCode, wallet: WalletId, first_last: (i64, i64)) -> Vec<StatementRow>;
    /// Keeps a certificate; whether it is new.
    fn insert_certificate(creditor: &CreditorCode, row: &NewCertificate) -> bool;
    /// A certificate by the digest of its code.
    fn certificate(creditor: &CreditorCode, digest: Hash) -> Option<CertificateRow>;
    /// When the last certificate about the same was issued, after an instant.
    fn later_certificate(creditor: &CreditorCode, subject: Hash, after: Millis) -> Option<Millis>;
}

forward! {
    content:
    /// Keeps an entry.
    fn insert_content(creditor: &CreditorCode, row: &NewContent) -> ();
    /// Keeps what an entry says in a language.
    fn insert_content_text(creditor: &CreditorCode, row: &NewContentText) -> ();
    /// Keeps an entry's document: name, media type, bytes.
    fn insert_content_file(creditor: &CreditorCode, content: &str, file: (&str, &str, &[u8])) -> ();
    /// Takes away what an entry says.
    fn drop_content_text(creditor: &CreditorCode, id: &str) -> ();
    /// Takes away an entry's document.
    fn drop_content_file(creditor: &CreditorCode, id: &str) -> ();
    /// Takes an entry away, after all that belongs to it; whether it was there.
    fn drop_content(creditor: &CreditorCode, id: &str) -> bool;
    /// Of all that an entry says.
    fn content_digest(creditor: &CreditorCode, id: &str) -> Option<Vec<u8>>;
    /// An entry.
    fn content_entry(creditor: &CreditorCode, language: Language, id: &str) -> Option<ContentRow>;
    /// The newest news shown on a day, before another entry (its day and id).
    fn news(creditor: &CreditorCode, language_today: (Language, &str), before: (&str, &str), count: i64) -> Vec<ContentRow>;
    /// The events from one day to another, both included.
    fn events(creditor: &CreditorCode, language: Language, first_last: (&str, &str)) -> Vec<ContentRow>;
    /// The entries of a kind.
    fn content_of_kind(creditor: &CreditorCode, language: Language, kind: ContentKind) -> Vec<ContentRow>;
    /// A document.
    fn content_file(creditor: &CreditorCode, id: &str) -> Option<ContentFileRow>;
    /// Every entry, a row for each language.
    fn all_content(creditor: &CreditorCode) -> Vec<ContentRow>;
    /// A guardian's children.
    fn children_of(creditor: &CreditorCode, guardian: GuardianId) -> Vec<NamedRow>;
    /// Keeps a message.
    fn insert_message(creditor: &CreditorCode, row: &NewMessage) -> ();
    /// A message.
    fn message(creditor: &CreditorCode, id: Uuid) -> Option<MessageRow>;
    /// A guardian's last messages, before another one (when it was sent, and its id).
    fn messages_of(creditor: &CreditorCode, guardian: GuardianId, before: (Millis, Uuid), count: i64) -> Vec<MessageRow>;
    /// How many messages a guardian has sent since then.
    fn messages_since(creditor: &CreditorCode, guardian: GuardianId, since: Millis) -> i64;
    /// How many messages of a guardian have an answer that they have not seen.
    fn unread_answers(creditor: &CreditorCode, guardian: GuardianId) -> i64;
    /// The guardian sees the answers to a message of theirs.
    fn see_answers(creditor: &CreditorCode, whose: (GuardianId, Uuid), at: Millis) -> ();
    /// The office opens a message.
    fn open_message(creditor: &CreditorCode, id: Uuid) -> ();
    /// Moves a message on, and says when it was answered.
    fn move_message(creditor: &CreditorCode, id: Uuid, state_answered: (MessageState, Option<Millis>)) -> ();
    /// Keeps an answer.
    fn insert_answer(creditor: &CreditorCode, row: &NewAnswer) -> ();
    /// The answers to a message, oldest first.
    fn answers(creditor: &CreditorCode, message: Uuid) -> Vec<AnswerRow>;
    /// The next `count` messages after one, by their ids.
    fn messages_after(creditor: &CreditorCode, after: Uuid, count: i64) -> Vec<MessageRow>;
}

forward! {
    identities:
    /// The guardian who is called so (in small letters).
    fn holder_by_username(creditor: &CreditorCode, username: &str) -> Option<AccountHolderRow>;
    /// The accounts that letters to an address (in small letters) reach; two at most, which are as many as any more.
    fn holders_by_email(creditor: &CreditorCode, email: &str) -> Vec<AccountHolderRow>;
    /// Sets the privacy notice.
    fn insert_privacy_notice(creditor: &CreditorCode, row: &PrivacyNoticeRow) -> ();
    /// What was set last.
    fn privacy_notice(creditor: &CreditorCode) -> Option<PrivacyNoticeRow>;
    /// A version as it was set first.
    fn privacy_version(creditor: &CreditorCode, version: &str) -> Option<PrivacyNoticeRow>;
    /// The notice of today, where a guardian has not accepted its version.
    fn privacy_due(creditor: &CreditorCode, guardian: GuardianId) -> Option<PrivacyNoticeRow>;
    /// Keeps that a version was accepted; the first time counts.
    fn insert_privacy_acceptance(creditor: &CreditorCode, guardian_version: (GuardianId, &str), at: Millis) -> ();
    /// Who accepted what, in the order they did.
    fn privacy_acceptances(creditor: &CreditorCode) -> Vec<PrivacyAcceptanceRow>;
    /// Whether a creditor has secret questions asked.
    fn asks_question(creditor: &CreditorCode) -> bool;
    /// Has secret questions asked, or not.
    fn put_asks_question(creditor: &CreditorCode, asked: bool) -> ();
    /// The secret question that a guardian chose.
    fn secret_question(creditor: &CreditorCode, guardian: GuardianId) -> Option<SecretQuestionRow>;
    /// Keeps it, or with `None` takes it back.
    fn put_secret_question(creditor: &CreditorCode, guardian: GuardianId, row: Option<&SecretQuestionRow>) -> ();
}
