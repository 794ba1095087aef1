//! Documents as files in a folder.

use std::path::Path;

use borsellino_core::{Document, NoticeOf, PaymentOf, ReceiptFormat, ReceiptView};

use crate::{Done, Phone, Stop};

/// The one with this number on the screen.
fn numbered<T>(mut items: impl Iterator<Item = T>, number: &str) -> Done<T> {
    let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    index.and_then(|index| items.nth(index)).ok_or_else(|| Stop::Script(format!("{number}?")))
}

/// What was paid, if it is this parent's.
fn payment(item: &ReceiptView) -> Option<PaymentOf> {
    item.top_up.map(PaymentOf::TopUp).or(item.bill.map(PaymentOf::Bill))
}

impl Phone {
    /// What was paid, with the numbers that receipts are asked for by.
    pub(crate) async fn archive(&self) -> Done {
        self.screen.archive(&self.app.receipts(None).await?);
        Ok(())
    }

    /// `words` are what is wanted; the last of them is the folder it goes to.
    pub(crate) async fn save(&self, words: &[&str]) -> Done {
        let unknown = || Stop::Script(format!("document {}?", words.join(" ")));
        let (folder, wanted) = words.split_last().ok_or_else(unknown)?;
        let home = self.known()?;
        let document = match wanted {
            ["notice", "topup", number] => Document::Notice(NoticeOf::TopUp(numbered(home.top_ups.iter(), number)?.id)),
            ["notice", "bill", number] => Document::Notice(NoticeOf::Bill(numbered(home.bills.iter(), number)?.id)),
            [kind @ ("receipt" | "original"), number] => {
                let format = if *kind == "receipt" { ReceiptFormat::Pdf } else { ReceiptFormat::Xml };
                let page = self.app.receipts(None).await?;
                let payment = payment(numbered(page.items.iter(), number)?).ok_or_else(unknown)?;
                Document::Receipts { payment, format }
            }
            ["certificate", number, year] => {
                let year = year.parse().map_err(|_| unknown())?;
                Document::Certificate { child: numbered(home.children.iter(), number)?.id, year }
            }
            ["statement", number, from, to] => {
                let wallet = self.wallet(number)?.id;
                Document::Statement { wallet, from: (*from).to_owned(), to: (*to).to_owned() }
            }
            _ => return Err(unknown()),
        };
        let account = self.app.accounts().into_iter().find(|it| it.active).ok_or_else(unknown)?.key;
        for file in self.app.documents(account, document).await? {
            // A name of the app core's is no path.
            let path = Path::new(folder).join(&file.name);
            let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, &file.content));
            written.map_err(|error| Stop::Script(format!("{}: {error}", path.display())))?;
            self.screen.saved(&path, &file);
        }
        Ok(())
    }
}
