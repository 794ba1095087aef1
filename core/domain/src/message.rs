//! What a guardian writes to the office: the kinds, which fields each has, and how far a message has come.

use jiff::civil::Date;

use crate::content::{plain, printable};
use crate::id::{ChildId, ServiceId};
use crate::ledger::coded;

/// The longest text, in characters.
pub const LONGEST_TEXT: usize = 4_000;

/// The longest phone number, e-mail address or address, in characters.
pub const LONGEST_CONTACT: usize = 200;

/// How many messages a guardian may send in a day.
pub const MOST_IN_A_DAY: i64 = 10;

/// How far ahead a day may lie.
const LONGEST_AHEAD: i64 = 400;

coded! {
    /// What a message is about.
    MessageKind, "kind of message" {
        /// Anything.
        General = "general",
        /// Another phone number, e-mail address or address; the office checks.
        ContactChange = "contact_change",
        /// No meals for some days.
        CanteenSuspension = "canteen_suspension",
        /// No rides for some days.
        TransportSuspension = "transport_suspension",
        /// Plain food for some days.
        WhiteDiet = "white_diet",
        /// What they think of a service.
        Rating = "rating",
        /// A question.
        Information = "information",
    }
}

coded! {
    /// How far a message has come.
    MessageState, "state of a message" {
        /// Nobody has opened it.
        Sent = "sent",
        /// The office opened it.
        Read = "read",
        /// The office is at it.
        InProgress = "in_progress",
        /// The office answered.
        Answered = "answered",
        /// Nothing more comes.
        Closed = "closed",
    }
}

impl MessageState {
    /// Whether it waits for the office.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Sent | Self::Read | Self::InProgress)
    }
}

impl MessageKind {
    /// Every kind, in the order in which they are offered.
    pub const ALL: [Self; 7] = [
        Self::General,
        Self::ContactChange,
        Self::CanteenSuspension,
        Self::TransportSuspension,
        Self::WhiteDiet,
        Self::Rating,
        Self::Information,
    ];

    /// How a field stands in this kind.
    pub const fn has(self, field: Field) -> Has {
        match (self, field) {
            (
                Self::CanteenSuspension | Self::TransportSuspension | Self::WhiteDiet,
                Field::Child | Field::From | Field::Until,
            )
            | (Self::Rating, Field::Service | Field::Stars)
            | (Self::General | Self::Information, Field::Text) => Has::Required,
            (Self::General | Self::Information, Field::Child)
            | (Self::ContactChange, Field::Phone | Field::Email | Field::Address)
            | (_, Field::Text) => Has::Optional,
            _ => Has::No,
        }
    }
}

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Whom it is about.
    Child,
    /// Which service.
    Service,
    /// The first day.
    From,
    /// The last day.
    Until,
    /// One to five.
    Stars,
    /// A phone number.
    Phone,
    /// An e-mail address.
    Email,
    /// Where they live.
    Address,
    /// In their own words.
    Text,
}

/// How a field stands in a kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Has {
    /// It does not.
    No,
    /// It may be left empty.
    Optional,
    /// It may not.
    Required,
}

/// Why a field can't be as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nothing stands there.
    Missing,
    /// Too many characters.
    TooLong(usize),
    /// Something that no page can show.
    Unprintable,
    /// No day.
    Day,
    /// It is over.
    Past,
    /// Too far ahead.
    TooFar,
    /// The last day lies before the first.
    Backwards,
    /// Not one to five.
    Stars,
}

/// A message as somebody filled it in.
#[derive(Clone, Default)]
pub struct DraftMessage {
    /// Whom it is about.
    pub child: Option<ChildId>,
    /// Which service.
    pub service: Option<ServiceId>,
    /// ISO date.
    pub from: String,
    /// ISO date.
    pub until: String,
    /// A digit.
    pub stars: String,
    /// A phone number.
    pub phone: String,
    /// An e-mail address.
    pub email: String,
    /// Where they live.
    pub address: String,
    /// In their own words.
    pub text: String,
}

/// A message that can be sent. It has no `Debug`: what it says belongs in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is about.
    pub kind: MessageKind,
    /// Whom it is about.
    pub child: Option<ChildId>,
    /// Which service.
    pub service: Option<ServiceId>,
    /// The first day.
    pub from: Option<Date>,
    /// The last day.
    pub until: Option<Date>,
    /// One to five.
    pub stars: Option<u8>,
    /// A phone number; may be empty, as each of the following.
    pub phone: String,
    /// An e-mail address.
    pub email: String,
    /// Where they live.
    pub address: String,
    /// In their own words.
    pub text: String,
}

