//! What paying costs, before it is paid: by the creditor's table, which the phone keeps; where there is none, it says so.

use std::sync::Arc;

use borsellino_domain::fees::{FeeBand, FeeTable, split};
use borsellino_domain::language::Language;
use borsellino_domain::money::Amount;
use borsellino_proto::v1;

use crate::error::Result;
use crate::inner::{Inner, lock};
use crate::models::Money;
use crate::remote::method;
use crate::session::AccountKey;
use crate::words::Words;

/// What the table is kept as.
const KEPT: &str = "fees";

/// What a fee may be: channels differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeRange {
    /// Through the cheapest channel.
    pub low: Money,
    /// Through the dearest.
    pub high: Money,
}

/// One visit to pagoPA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartAdvice {
    /// Which of the amounts it pays, by their places.
    pub places: Vec<u32>,
    /// What it pays in all, without the fee.
    pub total: Money,
    /// The fee to expect; `None` where nobody knows.
    pub fee: Option<FeeRange>,
    /// `Commissione prevista: tra 0,50 € e 2,00 €`
    pub sentence: String,
}

/// What paying some amounts costs, and how to pay them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeAdvice {
    /// The visits that cost the least.
    pub carts: Vec<CartAdvice>,
    /// All fees together; `None` where nobody knows.
    pub fee: Option<FeeRange>,
    /// The same in words.
    pub sentence: String,
    /// What is saved: `Una ricarica da 40,00 € costa una commissione, quattro da 10,00 € ne costano quattro: …`
    pub saving: Option<String>,
}

/// The table in an answer; `None` where the creditor has none, or says what this app can't read.
fn table_of(answer: &v1::GetFeesResponse) -> Option<FeeTable> {
    let band = |band: &v1::FeeBand| FeeBand::new(&band.channel, band.from_cents, band.to_cents, band.fee_cents);
    FeeTable::new(answer.bands.iter().map(band).collect::<Option<_>>()?).ok()
}

impl Inner {
    /// The table as last known; asked for once while the app runs.
    pub(crate) async fn fee_table(self: &Arc<Self>, account: &AccountKey) -> Result<Option<FeeTable>> {
        let key = account.clone();
        let kept: Option<v1::GetFeesResponse> =
            self.cache.read_later(move |rows| rows.kept(key.as_str(), KEPT)).await?;
        let asked_before = lock(&self.fees_asked).contains(account);
        if asked_before {
            return Ok(kept.as_ref().and_then(table_of));
        }
        let version = kept.as_ref().map(|kept| kept.version.clone()).unwrap_or_default();
        let keep = self.keep(account);
        let request = v1::GetFeesRequest { version: version.clone() };
        // Without the network, or with an older server, what is known has to do.
        let Ok(answer) = self.ask(account, &method::GET_FEES, &request).await else {
            return Ok(kept.as_ref().and_then(table_of));
        };
        lock(&self.fees_asked).insert(account.clone());
        if !answer.version.is_empty() && answer.version == version {
            return Ok(kept.as_ref().and_then(table_of));
        }
        let (key, fresh) = (account.clone(), answer.clone());
        let write = move |rows: &crate::cache::Rows<'_>| {
            if keep.is_current(&key) { rows.keep(key.as_str(), KEPT, &fresh) } else { Ok(()) }
        };
        let _ = self.cache.write_later(write).await;
        Ok(table_of(&answer))
    }

    pub(crate) async fn fee_advice(self: &Arc<Self>, amounts: Vec<Amount>) -> Result<FeeAdvice> {
        let account = self.active()?;
        let table = self.fee_table(&account).await?;
        let words = Words::new(self.language, None);
        Ok(advice(&amounts.iter().map(|amount| amount.cents()).collect::<Vec<_>>(), table.as_ref(), &words))
    }
}

/// (low, high) in cents.
type Range = (i64, i64);

fn add(one: Range, other: Range) -> Range {
    (one.0.saturating_add(other.0), one.1.saturating_add(other.1))
}

