//! How long each document takes, in milliseconds: the first of its kind, then the median and the slowest of many:
//! `cargo run --release -p borsellino-documents --example measure`.

use std::error::Error;
use std::time::{Duration, Instant};

use borsellino_documents::{RenderError, Renderer, Templates, sample};
use borsellino_domain::notice::NoticeNumber;

fn main() -> Result<(), Box<dyn Error>> {
    let count: u16 = std::env::args().nth(1).map_or(Ok(40), |count| count.parse())?;
    let renderer = Renderer::new(&Templates::default())?;
    let segregation = "01".parse()?;
    // No two alike, as in a server: what typst remembers of the one does not help the other.
    let notice = |n: u16, instalments, postal| {
        let mut notice = sample::notice(instalments, postal);
        for (part, at) in notice.whole.iter_mut().chain(&mut notice.parts).zip(0_u8..) {
            let [high, low] = n.to_be_bytes();
            part.number = NoticeNumber::issue(segregation, [high, low, at, 3, 4, 5, 6, 7]);
            part.amount = sample::amount(i64::from(n) + 100);
        }
        renderer.notice(&notice)
    };
    measure("notice", count, |n| notice(n, 0, false))?;
    measure("notice, postal", count, |n| notice(n, 0, true))?;
    measure("notice, 3 instalments, postal", count, |n| notice(n, 3, true))?;
    measure("notice, 12 instalments, postal", count, |n| notice(n, 12, true))?;
    measure("receipt", count, |n| {
        let mut receipt = sample::receipt(1);
        receipt.receipt_id = format!("{n:032x}");
        renderer.receipt(&receipt)
    })?;
    measure("certificate, 12 payments", count, |n| {
        let mut certificate = sample::certificate();
        certificate.code = format!("{n:016X}");
        renderer.certificate(&certificate)
    })?;
    measure("statement, 30 movements", count, |n| {
        let mut statement = sample::statement_of(30, false);
        statement.child = format!("Giulia {n}");
        renderer.statement(&statement)
    })?;
    Ok(())
}

fn measure(name: &str, count: u16, make: impl Fn(u16) -> Result<Vec<u8>, RenderError>) -> Result<(), RenderError> {
    let mut times = Vec::new();
    let mut bytes = 0;
    for n in 0..count {
        let start = Instant::now();
        bytes = make(n)?.len();
        times.push(start.elapsed());
    }
    let ms = |at: Option<&Duration>| {
        let tenths = at.map_or(0, |time| time.as_micros()) / 100;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    let first = ms(times.first());
    times.sort();
    let (median, slowest) = (ms(times.get(times.len() / 2)), ms(times.iter().rev().nth(1)));
    println!("{name:32} first {first:>8}   median {median:>7}   second slowest {slowest:>7} ms   {bytes} bytes");
    Ok(())
}
