//! The [`Renderer`]: facts and templates in, bytes of a PDF out.

use std::sync::Arc;

use data_encoding::BASE64;
use serde_json::Value;
use thiserror::Error;
use typst::foundations::Bytes;
use typst::syntax::{FileId, Source};

use crate::facts::Facts;
use crate::ink::Ink;
use crate::model::{Certificate, Notice, Receipt, ShortReceipt, Statement};
use crate::world::{Failure, Sheet, file_id};
use crate::{certificate, notice, receipt, sample, short_receipt, statement};

/// The templates in the program.
const BUILT_IN: [(&str, &str); 7] = [
    ("notice.typ", include_str!("../templates/notice.typ")),
    ("receipt.typ", include_str!("../templates/receipt.typ")),
    ("short-receipt.typ", include_str!("../templates/short-receipt.typ")),
    ("certificate.typ", include_str!("../templates/certificate.typ")),
    ("statement.typ", include_str!("../templates/statement.typ")),
    ("common.typ", include_str!("../templates/common.typ")),
    ("words.typ", include_str!("../templates/words.typ")),
];

/// What stands before a proof among a document's keywords.
pub(crate) const PROOF: &str = "borsellino-proof:";

/// Templates of one's own: file name and text. Each replaces the built-in one of its name.
#[derive(Clone, Debug, Default)]
pub struct Templates(pub Vec<(String, String)>);

/// Why templates of one's own can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// No document has a template of this name.
    #[error(
        "{0} is no template: there are notice.typ, receipt.typ, short-receipt.typ, certificate.typ, statement.typ, \
         common.typ, words.typ"
    )]
    Unknown(String),
    /// It does not make a document of the sample facts. File and line, and typst's words.
    #[error("{0}")]
    Wrong(String),
}

/// Why a document was not made. Nothing is half made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RenderError {
    /// A fact can't be printed.
    #[error("{field}: {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The template fails on these facts. File and line, and typst's words.
    #[error("{0}")]
    Template(String),
}

/// Writes documents. Cheap to clone, and any number of threads may share one: what it needs is loaded with the first
/// document.
#[derive(Clone)]
pub struct Renderer {
    sources: Arc<Sources>,
}

struct Sources {
    sources: Vec<Source>,
    data: FileId,
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Renderer")
    }
}

