//! Writes one of each document into a folder, to look at: `cargo run -p borsellino-documents --example samples -- FOLDER`.

use std::error::Error;
use std::path::Path;

use borsellino_documents::{Renderer, Templates, sample};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("where to? give a folder")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let renderer = Renderer::new(&Templates::default())?;
    let write = |name: &str, pdf: Vec<u8>| std::fs::write(folder.join(format!("{name}.pdf")), pdf);
    for (n, notice) in sample::notices().iter().enumerate() {
        write(&format!("notice-{n}"), renderer.notice(notice)?)?;
    }
    for (n, receipt) in sample::receipts().iter().enumerate() {
        write(&format!("receipt-{n}"), renderer.receipt(receipt)?)?;
    }
    write("short-receipt", renderer.short_receipt(&sample::short_receipt())?)?;
    for payments in [3, 60] {
        write(&format!("certificate-{payments}"), renderer.certificate(&sample::certificate_of(payments))?)?;
    }
    for (n, statement) in sample::statements().iter().enumerate() {
        write(&format!("statement-{n}"), renderer.statement(statement)?)?;
    }
    write("statement-400", renderer.statement(&sample::statement_of(400, false))?)?;
    Ok(())
}
