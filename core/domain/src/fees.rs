//! What paying costs: the fee of one visit to pagoPA by kind of channel and sum, as far as the operator knows, and how
//! to pay several notices for the fewest fees. Fees are the PSP's: only its page knows for certain.

use std::fmt::Write;

use thiserror::Error;

use crate::ledger::Hash;

/// The most notices of one cart (Checkout's contract, `cart.json`).
pub const MAX_CART: usize = 5;

/// Up to how many notices the cheapest way to split them is looked for among all ways.
pub const EXACT_UP_TO: usize = 12;

/// The most bands of a table: no operator's comes near.
const MAX_BANDS: usize = 500;

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeeBand {
    channel: String,
    from: i64,
    to: i64,
    fee: i64,
}

impl FeeBand {
    /// A band for sums from `from` to `to` cents, both inclusive, that cost `fee` cents; `None` where these are no sums, or
    /// the channel is no short word.
    pub fn new(channel: &str, from: i64, to: i64, fee: i64) -> Option<Self> {
        let channel = channel.trim().to_lowercase();
        let word = (1..=30).contains(&channel.len())
            && channel.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let sums = 0 <= from && from <= to && (0..=1_000_000).contains(&fee);
        (word && sums).then_some(Self { channel, from, to, fee })
    }

    /// The kind of channel, a word of the operator's.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The smallest sum, in cents.
    pub const fn from(&self) -> i64 {
        self.from
    }

    /// The largest sum, in cents.
    pub const fn to(&self) -> i64 {
        self.to
    }

    /// What it costs, in cents.
    pub const fn fee(&self) -> i64 {
        self.fee
    }
}

/// What a table cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FeeTableError {
    /// A line is not `channel,from,to,fee`.
    #[error("line {0}: not channel,from,to,fee with amounts like 12,50 or 12.50")]
    Line(usize),
    /// Two bands of a channel say different things of one sum.
    #[error("two bands of {0} overlap")]
    Overlap(String),
    /// No band at all, or too many.
    #[error("a table has 1 to 500 bands")]
    Size,
}

/// A creditor's table: bands that do not overlap within a channel, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeTable(Vec<FeeBand>);

impl FeeTable {
    /// A table of these bands.
    ///
    /// # Errors
    /// [`FeeTableError::Overlap`], [`FeeTableError::Size`].
    pub fn new(mut bands: Vec<FeeBand>) -> Result<Self, FeeTableError> {
        if !(1..=MAX_BANDS).contains(&bands.len()) {
            return Err(FeeTableError::Size);
        }
        bands.sort();
        for pair in bands.windows(2) {
            if let [one, next] = pair
                && one.channel == next.channel
                && next.from <= one.to
            {
                return Err(FeeTableError::Overlap(one.channel.clone()));
            }
        }
        Ok(Self(bands))
    }

    /// Reads a CSV file of an operator: `channel;from;to;fee` or with commas, amounts in euros (`12.50`, with semicolons
    /// also `12,50`); a first line without amounts is a heading.
    ///
    /// # Errors
    /// [`FeeTableError`].
    pub fn parse_csv(text: &str) -> Result<Self, FeeTableError> {
        let mut bands = Vec::new();
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let separator = if line.contains(';') { ';' } else { ',' };
            let fields: Vec<&str> = line.split(separator).map(|field| field.trim().trim_matches('"')).collect();
            let [channel, from, to, fee] = fields[..] else { return Err(FeeTableError::Line(number)) };
            if number == 1 && ![from, to, fee].iter().any(|field| field.contains(|c: char| c.is_ascii_digit())) {
                continue;
            }
            let band = euros(from).zip(euros(to)).zip(euros(fee));
            let band = band.and_then(|((from, to), fee)| FeeBand::new(channel, from, to, fee));
            bands.push(band.ok_or(FeeTableError::Line(number))?);
        }
        Self::new(bands)
    }

    /// As it is stored and hashed: a line of cents per band, which [`FeeTable::read`] reads.
    pub fn text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, band| {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{},{},{},{}", band.channel, band.from, band.to, band.fee);
            text
        })
    }

    /// Reads what [`FeeTable::text`] wrote.
    ///
    /// # Errors
    /// [`FeeTableError`].
    pub fn read(text: &str) -> Result<Self, FeeTableError> {
        let mut bands = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let fields: Vec<&str> = line.split(',').collect();
            let [channel, from, to, fee] = fields[..] else { return Err(FeeTableError::Line(number)) };
            let band = match (from.parse(), to.parse(), fee.parse()) {
                (Ok(from), Ok(to), Ok(fee)) => FeeBand::new(channel, from, to, fee),
                _ => None,
            };
            bands.push(band.ok_or(FeeTableError::Line(number))?);
        }
        Self::new(bands)
    }

    /// Names what the table says: the beginning of a digest.
    pub fn version(&self) -> String {
        let mut version = Hash::of(self.text().as_bytes()).to_string();
        version.truncate(12);
        version
    }

    /// Its bands.
    pub fn bands(&self) -> &[FeeBand] {
        &self.0
    }

    /// The lowest and the highest fee for one visit that pays `cents`; `None` where no channel says.
    pub fn range(&self, cents: i64) -> Option<(i64, i64)> {
        let fees = self.0.iter().filter(|band| (band.from..=band.to).contains(&cents)).map(FeeBand::fee);
        fees.fold(None, |range: Option<(i64, i64)>, fee| match range {
            Some((low, high)) => Some((low.min(fee), high.max(fee))),
            None => Some((fee, fee)),
        })
    }

    /// What a visit is reckoned with: the cheapest channel for the sum; where none says, the dearest fee of the table.
    fn reckoned(&self, cents: i64) -> i64 {
        let dearest = self.0.iter().map(FeeBand::fee).max().unwrap_or(0);
        self.range(cents).map_or(dearest, |(low, _)| low)
    }
}

