//! The codes on paper say exactly what was meant.

use borsellino_documents::{Notice, Part, Person, sample};
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::notice::{PostalBill, QrText, data_matrix};

use crate::readers::{Pdf, RENDERER};

fn qr(notice: &Notice, part: &Part) -> String {
    QrText::new(part.number, notice.issuer.code, part.amount).to_string()
}

fn matrix(notice: &Notice, part: &Part, name: &str) -> String {
    let code = notice.debtor.as_ref().and_then(|debtor| PersonalCode::parse(debtor.code.as_deref()?).ok());
    data_matrix(&PostalBill {
        notice: &part.number,
        account: &notice.issuer.postal.as_ref().unwrap().account,
        amount: part.amount,
        creditor: &notice.issuer.code,
        debtor_code: code.as_ref(),
        debtor_name: name,
        subject: &notice.subject,
    })
    .unwrap()
}

/// All parts, the whole first, in the order of the page.
fn parts(notice: &Notice) -> impl Iterator<Item = &Part> {
    notice.whole.iter().chain(&notice.parts)
}

fn sorted(mut codes: Vec<String>) -> Vec<String> {
    codes.sort();
    codes
}

#[test]
fn every_qr_code_says_its_part() {
    for (instalments, postal) in [(0, false), (0, true), (2, true), (3, false), (12, false)] {
        let notice = sample::notice(instalments, postal);
        let read = Pdf::new(&RENDERER.notice(&notice).unwrap()).qr_codes();
        assert_eq!(sorted(read), sorted(parts(&notice).map(|part| qr(&notice, part)).collect()), "{instalments}");
    }
}

#[test]
fn a_qr_code_carries_the_smallest_and_the_largest_amount() {
    for cents in [1, 10, 100_000, 99_999_999_999] {
        let mut notice = sample::notice(0, false);
        notice.whole.as_mut().unwrap().amount = sample::amount(cents);
        let read = Pdf::new(&RENDERER.notice(&notice).unwrap()).qr_codes();
        assert_eq!(read, [qr(&notice, notice.whole.as_ref().unwrap())]);
    }
}

#[test]
fn every_data_matrix_says_its_part() {
    for instalments in [0, 2, 3, 9] {
        let notice = sample::notice(instalments, true);
        let read = Pdf::new(&RENDERER.notice(&notice).unwrap()).matrices();
        let meant = parts(&notice).map(|part| matrix(&notice, part, "MARIA D'ANGELO ROSSI"));
        assert_eq!(sorted(read), sorted(meant.collect()), "{instalments}");
        assert!(sorted(parts(&notice).map(|part| matrix(&notice, part, "")).collect()).iter().all(|m| m.len() == 256));
    }
}

#[test]
fn a_data_matrix_names_people_of_all_scripts_in_plain_letters() {
    for (name, plain) in [
        ("Łukasz Œuvrè-Ñandú", "LUKASZ OEUVRE-NANDU"),
        ("Nguyễn Thị Ánh", "NGUYEN THI ANH"),
        ("Дарья Шевченко", "DAR'IA SHEVCHENKO"),
        ("Müller Groß", "MUELLER GROSS"),
    ] {
        let mut notice = sample::notice(0, true);
        notice.debtor = Some(Person { name: name.into(), code: None, address: None });
        let [read] = Pdf::new(&RENDERER.notice(&notice).unwrap()).matrices().try_into().unwrap();
        assert_eq!(read.get(93..133).unwrap().trim_end(), plain, "{name}");
        assert_eq!(read.get(77..93).unwrap().trim_end(), "", "no tax code");
    }
}

#[test]
fn the_qr_code_of_a_certificate_leads_to_its_verification() {
    let certificate = sample::certificate();
    let read = Pdf::new(&RENDERER.certificate(&certificate).unwrap()).qr_codes();
    assert_eq!(read, [format!("{}#{}", certificate.verify_at, certificate.code)]);
}
