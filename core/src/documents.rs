//! Documents: notices, receipts, certificates and statements as files, for showing, sharing and printing. What was fetched is kept,
//! sealed, for when there is no network.
//!
//! With the network the server is asked each time, also for what was kept: a receipt's page gains the ledger's seal within a minute and
//! company when it is paid twice, and a certificate changes with a receipt that comes late or money that is given back. A kept copy
//! stands in where the server is not reached or has no time to print, and says how old it is. A kept notice does so only while the
//! home screen still asks for exactly what it asks for.

use std::fmt::{self, Write};
use std::sync::Arc;

use borsellino_domain::id::{BillId, ChildId, TopUpId, WalletId};
use borsellino_domain::time::Millis;
use borsellino_proto::v1;
use borsellino_proto::v1::create_link_request::Document as Wire;
use borsellino_proto::v1::get_receipts_request::Payment;
use prost::Message;

use crate::app::App;
use crate::bills::BillState;
use crate::cache::Rows;
use crate::error::{Error, Reason, Result};
use crate::inner::Inner;
use crate::intents;
use crate::models::{HomeView, NoticeView, TopUpState, instant, safe_url};
use crate::remote::method;
use crate::session::AccountKey;
use crate::words::Words;

/// What a file is called that the server gave no name.
const NAMELESS: &str = "documento";

/// What a notice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeOf {
    /// A top-up.
    TopUp(TopUpId),
    /// A bill; in instalments, with all that are open.
    Bill(BillId),
    /// One instalment; the document has all that are open.
    Instalment {
        /// Of which bill.
        bill: BillId,
        /// Which, from 1.
        number: u32,
    },
}

/// What was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentOf {
    /// A top-up of this parent.
    TopUp(TopUpId),
    /// A bill of the family.
    Bill(BillId),
}

/// How a receipt is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptFormat {
    /// A page.
    Pdf,
    /// pagoPA's own message.
    Xml,
}

/// A document to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// A payment notice.
    Notice(NoticeOf),
    /// The receipts of a payment, oldest first.
    Receipts {
        /// Of which.
        payment: PaymentOf,
        /// As what.
        format: ReceiptFormat,
    },
    /// What this parent paid for a child in a year, for the tax return.
    Certificate {
        /// For whom.
        child: ChildId,
        /// 1 January to 31 December of it.
        year: u16,
    },
    /// The movements of a wallet.
    Statement {
        /// Of which.
        wallet: WalletId,
        /// ISO date: the first day.
        from: String,
        /// ISO date: the last day, at most two years later.
        to: String,
    },
}

/// A file to show, share or print.
#[derive(Clone, PartialEq, Eq)]
pub struct DocumentFile {
    /// What to call it; no path, and it names no person.
    pub name: String,
    /// `application/pdf`, `application/xml`
    pub media_type: String,
    /// The file itself.
    pub content: Vec<u8>,
    /// When it was made, by the server's clock; `None` where the phone was started again since it last heard from the server.
    pub as_of: Option<Millis>,
    /// `aggiornato oggi alle 8:12`; empty where nobody knows.
    pub as_of_text: String,
    /// The server could not be asked: this is what was kept.
    pub from_cache: bool,
}

impl fmt::Debug for DocumentFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocumentFile({}, {} bytes, from cache: {})", self.name, self.content.len(), self.from_cache)
    }
}

/// An address under which whoever has it finds one document.
#[derive(Clone, PartialEq, Eq)]
pub struct DocumentLink {
    /// To open in a browser, or to share.
    pub url: String,
    /// Until when it is good, by the server's clock: ten minutes.
    pub expires_at: Millis,
}

impl fmt::Debug for DocumentLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It is as good as the document.
        write!(f, "DocumentLink(…, {:?})", self.expires_at)
    }
}

/// What became of a notice that was to go out by e-mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeSent {
    /// The notice goes to the address on file.
    OnFile,
    /// To an address that is not on file goes a link to pay, which names nobody.
    AsLink,
    /// No answer came: it may be on its way, or not. It is not sent again by itself.
    Unknown,
}

