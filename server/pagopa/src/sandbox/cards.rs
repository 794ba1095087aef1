//! The card form: well-shaped or not. What is typed is judged and dropped; nothing of it is kept or shown again.

use jiff::civil::Date;

/// A complaint for each field that is not well-shaped, in Italian.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Complaints {
    pub(super) holder: Option<&'static str>,
    pub(super) number: Option<&'static str>,
    pub(super) expiry: Option<&'static str>,
    pub(super) cvc: Option<&'static str>,
}

/// Judges the four fields as typed; blanks between groups of digits are fine.
///
/// # Errors
/// What to mend.
pub(super) fn check(holder: &str, number: &str, expiry: &str, cvc: &str, today: Date) -> Result<(), Complaints> {
    let mut bad = Complaints::default();
    let holder = holder.trim();
    let plain = |c: char| c.is_alphabetic() || c == ' ' || c == '\'';
    if !(2..=70).contains(&holder.chars().count()) || !holder.contains(' ') || !holder.chars().all(plain) {
        bad.holder = Some("nome e cognome non validi, non ci devono essere caratteri speciali");
    }
    let number: String = number.chars().filter(|c| *c != ' ').collect();
    if !(13..=19).contains(&number.len()) || !number.bytes().all(|b| b.is_ascii_digit()) {
        bad.number = Some("numero non valido: da 13 a 19 cifre");
    }
    match month(expiry) {
        None => bad.expiry = Some("scadenza non valida: mese e anno, per esempio 09 / 30"),
        Some(last) if last < (today.year(), today.month()) => bad.expiry = Some("la carta è scaduta"),
        Some(_) => {}
    }
    let cvc = cvc.trim();
    if !(3..=4).contains(&cvc.len()) || !cvc.bytes().all(|b| b.is_ascii_digit()) {
        bad.cvc = Some("codice non valido: 3 o 4 cifre");
    }
    if bad == Complaints::default() { Ok(()) } else { Err(bad) }
}

/// `MM / AA` as year and month.
fn month(text: &str) -> Option<(i16, i8)> {
    let (month, year) = text.split_once('/')?;
    let two = |s: &str| {
        let s = s.trim();
        (s.len() == 2 && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse::<i8>().ok()).flatten()
    };
    let (month, year) = (two(month)?, two(year)?);
    (1..=12).contains(&month).then(|| (2000 + i16::from(year), month))
}