impl Message {
    /// Reads what somebody filled in. What the kind has no field for is left out.
    ///
    /// # Errors
    /// Every field that is to be put right.
    pub fn parse(kind: MessageKind, draft: &DraftMessage, today: Date) -> Result<Self, Vec<(Field, Why)>> {
        let mut wrong: Vec<(Field, Why)> = Vec::new();
        let child = draft.child.filter(|_| kind.has(Field::Child) != Has::No);
        let service = draft.service.filter(|_| kind.has(Field::Service) != Has::No);
        for (field, there) in [(Field::Child, child.is_some()), (Field::Service, service.is_some())] {
            if kind.has(field) == Has::Required && !there {
                wrong.push((field, Why::Missing));
            }
        }
        let mut read = |field: Field, text: &str, most: usize| {
            let text = if kind.has(field) == Has::No { String::new() } else { plain(text) };
            let why = if text.is_empty() && kind.has(field) == Has::Required {
                Why::Missing
            } else if text.chars().count() > most {
                Why::TooLong(most)
            } else if !printable(&text) || (field != Field::Text && text.contains('\n')) {
                Why::Unprintable
            } else {
                return text;
            };
            wrong.push((field, why));
            String::new()
        };
        let from = read(Field::From, &draft.from, LONGEST_CONTACT);
        let until = read(Field::Until, &draft.until, LONGEST_CONTACT);
        let stars = read(Field::Stars, &draft.stars, LONGEST_CONTACT);
        let phone = read(Field::Phone, &draft.phone, LONGEST_CONTACT);
        let email = read(Field::Email, &draft.email, LONGEST_CONTACT);
        let address = read(Field::Address, &draft.address, LONGEST_CONTACT);
        let text = read(Field::Text, &draft.text, LONGEST_TEXT);
        if kind == MessageKind::ContactChange
            && wrong.is_empty()
            && [&phone, &email, &address].iter().all(|text| text.is_empty())
        {
            wrong.push((Field::Phone, Why::Missing));
        }
        let mut day = |field: Field, text: &str| {
            let read = Some(text).filter(|text| !text.is_empty())?.parse::<Date>();
            let ahead = |day: Date| day.since(today).map_or(i64::MAX, |span| i64::from(span.get_days()));
            let why = match read {
                Ok(day) if day < today => Why::Past,
                Ok(day) if ahead(day) > LONGEST_AHEAD => Why::TooFar,
                Ok(day) => return Some(day),
                Err(_) => Why::Day,
            };
            wrong.push((field, why));
            None
        };
        let (from, until) = (day(Field::From, &from), day(Field::Until, &until));
        if from.zip(until).is_some_and(|(from, until)| until < from) {
            wrong.push((Field::Until, Why::Backwards));
        }
        let stars = match stars.as_str() {
            "" => None,
            text => match text.parse::<u8>() {
                Ok(stars @ 1..=5) => Some(stars),
                _ => {
                    wrong.push((Field::Stars, Why::Stars));
                    None
                }
            },
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self { kind, child, service, from, until, stars, phone, email, address, text })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use uuid::Uuid;

    use super::*;

    fn wrong(kind: MessageKind, draft: &DraftMessage) -> Vec<(Field, Why)> {
        Message::parse(kind, draft, date(2026, 11, 20)).err().unwrap_or_default()
    }

    fn child() -> Option<ChildId> {
        Some(Uuid::from_u128(7).into())
    }

    #[test]
    fn each_kind_has_its_fields() {
        let nothing = DraftMessage::default();
        assert_eq!(wrong(MessageKind::General, &nothing), [(Field::Text, Why::Missing)]);
        assert_eq!(wrong(MessageKind::ContactChange, &nothing), [(Field::Phone, Why::Missing)]);
        let three = [Field::Child, Field::From, Field::Until].map(|field| (field, Why::Missing));
        for kind in [MessageKind::CanteenSuspension, MessageKind::TransportSuspension, MessageKind::WhiteDiet] {
            assert_eq!(wrong(kind, &nothing), three);
        }
        assert_eq!(
            wrong(MessageKind::Rating, &nothing),
            [(Field::Service, Why::Missing), (Field::Stars, Why::Missing)]
        );
        // What does not belong to a kind is not kept.
        let draft = DraftMessage { text: "x".to_owned(), phone: "1".to_owned(), from: "no day".to_owned(), ..nothing };
        let read = Message::parse(MessageKind::Information, &draft, date(2026, 11, 20)).ok().unwrap();
        assert!(read.phone.is_empty() && read.from.is_none() && read.text == "x");
    }

    #[test]
    fn days_are_ahead_and_in_order() {
        let days = |from: &str, until: &str| {
            let draft = DraftMessage {
                child: child(),
                from: from.to_owned(),
                until: until.to_owned(),
                ..DraftMessage::default()
            };
            wrong(MessageKind::WhiteDiet, &draft)
        };
        assert_eq!(days("2026-11-20", "2026-11-20"), []);
        assert_eq!(days("2026-11-19", "2026-11-20"), [(Field::From, Why::Past)]);
        assert_eq!(days("2026-11-22", "2026-11-21"), [(Field::Until, Why::Backwards)]);
        assert_eq!(days("2026-11-22", "2028-11-21"), [(Field::Until, Why::TooFar)]);
        assert_eq!(days("x", "2026-02-30"), [(Field::From, Why::Day), (Field::Until, Why::Day)]);
    }

    #[test]
    fn lengths_and_stars_are_bounded() {
        let service = Some(Uuid::from_u128(8).into());
        for (stars, told) in [("1", false), ("5", false), ("0", true), ("6", true), ("-1", true), ("2,5", true)] {
            let draft = DraftMessage { service, stars: stars.to_owned(), ..DraftMessage::default() };
            assert_eq!(!wrong(MessageKind::Rating, &draft).is_empty(), told, "{stars}");
        }
        let long = DraftMessage { text: "è".repeat(LONGEST_TEXT + 1), ..DraftMessage::default() };
        assert_eq!(wrong(MessageKind::General, &long), [(Field::Text, Why::TooLong(LONGEST_TEXT))]);
        let loud = DraftMessage { text: "a\u{0}".to_owned(), ..DraftMessage::default() };
        assert_eq!(wrong(MessageKind::General, &loud), [(Field::Text, Why::Unprintable)]);
        let lines = DraftMessage { phone: "1\n2".to_owned(), ..DraftMessage::default() };
        assert_eq!(wrong(MessageKind::ContactChange, &lines), [(Field::Phone, Why::Unprintable)]);
    }
}
