//! What pages load besides themselves: styles, script, icons, fonts. In the binary, compressed once, and named by what they hold, so
//! that a browser keeps them for good.

use std::io::Write;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use borsellino_domain::ledger::Hash;
use flate2::Compression;
use flate2::write::GzEncoder;

struct Asset {
    name: &'static str,
    /// With its mark: `portal.1a2b3c4d5e6f.css`.
    file: String,
    media_type: &'static str,
    bytes: Vec<u8>,
    /// `None` for what is compressed already.
    packed: Option<Vec<u8>>,
}

const FILES: [(&str, &str, &[u8]); 11] = [
    ("titillium-400.woff2", "font/woff2", include_bytes!("../../assets/titillium-400.woff2")),
    ("titillium-600.woff2", "font/woff2", include_bytes!("../../assets/titillium-600.woff2")),
    ("titillium-700.woff2", "font/woff2", include_bytes!("../../assets/titillium-700.woff2")),
    ("icons.svg", "image/svg+xml", include_bytes!("../../assets/icons.svg")),
    ("icon.svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")),
    ("icon-180.png", "image/png", include_bytes!("../../assets/icon-180.png")),
    ("icon-192.png", "image/png", include_bytes!("../../assets/icon-192.png")),
    ("icon-512.png", "image/png", include_bytes!("../../assets/icon-512.png")),
    ("portal.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/portal.js")),
    ("htmx.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/htmx.js")),
    ("portal.css", "text/css; charset=utf-8", include_bytes!("../../assets/portal.css")),
];

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let mut assets: Vec<Asset> = Vec::with_capacity(FILES.len());
    for (name, media_type, bytes) in FILES {
        let mut bytes = bytes.to_vec();
        if name.ends_with(".css") {
            // Styles come last: they name the others.
            let mut text = String::from_utf8_lossy(&bytes).into_owned();
            for other in &assets {
                text = text.replace(&format!("/assets/{}", other.name), &format!("/assets/{}", other.file));
            }
            bytes = text.into_bytes();
        }
        let mark: String = Hash::of(&bytes).to_string().chars().take(12).collect();
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let packed = (!matches!(ending, "woff2" | "png")).then(|| pack(&bytes)).flatten();
        assets.push(Asset { name, file: format!("{stem}.{mark}.{ending}"), media_type, bytes, packed });
    }
    assets
});

fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// Where an asset lies.
pub(super) fn path(name: &str) -> String {
    let file = ASSETS.iter().find(|asset| asset.name == name).map_or(name, |asset| &asset.file);
    format!("/assets/{file}")
}

pub(super) async fn file(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.file == file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let packed = asset.packed.as_ref().filter(|_| accepted.split(',').any(|one| one.trim().starts_with("gzip")));
    let mut response = packed.unwrap_or(&asset.bytes).clone().into_response();
    let own = response.headers_mut();
    own.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    own.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    own.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    own.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if packed.is_some() {
        own.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_name_the_fonts_by_their_marks() {
        let styles = ASSETS.iter().find(|asset| asset.name == "portal.css").unwrap();
        let text = std::str::from_utf8(&styles.bytes).unwrap();
        for font in ASSETS.iter().filter(|asset| asset.name.ends_with(".woff2")) {
            assert!(text.contains(&font.file), "{}", font.file);
        }
    }
}
