//! What the office does by hand about notices and bills. Each act carries a reason and a name, and is kept for good.

use crate::ledger::coded;

coded! {
    /// An act of the office.
    OfficeAction, "act of the office" {
        /// A notice can no longer be paid.
        NoticeCancelled = "notice_cancelled",
        /// A notice was paid at the office's own counter, outside pagoPA.
        NoticeSettled = "notice_settled",
        /// A bill was issued.
        BillIssued = "bill_issued",
        /// What was left of a bill is no longer owed.
        BillWithdrawn = "bill_withdrawn",
        /// Every phone of a guardian was signed out and told to keep nothing.
        PhonesWiped = "phones_wiped",
        /// An adult was added who may register.
        GuardianAdded = "guardian_added",
        /// A guardian was given a code to register or to recover their password with.
        CodeIssued = "code_issued",
        /// A guardian's access was ended.
        AccessEnded = "access_ended",
        /// A guardian's access was given back.
        AccessRestored = "access_restored",
        /// A guardian's user name and password were taken away, so that they register anew.
        AccessReset = "access_reset",
        /// The address that a guardian's letters go to was changed.
        EmailChanged = "email_changed",
        /// Where a guardian lives, as printed on their notices, was changed.
        AddressChanged = "address_changed",
        /// What the kitchen is told of a child was changed.
        DietChanged = "diet_changed",
        /// Money was given back to whoever paid it; the subject is the receipt.
        Refunded = "refunded",
        /// What is printed on the creditor's documents was changed.
        LetterheadChanged = "letterhead_changed",
        /// News, an event, a document, a question or the help was put out; the subject is its id.
        ContentPublished = "content_published",
        /// One of them was taken away; the subject is its id.
        ContentRemoved = "content_removed",
        /// A guardian's message was answered, or moved on; the subject is its id.
        MessageAnswered = "message_answered",
        /// A guardian's secret question was taken away.
        QuestionForgotten = "question_forgotten",
        /// What the creditor asks of whoever forgot their password was changed; the subject is `secret_question on` or `off`.
        AccessRuleChanged = "access_rule_changed",
        /// The privacy notice that guardians accept was changed; the subject is its version.
        PrivacyChanged = "privacy_changed",
    }
}