/// An amount of an operator's file, in cents; zero is one.
fn euros(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || part.len() > 2 || !digits(whole) || !digits(part) {
        return None;
    }
    let cents: i64 = format!("{part:0<2}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents)
}

/// How a way of splitting compares: what it costs, then how many visits it takes.
type Cost = (i64, usize);

fn cost_of(amounts: impl Iterator<Item = i64>, table: Option<&FeeTable>) -> Cost {
    let sum = amounts.fold(0_i64, i64::saturating_add);
    (table.map_or(0, |table| table.reckoned(sum)), 1)
}

fn plus(one: Cost, other: Cost) -> Cost {
    (one.0.saturating_add(other.0), one.1.saturating_add(other.1))
}

/// Splits `amounts` (cents, by their places) into carts of at most [`MAX_CART`], for the lowest fees by the table and then
/// the fewest visits; without a table for the fewest visits. The best of all ways for up to [`EXACT_UP_TO`] amounts; beyond, those
/// after the first ones are put into carts as they come. Every place is in exactly one cart.
pub fn split(amounts: &[i64], table: Option<&FeeTable>) -> Vec<Vec<usize>> {
    let (few, rest) = amounts.split_at(amounts.len().min(EXACT_UP_TO));
    let mut carts = best(few, table);
    let places: Vec<usize> = (few.len()..few.len().saturating_add(rest.len())).collect();
    carts.extend(places.chunks(MAX_CART).map(<[usize]>::to_vec));
    carts
}

/// Over all sets of places, each reached by its cheapest last cart: the one that holds its first place.
fn best(amounts: &[i64], table: Option<&FeeTable>) -> Vec<Vec<usize>> {
    let members = |set: usize| (0..amounts.len()).filter(move |place| set >> place & 1 == 1);
    let Some(sets) = 1_usize.checked_shl(u32::try_from(amounts.len()).unwrap_or(u32::MAX)) else { return Vec::new() };
    // What each set costs at best, and its cart with the first place.
    let mut known: Vec<(Cost, usize)> = vec![((0, 0), 0)];
    for set in 1..sets {
        let first = set & set.wrapping_neg();
        let others = set ^ first;
        let mut found: Option<(Cost, usize)> = None;
        // Every part of `others`, the largest first.
        let mut part = others;
        loop {
            let cart = part | first;
            if usize::try_from(cart.count_ones()).unwrap_or(usize::MAX) <= MAX_CART {
                let own = cost_of(members(cart).filter_map(|place| amounts.get(place).copied()), table);
                let left = known.get(set ^ cart).map_or((0, 0), |(cost, _)| *cost);
                let cost = plus(own, left);
                if found.is_none_or(|(least, _)| cost < least) {
                    found = Some((cost, cart));
                }
            }
            if part == 0 {
                break;
            }
            part = part.saturating_sub(1) & others;
        }
        known.push(found.unwrap_or(((0, 0), set)));
    }
    let mut carts = Vec::new();
    let mut left = sets.saturating_sub(1);
    while left != 0 {
        let cart = known.get(left).map_or(left, |(_, cart)| *cart);
        carts.push(members(cart).collect());
        left ^= cart;
    }
    carts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Cards: 0,50 € up to 50 €, 1,50 € beyond. Counter: always 2 €.
    fn table() -> FeeTable {
        FeeTable::parse_csv("channel;from;to;fee\ncard;0,01;50;0,50\ncard;50,01;9999;1.5\ncounter;0;9999,99;2\n")
            .unwrap()
    }

    #[test]
    fn a_table_is_read_checked_and_written() {
        let table = table();
        assert_eq!(table.range(2_000), Some((50, 200)));
        assert_eq!(table.range(5_001), Some((150, 200)));
        assert_eq!(table.range(1_000_000), None);
        assert_eq!(FeeTable::read(&table.text()), Ok(table.clone()));
        assert_eq!(table.version().len(), 12);
        assert_eq!(FeeTable::parse_csv("card,0,10,0.5\ncard,10,20,1\n"), Err(FeeTableError::Overlap("card".into())));
        assert_eq!(FeeTable::parse_csv(""), Err(FeeTableError::Size));
        for bad in ["card,1,2", "card,2,1,1", "card,a,2,1", ",1,2,1", "card,1,2,-1", "card,1,2,1.234", "card,1,2,99999"]
        {
            assert_eq!(FeeTable::parse_csv(&format!("card,0,0,0\n{bad}")), Err(FeeTableError::Line(2)), "{bad}");
        }
    }

    #[test]
    fn one_cart_where_it_is_cheaper_two_where_a_band_would_be_left() {
        assert_eq!(split(&[1_000, 1_000, 1_000, 1_000], Some(&table())), vec![vec![0, 1, 2, 3]]);
        // Together 60 € cost 1,50 €; apart twice 0,50 €.
        assert_eq!(split(&[3_000, 3_000], Some(&table())).len(), 2);
        assert_eq!(split(&[1_000; 7], None).len(), 2);
        assert!(split(&[], Some(&table())).is_empty());
    }

    /// Every way to split, one place after the other into a cart there is or a new one.
    fn brute(amounts: &[i64], table: Option<&FeeTable>, carts: &mut Vec<Vec<i64>>) -> Cost {
        let Some((first, rest)) = amounts.split_first() else {
            return carts.iter().map(|cart| cost_of(cart.iter().copied(), table)).fold((0, 0), plus);
        };
        let mut least = (i64::MAX, usize::MAX);
        for at in 0..=carts.len() {
            if at == carts.len() {
                carts.push(vec![*first]);
            } else if carts[at].len() < MAX_CART {
                carts[at].push(*first);
            } else {
                continue;
            }
            least = least.min(brute(rest, table, carts));
            carts[at].pop();
            if carts[at].is_empty() {
                carts.remove(at);
            }
        }
        least
    }

    fn tables() -> impl Strategy<Value = Option<FeeTable>> {
        let steps = prop::collection::vec((1..4_000_i64, 0..300_i64), 1..5);
        let channel = |steps: Vec<(i64, i64)>, name: &str| {
            let mut from = 0;
            let mut bands = Vec::new();
            for (width, fee) in steps {
                bands.extend(FeeBand::new(name, from, from + width, fee));
                from += width + 1;
            }
            bands
        };
        let both = (steps.clone(), steps).prop_map(move |(card, counter)| {
            FeeTable::new([channel(card, "card"), channel(counter, "counter")].concat()).ok()
        });
        prop_oneof![Just(None), both]
    }

    proptest! {
        #[test]
        fn no_way_is_cheaper(amounts in prop::collection::vec(1..5_000_i64, 0..8), table in tables()) {
            let carts = split(&amounts, table.as_ref());
            let mut places: Vec<usize> = carts.concat();
            places.sort_unstable();
            prop_assert_eq!(places, (0..amounts.len()).collect::<Vec<_>>());
            prop_assert!(carts.iter().all(|cart| (1..=MAX_CART).contains(&cart.len())));
            let cost = carts.iter().map(|cart| cost_of(cart.iter().map(|at| amounts[*at]), table.as_ref())).fold((0, 0), plus);
            prop_assert_eq!(cost, brute(&amounts, table.as_ref(), &mut Vec::new()));
        }

        #[test]
        fn any_number_is_split(count in 0..40_usize, table in tables()) {
            let carts = split(&vec![1_000; count], table.as_ref());
            prop_assert_eq!(carts.concat().len(), count);
            prop_assert!(carts.iter().all(|cart| (1..=MAX_CART).contains(&cart.len())));
        }

        #[test]
        fn any_text_is_a_table_or_none(text in "[a-z0-9,;.\n\"]{0,80}") {
            if let Ok(table) = FeeTable::parse_csv(&text) {
                prop_assert_eq!(FeeTable::read(&table.text()), Ok(table));
            }
        }
    }
}
