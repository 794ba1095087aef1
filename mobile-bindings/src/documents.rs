//! Documents as files of the host: what can be asked for, and the calls, handed on.

use std::sync::Arc;

use borsellino_core as core;
use core::{
    AccountKey, BillId, ChildId, Document, DocumentFile, DocumentLink, Millis, NoticeOf, NoticeSent, PaymentOf,
    ReceiptFormat, SentNotice, TopUpId, WalletId,
};

use crate::app::{Borsellino, Result};

/// What a notice is for.
#[uniffi::remote(Enum)]
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
#[uniffi::remote(Enum)]
pub enum PaymentOf {
    /// A top-up of this parent.
    TopUp(TopUpId),
    /// A bill of the family.
    Bill(BillId),
}

/// How a receipt is wanted.
#[uniffi::remote(Enum)]
pub enum ReceiptFormat {
    /// A page.
    Pdf,
    /// pagoPA's own message.
    Xml,
}

/// A document to ask for.
#[uniffi::remote(Enum)]
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
#[uniffi::remote(Record)]
pub struct DocumentFile {
    /// What to call it; no path, and it names no person.
    pub name: String,
    /// `application/pdf`, `application/xml`
    pub media_type: String,
    /// The file itself.
    pub content: Vec<u8>,
    /// When it was made, by the server's clock; nothing where nobody knows.
    pub as_of: Option<Millis>,
    /// `aggiornato oggi alle 8:12`; empty where nobody knows.
    pub as_of_text: String,
    /// The server could not be asked: this is what was kept.
    pub from_cache: bool,
}

/// An address under which whoever has it finds one document.
#[uniffi::remote(Record)]
pub struct DocumentLink {
    /// To open in a browser, or to share.
    pub url: String,
    /// Until when it is good, by the server's clock: ten minutes.
    pub expires_at: Millis,
}

/// What became of a notice that was to go out by e-mail.
#[uniffi::remote(Enum)]
pub enum NoticeSent {
    /// The notice goes to the address on file.
    OnFile,
    /// To an address that is not on file goes a link to pay, which names nobody.
    AsLink,
    /// No answer came: it may be on its way, or not. It is not sent again by itself.
    Unknown,
}

/// A notice that was to go out by e-mail.
#[uniffi::remote(Record)]
pub struct SentNotice {
    /// What became of it.
    pub sent: NoticeSent,
    /// The same in words.
    pub sentence: String,
}

#[uniffi::export]
impl Borsellino {
    /// A document as a file, or several: a payment may have several receipts, everything else is one. Fresh where the server answers
    /// within about ten seconds; otherwise what was kept when it was fetched before (`fromCache`). Up to a megabyte each: let go
    /// of the bytes once they are shown or written.
    ///
    /// Throws `Refused` with `NoticeNotPayable` (found on the phone: also for what it does not know), `NotPaid`, `ReceiptWithheld`,
    /// `NothingPaid`, `YearInvalid`, `PeriodInvalid`, `PrinterBusy`; `Invalid`, `SignedOut`, `OlderServer`, `Offline` and kin where
    /// nothing was kept; `Cache`.
    pub async fn documents(&self, account: AccountKey, document: Document) -> Result<Vec<DocumentFile>> {
        self.run(|core: Arc<core::App>| async move { core.documents(account, document).await }).await
    }

    /// An address for a browser, good for ten minutes, under which whoever has it finds this document: of several receipts the last.
    ///
    /// Throws as `documents`; `Offline` always without the network.
    pub async fn document_link(&self, account: AccountKey, document: Document) -> Result<DocumentLink> {
        self.run(|core: Arc<core::App>| async move { core.document_link(account, document).await }).await
    }

    /// Sends a notice by e-mail, to the address on file or to another one, once: where no answer comes it says so (`Unknown`), and
    /// whether to do it again is the parent's to decide.
    ///
    /// Throws `Refused` with `NoticeNotPayable`, `NoAddress`, `AddressInvalid`, `AddressBounced`, `MailLimit`, `NoMail`; `Invalid`,
    /// `SignedOut`, `Offline` and kin.
    #[uniffi::method(default(address = None))]
    pub async fn send_notice(
        &self,
        account: AccountKey,
        notice: NoticeOf,
        address: Option<String>,
    ) -> Result<SentNotice> {
        self.run(|core: Arc<core::App>| async move { core.send_notice(account, notice, address).await }).await
    }
}