/// A notice that was to go out by e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentNotice {
    /// What became of it.
    pub sent: NoticeSent,
    /// The same in words.
    pub sentence: String,
}

/// A document as it lies in the cache.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Kept {
    #[prost(message, repeated, tag = "1")]
    documents: Vec<v1::Document>,
    /// 0: not known.
    #[prost(int64, tag = "2")]
    made_at_ms: i64,
    /// Of a notice: what the home screen asked for then.
    #[prost(string, tag = "3")]
    asks: String,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(…)")
    }
}

/// A document that the server can be asked for.
struct Asked {
    message: Wire,
    /// What it is kept as.
    what: String,
    /// Of a notice: what the home screen asks for. Otherwise empty.
    asks: String,
}

impl Asked {
    /// Where to ask, and with what.
    fn call(&self) -> (&'static str, Vec<u8>) {
        match &self.message {
            Wire::Notice(it) => (method::GET_NOTICE.path(), it.encode_to_vec()),
            Wire::Receipt(it) => (method::GET_RECEIPTS.path(), it.encode_to_vec()),
            Wire::Certificate(it) => (method::GET_CERTIFICATE.path(), it.encode_to_vec()),
            Wire::Statement(it) => (method::GET_STATEMENT.path(), it.encode_to_vec()),
        }
    }
}

/// The name of a file in a folder that somebody else chooses: a server must not choose the folder.
fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|c| !c.is_control()).collect();
    let plain = plain.trim_matches(['.', ' ']);
    if plain.is_empty() { NAMELESS.to_owned() } else { plain.to_owned() }
}

/// Whether a failure says nothing about the document: then what was kept stands in.
fn is_unreached(error: &Error) -> bool {
    match error {
        Error::Offline | Error::NotOurServer | Error::CertificateTime | Error::OlderServer => true,
        Error::Refused(no) => matches!(
            no.reason,
            Reason::PrinterBusy | Reason::Unprintable | Reason::Unavailable | Reason::Internal | Reason::TryLater
        ),
        _ => false,
    }
}

/// Something can still be paid under the notice of such a thing.
fn is_payable(state: &TopUpState, now: Option<Millis>) -> bool {
    match state {
        TopUpState::Payable { until: Some(until) } => now.is_none_or(|now| now < *until),
        TopUpState::Paid { .. }
        | TopUpState::PaidTwice { .. }
        | TopUpState::Expired
        | TopUpState::Cancelled
        | TopUpState::Refused(_) => false,
        _ => true,
    }
}

/// The notice that the home screen has for it, and all that its document asks for. `None` where there is nothing to pay.
fn notices_of(home: HomeView, of: NoticeOf, now: Option<Millis>) -> Option<(NoticeView, Vec<NoticeView>)> {
    let (bill, number) = match of {
        NoticeOf::TopUp(id) => {
            let top_up = home.top_ups.into_iter().find(|it| it.id == id)?;
            let notice = top_up.notice.filter(|_| is_payable(&top_up.state, now))?;
            return Some((notice.clone(), vec![notice]));
        }
        NoticeOf::Bill(id) => (id, None),
        NoticeOf::Instalment { bill, number } => (bill, Some(number)),
    };
    let bill = home.bills.into_iter().find(|it| it.id == bill)?;
    if !matches!(bill.state, BillState::Open | BillState::PartPaid | BillState::Unknown) {
        return None;
    }
    let part = number.map(|number| bill.instalments.iter().find(|part| part.number == number));
    let notice = match part {
        Some(part) => part?.notice.clone()?,
        None => bill.notice.clone()?,
    };
    let all = bill.notice.into_iter().chain(bill.instalments.into_iter().filter_map(|part| part.notice));
    Some((notice, all.collect()))
}

