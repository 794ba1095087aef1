//! Who may connect to the Node's port: a certificate must chain to the configured authority, and its subject be one of
//! the configured names. The chain alone would let in whatever else that authority certifies.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use webpki::EndEntityCert;

/// The chain is right, the name is not.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is for none of client_names")]
struct OtherName;

/// Checks the chain first, the name after it.
#[derive(Debug)]
pub(super) struct KnownClients {
    chain: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
}

impl KnownClients {
    pub(super) fn new(chain: Arc<dyn ClientCertVerifier>, names: Vec<String>) -> Self {
        Self { chain, names }
    }
}

impl ClientCertVerifier for KnownClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        if is_for(end_entity, &self.names) {
            return Ok(verified);
        }
        Err(CertificateError::Other(OtherError(Arc::new(OtherName))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Whether one of the names is the certificate's common name or stands among its DNS names. Letter for letter, but for
/// their case: a wildcard is no name.
fn is_for(certificate: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
    let known = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    certificate.valid_dns_names().any(known) || common_name(certificate.subject()).is_some_and(known)
}

/// The one common name of a distinguished name (X.501: a sequence of sets of pairs, here without the outermost tag).
/// `None` where there are several, or it is not well formed.
fn common_name(mut subject: &[u8]) -> Option<&str> {
    let mut found = None;
    while !subject.is_empty() {
        let (mut set, rest) = element(subject, SET)?;
        subject = rest;
        while !set.is_empty() {
            let (pair, rest) = element(set, SEQUENCE)?;
            set = rest;
            let (kind, value) = element(pair, OBJECT_IDENTIFIER)?;
            if kind != COMMON_NAME {
                continue;
            }
            let (text, after) = TEXTS.iter().find_map(|tag| element(value, *tag))?;
            if !after.is_empty() || found.is_some() {
                return None;
            }
            found = Some(std::str::from_utf8(text).ok()?);
        }
    }
    found
}

const SET: u8 = 0x31;
const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// UTF8String, PrintableString, IA5String: those whose bytes are their text.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];

/// The content of the DER element that `input` begins with, if its tag is this one, and what follows it.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = input.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81 => rest.split_first().map(|(&one, rest)| (usize::from(one), rest))?,
        0x82 => rest.split_first_chunk().map(|(&two, rest)| (usize::from(u16::from_be_bytes(two)), rest))?,
        _ => return None,
    };
    if first == tag { rest.split_at_checked(length) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut bytes = match length {
            0..=0x7f => vec![tag, length as u8],
            0x80..=0xff => vec![tag, 0x81, length as u8],
            _ => [&[tag, 0x82], &(length as u16).to_be_bytes()[..]].concat(),
        };
        bytes.extend_from_slice(content);
        bytes
    }

    fn attribute(last: u8, tag: u8, text: &str) -> Vec<u8> {
        tlv(SET, &tlv(SEQUENCE, &[tlv(OBJECT_IDENTIFIER, &[0x55, 0x04, last]), tlv(tag, text.as_bytes())].concat()))
    }

    #[test]
    fn the_common_name_is_read_where_it_stands() {
        let (country, organisation) = (attribute(6, 0x13, "IT"), attribute(10, 0x0c, "PagoPA S.p.A."));
        for tag in TEXTS {
            let subject = [country.clone(), organisation.clone(), attribute(3, tag, "node.example")].concat();
            assert_eq!(common_name(&subject), Some("node.example"));
        }
        for length in [127, 128, 255, 256, 4_000] {
            let long = "x".repeat(length);
            assert_eq!(common_name(&attribute(3, 0x0c, &long)), Some(long.as_str()), "{length}");
        }
    }

    #[test]
    fn what_is_no_common_name_is_none() {
        let name = attribute(3, 0x0c, "node.example");
        assert_eq!(common_name(&[]), None);
        assert_eq!(common_name(&attribute(10, 0x0c, "node.example")), None, "an organisation");
        assert_eq!(common_name(&[name.clone(), name.clone()].concat()), None, "two");
        assert_eq!(common_name(&attribute(3, 0x1e, "\0n\0o")), None, "another alphabet");
        // A common name's bytes inside another attribute's text are that text.
        let inside = String::from_utf8([&[0x06, 0x03], COMMON_NAME, &[0x0c, 0x01], b"x"].concat()).unwrap();
        assert_eq!(common_name(&attribute(10, 0x0c, &inside)), None);
        for cut in 1..name.len() {
            assert_eq!(common_name(&name[..cut]), None, "cut at {cut}");
            let mut wrong = name.clone();
            wrong[cut] ^= 0x80;
            assert_ne!(common_name(&wrong), Some("node.example"), "another bit at {cut}");
        }
    }
}
