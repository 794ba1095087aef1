//! What the fake server prints: bytes that say what was asked for.

use borsellino_proto::reason::Reason;
use borsellino_proto::v1;
use borsellino_proto::v1::create_link_request::Document;
use borsellino_proto::v1::documents_server::Documents;
use borsellino_proto::v1::get_receipts_request::Payment;
use tonic::{Request, Response, Status};

use crate::fake::{AS_OF, Fake, refuse};

/// What the server knows of documents.
#[derive(Default)]
pub(crate) struct Print {
    /// How often anything was printed: no two documents are the same.
    pub(crate) printed: u32,
    /// How long each is, in bytes, at least.
    pub(crate) length: usize,
    /// Notices that can't be paid any more.
    pub(crate) settled: Vec<String>,
    /// What went out by e-mail: which notice, where to.
    pub(crate) sent: Vec<(String, String)>,
}

impl Fake {
    fn print(&self, name: &str, kind: &str) -> v1::Document {
        let print = &mut self.state().print;
        print.printed += 1;
        let mut content = format!("%PDF {name} in print {} for Giulia ", print.printed).into_bytes();
        content.resize(content.len().max(print.length), b'.');
        v1::Document { name: format!("{name}.{kind}"), media_type: format!("application/{kind}"), content }
    }
}

#[tonic::async_trait]
impl Documents for Fake {
    async fn get_notice(
        &self,
        request: Request<v1::GetNoticeRequest>,
    ) -> Result<Response<v1::GetNoticeResponse>, Status> {
        let odd = self.begin("get_notice");
        self.authorize(&request)?;
        let number = request.into_inner().notice_number;
        if self.state().print.settled.contains(&number) {
            return refuse(Reason::NoticeNotPayable);
        }
        let document = Some(self.print(&format!("avviso-{number}"), "pdf"));
        self.end(odd, v1::GetNoticeResponse { document }).await
    }

    async fn get_receipts(
        &self,
        request: Request<v1::GetReceiptsRequest>,
    ) -> Result<Response<v1::GetReceiptsResponse>, Status> {
        let odd = self.begin("get_receipts");
        self.authorize(&request)?;
        let kind = if request.get_ref().format() == v1::ReceiptFormat::Xml { "xml" } else { "pdf" };
        let documents = match request.into_inner().payment {
            Some(Payment::TopUpId(_)) => vec![self.print("ricevuta", kind)],
            // Paid in two parts.
            Some(Payment::BillId(_)) => vec![self.print("ricevuta-1", kind), self.print("ricevuta-2", kind)],
            None => return refuse(Reason::Malformed),
        };
        self.end(odd, v1::GetReceiptsResponse { documents }).await
    }

    async fn get_certificate(
        &self,
        request: Request<v1::GetCertificateRequest>,
    ) -> Result<Response<v1::GetCertificateResponse>, Status> {
        let odd = self.begin("get_certificate");
        self.authorize(&request)?;
        let document = Some(self.print(&format!("attestazione-{}", request.get_ref().year), "pdf"));
        self.end(odd, v1::GetCertificateResponse { document }).await
    }

    async fn get_statement(
        &self,
        request: Request<v1::GetStatementRequest>,
    ) -> Result<Response<v1::GetStatementResponse>, Status> {
        let odd = self.begin("get_statement");
        self.authorize(&request)?;
        let asked = request.into_inner();
        let document = Some(self.print(&format!("../../estratto {} {}", asked.from_day, asked.to_day), "pdf"));
        self.end(odd, v1::GetStatementResponse { document }).await
    }

    async fn create_link(
        &self,
        request: Request<v1::CreateLinkRequest>,
    ) -> Result<Response<v1::CreateLinkResponse>, Status> {
        let odd = self.begin("create_link");
        self.authorize(&request)?;
        let url = match request.into_inner().document {
            Some(Document::Notice(it)) => format!("https://mensa.example/d/{}", it.notice_number),
            // Nothing that a browser should be sent to.
            Some(Document::Certificate(_)) => "javascript:alert(1)".to_owned(),
            Some(Document::Receipt(_)) => "https://mensa.example/d/receipt".to_owned(),
            Some(Document::Statement(_)) => "https://mensa.example/d/statement".to_owned(),
            None => return refuse(Reason::Malformed),
        };
        self.end(odd, v1::CreateLinkResponse { url, expires_at_ms: AS_OF + 600_000 }).await
    }

    async fn send_notice(
        &self,
        request: Request<v1::SendNoticeRequest>,
    ) -> Result<Response<v1::SendNoticeResponse>, Status> {
        let odd = self.begin("send_notice");
        self.authorize(&request)?;
        let asked = request.into_inner();
        let as_link = !asked.address.is_empty();
        self.state().print.sent.push((asked.notice_number, asked.address));
        self.end(odd, v1::SendNoticeResponse { as_link }).await
    }
}