fn total(amounts: impl Iterator<Item = i64>) -> i64 {
    amounts.fold(0, i64::saturating_add)
}

/// The advice for `amounts`.
pub(crate) fn advice(amounts: &[i64], table: Option<&FeeTable>, words: &Words) -> FeeAdvice {
    let money = |cents: i64| Money { cents, text: words.money(cents) };
    let shown = |(low, high): Range| FeeRange { low: money(low), high: money(high) };
    let mut whole: Option<Range> = table.map(|_| (0, 0));
    let carts: Vec<CartAdvice> = split(amounts, table)
        .into_iter()
        .map(|places| {
            let sum = total(places.iter().filter_map(|place| amounts.get(*place).copied()));
            let fee = table.and_then(|table| table.range(sum));
            whole = whole.zip(fee).map(|(whole, fee)| add(whole, fee));
            CartAdvice {
                places: places.into_iter().filter_map(|place| u32::try_from(place).ok()).collect(),
                total: money(sum),
                fee: fee.map(shown),
                sentence: words.fee(fee),
            }
        })
        .collect();
    let saving = table.and_then(|table| saving(amounts, carts.len(), whole, table, words));
    FeeAdvice { carts, fee: whole.map(shown), sentence: words.fee(whole), saving }
}

/// What paying in small parts, or one by one, would cost instead.
fn saving(amounts: &[i64], carts: usize, fee: Option<Range>, table: &FeeTable, words: &Words) -> Option<String> {
    let together = fee?;
    let parts = match amounts {
        [] => return None,
        // Four small ones instead of one, where they come out even.
        [one] => vec![one.checked_div(4).filter(|part| *part >= 100 && one.checked_rem(4) == Some(0))?; 4],
        several => several.to_vec(),
    };
    let apart = parts.iter().try_fold((0, 0), |sum, part| Some(add(sum, table.range(*part)?)))?;
    if apart.0 <= together.0 || parts.len() <= carts {
        return None;
    }
    let alike = parts.first().copied().filter(|first| parts.iter().all(|part| part == first));
    Some(words.saving((total(amounts.iter().copied()), carts, together), (parts.len(), alike, apart)))
}

impl Words {
    /// `0,50 €`, or `tra 0,50 € e 2,00 €`.
    fn range(&self, (low, high): Range) -> String {
        let (cheap, dear) = (self.money(low), self.money(high));
        match (low == high, self.language) {
            (true, _) => cheap,
            (false, Language::Italian) => format!("tra {cheap} e {dear}"),
            (false, Language::English) => format!("between {cheap} and {dear}"),
            (false, Language::German) => format!("zwischen {cheap} und {dear}"),
        }
    }

    /// What a fee is expected to be; the page of pagoPA has the last word.
    pub(crate) fn fee(&self, fee: Option<Range>) -> String {
        match fee {
            Some(fee) => {
                let range = self.range(fee);
                match self.language {
                    Language::Italian => format!("Commissione prevista: {range}"),
                    Language::English => format!("Expected fee: {range}"),
                    Language::German => format!("Voraussichtliche Gebühr: {range}"),
                }
            }
            None => self
                .of([
                    "Non sappiamo quanto costa la commissione: la vedi sulla pagina di pagoPA, prima di pagare.",
                    "We don't know the fee: you see it on the pagoPA page, before you pay.",
                    "Die Gebühr kennen wir nicht: Sie sehen sie auf der Seite von pagoPA, bevor Sie zahlen.",
                ])
                .to_owned(),
        }
    }

    fn number(&self, count: usize) -> String {
        let words = match count {
            1 => ["una", "one", "eine"],
            2 => ["due", "two", "zwei"],
            3 => ["tre", "three", "drei"],
            4 => ["quattro", "four", "vier"],
            5 => ["cinque", "five", "fünf"],
            6 => ["sei", "six", "sechs"],
            _ => return count.to_string(),
        };
        self.of(words).to_owned()
    }