impl Inner {
    /// What the server can be asked for, by what this phone knows.
    async fn wanted(&self, account: &AccountKey, document: &Document) -> Result<Asked> {
        let mut asks = String::new();
        let (message, what) = match document {
            Document::Notice(of) => {
                let (number, wanted) = self.notice_number(account, *of).await?;
                asks = wanted;
                let what = match of {
                    NoticeOf::TopUp(id) => format!("notice {id}"),
                    NoticeOf::Bill(bill) | NoticeOf::Instalment { bill, .. } => format!("notice {bill}"),
                };
                (Wire::Notice(v1::GetNoticeRequest { notice_number: number }), what)
            }
            Document::Receipts { payment, format } => {
                let (payment, id) = match payment {
                    PaymentOf::TopUp(id) => (Payment::TopUpId(id.to_string()), id.to_string()),
                    PaymentOf::Bill(id) => (Payment::BillId(id.to_string()), id.to_string()),
                };
                let (format, kind) = match format {
                    ReceiptFormat::Pdf => (v1::ReceiptFormat::Pdf, "pdf"),
                    ReceiptFormat::Xml => (v1::ReceiptFormat::Xml, "xml"),
                };
                let request = v1::GetReceiptsRequest { payment: Some(payment), format: format.into() };
                (Wire::Receipt(request), format!("receipts {id} {kind}"))
            }
            Document::Certificate { child, year } => {
                let (child, year) = (child.to_string(), *year);
                let what = format!("certificate {child} {year}");
                (Wire::Certificate(v1::GetCertificateRequest { child_id: child, year: i32::from(year) }), what)
            }
            Document::Statement { wallet, from, to } => {
                let is_day = |text: &str| text.parse().ok().and_then(Millis::end_of_day_in_italy).is_some();
                if !is_day(from) || !is_day(to) {
                    return Err(self.refused(Reason::PeriodInvalid));
                }
                let what = format!("statement {wallet} {from} {to}");
                let (from_day, to_day) = (from.clone(), to.clone());
                (Wire::Statement(v1::GetStatementRequest { wallet_id: wallet.to_string(), from_day, to_day }), what)
            }
        };
        Ok(Asked { message, what, asks })
    }

    /// Under which number it is paid, and what its document asks for now.
    async fn notice_number(&self, account: &AccountKey, of: NoticeOf) -> Result<(String, String)> {
        let key = account.clone();
        let read = move |rows: &Rows<'_>| Ok((rows.snapshot(key.as_str())?, intents::all(rows, key.as_str())?));
        let (snapshot, intents) = self.cache.read_later(read).await?;
        let snapshot = snapshot.unwrap_or_else(|| self.empty_snapshot());
        let creditor = self.creditor(account);
        let shown = self.shown(&creditor, &snapshot);
        let found = notices_of(shown.home(&intents, &[]), of, shown.now);
        let (notice, all) = found.ok_or_else(|| self.refused(Reason::NoticeNotPayable))?;
        let mut asks = String::new();
        for notice in all {
            // Writing to a text does not fail.
            let _ = write!(asks, "{} {};", notice.number, notice.amount.cents);
        }
        Ok((notice.number, asks))
    }

