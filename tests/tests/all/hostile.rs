//! What is sent to the Node's port to hurt or to deceive is refused, and the server goes on.

use std::collections::{BTreeMap, BTreeSet};

use borsellino_pagopa::node::{Malformed, Operation, Refusal, decode};
use borsellino_tests::hostile::{Hostile, documents};
use borsellino_tests::house::{House, TOWN};

#[test]
fn none_of_them_passes_for_a_call() {
    let documents = documents();
    assert!(documents.len() >= 200, "only {} documents", documents.len());
    let names: BTreeSet<&str> = documents.iter().map(|document| document.name.as_str()).collect();
    assert_eq!(names.len(), documents.len(), "every name is another");
    let mut bodies: BTreeMap<&[u8], &str> = BTreeMap::new();
    let mut wrong = Vec::new();
    for document in &documents {
        let Hostile { name, body, .. } = document;
        if let Some(other) = bodies.insert(body, name) {
            wrong.push(format!("{name} is {other}"));
        }
        if let Err(request) = document.refusal() {
            wrong.push(format!("{name} passes: {request:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), documents.len(), wrong.join("\n"));
}

borsellino_tests::in_both_houses! {
    the_port_answers_each_in_the_contract_and_goes_on;
}

/// A part of the documents, of every kind, over HTTP: a question that can't be read gets a KO, a receipt that can't be
/// read a Fault, so that it comes again; and nothing is booked.
async fn the_port_answers_each_in_the_contract_and_goes_on(house: &House) {
    let (rows, anomalies) = (house.rows().await, house.kept("anomaly").await);
    let all = documents();
    let sample: Vec<&Hostile> = all.iter().step_by(5).collect();
    let kinds = |of: &[&Hostile]| of.iter().map(|document| document.kind().to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(kinds(&sample), kinds(&all.iter().collect::<Vec<_>>()), "some of every kind");
    for Hostile { name, action, body } in sample {
        let answer = house.soap(Some(action), body.clone()).await;
        let said = (answer.status, answer.element("faultcode"), answer.ko());
        let (fault, syntax) = (Some("soapenv:Client"), Some("PAA_SINTASSI_EXTRAXSD"));
        let receipt = action.starts_with("paSendRT");
        let expected = match decode(body, Some(action)) {
            Err(Refusal::Malformed(Malformed::TooLarge)) => (413, fault, None),
            Err(Refusal::Malformed(_)) if receipt => (500, fault, None),
            Err(Refusal::UnknownOperation | Refusal::ActionMismatch { operation: Operation::SendRt(_) }) => {
                (500, fault, None)
            }
            Err(_) => (200, None, syntax),
            Ok(_) => (200, None, Some("PAA_SINTASSI_XSD")),
        };
        assert_eq!(said, expected, "{name}: {answer:?}");
    }
    assert_eq!((house.rows().await, house.kept("anomaly").await), (rows, anomalies), "nothing was booked");
    assert_eq!(house.verify(TOWN, "301123456789012345").await.ko(), Some("PAA_PAGAMENTO_SCONOSCIUTO"), "it goes on");
}