impl Renderer {
    /// A renderer with these templates in place of the built-in ones of their names. Each document is tried once on sample
    /// facts where there are any.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn new(own: &Templates) -> Result<Self, TemplateError> {
        let Templates(own) = own;
        if let Some((name, _)) = own.iter().find(|(name, _)| BUILT_IN.iter().all(|(known, _)| known != name)) {
            return Err(TemplateError::Unknown(name.clone()));
        }
        let text = |name: &str, built_in: &'static str| {
            own.iter().rev().find(|(own, _)| own == name).map_or_else(|| built_in.to_owned(), |(_, text)| text.clone())
        };
        let sources =
            BUILT_IN.iter().filter_map(|(name, built_in)| Some(Source::new(file_id(name)?, text(name, built_in))));
        let sources = sources.collect();
        let data = file_id("data.json").ok_or_else(|| TemplateError::Unknown("data.json".to_owned()))?;
        let renderer = Self { sources: Arc::new(Sources { sources, data }) };
        if !own.is_empty() {
            renderer.try_samples().map_err(|error| TemplateError::Wrong(error.to_string()))?;
        }
        Ok(renderer)
    }

    fn try_samples(&self) -> Result<(), RenderError> {
        for notice in sample::notices() {
            self.notice(&notice)?;
        }
        for receipt in sample::receipts() {
            self.receipt(&receipt)?;
        }
        self.short_receipt(&sample::short_receipt())?;
        self.short_receipt(&sample::counter_receipt())?;
        self.certificate(&sample::certificate())?;
        for statement in sample::statements() {
            self.statement(&statement)?;
        }
        Ok(())
    }

    /// A payment notice.
    ///
    /// # Errors
    /// [`RenderError`].
    pub fn notice(&self, notice: &Notice) -> Result<Vec<u8>, RenderError> {
        self.notices(std::slice::from_ref(notice))
    }

    /// What typst is given for a notice: every file by its name, the template `notice.typ` and the facts `data.json` among them.
    /// typst's own command line makes the same pages of them, with the fonts in `fonts/`: for whoever changes a template.
    ///
    /// # Errors
    /// [`RenderError`].
    pub fn files_of_notice(&self, notice: &Notice) -> Result<Vec<(String, Vec<u8>)>, RenderError> {
        let mut facts = Facts::new(Ink::Any);
        let value = notice::data(&mut facts, std::slice::from_ref(notice))?;
        let name = |id: FileId| id.vpath().get_without_slash().to_owned();
        let pictures = facts.into_files().into_iter().map(|(id, bytes)| (name(id), bytes.to_vec()));
        let templates =
            self.sources.sources.iter().map(|source| (name(source.id()), source.text().as_bytes().to_vec()));
        let data = (name(self.sources.data), value.to_string().into_bytes());
        Ok(templates.chain(pictures).chain([data]).collect())
    }

    /// Many notices in one file, each on a page of its own: a volume to print.
    ///
    /// # Errors
    /// [`RenderError`]; without any notice too.
    pub fn notices(&self, notices: &[Notice]) -> Result<Vec<u8>, RenderError> {
        self.print("notice.typ", |facts| notice::data(facts, notices))
    }

    /// A receipt. It carries its proof in its metadata ([`proof_in`]).
    ///
    /// # Errors
    /// [`RenderError`].
    pub fn receipt(&self, receipt: &Receipt) -> Result<Vec<u8>, RenderError> {
        self.print("receipt.typ", |facts| receipt::data(facts, receipt))
    }

    /// A receipt that names nobody.
    ///
    /// # Errors
    /// [`RenderError`]; without any payment too.
    pub fn short_receipt(&self, receipt: &ShortReceipt) -> Result<Vec<u8>, RenderError> {
        self.print("short-receipt.typ", |facts| short_receipt::data(facts, receipt))
    }

    /// A fiscal certificate.
    ///
    /// # Errors
    /// [`RenderError`].
    pub fn certificate(&self, certificate: &Certificate) -> Result<Vec<u8>, RenderError> {
        self.print("certificate.typ", |facts| certificate::data(facts, certificate))
    }

    /// An account statement.
    ///
    /// # Errors
    /// [`RenderError`].
    pub fn statement(&self, statement: &Statement) -> Result<Vec<u8>, RenderError> {
        self.print("statement.typ", |facts| statement::data(facts, statement))
    }

    /// Prints with all the fonts, and where these fail all the same, in western letters: a name blocks no document.
    fn print(
        &self,
        template: &str,
        data: impl Fn(&mut Facts) -> Result<Value, RenderError>,
    ) -> Result<Vec<u8>, RenderError> {
        match self.print_with(template, Ink::Any, &data)? {
            Ok(pdf) => Ok(pdf),
            Err(Failure::Template(why)) => Err(RenderError::Template(why)),
            Err(Failure::Export(_)) => match self.print_with(template, Ink::Western, &data)? {
                Ok(pdf) => Ok(pdf),
                Err(Failure::Template(why) | Failure::Export(why)) => Err(RenderError::Template(why)),
            },
        }
    }

    fn print_with(
        &self,
        template: &str,
        ink: Ink,
        data: impl Fn(&mut Facts) -> Result<Value, RenderError>,
    ) -> Result<Result<Vec<u8>, Failure>, RenderError> {
        let mut facts = Facts::new(ink);
        let value = data(&mut facts)?;
        let Sources { sources, data } = &*self.sources;
        let mut files = facts.into_files();
        files.push((*data, Bytes::from_string(value.to_string())));
        let main = file_id(template).ok_or_else(|| RenderError::Template(template.to_owned()))?;
        Ok(Sheet { main, sources, files }.print())
    }
}

/// The proof file that a receipt carries: `None` where there is none in these bytes.
///
/// It stands in the XMP metadata, which PDF/A keeps as plain text, as the keyword `borsellino-proof:` and base64.
pub fn proof_in(pdf: &[u8]) -> Option<Vec<u8>> {
    let tag = b"<pdf:Keywords>";
    let from = pdf.windows(tag.len()).position(|window| window == tag)?.checked_add(tag.len())?;
    let keywords = pdf.get(from..)?;
    let end = keywords.iter().position(|byte| *byte == b'<')?;
    let keywords = std::str::from_utf8(keywords.get(..end)?).ok()?;
    let proof = keywords.split(", ").find_map(|keyword| keyword.strip_prefix(PROOF))?;
    BASE64.decode(proof.as_bytes()).ok()
}