    async fn documents(self: Arc<Self>, account: AccountKey, document: Document) -> Result<Vec<DocumentFile>> {
        self.account(&account)?;
        let asked = self.wanted(&account, &document).await?;
        let (path, message) = asked.call();
        let keep = self.keep(&account);
        // Someone waits, perhaps at a counter, and there may be a copy.
        let asking = tokio::time::timeout(self.pace.patience, self.ask_bare(&account, path, message));
        let answer = asking.await.unwrap_or(Err(Error::Offline)).and_then(|answer| {
            // All four answers are documents in the first field.
            let documents = method::GET_RECEIPTS.read(&answer)?.documents;
            if documents.is_empty() { Err(Error::NotOurServer) } else { Ok(documents) }
        });
        let words = self.words(&account).await;
        let (key, what) = (account, asked.what);
        let (kept, from_cache) = match answer.map_err(Error::of_a_read) {
            Ok(documents) => {
                let made_at_ms = words.server_now.unwrap_or_default().get();
                let fresh = Arc::new(Kept { documents, made_at_ms, asks: asked.asks });
                let kept = Arc::clone(&fresh);
                let write = move |rows: &Rows<'_>| {
                    if keep.is_current(&key) { rows.keep_document(key.as_str(), &what, &*kept) } else { Ok(()) }
                };
                // A full phone is no reason to keep it from the parent.
                let _ = self.cache.write_later(write).await;
                (Arc::unwrap_or_clone(fresh), false)
            }
            Err(error) if is_unreached(&error) => {
                let (owner, name) = (key.clone(), what.clone());
                let read = move |rows: &Rows<'_>| rows.document::<Kept>(owner.as_str(), &name);
                let kept = self.cache.read_later(read).await?.filter(|kept| kept.asks == asked.asks).ok_or(error)?;
                // Used or not, it is given.
                let _ = self.cache.write_later(move |rows| rows.use_document(key.as_str(), &what)).await;
                (kept, true)
            }
            Err(error) => {
                if matches!(&error, Error::Refused(no) if no.is_final) {
                    // Paid, withdrawn, or not theirs any more: without the network it must not come back.
                    let _ = self.cache.write_later(move |rows| rows.forget_document(key.as_str(), &what)).await;
                }
                return Err(error);
            }
        };
        let as_of = instant(kept.made_at_ms);
        let file = |document: v1::Document| DocumentFile {
            name: file_name(&document.name),
            media_type: document.media_type,
            content: document.content,
            as_of,
            as_of_text: as_of.map(|at| words.as_of(at)).unwrap_or_default(),
            from_cache,
        };
        Ok(kept.documents.into_iter().map(file).collect())
    }

    async fn document_link(self: Arc<Self>, account: AccountKey, document: Document) -> Result<DocumentLink> {
        self.account(&account)?;
        let asked = self.wanted(&account, &document).await?;
        let request = v1::CreateLinkRequest { document: Some(asked.message) };
        let answer = self.ask(&account, &method::CREATE_LINK, &request).await?;
        let url = safe_url(&answer.url).ok_or(Error::NotOurServer)?;
        Ok(DocumentLink { url, expires_at: Millis::new(answer.expires_at_ms) })
    }

    async fn send_notice(
        self: Arc<Self>,
        account: AccountKey,
        notice: NoticeOf,
        address: Option<String>,
    ) -> Result<NoticeSent> {
        self.account(&account)?;
        let address = address.map(|address| address.trim().to_owned());
        // Empty would mean the address on file, which is not what was typed.
        if address.as_ref().is_some_and(String::is_empty) {
            return Err(self.refused(Reason::AddressInvalid));
        }
        let (notice_number, _) = self.notice_number(&account, notice).await?;
        let request = v1::SendNoticeRequest { notice_number, address: address.unwrap_or_default() };
        let answer = self.ask(&account, &method::SEND_NOTICE, &request).await?;
        Ok(if answer.as_link { NoticeSent::AsLink } else { NoticeSent::OnFile })
    }
}

impl App {
    /// A document as a file, or several: a payment may have several receipts, everything else is one. Fresh where the server
    /// answers within [`crate::Pace::patience`]; otherwise what was kept when it was fetched before ([`DocumentFile::from_cache`]). What is
    /// fetched is kept, up to 16 MiB on a phone; what was used least recently goes first. Up to a megabyte each.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NoticeNotPayable` (found here: also for what this phone does not know), `NotPaid`,
    /// `ReceiptWithheld`, `NothingPaid`, `YearInvalid`, `PeriodInvalid` and kin; [`Error::Invalid`] for an account that this phone
    /// does not have; [`Error::SignedOut`]; [`Error::Offline`] and kin where nothing was kept; [`Error::Cache`].
    pub async fn documents(&self, account: AccountKey, document: Document) -> Result<Vec<DocumentFile>> {
        self.inner.detached(|inner| inner.documents(account, document)).await
    }

