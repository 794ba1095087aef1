//! All the notices of a billing run: each in a file of its own in one ZIP, and all of them in volumes for the printer.
//!
//! The folder holds everything that is needed to go on after a kill, a full disk or a lost database: what is to be printed is
//! written down first, then one block after the other is made, each of them whole or not at all:
//!
//! ```text
//! lotto.json            the run: period, and the bills in their order
//! volume-001.pdf        what goes to the printer, 500 notices
//! .blocco-001.zip       the same notices, a file each, until all blocks are there
//! avvisi.zip            at the end: every notice
//! esito.json            at the end: what was printed, and what was not and why
//! ```
//!
//! Memory holds the notices under way, whatever the number.

use std::fs::{self, File as Disk};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use borsellino_documents::{BindError, Issuer, Volume, Wording};
use borsellino_domain::id::BillId;
use borsellino_domain::notice::NoticeNumber;
use borsellino_store::rows::{CreditorRow, RunBillRow};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::issuer::{issuer, letterhead, wording};
use super::notice::{facts, read};
use super::{DocumentRefusal, Printer, Reader, Refused, pressed};
use crate::usecases::{Fault, Stop};

/// How many notices a volume has: what a printer's tray holds.
const VOLUME: usize = 500;

/// How many bills are read at once.
const PAGE: i64 = 1_000;

/// How many notices are under way at once.
const UNDER_WAY: usize = 8;

/// Why a batch stopped. What was finished stays, and the same order goes on from there.
#[derive(Debug, Error)]
pub enum RunError {
    /// The folder holds another run.
    #[error("{} holds another run ({period}, or with other options): choose an empty folder", .folder.display())]
    OtherRun {
        /// Where.
        folder: PathBuf,
        /// Which one it holds.
        period: String,
    },
    /// No bill has this period.
    #[error("there are no bills of the period {0:?}: `borsellino bill issue` names it")]
    NoBills(String),
    /// Somebody else is at it.
    #[error("another run is at work in {}: wait for its end", .0.display())]
    Busy(PathBuf),
    /// The disk.
    #[error("{} can't be written: {error}. What is finished stays: free some space and start again", .path.display())]
    Disk {
        /// What.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file of the folder is not what was written there.
    #[error("{} is damaged: remove it, or choose an empty folder", .0.display())]
    Damaged(PathBuf),
    /// Nothing of this creditor's can be printed.
    #[error(transparent)]
    Refused(DocumentRefusal),
    /// The database, or a key.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What is to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// The bills of a period.
    Period(String),
}

/// A batch.
#[derive(Debug)]
pub struct Batch<'a> {
    /// What it is made with.
    pub printer: &'a Printer,
    /// Whose.
    pub creditor: &'a CreditorRow,
    /// What.
    pub selected: Selected,
    /// Where.
    pub folder: PathBuf,
    /// A file for each notice, in one ZIP.
    pub zip: bool,
    /// Volumes for the printer.
    pub volumes: bool,
}

/// What a batch did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// How many notices were printed.
    pub printed: usize,
    /// Bills of which nothing is left to pay.
    pub settled: Vec<String>,
    /// Bills whose notice can't be printed, and why.
    pub failed: Vec<(String, String)>,
}

/// What is written down before the first page.
#[derive(Serialize, Deserialize)]
struct Plan {
    creditor: String,
    period: String,
    zip: bool,
    volumes: bool,
    /// Id and number.
    bills: Vec<(String, String)>,
}

