//! The server's side of the pagoPA Node protocol (`paForNode`): a pure codec, without sockets, clock or store.
//!
//! [`decode`] turns one HTTP body into a [`Request`] or says precisely why not; a [`Response`] turns an answer into
//! bytes. Between the two stand the use cases. XML is read from a tree built only after [`guard()`] has bounded it,
//! and written by hand; both follow `paForNode.wsdl` and `paForNode.xsd` of pagopa/pagopa-api, branch SANP3.12.0.
//!
//! Of the elements only the wrapper is qualified: the schema has no `elementFormDefault`.

mod fault;
mod guard;
mod read;
mod receipt;
mod request;
mod response;
mod spontaneous;
mod wire;

pub use fault::{Fault, FaultCode};
pub use guard::{MAX_ATTRIBUTES, MAX_BYTES, MAX_DEPTH, MAX_EQUALS, MAX_NODES, MAX_REFERENCES, Malformed, guard};
pub use read::{Flaw, Problem};
pub use receipt::{Channel, MapEntry, Outcome, Psp, Receipt, Subject, SubjectKind, Transfer};
pub use request::{
    ActivateRequest, Addressee, DemandRequest, QrCode, ReceiptRequest, Refusal, Request, TransferType, VerifyRequest,
    decode,
};
pub use response::{
    ActivationOk, Blame, Code, DemandOk, Metadata, OutgoingTransfer, Response, Text, Transfers, VerifyOk, soap_fault,
};
pub use spontaneous::SpontaneousTopUp;
pub use wire::{Digits11, MAX_CENTS, NoticeNumber18, PositiveCents, WireDate, WireDateTime, amount_text, parse_amount};

/// Namespace of the wrapper elements.
pub(crate) const NAMESPACE: &str = "http://pagopa-api.pagopa.gov.it/pa/paForNode.xsd";
/// Namespace of the SOAP 1.1 envelope.
pub(crate) const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// The two generations of activation and receipt. Which one is called is a setting of the station, and a station has
/// met v1 activations followed by V2 receipts (pagopa-api issue 943): never assume a pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// `paGetPayment`, `paSendRT`.
    V1,
    /// `paGetPaymentV2`, `paSendRTV2`.
    V2,
}

/// The six operations of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// What does a notice cost?
    VerifyPaymentNotice,
    /// Somebody is about to pay.
    GetPayment(Version),
    /// Somebody has paid.
    SendRt(Version),
    /// Somebody wants to pay without a notice.
    DemandPaymentNotice,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 6] = [
        Self::VerifyPaymentNotice,
        Self::GetPayment(Version::V1),
        Self::GetPayment(Version::V2),
        Self::SendRt(Version::V1),
        Self::SendRt(Version::V2),
        Self::DemandPaymentNotice,
    ];

    /// The name in the WSDL, which is also the `SOAPAction`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VerifyPaymentNotice => "paVerifyPaymentNotice",
            Self::GetPayment(Version::V1) => "paGetPayment",
            Self::GetPayment(Version::V2) => "paGetPaymentV2",
            Self::SendRt(Version::V1) => "paSendRT",
            Self::SendRt(Version::V2) => "paSendRTV2",
            Self::DemandPaymentNotice => "paDemandPaymentNotice",
        }
    }

    /// The wrapper of the request. The names are irregular; the printed manual has some of them wrong.
    #[must_use]
    pub const fn request_element(self) -> &'static str {
        match self {
            Self::VerifyPaymentNotice => "paVerifyPaymentNoticeReq",
            Self::GetPayment(Version::V1) => "paGetPaymentReq",
            Self::GetPayment(Version::V2) => "paGetPaymentV2Request",
            Self::SendRt(Version::V1) => "paSendRTReq",
            Self::SendRt(Version::V2) => "paSendRTV2Request",
            Self::DemandPaymentNotice => "paDemandPaymentNoticeRequest",
        }
    }

    /// The wrapper of the answer, in the prefix that our answers use.
    pub(crate) const fn response_element(self) -> &'static str {
        match self {
            Self::VerifyPaymentNotice => "pafn:paVerifyPaymentNoticeRes",
            Self::GetPayment(Version::V1) => "pafn:paGetPaymentRes",
            Self::GetPayment(Version::V2) => "pafn:paGetPaymentV2Response",
            Self::SendRt(Version::V1) => "pafn:paSendRTRes",
            Self::SendRt(Version::V2) => "pafn:paSendRTV2Response",
            Self::DemandPaymentNotice => "pafn:paDemandPaymentNoticeResponse",
        }
    }

    /// The operation that a `SOAPAction` header names: all there is to go by when the body is not well-formed.
    #[must_use]
    pub fn from_soap_action(header: &str) -> Option<Self> {
        let action = bare_action(header);
        Self::ALL.into_iter().find(|operation| operation.name() == action)
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A `SOAPAction` without white space and its optional pair of double quotes.
fn bare_action(header: &str) -> &str {
    let header = header.trim();
    header.strip_prefix('"').and_then(|h| h.strip_suffix('"')).unwrap_or(header).trim()
}
