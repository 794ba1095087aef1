//! Many files bound into one, for a printer: the very pages of each, one file after the other. To set hundreds of notices as one
//! document takes typst more than a gigabyte; to bind them takes the sum of their bytes.
//!
//! A volume is for paper. Tags, outlines and metadata stay with the files it is bound from: those are the ones that people are given.

use lopdf::{Dictionary, Document, Object, ObjectId, dictionary};

use crate::render::RenderError;

/// Binds files.
///
/// # Errors
/// [`RenderError::Field`] where one of them is no PDF with pages, or there is none.
pub fn bind(files: Vec<Vec<u8>>) -> Result<Vec<u8>, RenderError> {
    // Binding needs the memory that typst remembers pages with.
    typst::comemo::evict(0);
    let no_pages = RenderError::Field { field: "files", why: "one is no PDF with pages" };
    let mut volume = Document::with_version("1.7");
    let root = volume.new_object_id();
    let mut kids: Vec<ObjectId> = Vec::new();
    for bytes in files {
        let mut file = Document::load_mem(&bytes).map_err(|_| no_pages.clone())?;
        drop(bytes);
        file.renumber_objects_with(volume.max_id.saturating_add(1));
        let pages: Vec<ObjectId> = file.get_pages().into_values().collect();
        let mut own = Vec::with_capacity(pages.len());
        for id in pages {
            own.push((id, whole(&file, id).ok_or_else(|| no_pages.clone())?));
        }
        volume.max_id = volume.max_id.max(file.max_id);
        let used = |object: &Object| {
            !matches!(
                object.type_name(),
                Ok(b"Catalog" | b"Pages" | b"Page" | b"StructTreeRoot" | b"StructElem" | b"Metadata")
            )
        };
        volume.objects.extend(file.objects.into_iter().filter(|(_, object)| used(object)));
        for (id, mut page) in own {
            page.set("Parent", root);
            volume.objects.insert(id, Object::Dictionary(page));
            kids.push(id);
        }
    }
    if kids.is_empty() {
        return Err(no_pages);
    }
    let count = i64::try_from(kids.len()).unwrap_or(i64::MAX);
    let kids: Vec<Object> = kids.into_iter().map(Object::Reference).collect();
    volume
        .objects
        .insert(root, Object::Dictionary(dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count }));
    let catalog = volume.add_object(dictionary! { "Type" => "Catalog", "Pages" => root });
    volume.trailer.set("Root", catalog);
    // What only tags and metadata pointed to.
    volume.prune_objects();
    let mut bytes = Vec::new();
    volume.save_to(&mut bytes).map_err(|_| no_pages)?;
    Ok(bytes)
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
    for name in [b"StructParents".as_slice(), b"Tabs", b"Annots"] {
        page.remove(name);
    }
    Some(page)
}
