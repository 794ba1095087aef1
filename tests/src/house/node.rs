//! What the Node sends, written by hand: neither the server's codec nor the sandbox's writer has a part in it.

use super::{TOWN, unique};

/// The broker of the demo and of the examples.
pub const BROKER: &str = "99900020019";

/// Its station.
pub const STATION: &str = "99900020019_01";

/// To whom a call speaks.
#[derive(Clone, Debug)]
pub struct Addressee {
    /// `idPA`.
    pub id_pa: String,
    /// `idBrokerPA`.
    pub broker: String,
    /// `idStation`.
    pub station: String,
}

impl Addressee {
    /// A creditor, through the demo's broker and station.
    pub fn new(id_pa: &str) -> Self {
        Self { id_pa: id_pa.to_owned(), broker: BROKER.to_owned(), station: STATION.to_owned() }
    }

    fn xml(&self) -> String {
        let Self { id_pa, broker, station } = self;
        format!("<idPA>{id_pa}</idPA><idBrokerPA>{broker}</idBrokerPA><idStation>{station}</idStation>")
    }
}

fn envelope(wrapper: &str, inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
        <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
        xmlns:pafn=\"http://pagopa-api.pagopa.gov.it/pa/paForNode.xsd\"><soapenv:Header/><soapenv:Body>\
        <pafn:{wrapper}>{inside}</pafn:{wrapper}></soapenv:Body></soapenv:Envelope>"
    )
}

fn qr_code(creditor: &str, notice: &str) -> String {
    format!("<qrCode><fiscalCode>{creditor}</fiscalCode><noticeNumber>{notice}</noticeNumber></qrCode>")
}

/// `paVerifyPaymentNotice`.
pub fn verify(to: &Addressee, creditor: &str, notice: &str) -> String {
    envelope("paVerifyPaymentNoticeReq", &(to.xml() + &qr_code(creditor, notice)))
}

/// `paGetPaymentV2`.
pub fn activate(to: &Addressee, creditor: &str, notice: &str, transfer_type: Option<&str>) -> String {
    let wanted = transfer_type.map(|text| format!("<transferType>{text}</transferType>")).unwrap_or_default();
    envelope("paGetPaymentV2Request", &(to.xml() + &qr_code(creditor, notice) + &wanted))
}

/// `paGetPayment`.
pub fn activate_v1(to: &Addressee, creditor: &str, notice: &str, transfer_type: Option<&str>) -> String {
    let wanted = transfer_type.map(|text| format!("<transferType>{text}</transferType>")).unwrap_or_default();
    envelope("paGetPaymentReq", &(to.xml() + &qr_code(creditor, notice) + &wanted))
}

/// `paDemandPaymentNotice` with this XML for the service.
pub fn demand(to: &Addressee, (service, subject): (&str, &str), data: &str) -> String {
    let data = data_encoding::BASE64.encode(data.as_bytes());
    let inside = format!(
        "<idServizio>{service}</idServizio><idSoggettoServizio>{subject}</idSoggettoServizio>\
        <datiSpecificiServizioRequest>{data}</datiSpecificiServizioRequest>"
    );
    envelope("paDemandPaymentNoticeRequest", &(to.xml() + &inside))
}

/// Cents as the wire writes them.
pub fn euro(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// A receipt, addressed and ready to be sent.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// To whom it is delivered.
    pub to: Addressee,
    /// `receiptId`.
    pub id: String,
    /// `fiscalCode`: who issued the notice.
    pub issuer: String,
    /// 18 digits.
    pub notice: String,
    /// `outcome`.
    pub outcome: &'static str,
    /// Who gets how many cents.
    pub transfers: Vec<(String, i64)>,
    /// As `paSendRT` instead of `paSendRTV2`.
    pub v1: bool,
    /// `paymentAmount` in cents, where it is not the sum of the transfers.
    pub total: Option<i64>,
    /// `creditorReferenceId`, where it is not the one inside the notice's number.
    pub reference: Option<String>,
    /// What follows `channelDescription`.
    pub tail: String,
}

impl Receipt {
    /// The first creditor's receipt for one of its notices, under an id of its own.
    pub fn new(notice: &str, cents: i64) -> Self {
        Self {
            to: Addressee::new(TOWN),
            id: unique(),
            issuer: TOWN.to_owned(),
            notice: notice.to_owned(),
            outcome: "OK",
            transfers: vec![(TOWN.to_owned(), cents)],
            v1: false,
            total: None,
            reference: None,
            tail: String::new(),
        }
    }

    /// The copy that another creditor gets.
    pub fn copy_for(&self, creditor: &str) -> Self {
        Self { to: Addressee::new(creditor), ..self.clone() }
    }

    /// Its SOAPAction.
    pub fn action(&self) -> &'static str {
        if self.v1 { "paSendRT" } else { "paSendRTV2" }
    }

    /// The message.
    pub fn xml(&self) -> String {
        let Self { id, issuer, notice, outcome, transfers, tail, .. } = self;
        let total = self.total.unwrap_or_else(|| transfers.iter().map(|(_, cents)| cents).sum());
        let reference = self.reference.as_deref().unwrap_or(&notice[1..]);
        let transfer = |(number, (payee, cents)): (usize, &(String, i64))| {
            format!(
                "<transfer><idTransfer>{}</idTransfer><transferAmount>{}</transferAmount>\
                <fiscalCodePA>{payee}</fiscalCodePA><IBAN>IT89A9999901001000000112233</IBAN>\
                <remittanceInformation>Ricarica</remittanceInformation>\
                <transferCategory>9/0107101TS/</transferCategory></transfer>",
                number + 1,
                euro(*cents)
            )
        };
        let list: String = transfers.iter().enumerate().map(transfer).collect();
        let receipt = format!(
            "<receipt><receiptId>{id}</receiptId><noticeNumber>{notice}</noticeNumber>\
            <fiscalCode>{issuer}</fiscalCode><outcome>{outcome}</outcome>\
            <creditorReferenceId>{reference}</creditorReferenceId><paymentAmount>{}</paymentAmount>\
            <description>Ricarica</description><companyName>Comune di Valdorso</companyName>\
            <debtor><uniqueIdentifier><entityUniqueIdentifierType>F</entityUniqueIdentifierType>\
            <entityUniqueIdentifierValue>VRDGLI85M52F205X</entityUniqueIdentifierValue></uniqueIdentifier>\
            <fullName>Giulia Verdi</fullName></debtor><transferList>{list}</transferList>\
            <idPSP>ABI99998</idPSP><PSPCompanyName>Banca di Prova</PSPCompanyName>\
            <idChannel>99900038888_02</idChannel><channelDescription>app</channelDescription>{tail}</receipt>",
            euro(total)
        );
        let wrapper = if self.v1 { "paSendRTReq" } else { "paSendRTV2Request" };
        envelope(wrapper, &(self.to.xml() + &receipt))
    }
}
