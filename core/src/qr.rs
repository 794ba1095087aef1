//! The QR code of a notice, to show at a counter: pagoPA's version 4, error correction M (SANP, payment notice), as a matrix that
//! any screen can draw, without the network.

use qrcode::bits::Bits;
use qrcode::{Color, EcLevel, QrCode, Version};

use crate::models::NoticeView;

/// A QR code as black and white squares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QrMatrix {
    /// How many squares a side has: 33.
    pub width: u32,
    /// Row by row from the top left; `true` is dark.
    pub dark: Vec<bool>,
    /// How many squares of light to leave around it on every side: 4, or scanners do not find it.
    pub quiet_zone: u32,
}

impl NoticeView {
    /// The QR code to draw; `None` where the text does not fit one of pagoPA's.
    pub fn qr(&self) -> Option<QrMatrix> {
        // All of it as bytes, as pagoPA prints it: segments of digits and letters would save room that is there.
        let mut bits = Bits::new(Version::Normal(4));
        bits.push_byte_data(self.qr_text.as_bytes()).ok()?;
        bits.push_terminator(EcLevel::M).ok()?;
        let code = QrCode::with_bits(bits, EcLevel::M).ok()?;
        let width = u32::try_from(code.width()).ok()?;
        let dark = code.into_colors().into_iter().map(|color| color == Color::Dark).collect();
        Some(QrMatrix { width, dark, quiet_zone: 4 })
    }
}
