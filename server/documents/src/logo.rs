//! A creditor's coat of arms: checked once, when it comes in, so that no document fails for it.

use thiserror::Error;
use typst::foundations::Bytes;
use typst::visualize::{ExchangeFormat, RasterImage};

use crate::world::prints;

/// The largest file, in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// The longest side of a bitmap, in points. What is unpacked to print it is bounded by it: 16 MB.
pub(crate) const MAX_SIDE: u32 = 2000;

/// What a drawing may have in elements, and in copies of elements (`use`), which can multiply.
const MAX_ELEMENTS: usize = 20_000;
const MAX_COPIES: usize = 8;

/// A picture that can be printed: PNG, JPEG or SVG.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    picture: Bytes,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Png,
    Jpeg,
    Svg,
}

impl std::fmt::Debug for Logo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Logo({:?}, {} bytes)", self.kind, self.picture.len())
    }
}

/// Why a file is no logo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LogoError {
    /// More than 1 MiB.
    #[error("the logo is larger than 1 MiB: save it smaller (30 mm at 300 dpi are 354 points)")]
    TooLarge,
    /// A side of more than 2000 points.
    #[error("the logo is wider or higher than 2000 points: save it smaller (30 mm at 300 dpi are 354 points)")]
    TooManyPoints,
    /// No PNG, JPEG or SVG, or a broken one.
    #[error("the logo is no PNG, JPEG or SVG picture, or is damaged")]
    NoPicture,
    /// Letters need a font, which the file does not bring.
    #[error("the logo has text in it: convert it to paths in the drawing program, and save again")]
    Text,
    /// A script, another file, a bitmap, a filter, an entity.
    #[error("the logo has more in it than a drawing (a script, a filter, another picture): save it as plain SVG")]
    NotPlain,
    /// Too many elements, or copies of them.
    #[error("the logo has too many parts: simplify it, or save it as PNG")]
    TooManyParts,
    /// The standard for archives forbids something in it, e.g. CMYK colours.
    #[error("the logo can't be printed in a PDF for archives: save it with RGB colours")]
    NotForArchives,
}

impl Logo {
    /// Reads a picture.
    ///
    /// # Errors
    /// [`LogoError`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, LogoError> {
        if bytes.len() > MAX_BYTES {
            return Err(LogoError::TooLarge);
        }
        let kind = kind(&bytes);
        let format = match kind {
            Kind::Png => Some((ExchangeFormat::Png, png_size(&bytes))),
            Kind::Jpeg => Some((ExchangeFormat::Jpg, jpeg_size(&bytes))),
            Kind::Svg => None,
        };
        let logo = Self { picture: Bytes::new(bytes), kind };
        if let Some((format, size)) = format {
            // The size first: only then it is unpacked.
            let (width, height) = size.ok_or(LogoError::NoPicture)?;
            if width > MAX_SIDE || height > MAX_SIDE {
                return Err(LogoError::TooManyPoints);
            }
            RasterImage::plain(logo.picture.clone(), format).map_err(|_| LogoError::NoPicture)?;
        } else {
            plain_drawing(std::str::from_utf8(&logo.picture).map_err(|_| LogoError::NoPicture)?)?;
        }
        match prints(&logo) {
            Some(true) => Ok(logo),
            Some(false) => Err(LogoError::NotForArchives),
            None => Err(LogoError::NoPicture),
        }
    }

    /// The file, as it came in.
    pub fn bytes(&self) -> &[u8] {
        &self.picture
    }

    /// The same for typst.
    pub(crate) fn picture(&self) -> &Bytes {
        &self.picture
    }

    /// What a browser calls a file that was read as a logo.
    pub fn media_type(bytes: &[u8]) -> &'static str {
        match kind(bytes) {
            Kind::Png => "image/png",
            Kind::Jpeg => "image/jpeg",
            Kind::Svg => "image/svg+xml",
        }
    }

    /// How typst knows what it is.
    pub(crate) fn extension(&self) -> &'static str {
        match self.kind {
            Kind::Png => "png",
            Kind::Jpeg => "jpg",
            Kind::Svg => "svg",
        }
    }
}

/// By the first bytes.
fn kind(bytes: &[u8]) -> Kind {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Kind::Png,
        [0xff, 0xd8, 0xff, ..] => Kind::Jpeg,
        _ => Kind::Svg,
    }
}

/// Width and height, from the header that a PNG begins with.
fn png_size(png: &[u8]) -> Option<(u32, u32)> {
    let number = |from: usize| Some(u32::from_be_bytes(*png.get(from..)?.first_chunk()?));
    (png.get(12..16)? == b"IHDR").then_some((number(16)?, number(20)?))
}

/// Width and height, from the frame header of a JPEG.
fn jpeg_size(jpeg: &[u8]) -> Option<(u32, u32)> {
    let mut rest = jpeg.get(2..)?;
    loop {
        let [0xff, marker, after @ ..] = rest else { return None };
        match marker {
            // Fill bytes, and markers without a length.
            0xff => rest = rest.get(1..)?,
            0x01 | 0xd0..=0xd7 => rest = after,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let [_, _, _, h1, h2, w1, w2, ..] = after else { return None };
                return Some((u16::from_be_bytes([*w1, *w2]).into(), u16::from_be_bytes([*h1, *h2]).into()));
            }
            _ => rest = after.get(usize::from(u16::from_be_bytes(*after.first_chunk()?))..)?,
        }
    }
}

/// Whether an SVG is shapes and nothing else. Reads tags and attributes only, and rather refuses too much: the drawing is
/// parsed by typst afterwards.
fn plain_drawing(svg: &str) -> Result<(), LogoError> {
    let (mut elements, mut copies, mut root) = (0_usize, 0_usize, false);
    for tag in svg.split('<').skip(1) {
        let name = tag.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next().unwrap_or_default();
        let name = name.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "svg" => root = true,
            "text" | "tspan" | "textpath" => return Err(LogoError::Text),
            "script" | "marker" | "pattern" | "mask" | "image" | "feimage" | "filter" | "foreignobject" | "!entity"
            | "?xml-stylesheet" | "iframe" | "audio" | "video" => return Err(LogoError::NotPlain),
            "use" => copies = copies.saturating_add(1),
            _ => {}
        }
        elements = elements.saturating_add(1);
        if elements > MAX_ELEMENTS || copies > MAX_COPIES {
            return Err(LogoError::TooManyParts);
        }
    }
    let lower = svg.to_ascii_lowercase();
    let elsewhere = |before: &str, opens: &[char]| {
        lower.split(before).skip(1).any(|after| {
            let target = after.trim_start_matches(opens);
            // An attribute of another name, e.g. in prose, has no `=` and comes to nothing.
            target.len() < after.len() && !target.starts_with('#')
        })
    };
    if elsewhere("href", &['=', '"', '\'', ' ', '\n', '\t', '\r'])
        || elsewhere("url", &['(', '"', '\'', ' '])
        || lower.contains("@import")
    {
        return Err(LogoError::NotPlain);
    }
    if root { Ok(()) } else { Err(LogoError::NoPicture) }
}
