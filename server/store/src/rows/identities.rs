//! Privacy notices, and who accepted them.

use std::fmt;

use borsellino_domain::account::SecretQuestion;
use borsellino_domain::time::Millis;
use sqlx::FromRow;
use uuid::Uuid;

/// A creditor's privacy notice.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct PrivacyNoticeRow {
    /// The id of the act that set it.
    pub id: Uuid,
    /// `None`: nothing is asked any more.
    pub version: Option<String>,
    /// Where it is read.
    pub link: Option<String>,
    /// Its text.
    pub body: Option<String>,
    /// When it was set.
    #[sqlx(try_from = "i64")]
    pub at_ms: Millis,
}

/// That somebody accepted a version.
#[derive(Clone, FromRow)]
pub struct PrivacyAcceptanceRow {
    /// Which.
    pub version: String,
    /// When.
    #[sqlx(try_from = "i64")]
    pub at_ms: Millis,
    /// Who.
    pub full_name: String,
    /// Their tax code.
    pub fiscal_code: String,
}

/// What it holds is personal.
impl fmt::Debug for PrivacyAcceptanceRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivacyAcceptanceRow({}, {})", self.version, self.at_ms.get())
    }
}

/// A secret question that was chosen.
#[derive(Clone, FromRow)]
pub struct SecretQuestionRow {
    /// Which.
    #[sqlx(try_from = "String")]
    pub question: SecretQuestion,
    /// argon2id in PHC form, of [`borsellino_domain::account::SecretAnswer`].
    pub answer_hash: String,
}

/// What it holds is a secret.
impl std::fmt::Debug for SecretQuestionRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretQuestionRow({:?})", self.question)
    }
}
