//! A billing run printed at once: every notice in one ZIP, volumes for the printer; cut short at any point, it goes on.

use std::path::Path;

use borsellino_server::usecases::documents::{Batch, Run, RunError, Selected};
use borsellino_tests::house::{House, MARIA, TOWN, pdf_text};

use super::{billed, deliver, grouped};

borsellino_tests::in_both_houses! {
    a_billing_run_is_printed_whole;
    a_run_that_was_cut_short_goes_on;
}

async fn print(house: &House, period: &str, folder: &Path) -> Result<Run, RunError> {
    let listing = house.app.directory.listing();
    let batch = Batch {
        printer: &house.app.printer().patient(),
        creditor: listing.creditor(TOWN).expect("the town"),
        selected: Selected::Period(period.to_owned()),
        folder: folder.to_owned(),
        zip: true,
        volumes: true,
    };
    batch.run(|_, _| {}).await
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = folder
        .read_dir()
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What an independent reader lists in the archive, after it has checked every sum.
fn zipped(folder: &Path) -> Vec<String> {
    let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print('\\n'.join(z.namelist()))";
    let listed = std::process::Command::new("python3").args(["-c", script]).arg(folder.join("avvisi.zip")).output();
    let listed = listed.expect("python3");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8(listed.stdout).expect("text").lines().map(str::to_owned).collect()
}

async fn a_billing_run_is_printed_whole(house: &House) {
    let folder = tempfile::tempdir().expect("a folder");
    let (bill, notice) = billed(house).await;
    let run = print(house, &bill.period, folder.path()).await.expect("a run");
    assert!(run.printed > 0 && run.failed.is_empty() && run.settled.is_empty(), "{run:?}");
    assert_eq!(names(folder.path()), ["avvisi.zip", "esito.json", "lotto.json", "volume-001.pdf"]);
    let listed = zipped(folder.path());
    assert_eq!(listed.len(), run.printed);
    assert!(listed.contains(&format!("avviso-{}.pdf", notice.number)), "{listed:?}");
    let volume = pdf_text(&std::fs::read(folder.path().join("volume-001.pdf")).expect("a volume"));
    for name in &listed {
        let number = name.strip_prefix("avviso-").and_then(|name| name.strip_suffix(".pdf")).expect("a number");
        assert!(volume.contains(&grouped(number)), "{number} in the volume");
    }
    assert!(volume.contains("Maria Bianchi"), "a notice for who owes");
    // What is finished is not made anew; another run does not go into the same folder.
    let again = print(house, &bill.period, folder.path()).await.expect("the same");
    assert_eq!(again, run);
    let other = print(house, "another", folder.path()).await;
    assert!(matches!(&other, Err(RunError::OtherRun { period, .. }) if *period == bill.period), "{other:?}");
    let nothing = print(house, "marzo 1999", tempfile::tempdir().expect("a folder").path()).await;
    assert!(matches!(nothing, Err(RunError::NoBills(_))), "{nothing:?}");

    // What was paid since is not printed.
    deliver(house, &notice.number, bill.residual_cents, String::new()).await;
    let fresh = tempfile::tempdir().expect("a folder");
    let later = print(house, &bill.period, fresh.path()).await.expect("a run");
    assert_eq!((later.printed, later.settled), (run.printed - 1, vec![bill.number]));
    assert!(house.phone(MARIA).await.home().await.is_ok(), "the house goes on");
}

async fn a_run_that_was_cut_short_goes_on(house: &House) {
    let (bill, _) = billed(house).await;
    let whole = tempfile::tempdir().expect("a folder");
    let run = print(house, &bill.period, whole.path()).await.expect("a run");
    let read = |folder: &Path, name: &str| std::fs::read(folder.join(name)).expect("a file");
    let same = |folder: &Path| {
        assert_eq!(names(folder), names(whole.path()));
        assert_eq!(read(folder, "volume-001.pdf"), read(whole.path(), "volume-001.pdf"));
        assert_eq!(zipped(folder), zipped(whole.path()));
    };
    // Half a block, and the list: as after a kill while the first notices were made.
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(whole.path().join("lotto.json"), folder.path().join("lotto.json")).expect("a copy");
    std::fs::write(folder.path().join(".blocco-001.zip.part"), b"PK half").expect("a rest");
    std::fs::write(folder.path().join("volume-001.pdf.part"), b"%PDF half").expect("a rest");
    assert_eq!(print(house, &bill.period, folder.path()).await.expect("a run"), run);
    std::fs::remove_file(folder.path().join("volume-001.pdf.part")).unwrap_or_default();
    same(folder.path());
    // Its result without its files, or its files without its result, is a block to be made again.
    for rest in [".blocco-001.json", ".blocco-001.zip"] {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::copy(whole.path().join("lotto.json"), folder.path().join("lotto.json")).expect("a copy");
        std::fs::write(folder.path().join(rest), b"{\"printed\":9,\"settled\":[],\"failed\":[]}").expect("a rest");
        assert_eq!(print(house, &bill.period, folder.path()).await.expect("a run"), run, "{rest}");
        same(folder.path());
    }
    // One at a time.
    let busy = tempfile::tempdir().expect("a folder");
    let lock = std::fs::File::create(busy.path().join(".lotto.lock")).expect("a lock");
    lock.try_lock().expect("a free lock");
    let second = print(house, &bill.period, busy.path()).await;
    assert!(matches!(second, Err(RunError::Busy(_))), "{second:?}");
    // A place that can't be written to is named, and what was there stays.
    let file = folder.path().join("lotto.json");
    let blocked = print(house, &bill.period, &file).await;
    assert!(matches!(blocked, Err(RunError::Disk { .. })), "{blocked:?}");
    std::fs::remove_file(folder.path().join("esito.json")).expect("a file");
    std::fs::write(&file, b"{").expect("a spoilt list");
    let spoilt = print(house, &bill.period, folder.path()).await;
    assert!(matches!(spoilt, Err(RunError::Damaged(_))), "{spoilt:?}");
}
