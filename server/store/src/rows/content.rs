//! What the office tells everybody, and what parents write to it.

use std::fmt;

use borsellino_domain::content::ContentKind;
use borsellino_domain::id::{ChildId, GuardianId};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::message::MessageState;
use borsellino_domain::time::Millis;
use sqlx::FromRow;
use uuid::Uuid;

/// An entry to be kept, without its words and its file.
#[derive(Clone, Debug)]
pub struct NewContent {
    /// Its maker's id.
    pub id: String,
    /// What it is.
    pub kind: ContentKind,
    /// ISO date.
    pub day: Option<String>,
    /// ISO date.
    pub until: Option<String>,
    /// `17:30`
    pub hour: Option<String>,
    /// The year it begins in.
    pub school_year: Option<i64>,
    /// Where it stands among others of its kind.
    pub place: i64,
    /// Of all that it says.
    pub digest: Hash,
    /// When it was put out, or last changed.
    pub changed_at: Millis,
}

/// What an entry says in a language.
#[derive(Clone, Debug)]
pub struct NewContentText {
    /// Whose.
    pub content: String,
    /// In which.
    pub language: Language,
    /// The line above.
    pub title: String,
    /// What it says.
    pub body: String,
    /// Its place or group.
    pub extra: String,
}

/// A document of an entry.
#[derive(Clone, Debug, FromRow)]
pub struct ContentFileRow {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub media_type: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// An entry in one language.
#[derive(Clone, Debug, FromRow)]
pub struct ContentRow {
    /// Its maker's id.
    pub id: String,
    /// What it is.
    #[sqlx(try_from = "String")]
    pub kind: ContentKind,
    /// ISO date.
    pub day: Option<String>,
    /// ISO date.
    pub until_day: Option<String>,
    /// `17:30`
    pub hour: Option<String>,
    /// The year it begins in.
    pub school_year: Option<i64>,
    /// Where it stands among others of its kind.
    pub place: i64,
    /// When it was put out, or last changed.
    #[sqlx(try_from = "i64")]
    pub changed_at_ms: Millis,
    /// In which language it stands here: the one that was asked for, or Italian.
    pub language: String,
    /// The line above.
    pub title: String,
    /// What it says.
    pub body: String,
    /// Its place or group.
    pub extra: String,
    /// What its file is called.
    pub name: Option<String>,
    /// What its file is.
    pub media_type: Option<String>,
    /// How large its file is, in bytes.
    pub size: Option<i64>,
}

/// A message to be kept.
#[derive(Clone)]
pub struct NewMessage {
    /// Made with the form.
    pub id: Uuid,
    /// Whose.
    pub guardian: GuardianId,
    /// About whom.
    pub child: Option<ChildId>,
    /// Keyed, of what it says.
    pub digest: Hash,
    /// Of the key below.
    pub key_id: String,
    /// What it says.
    pub sealed: Vec<u8>,
    /// When.
    pub sent_at: Millis,
}

/// A message.
#[derive(Clone, FromRow)]
pub struct MessageRow {
    /// Which.
    pub id: Uuid,
    /// Whose.
    #[sqlx(try_from = "Uuid")]
    pub guardian: GuardianId,
    /// Their name.
    pub full_name: String,
    /// About whom: first and family name.
    pub given_name: Option<String>,
    /// See `given_name`.
    pub family_name: Option<String>,
    /// How far it has come.
    #[sqlx(try_from = "String")]
    pub state: MessageState,
    /// Keyed, of what it says.
    #[sqlx(try_from = "Vec<u8>")]
    pub digest: Hash,
    /// What it says.
    pub sealed: Vec<u8>,
    /// When it was sent.
    #[sqlx(try_from = "i64")]
    pub sent_at_ms: Millis,
    /// When it was last answered.
    pub answered_at_ms: Option<i64>,
    /// When the guardian last saw the answers.
    pub seen_at_ms: Option<i64>,
}

/// What it holds is personal.
impl fmt::Debug for MessageRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageRow({}, {}, {:?})", self.id, self.state.code(), self.answered_at_ms)
    }
}

/// An answer.
#[derive(Clone, FromRow)]
pub struct AnswerRow {
    /// To which message.
    pub message: Uuid,
    /// Which.
    pub id: Uuid,
    /// What it says.
    pub sealed: Vec<u8>,
    /// When.
    #[sqlx(try_from = "i64")]
    pub at_ms: Millis,
}

/// What it holds is personal.
impl fmt::Debug for AnswerRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnswerRow({}, {}, {} bytes)", self.message, self.id, self.sealed.len())
    }
}

/// An answer to be kept.
#[derive(Clone)]
pub struct NewAnswer {
    /// To which message.
    pub message: Uuid,
    /// The office's act.
    pub id: Uuid,
    /// Of the key below.
    pub key_id: String,
    /// What it says.
    pub sealed: Vec<u8>,
    /// When.
    pub at: Millis,
}

/// A child of a guardian, or a service: what it is called.
#[derive(Clone, Debug, FromRow)]
pub struct NamedRow {
    /// Which.
    pub id: Uuid,
    /// First name, or the service's name.
    pub name: String,
}