    /// `Una ricarica da 40,00 € costa una commissione (0,50 €); quattro da 10,00 € ne costano quattro (2,00 €).`
    fn saving(
        &self,
        (sum, carts, together): (i64, usize, Range),
        (count, alike, apart): (usize, Option<i64>, Range),
    ) -> String {
        let (sum, visits, fee, fees) = (self.money(sum), self.number(carts), self.range(together), self.range(apart));
        let many = self.number(count);
        let each = alike.map(|cents| self.money(cents));
        match (self.language, each, carts) {
            (Language::Italian, Some(each), 1) => {
                format!(
                    "Una ricarica da {sum} costa una commissione ({fee}); {many} da {each} ne costano {many} ({fees})."
                )
            }
            (Language::English, Some(each), 1) => {
                format!("One top-up of {sum} costs one fee ({fee}); {many} of {each} cost {many} ({fees}).")
            }
            (Language::German, Some(each), 1) => format!(
                "Eine Aufladung von {sum} kostet eine Gebühr ({fee}); {many} zu je {each} kosten {many} ({fees})."
            ),
            (Language::Italian, ..) if carts == 1 => {
                format!("Pagando tutto insieme la commissione è una ({fee}) invece di {many} ({fees}).")
            }
            (Language::English, ..) if carts == 1 => {
                format!("Paying all together costs one fee ({fee}) instead of {many} ({fees}).")
            }
            (Language::German, ..) if carts == 1 => {
                format!("Alles zusammen kostet eine Gebühr ({fee}) statt {many} ({fees}).")
            }
            (Language::Italian, ..) => {
                format!("Pagando insieme le commissioni sono {visits} ({fee}) invece di {many} ({fees}).")
            }
            (Language::English, ..) => {
                format!("Paying together costs {visits} fees ({fee}) instead of {many} ({fees}).")
            }
            (Language::German, ..) => {
                format!("Zusammen kostet es {visits} Gebühren ({fee}) statt {many} ({fees}).")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(language: Language) -> Words {
        Words::new(language, None)
    }

    #[test]
    fn one_top_up_costs_one_fee() {
        let table = FeeTable::parse_csv("card;0;999;0,50\ncounter;0;999;2").unwrap();
        let says = |language, amounts: &[i64]| advice(amounts, Some(&table), &words(language));
        let one = says(Language::Italian, &[4_000]);
        assert_eq!(one.sentence, "Commissione prevista: tra 0,50 € e 2,00 €");
        assert_eq!(
            one.saving.as_deref(),
            Some(
                "Una ricarica da 40,00 € costa una commissione (tra 0,50 € e 2,00 €); quattro da 10,00 € ne costano quattro (tra 2,00 € e 8,00 €)."
            )
        );
        let four = says(Language::English, &[1_000; 4]);
        assert_eq!(four.carts.len(), 1);
        assert_eq!(four.saving, Some("One top-up of €40.00 costs one fee (between €0.50 and €2.00); four of €10.00 cost four (between €2.00 and €8.00).".into()));
        let mixed = says(Language::German, &[1_000, 2_000]);
        assert!(mixed.saving.unwrap().starts_with("Alles zusammen kostet eine Gebühr"));
        assert_eq!(says(Language::Italian, &[1_000; 6]).carts.len(), 2);
        assert_eq!(says(Language::Italian, &[]).carts.len(), 0);
    }

    #[test]
    fn nobody_knows_without_a_table() {
        for (language, begins) in [
            (Language::Italian, "Non sappiamo"),
            (Language::English, "We don't know"),
            (Language::German, "Die Gebühr kennen wir nicht"),
        ] {
            let unknown = advice(&[4_000, 1_000], None, &words(language));
            assert!(unknown.sentence.starts_with(begins) && unknown.fee.is_none() && unknown.saving.is_none());
            assert_eq!(unknown.carts.len(), 1);
        }
        // A sum that no channel says anything of.
        let table = FeeTable::parse_csv("card;0;10;0,50").unwrap();
        assert!(advice(&[4_000], Some(&table), &words(Language::Italian)).fee.is_none());
    }
}
