//! Many files bound into one, for a printer: the very pages of each, one file after the other, written as they come. To set hundreds
//! of notices as one document takes typst more than a gigabyte; to bind them takes no more than one of them.
//!
//! A volume is for paper. Tags, outlines and metadata stay with the files it is bound from: those are the ones that people are given.
//! What several files have in common, logo and colour profile, is in it once.

use std::collections::HashMap;
use std::io::{self, Write};

use lopdf::{Dictionary, Document, Object, ObjectId, Writer, dictionary};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Under these two numbers lie what every volume has; what the files bring follows.
const CATALOG: u32 = 1;
const PAGES: u32 = 2;

/// How deep what a page refers to may lie: fonts are four deep.
const DEEPEST: usize = 32;

/// Why a volume can't be bound.
#[derive(Debug, Error)]
pub enum BindError {
    /// What was added is no PDF that has pages; or nothing was added.
    #[error("not a PDF with pages")]
    NoPages,
    /// What it is written to takes no more.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// A volume being written. Without [`Volume::finish`] it is no PDF.
#[derive(Debug)]
pub struct Volume<W> {
    out: W,
    written: u64,
    /// Where each object begins, from number 1.
    starts: Vec<u64>,
    pages: Vec<u32>,
    /// The numbers of what was written, by its digest.
    known: HashMap<[u8; 32], u32>,
}

/// A file while it is added.
struct File {
    document: Document,
    /// Its objects that are in the volume; `None` while what they refer to is.
    taken: HashMap<ObjectId, Option<u32>>,
}

impl<W: Write> Volume<W> {
    /// Begins one.
    ///
    /// # Errors
    /// [`BindError::Disk`].
    pub fn new(out: W) -> Result<Self, BindError> {
        let mut volume = Self { out, written: 0, starts: vec![0; 2], pages: Vec::new(), known: HashMap::new() };
        // Bytes beyond ASCII tell programs that carry it that this is no text.
        volume.write(b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n")?;
        Ok(volume)
    }

    /// Adds the pages of a file.
    ///
    /// # Errors
    /// [`BindError`]. The volume is lost then.
    pub fn add(&mut self, file: &[u8]) -> Result<(), BindError> {
        let document = Document::load_mem(file).map_err(|_| BindError::NoPages)?;
        let pages: Vec<ObjectId> = document.get_pages().into_values().collect();
        if pages.is_empty() {
            return Err(BindError::NoPages);
        }
        let mut file = File { document, taken: HashMap::new() };
        for id in pages {
            let mut page = Object::Dictionary(whole(&file.document, id).ok_or(BindError::NoPages)?);
            self.take(&mut file, &mut page, 0)?;
            if let Ok(page) = page.as_dict_mut() {
                page.set("Parent", reference(PAGES));
            }
            let number = self.next()?;
            self.object(number, &page)?;
            self.pages.push(number);
        }
        Ok(())
    }

    /// Ends it and gives back what it was written to.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn finish(mut self) -> Result<W, BindError> {
        if self.pages.is_empty() {
            return Err(BindError::NoPages);
        }
        let count = i64::try_from(self.pages.len()).map_err(|_| BindError::NoPages)?;
        let kids: Vec<Object> = self.pages.iter().copied().map(reference).collect();
        let pages = dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count };
        self.object(PAGES, &Object::Dictionary(pages))?;
        self.object(CATALOG, &Object::Dictionary(dictionary! { "Type" => "Catalog", "Pages" => reference(PAGES) }))?;
        let table = self.written;
        let size = self.starts.len().saturating_add(1);
        let mut end = format!("xref\n0 {size}\n0000000000 65535 f \n");
        for start in &self.starts {
            end.push_str(&format!("{start:010} 00000 n \n"));
        }
        end.push_str(&format!("trailer\n<</Size {size}/Root {CATALOG} 0 R>>\nstartxref\n{table}\n%%EOF\n"));
        self.write(end.as_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Replaces what `object` refers to in its file by what it is in the volume.
    fn take(&mut self, file: &mut File, object: &mut Object, deep: usize) -> Result<(), BindError> {
        if deep > DEEPEST {
            return Err(BindError::NoPages);
        }
        match object {
            Object::Reference(id) => *object = reference(self.number(file, *id, deep)?),
            Object::Array(all) => {
                for one in all {
                    self.take(file, one, deep.saturating_add(1))?;
                }
            }
            Object::Dictionary(entries) => self.take_all(file, entries, deep)?,
            Object::Stream(stream) => self.take_all(file, &mut stream.dict, deep)?,
            _ => {}
        }
        Ok(())
    }

    fn take_all(&mut self, file: &mut File, entries: &mut Dictionary, deep: usize) -> Result<(), BindError> {
        for (_, one) in entries.iter_mut() {
            self.take(file, one, deep.saturating_add(1))?;
        }
        Ok(())
    }

    /// The number of a file's object in the volume.
    fn number(&mut self, file: &mut File, id: ObjectId, deep: usize) -> Result<u32, BindError> {
        if let Some(known) = file.taken.get(&id) {
            // What refers to itself, only tags do.
            return known.ok_or(BindError::NoPages);
        }
        file.taken.insert(id, None);
        let mut object = file.document.objects.remove(&id).ok_or(BindError::NoPages)?;
        self.take(file, &mut object, deep.saturating_add(1))?;
        let mut bytes = Vec::new();
        Writer::write_object(&mut bytes, &object)?;
        let digest = Sha256::digest(&bytes).into();
        let number = match self.known.get(&digest) {
            Some(number) => *number,
            None => {
                let number = self.next()?;
                self.known.insert(digest, number);
                self.object(number, &object)?;
                number
            }
        };
        file.taken.insert(id, Some(number));
        Ok(number)
    }

    fn next(&mut self) -> Result<u32, BindError> {
        self.starts.push(0);
        u32::try_from(self.starts.len()).map_err(|_| BindError::NoPages)
    }

    fn object(&mut self, number: u32, object: &Object) -> Result<(), BindError> {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        if let Some(start) = index.and_then(|index| self.starts.get_mut(index)) {
            *start = self.written;
        }
        let mut bytes = format!("{number} 0 obj\n").into_bytes();
        Writer::write_object(&mut bytes, object)?;
        bytes.extend_from_slice(b"\nendobj\n");
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BindError> {
        self.out.write_all(bytes)?;
        self.written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }
}

fn reference(number: u32) -> Object {
    Object::Reference((number, 0))
}

/// A page with what it inherits, without its place among tags.
fn whole(file: &Document, id: ObjectId) -> Option<Dictionary> {
    let mut page = file.get_dictionary(id).ok()?.clone();
    for name in [b"Resources".as_slice(), b"MediaBox", b"CropBox", b"Rotate"] {
        let mut above = page.get(b"Parent").and_then(Object::as_reference).ok();
        while let (false, Some(parent)) = (page.has(name), above) {
            let parent = file.get_dictionary(parent).ok()?;
            if let Ok(value) = parent.get(name) {
                page.set(name.to_vec(), value.clone());
            }
            above = parent.get(b"Parent").and_then(Object::as_reference).ok();
        }
    }
    for name in [b"Parent".as_slice(), b"StructParents", b"Tabs", b"Annots"] {
        page.remove(name);
    }
    Some(page)
}
