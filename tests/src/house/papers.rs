//! A phone that asks for documents, and what an independent reader finds in them.

use std::process::Command;

use borsellino_proto::v1;
use tonic::Status;

use super::Phone;

impl Phone {
    fn papers(&self) -> v1::documents_client::DocumentsClient<tonic::transport::Channel> {
        v1::documents_client::DocumentsClient::new(self.channel.clone())
    }

    /// `Documents.GetNotice`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn notice_pdf(&self, number: &str) -> Result<v1::Document, Status> {
        let message = v1::GetNoticeRequest { notice_number: number.to_owned() };
        let answer = self.papers().get_notice(self.request(message)).await?.into_inner();
        answer.document.ok_or_else(|| Status::data_loss("no document"))
    }

    /// `Documents.GetReceipts`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn receipts_of(
        &self,
        payment: v1::get_receipts_request::Payment,
        format: v1::ReceiptFormat,
    ) -> Result<Vec<v1::Document>, Status> {
        let message = v1::GetReceiptsRequest { payment: Some(payment), format: format.into() };
        Ok(self.papers().get_receipts(self.request(message)).await?.into_inner().documents)
    }

    /// `Documents.GetCertificate`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn certificate(&self, child: &str, year: i32) -> Result<v1::Document, Status> {
        let message = v1::GetCertificateRequest { child_id: child.to_owned(), year };
        let answer = self.papers().get_certificate(self.request(message)).await?.into_inner();
        answer.document.ok_or_else(|| Status::data_loss("no document"))
    }

    /// `Documents.GetStatement`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn statement(&self, wallet: &str, from: &str, to: &str) -> Result<v1::Document, Status> {
        let (wallet_id, from_day, to_day) = (wallet.to_owned(), from.to_owned(), to.to_owned());
        let message = v1::GetStatementRequest { wallet_id, from_day, to_day };
        let answer = self.papers().get_statement(self.request(message)).await?.into_inner();
        answer.document.ok_or_else(|| Status::data_loss("no document"))
    }

    /// `Documents.CreateLink`: the address, and until when.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn document_link(&self, document: v1::create_link_request::Document) -> Result<(String, i64), Status> {
        let message = v1::CreateLinkRequest { document: Some(document) };
        let answer = self.papers().create_link(self.request(message)).await?.into_inner();
        Ok((answer.url, answer.expires_at_ms))
    }

    /// `Documents.SendNotice`: whether it goes as a link to pay.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn send_notice(&self, number: &str, address: &str) -> Result<bool, Status> {
        let message = v1::SendNoticeRequest { notice_number: number.to_owned(), address: address.to_owned() };
        Ok(self.papers().send_notice(self.request(message)).await?.into_inner().as_link)
    }
}

/// The text of a PDF, as poppler reads it: one line per line of the page, blanks as they are set.
///
/// # Panics
/// Where it is none, or the reader is not installed.
pub fn pdf_text(pdf: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.pdf");
    std::fs::write(&path, pdf).expect("a file");
    let read = Command::new("pdftotext").args(["-enc", "UTF-8", "-layout"]).arg(&path).arg("-").output();
    let read = read.expect("pdftotext (poppler-utils)");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    String::from_utf8(read.stdout).expect("text")
}
