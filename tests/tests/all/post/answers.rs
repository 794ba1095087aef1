//! The office answers a message: a letter says that it did, and nothing of what.

use borsellino_domain::message::{DraftMessage, MessageKind, MessageState};
use borsellino_server::usecases::messages::{answer, list, send};
use borsellino_tests::house::{House, MARIA, new_id};
use borsellino_tests::smtp::Smtp;
use serde_json::json;
use uuid::Uuid;

use super::{HERS, OUTSIDE, act, identity, lives_at, outcomes, says, says_not, sender, settled, subject, until};

borsellino_tests::in_both_houses! {
    an_answer_is_announced_and_not_told;
    what_was_seen_is_no_news;
}

/// Maria asks something.
async fn asked(house: &House) -> Uuid {
    let who = identity(house, &house.phone(MARIA).await);
    let id: Uuid = new_id().parse().expect("an id");
    let draft = DraftMessage { text: "Quando riapre la mensa?".to_owned(), ..DraftMessage::default() };
    send(&house.app, who, id, (MessageKind::Information, draft)).await.expect("sent");
    // That she signed in to do so is another letter.
    house.execute("DELETE FROM letter").await;
    id
}

async fn replied(house: &House, id: Uuid, state: MessageState, text: Option<&str>) {
    let what = (id, state, text.map(str::to_owned));
    answer(&house.app.store, &house.app.keys, act(house), what).await.expect("answered");
}

async fn an_answer_is_announced_and_not_told(house: &House) {
    let smtp = Smtp::start().await;
    lives_at(house, MARIA, HERS).await;
    let id = asked(house).await;
    replied(house, id, MessageState::InProgress, None).await;
    replied(house, id, MessageState::Answered, Some("Lunedì prossimo")).await;
    let _sender = sender(house, &smtp);
    let letters = until(&smtp, 1).await;
    assert_eq!(subject(&letters[0]), "Il Comune ti ha risposto");
    assert_eq!(letters[0]["to"], json!([HERS]));
    says(&letters[0], &format!("{OUTSIDE}/comune/99900010010/messaggi"));
    for secret in ["Lunedì", "Quando", "mensa", "Giulia", "Bianchi", &id.to_string()] {
        says_not(&letters[0], secret);
    }
    settled(house).await;
    assert_eq!(house.number("SELECT COUNT(*) FROM letter").await, 1, "moving it on is no letter");
    assert_eq!(smtp.violations(), Vec::<String>::new());
}

async fn what_was_seen_is_no_news(house: &House) {
    let smtp = Smtp::start().await;
    lives_at(house, MARIA, HERS).await;
    let id = asked(house).await;
    replied(house, id, MessageState::Closed, Some("Lunedì prossimo")).await;
    let phone = house.phone(MARIA).await;
    house.execute("DELETE FROM letter WHERE kind <> 'answer'").await;
    house.advance(std::time::Duration::from_secs(1));
    let seen = list(&house.app, identity(house, &phone), None).await.unwrap_or_else(|_| panic!("a list"));
    assert_eq!(seen.len(), 1);
    let _sender = sender(house, &smtp);
    settled(house).await;
    assert_eq!((outcomes(house, "moot").await, outcomes(house, "sent").await), (1, 0));
    assert!(smtp.taken().is_empty());
}