impl Batch<'_> {
    /// Prints; says after each notice how many of how many are done.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn run(&self, mut progress: impl FnMut(usize, usize)) -> Result<Run, RunError> {
        fs::create_dir_all(&self.folder).map_err(disk(&self.folder))?;
        let lock = self.folder.join(".lotto.lock");
        let held = Disk::create(&lock).map_err(disk(&lock))?;
        held.try_lock().map_err(|_| RunError::Busy(self.folder.clone()))?;
        let end = self.folder.join("esito.json");
        if let Ok(text) = fs::read(&end) {
            // What was printed is at the printer's: it is not made anew.
            self.plan().await?;
            return serde_json::from_slice(&text).map_err(|_| RunError::Damaged(end));
        }
        let plan = self.plan().await?;
        let head = letterhead(&self.printer.store, self.creditor).await?;
        let words = wording(&head.wording).ok_or(Fault::BadData("a letterhead's wording"))?;
        let about = (issuer(self.creditor, head).map_err(refused)?, words);
        let (mut run, all) = (Run::default(), plan.bills.len());
        let mut done = 0;
        for (number, bills) in (1..).zip(plan.bills.chunks(VOLUME)) {
            let outcome = self.folder.join(format!(".blocco-{number:03}.json"));
            let archive = self.folder.join(format!(".blocco-{number:03}.zip"));
            let block = match fs::read(&outcome) {
                Ok(text) if archive.exists() => {
                    serde_json::from_slice(&text).map_err(|_| RunError::Damaged(outcome.clone()))?
                }
                _ => {
                    let block = self.block(number, bills, &about, |more| progress(done + more, all)).await?;
                    put(&outcome, &serde_json::to_vec(&block).unwrap_or_default())?;
                    block
                }
            };
            done += bills.len();
            progress(done, all);
            run.printed += block.printed;
            run.settled.extend(block.settled);
            run.failed.extend(block.failed);
        }
        let blocks = plan.bills.len().div_ceil(VOLUME);
        if self.zip {
            self.join(blocks)?;
        }
        put(&end, &serde_json::to_vec_pretty(&run).unwrap_or_default())?;
        for number in 1..=blocks {
            for end in ["json", "zip"] {
                let _ = fs::remove_file(self.folder.join(format!(".blocco-{number:03}.{end}")));
            }
        }
        let _ = fs::remove_file(lock);
        Ok(run)
    }

    /// What was written down, or is now.
    async fn plan(&self) -> Result<Plan, RunError> {
        let path = self.folder.join("lotto.json");
        let Selected::Period(period) = &self.selected;
        let code = self.creditor.fiscal_code;
        if let Ok(text) = fs::read(&path) {
            let plan: Plan = serde_json::from_slice(&text).map_err(|_| RunError::Damaged(path))?;
            let same = plan.creditor == code.as_str() && (plan.zip, plan.volumes) == (self.zip, self.volumes);
            if !same || plan.period != *period {
                return Err(RunError::OtherRun { folder: self.folder.clone(), period: plan.period });
            }
            return Ok(plan);
        }
        let mut bills: Vec<(String, String)> = Vec::new();
        loop {
            let (period, after) = (period.clone(), bills.last().map(|(_, number)| number.clone()).unwrap_or_default());
            let page: Vec<RunBillRow> = self
                .printer
                .store
                .read(move |tx| Box::pin(async move { tx.bills_of_run(&code, (&period, &after), PAGE).await }))
                .await
                .map_err(Fault::from)?;
            if page.is_empty() {
                break;
            }
            bills.extend(page.into_iter().map(|row| (row.id.to_string(), row.number)));
        }
        if bills.is_empty() {
            return Err(RunError::NoBills(period.clone()));
        }
        let (zip, volumes) = (self.zip, self.volumes);
        let plan = Plan { creditor: code.as_str().to_owned(), period: period.clone(), zip, volumes, bills };
        put(&path, &serde_json::to_vec(&plan).unwrap_or_default())?;
        Ok(plan)
    }

    /// Makes a volume and its block of files.
    async fn block(
        &self,
        number: usize,
        bills: &[(String, String)],
        about: &(Issuer, Wording),
        mut progress: impl FnMut(usize),
    ) -> Result<Run, RunError> {
        let path = self.folder.join(format!(".blocco-{number:03}.zip"));
        let part = self.folder.join(format!(".blocco-{number:03}.zip.part"));
        let broken =
            |error: zip::result::ZipError| RunError::Disk { path: part.clone(), error: io::Error::other(error) };
        let mut archive = ZipWriter::new(BufWriter::new(Disk::create(&part).map_err(disk(&part))?));
        let (mut run, mut volume, mut done) = (Run::default(), None, 0);
        let bound = self.folder.join(format!("volume-{number:03}.pdf"));
        let binding = self.folder.join(format!("volume-{number:03}.pdf.part"));
        let unbound = |error: BindError| match error {
            BindError::Disk(error) => RunError::Disk { path: binding.clone(), error },
            BindError::NoPages => RunError::Fault(Fault::BadData("a notice that was just printed")),
        };
        let work = stream::iter(bills).map(|(bill, name)| async move {
            let made = match bill.parse() {
                Ok(bill) => self.one(bill, about).await,
                Err(_) => Err(Stop::Fault(Fault::BadData("the list of a batch's bills"))),
            };
            (name, made)
        });
        let mut work = std::pin::pin!(work.buffered(UNDER_WAY));
        while let Some((name, made)) = work.next().await {
            match made {
                Ok(Some((first, bytes))) => {
                    if self.zip {
                        archive.start_file(format!("avviso-{first}.pdf"), stored()).map_err(broken)?;
                        archive.write_all(&bytes).map_err(disk(&part))?;
                    }
                    run.printed += 1;
                    if self.volumes {
                        let mut open = match volume.take() {
                            Some(open) => open,
                            None => Volume::new(BufWriter::new(Disk::create(&binding).map_err(disk(&binding))?))
                                .map_err(unbound)?,
                        };
                        open.add(&bytes).map_err(unbound)?;
                        volume = Some(open);
                    }
                }
                Ok(None) => run.settled.push(name.clone()),
                Err(Stop::Refused(refusal)) => run.failed.push((name.clone(), refusal.to_string())),
                Err(Stop::Fault(fault)) => return Err(fault.into()),
            }
            done += 1;
            progress(done);
        }
        let file = archive.finish().map_err(broken)?.into_inner().map_err(|error| disk(&part)(error.into_error()))?;
        file.sync_all().map_err(disk(&part))?;
        fs::rename(&part, &path).map_err(disk(&path))?;
        if let Some(volume) = volume {
            let file = volume.finish().map_err(unbound)?;
            let file = file.into_inner().map_err(|error| disk(&binding)(error.into_error()))?;
            file.sync_all().map_err(disk(&binding))?;
            fs::rename(&binding, &bound).map_err(disk(&bound))?;
        }
        Ok(run)
    }

    /// The notice of a bill; `None` where nothing is left to pay.
    async fn one(
        &self,
        bill: BillId,
        (issuer, wording): &(Issuer, Wording),
    ) -> Result<Option<(NoticeNumber, Vec<u8>)>, Refused> {
        let (code, now) = (self.creditor.fiscal_code, self.printer.clock.now());
        let found = self.printer.store.read(move |tx| {
            Box::pin(async move {
                for part in tx.bill_parts(&code, bill).await? {
                    if let Some(read) = read(tx, code, Reader::Office, &part.number).await?
                        && read.row.state.at(read.row.expires_at_ms.map(Into::into), now)
                            == borsellino_domain::top_up::NoticeState::Open
                    {
                        return Ok(Some((part.number, read)));
                    }
                }
                Ok(None)
            })
        });
        let Some((first, read)) = found.await? else { return Ok(None) };
        let notice = match facts(read, (issuer.clone(), *wording), &first, now) {
            Ok(notice) => notice,
            Err(Stop::Refused(DocumentRefusal::NotPayable)) => return Ok(None),
            Err(stop) => return Err(stop),
        };
        let bytes = self.printer.press.print(move |renderer| renderer.notice(&notice)).await.map_err(pressed)?;
        Ok(Some((first, bytes)))
    }

    /// One ZIP of all blocks.
    fn join(&self, blocks: usize) -> Result<(), RunError> {
        let (path, part) = (self.folder.join("avvisi.zip"), self.folder.join(".avvisi.zip.part"));
        let broken =
            |error: zip::result::ZipError| RunError::Disk { path: part.clone(), error: io::Error::other(error) };
        let mut whole = ZipWriter::new(BufWriter::new(Disk::create(&part).map_err(disk(&part))?));
        for number in 1..=blocks {
            let block = self.folder.join(format!(".blocco-{number:03}.zip"));
            let file = match Disk::open(&block) {
                Ok(file) => file,
                Err(error) => return Err(disk(&block)(error)),
            };
            let mut archive =
                ZipArchive::new(io::BufReader::new(file)).map_err(|_| RunError::Damaged(block.clone()))?;
            for index in 0..archive.len() {
                let entry = archive.by_index_raw(index).map_err(|_| RunError::Damaged(block.clone()))?;
                whole.raw_copy_file(entry).map_err(broken)?;
            }
        }
        let file = whole.finish().map_err(broken)?.into_inner().map_err(|error| disk(&part)(error.into_error()))?;
        file.sync_all().map_err(disk(&part))?;
        fs::rename(&part, &path).map_err(disk(&path))
    }
}

/// A PDF is compressed already.
fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

fn refused(stop: Refused) -> RunError {
    match stop {
        Stop::Refused(refusal) => RunError::Refused(refusal),
        Stop::Fault(fault) => RunError::Fault(fault),
    }
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> RunError {
    let path = path.to_owned();
    move |error| RunError::Disk { path, error }
}

/// A file that is there whole or not at all.
fn put(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut file = Disk::create(&part).map_err(disk(&part))?;
    file.write_all(bytes).map_err(disk(&part))?;
    file.sync_all().map_err(disk(&part))?;
    fs::rename(&part, path).map_err(disk(path))
}
