//! What may be a logo, and that one never blocks a document.

use borsellino_documents::{Logo, LogoError, sample};

use crate::readers::{Pdf, RENDERER};

fn png(width: u32, height: u32, color: png::ColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    let row = color.samples() * usize::try_from(width).unwrap();
    let mut writer = encoder.write_header().unwrap();
    let shades: Vec<u8> = (0..=255).cycle().take(row * usize::try_from(height).unwrap()).collect();
    writer.write_image_data(&shades).unwrap();
    writer.finish().unwrap();
    bytes
}

fn refused(bytes: &[u8]) -> LogoError {
    Logo::parse(bytes.to_vec()).unwrap_err()
}

fn svg(inside: &str) -> Vec<u8> {
    format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">{inside}</svg>"#).into_bytes()
}

#[test]
fn bitmaps_print_transparent_or_not() {
    for color in [png::ColorType::Grayscale, png::ColorType::Rgb, png::ColorType::Rgba, png::ColorType::GrayscaleAlpha]
    {
        let mut notice = sample::notice(0, false);
        notice.issuer.logo = Some(Logo::parse(png(40, 60, color)).unwrap());
        let pdf = Pdf::new(&RENDERER.notice(&notice).unwrap());
        assert!(pdf.structure().contains("Figure"), "{color:?}");
    }
}

#[test]
fn drawings_print() {
    for inside in [
        r##"<defs><linearGradient id="g"><stop offset="0" stop-color="red"/></linearGradient></defs><path fill="url(#g)" d="M0 0h9v9z"/>"##,
        r##"<path id="a" d="M0 0h1v1z" opacity=".5"/><use href="#a" x="3"/><title>Stemma</title>"##,
    ] {
        let logo = Logo::parse(svg(inside)).unwrap();
        assert_eq!(logo.bytes(), svg(inside));
        let mut receipt = sample::receipt(1);
        receipt.issuer.logo = Some(logo);
        RENDERER.receipt(&receipt).unwrap();
    }
}

#[test]
fn what_is_no_picture_is_refused() {
    assert_eq!(refused(&vec![0; 40 << 20]), LogoError::TooLarge);
    let whole = png(40, 40, png::ColorType::Rgb);
    let mut bomb = whole.clone();
    bomb[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    assert_eq!(refused(&bomb), LogoError::TooManyPoints);
    for broken in [
        &b""[..],
        b"GIF89a",
        b"%PDF-1.7",
        &whole[..30],
        &whole[..whole.len() / 2],
        b"\xff\xd8\xff\xe0",
        b"\xff\xd8\xff\xff\xff",
        b"<svg",
        b"<html></html>",
        b"\xfe\xff",
    ] {
        assert_eq!(refused(broken), LogoError::NoPicture, "{broken:?}");
    }
}

#[test]
fn a_drawing_reaches_for_nothing() {
    for (inside, why) in [
        ("<text>Comune</text>", LogoError::Text),
        ("<svg:text>Comune</svg:text>", LogoError::Text),
        ("<script>1</script>", LogoError::NotPlain),
        (r#"<image href="file:///etc/passwd"/>"#, LogoError::NotPlain),
        (r#"<use xlink:href="https://example.com/x.svg#a"/>"#, LogoError::NotPlain),
        (r#"<path fill="url(http://example.com/x)" d="M0 0h9v9z"/>"#, LogoError::NotPlain),
        ("<style>@import 'x.css';</style>", LogoError::NotPlain),
        (&r##"<use href="#a"/>"##.repeat(9), LogoError::TooManyParts),
        (&"<g/>".repeat(20_001), LogoError::TooManyParts),
    ] {
        assert_eq!(refused(&svg(inside)), why, "{inside:.60}");
    }
    let entities =
        br#"<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg xmlns="http://www.w3.org/2000/svg"/>"#;
    assert_eq!(refused(entities), LogoError::NotPlain);
}
