//! The errors that a creditor may answer to the Node: a closed list of codes, each with its one text.
//!
//! Source: pagoPA, "Gestione degli errori", tables "Nodo > Ente Creditore" and "faultCode e faultString".

use super::wire::Digits11;

/// A code of the `PAA_` family. `PAA_ATTIVA_RPT_IMPORTO_NON_VALIDO` is missing on purpose: it belongs to the retired
/// `paaAttivaRPT` and no operation of paForNode may answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultCode {
    /// The request breaks the schema.
    SintassiExtraXsd,
    /// The base64 content of a demand breaks the service's own schema.
    SintassiXsd,
    /// `idPA` is not one of our creditors.
    IdDominioErrato,
    /// `idBrokerPA` is not us.
    IdIntermediarioErrato,
    /// `idStation` is not one of our stations.
    StazioneIntErrata,
    /// Nothing payable stands behind the notice number.
    PagamentoSconosciuto,
    /// Already paid.
    PagamentoDuplicato,
    /// A payment is in progress at the creditor's (never so here: the Node holds the lock).
    PagamentoInCorso,
    /// No longer payable because expired.
    PagamentoScaduto,
    /// Cancelled by the creditor.
    PagamentoAnnullato,
    /// This receipt was already acquired.
    ReceiptDuplicata,
    /// A semantic error without its own code.
    Semantica,
    /// Our failure. Never an answer to a receipt: a KO is final, a SOAP Fault is redelivered.
    SystemError,
}

impl FaultCode {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::SintassiExtraXsd,
        Self::SintassiXsd,
        Self::IdDominioErrato,
        Self::IdIntermediarioErrato,
        Self::StazioneIntErrata,
        Self::PagamentoSconosciuto,
        Self::PagamentoDuplicato,
        Self::PagamentoInCorso,
        Self::PagamentoScaduto,
        Self::PagamentoAnnullato,
        Self::ReceiptDuplicata,
        Self::Semantica,
        Self::SystemError,
    ];

    /// The code and its text, which pagoPA wants one to one.
    const fn pair(self) -> (&'static str, &'static str) {
        match self {
            Self::SintassiExtraXsd => ("PAA_SINTASSI_EXTRAXSD", "Errore di sintassi extra XSD"),
            Self::SintassiXsd => ("PAA_SINTASSI_XSD", "Errore di sintassi XSD"),
            Self::IdDominioErrato => ("PAA_ID_DOMINIO_ERRATO", "La PAA non corrisponde al Dominio indicato"),
            Self::IdIntermediarioErrato => {
                ("PAA_ID_INTERMEDIARIO_ERRATO", "Identificativo intermediario non corrispondente")
            }
            Self::StazioneIntErrata => ("PAA_STAZIONE_INT_ERRATA", "Stazione intermediario non corrispondente"),
            Self::PagamentoSconosciuto => {
                ("PAA_PAGAMENTO_SCONOSCIUTO", "Pagamento in attesa risulta sconosciuto all’Ente Creditore")
            }
            Self::PagamentoDuplicato => {
                ("PAA_PAGAMENTO_DUPLICATO", "Pagamento in attesa risulta concluso all’Ente Creditore")
            }
            Self::PagamentoInCorso => {
                ("PAA_PAGAMENTO_IN_CORSO", "Pagamento in attesa risulta in corso all’Ente Creditore")
            }
            Self::PagamentoScaduto => {
                ("PAA_PAGAMENTO_SCADUTO", "Pagamento in attesa risulta scaduto all’Ente Creditore")
            }
            Self::PagamentoAnnullato => {
                ("PAA_PAGAMENTO_ANNULLATO", "Pagamento in attesa risulta annullato all’Ente Creditore")
            }
            Self::ReceiptDuplicata => ("PAA_RECEIPT_DUPLICATA", "Receipt gia acquisita"),
            Self::Semantica => ("PAA_SEMANTICA", "Errore semantico"),
            Self::SystemError => ("PAA_SYSTEM_ERROR", "Errore generico"),
        }
    }

    /// `faultCode`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.pair().0
    }

    /// `faultString`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.pair().1
    }
}

/// A KO answer's `fault` (`ctFaultBean`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub code: FaultCode,
    /// Who says so: the creditor's fiscal code, or the partner's where no creditor is known.
    pub id: Digits11,
    /// For the operator who reads it; no personal data. Cut at 256 characters.
    pub description: Option<String>,
}

impl Fault {
    /// A fault without description.
    #[must_use]
    pub const fn new(code: FaultCode, id: Digits11) -> Self {
        Self { code, id, description: None }
    }

    /// The same fault with a description.
    #[must_use]
    pub fn describe(self, description: impl Into<String>) -> Self {
        Self { description: Some(description.into()), ..self }
    }
}