    /// An address for a browser, good for ten minutes, under which whoever has it finds this document: of several receipts the
    /// last. Waits at most [`crate::Pace::patience`].
    ///
    /// # Errors
    /// As [`App::documents`]; [`Error::Offline`] always without the network.
    pub async fn document_link(&self, account: AccountKey, document: Document) -> Result<DocumentLink> {
        let asking = self.inner.detached(|inner| inner.document_link(account, document));
        self.patiently(asking).await.map_err(Error::of_a_read)
    }

    /// Sends a notice by e-mail, to the address on file or to another one. Waits at most [`crate::Pace::patience`]. Sent once: where no
    /// answer comes it may have gone out, which is told ([`NoticeSent::Unknown`]), and is the parent's to decide on.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NoticeNotPayable`, `NoAddress`, `AddressInvalid`, `AddressBounced`, `MailLimit`, `NoMail`;
    /// [`Error::Invalid`] for an account that this phone does not have; [`Error::SignedOut`], [`Error::Offline`] and kin.
    pub async fn send_notice(
        &self,
        account: AccountKey,
        notice: NoticeOf,
        address: Option<String>,
    ) -> Result<SentNotice> {
        let sending = self.inner.detached(|inner| inner.send_notice(account, notice, address));
        let sent = match self.patiently(sending).await {
            Err(Error::OutcomeUnknown) => NoticeSent::Unknown,
            done => done?,
        };
        let words = Words::new(self.inner.language, None);
        Ok(SentNotice { sent, sentence: words.notice_sent(sent) })
    }
}

impl Words {
    fn notice_sent(&self, sent: NoticeSent) -> String {
        let texts = match sent {
            NoticeSent::OnFile => [
                "L'avviso parte ora verso l'indirizzo e-mail che il Comune ha di te.",
                "The notice is on its way to the e-mail address that the municipality has of you.",
                "Die Zahlungsaufforderung geht an die E-Mail-Adresse, die die Gemeinde von Ihnen hat.",
            ],
            NoticeSent::AsLink => [
                "A questo indirizzo parte ora un collegamento per pagare, senza nomi.",
                "A link to pay, which names nobody, is on its way to this address.",
                "An diese Adresse geht ein Link zum Bezahlen, der niemanden nennt.",
            ],
            NoticeSent::Unknown => [
                "Non sappiamo se l'e-mail è partita: prima di riprovare guarda se è arrivata.",
                "We don't know whether the e-mail went out: see whether it has come before you try again.",
                "Ob die E-Mail hinausging, wissen wir nicht: Sehen Sie nach, ob sie kam, bevor Sie es noch einmal versuchen.",
            ],
        };
        self.of(texts).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_names_files_and_no_folders() {
        for (said, name) in [
            ("avviso-3010.pdf", "avviso-3010.pdf"),
            ("../../shared_prefs/x.xml", "x.xml"),
            ("..\\..\\x.pdf", "x.pdf"),
            ("/etc/", "documento"),
            ("..", "documento"),
            ("", "documento"),
            ("a\0\n.pdf", "a.pdf"),
            (".hidden", "hidden"),
        ] {
            assert_eq!(file_name(said), name, "{said:?}");
        }
    }

    #[test]
    fn nothing_of_a_document_is_said_in_passing() {
        let file = DocumentFile {
            name: "avviso.pdf".into(),
            media_type: "application/pdf".into(),
            content: b"Giulia".to_vec(),
            as_of: None,
            as_of_text: String::new(),
            from_cache: true,
        };
        assert_eq!(format!("{file:?}"), "DocumentFile(avviso.pdf, 6 bytes, from cache: true)");
        let link = DocumentLink { url: "https://mensa.example/secret".into(), expires_at: Millis::new(1) };
        assert!(!format!("{link:?}").contains("secret"));
    }
}
