//! The two codes on paper, the QR code and the Data Matrix, each as one vector path.

use std::fmt::Write as _;

use datamatrix::{DataMatrix, SymbolList};
use qrcode::types::Color;
use qrcode::{EcLevel, QrCode, Version};

/// Blank modules around a QR code (ISO/IEC 18004).
const QR_QUIET: usize = 4;

/// Blank modules around a Data Matrix; the standard asks for one.
const MATRIX_QUIET: usize = 2;

/// The QR code of a notice as SVG: version 4, error correction M (guide 3.3); `None` where the text is too long, which
/// 53 bytes are not.
pub(crate) fn notice_qr(text: &str) -> Option<String> {
    qr(QrCode::with_version(text, Version::Normal(4), EcLevel::M).ok()?)
}

/// The QR code of a web address, in the smallest symbol that holds it; `None` where none does.
pub(crate) fn address_qr(text: &str) -> Option<String> {
    qr(QrCode::with_error_correction_level(text, EcLevel::M).ok()?)
}

// Reached with what `QrCode` made, which the caller has by value only.
#[allow(clippy::needless_pass_by_value, reason = "reads better at the call")]
fn qr(code: QrCode) -> Option<String> {
    let modules: Vec<bool> = code.to_colors().iter().map(|color| *color == Color::Dark).collect();
    svg(&modules, code.width(), QR_QUIET)
}

/// A Data Matrix as SVG: the smallest square symbol that holds the text; `None` where none does, or where the text is
/// not plain. With the number of modules of a side.
pub(crate) fn matrix(text: &str) -> Option<(String, usize)> {
    let code = DataMatrix::encode(text.as_bytes(), SymbolList::default().enforce_square()).ok()?;
    let bitmap = code.bitmap();
    let (width, height) = (bitmap.width(), bitmap.height());
    let mut modules = vec![false; width.checked_mul(height)?];
    for (x, y) in bitmap.pixels() {
        *modules.get_mut(y.checked_mul(width)?.checked_add(x)?)? = true;
    }
    Some((svg(&modules, width, MATRIX_QUIET)?, width))
}

/// A square of modules as one path: a rectangle for each run of dark modules in a row.
fn svg(modules: &[bool], width: usize, quiet: usize) -> Option<String> {
    let side = width.checked_add(quiet.checked_mul(2)?)?;
    let mut path = String::with_capacity(8192);
    for (y, row) in (quiet..).zip(modules.chunks(width)) {
        let mut from = quiet;
        for run in row.chunk_by(|a, b| a == b) {
            if run.first() == Some(&true) {
                write!(path, "M{from} {y}h{length}v1h-{length}z", length = run.len()).ok()?;
            }
            from = from.checked_add(run.len())?;
        }
    }
    Some(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}"><path fill="#fff" d="M0 0h{side}v{side}h-{side}z"/><path d="{path}"/></svg>"##
    ))
}
