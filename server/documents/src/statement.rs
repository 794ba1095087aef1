//! The facts of an account statement for `statement.typ`, with the balance over time drawn as steps.

use std::fmt::Write as _;

use borsellino_domain::language::Language;
use borsellino_domain::money::Cents;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::facts::{Facts, TEXT, day, instant, metadata_date_of, sum};
use crate::model::{Movement, Statement, StatementLine};
use crate::render::RenderError;

/// The picture, in units of its own: a tenth of a millimetre.
const WIDTH: i128 = 1660;
const HEIGHT: i128 = 420;

/// See the head of `statement.typ`.
pub(crate) fn data(facts: &mut Facts, statement: &Statement) -> Result<Value, RenderError> {
    let language = statement.language;
    if statement.to < statement.from {
        return Err(RenderError::Field { field: "to", why: "is before the first day" });
    }
    let cents = || statement.movements.iter().map(|movement| movement.cents);
    let money_in = sum("movements", cents().filter(|cents| *cents > Cents::ZERO))?;
    let money_out = sum("movements", cents().filter(|cents| *cents < Cents::ZERO))?;
    if sum("movements", [statement.opening, money_in, money_out])? != statement.closing {
        return Err(RenderError::Field { field: "closing", why: "is not what the movements give" });
    }
    let movement = |line: &StatementLine| {
        json!({
            "booked": day(line.booked, language),
            "what": what(line.what),
            "day": line.day.map(|of| day(of, language)),
            "tariff": facts.optional(line.tariff.as_ref(), TEXT),
            "amount": signed(line.cents, language),
            "balance": line.balance.text(language),
        })
    };
    let mut data = json!({
        "lang": language.tag(),
        "date": metadata_date_of(statement.as_of),
        "child": facts.required("child", &statement.child, TEXT)?,
        "service": facts.required("service", &statement.service, TEXT)?,
        "from": day(statement.from, language),
        "to": day(statement.to, language),
        "opening": statement.opening.text(language),
        "closing": statement.closing.text(language),
        "in": money_in.text(language),
        "out": money_out.text(language),
        "movements": statement.movements.iter().map(movement).collect::<Vec<_>>(),
        "as_of": instant(statement.as_of, language),
        "picture": picture(statement),
    });
    let issuer = facts.issuer(&statement.issuer, false)?;
    if let Some(data) = data.as_object_mut() {
        data.insert("issuer".to_owned(), issuer);
    }
    Ok(data)
}

/// By which name the template knows it.
fn what(movement: Movement) -> &'static str {
    match movement {
        Movement::Opening => "opening",
        Movement::TopUp => "top_up",
        Movement::Counter => "counter",
        Movement::Charge => "charge",
        Movement::Correction => "correction",
        Movement::Refund => "refund",
    }
}

/// Money in has a plus: the sign is not told by colour.
fn signed(cents: Cents, language: Language) -> String {
    let plus = if cents > Cents::ZERO { "+" } else { "" };
    format!("{plus}{}", cents.text(language))
}

/// The balance over time: the drawing, where its marks stand (in thousandths of width and height, from the left and the
/// top), and its lowest and highest point with their days.
fn picture(statement: &Statement) -> Value {
    let language = statement.language;
    let points = || statement.movements.iter().map(|line| (line.booked, line.balance.get()));
    let start = (statement.from, statement.opening.get());
    let (lowest, highest) = points().fold((start, start), |(lowest, highest), point| {
        (if point.1 < lowest.1 { point } else { lowest }, if point.1 > highest.1 { point } else { highest })
    });
    let step = nice_step(i128::from(highest.1.max(0)) - i128::from(lowest.1.min(0)));
    let bottom = i128::from(lowest.1.min(0)).div_euclid(step) * step;
    let top = (-(-i128::from(highest.1.max(0))).div_euclid(step) * step).max(bottom + step);
    let days = i128::from(days_between(statement.from, statement.to)) + 1;
    let x = |at: Date| i128::from(days_between(statement.from, at)).clamp(0, days) * WIDTH / days;
    let y = |cents: i128| (top - cents) * HEIGHT / (top - bottom);

    let marks: Vec<i128> = (0..=12).map(|n| bottom + n * step).take_while(|mark| *mark <= top).collect();
    let mut svg = format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -4 {WIDTH} {}">"#, HEIGHT + 8);
    let mut steps = format!("M0 {}", y(i128::from(start.1)));
    for (at, balance) in points() {
        // Writing to a string cannot fail.
        let _ = write!(steps, "H{}V{}", x(at), y(i128::from(balance)));
    }
    let _ = write!(steps, "H{WIDTH}");
    let zero = y(0);
    for mark in &marks {
        let y = y(*mark);
        let _ = write!(svg, r##"<path d="M0 {y}H{WIDTH}" stroke="#c8c8c7" stroke-width="2"/>"##);
    }
    let _ = write!(svg, r##"<path d="{steps}V{zero}H0z" fill="#d6e6f5"/>"##);
    let _ = write!(svg, r##"<path d="M0 {zero}H{WIDTH}" stroke="#000" stroke-width="5"/>"##);
    let _ = write!(svg, r##"<path d="{steps}" fill="none" stroke="#06c" stroke-width="7"/></svg>"##);

    let cents = |cents: i128| Cents::new(i64::try_from(cents).unwrap_or(i64::MAX)).text(language);
    let marks: Vec<Value> = marks
        .iter()
        .map(|mark| json!({ "at": y(*mark) * 1000 / HEIGHT, "label": cents(*mark).trim_end_matches(",00 €"), "zero": *mark == 0 }))
        .collect();
    let extreme =
        |(at, cents): (Date, i64)| json!({ "day": day(at, language), "balance": Cents::new(cents).text(language) });
    json!({ "svg": svg, "marks": marks, "lowest": extreme(lowest), "highest": extreme(highest) })
}

/// A round number of cents that divides `range` into at most six parts: 1, 2 or 5 and zeros, one euro at least.
fn nice_step(range: i128) -> i128 {
    let mut unit = 100_i128;
    loop {
        for step in [unit, unit * 2, unit * 5] {
            if range <= step * 5 {
                return step;
            }
        }
        unit *= 10;
    }
}

fn days_between(from: Date, to: Date) -> i64 {
    from.duration_until(to).as_hours() / 24
}
