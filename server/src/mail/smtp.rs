//! The dialogue with an SMTP server (RFC 5321): STARTTLS (RFC 3207), AUTH PLAIN and LOGIN (RFC 4954), one letter at a time.
//!
//! Every step is told what answer it takes, and an answer that came before its question ends the connection: what somebody on
//! the way wrote in clear is never taken for an answer under TLS.

use std::io;

use data_encoding::BASE64;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::{Address, Credentials, Trouble};

/// The longest line of an answer that is read, in bytes: four times what RFC 5321, 4.5.3.1.5, allows.
const MAX_LINE: usize = 2_048;

/// How many lines an answer may have.
const MAX_LINES: usize = 100;

/// Where in the dialogue something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connect,
    Tls,
    Greeting,
    Ehlo,
    Starttls,
    Auth,
    Reset,
    Mail,
    Rcpt,
    Data,
    /// After the dot.
    Letter,
    Quit,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Greeting => "greeting",
            Self::Ehlo => "ehlo",
            Self::Starttls => "starttls",
            Self::Auth => "auth",
            Self::Reset => "rset",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Letter => "letter",
            Self::Quit => "quit",
        }
    }
}

/// What an SMTP server answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// Without codes; what is not printable ASCII is `?`.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// `5.1.1`, where the answer begins with such a code (RFC 3463).
    fn enhanced(&self) -> Option<&str> {
        let word = self.lines.first()?.split(' ').next()?;
        let parts: Vec<&str> = word.split('.').collect();
        let number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit());
        (parts.len() == 3 && parts.iter().all(number)).then_some(word)
    }
}

/// Why a step did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server said something else than what the step needs.
    Said(Stage, Reply),
    /// No answer, or none that can be understood; why, in a word or two.
    Broke(Stage, &'static str),
}

impl Failure {
    /// Whether the next letter may go over the same connection.
    pub(super) fn leaves_a_connection(&self) -> bool {
        matches!(self, Self::Said(Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Letter, reply)
            if (400..600).contains(&reply.code) && reply.code != 421)
    }

    /// What it means for the letter: only what was said of its recipient or of itself refuses it. What is said before of the
    /// sender or of us would be said of every letter, and is the operator's to mend.
    pub(super) fn trouble(&self) -> Trouble {
        match self {
            Self::Broke(stage, why) => Trouble::Later(format!("{} {why}", stage.name())),
            Self::Said(stage, reply) => {
                let mut code = format!("{} {}", stage.name(), reply.code);
                if let Some(enhanced) = reply.enhanced() {
                    code = format!("{code} {enhanced}");
                }
                // 530 and 535: sign in (differently) first.
                let about_us = matches!(reply.code, 530 | 535);
                match stage {
                    Stage::Rcpt | Stage::Data | Stage::Letter if (500..600).contains(&reply.code) && !about_us => {
                        Trouble::Refused(code)
                    }
                    _ => Trouble::Later(code),
                }
            }
        }
    }
}

/// What bytes travel on.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// One end of a dialogue.
pub(super) struct Talk<W> {
    stream: BufReader<W>,
    deadline: Instant,
}

/// How TLS is spoken.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl Tls {
    async fn over(&self, stream: TcpStream, deadline: Instant) -> Result<Box<dyn Wire>, Failure> {
        let handshake = timeout_at(deadline, self.connector.connect(self.name.clone(), stream)).await;
        let stream = handshake.map_err(|_| Failure::Broke(Stage::Tls, "timeout"))?;
        Ok(Box::new(stream.map_err(|error| Failure::Broke(Stage::Tls, handshake_fault(&error)))?))
    }
}

fn handshake_fault(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => "certificate",
        Some(_) => "handshake",
        None => "cut",
    }
}

/// What is said when a connection opens.
pub(super) struct Opening<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) tls: Option<&'a Tls>,
    /// TLS begins after a few words in clear.
    pub(super) starttls: bool,
    pub(super) hello: &'a str,
    pub(super) credentials: Option<&'a Credentials>,
}

impl Opening<'_> {
    /// Connects, greets, and signs in.
    pub(super) async fn open(&self, deadline: Instant) -> Result<Talk<Box<dyn Wire>>, Failure> {
        let connected = timeout_at(deadline, TcpStream::connect((self.host, self.port))).await;
        let tcp = connected.map_err(|_| Failure::Broke(Stage::Connect, "timeout"))?;
        let tcp = tcp.map_err(|_| Failure::Broke(Stage::Connect, "no connection"))?;
        // Without it small writes may wait for each other; where it can't be set they do.
        let _ = tcp.set_nodelay(true);
        let (wire, greets): (Box<dyn Wire>, bool) = match self.tls {
            None => (Box::new(tcp), true),
            Some(tls) if !self.starttls => (tls.over(tcp, deadline).await?, true),
            Some(tls) => {
                let mut clear = Talk::new(tcp, deadline);
                clear.hear(Stage::Greeting, &[220]).await?;
                if !clear.hello(self.hello).await?.offers("STARTTLS") {
                    return Err(Failure::Broke(Stage::Starttls, "not offered"));
                }
                clear.ask(Stage::Starttls, b"STARTTLS\r\n", &[220]).await?;
                clear.in_step(Stage::Starttls)?;
                (tls.over(clear.stream.into_inner(), deadline).await?, false)
            }
        };
        let mut talk = Talk::new(wire, deadline);
        if greets {
            talk.hear(Stage::Greeting, &[220]).await?;
        }
        let offers = talk.hello(self.hello).await?;
        if let Some(credentials) = self.credentials {
            talk.sign_in(&offers, credentials).await?;
        }
        Ok(talk)
    }
}

/// What a server says that it can do, as lines of words.
struct Offers(Vec<Vec<String>>);

impl Offers {
    fn offers(&self, keyword: &str) -> bool {
        self.0.iter().any(|line| line.first().is_some_and(|word| word == keyword))
    }

    /// Also in the form that old servers have, `AUTH=PLAIN`.
    fn signs_in_by(&self, mechanism: &str) -> bool {
        let words =
            self.0.iter().filter(|line| line.first().is_some_and(|word| word == "AUTH" || word.starts_with("AUTH=")));
        words.flatten().any(|word| word.strip_prefix("AUTH=").unwrap_or(word) == mechanism)
    }
}

impl<W: Wire> Talk<W> {
    fn new(stream: W, deadline: Instant) -> Self {
        Self { stream: BufReader::new(stream), deadline }
    }

    /// What the server still has to answer, it has to answer by then.
    pub(super) fn until(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Nothing was said that was not asked for.
    fn in_step(&self, stage: Stage) -> Result<(), Failure> {
        if self.stream.buffer().is_empty() { Ok(()) } else { Err(Failure::Broke(stage, "out of step")) }
    }

    /// Says one thing, and hears the answer to it, which has to have one of these codes.
    async fn ask(&mut self, stage: Stage, words: &[u8], takes: &[u16]) -> Result<Reply, Failure> {
        self.in_step(stage)?;
        let stream = self.stream.get_mut();
        let said = async {
            stream.write_all(words).await?;
            stream.flush().await
        };
        match timeout_at(self.deadline, said).await {
            Ok(Ok(())) => {}
            // Who hangs up has perhaps said why.
            Ok(Err(_)) => return self.hear(stage, &[]).await,
            Err(_) => return Err(Failure::Broke(stage, "timeout")),
        }
        self.hear(stage, takes).await
    }

    async fn hear(&mut self, stage: Stage, takes: &[u16]) -> Result<Reply, Failure> {
        let heard = timeout_at(self.deadline, self.reply()).await;
        let reply = heard.unwrap_or(Err("timeout")).map_err(|why| Failure::Broke(stage, why))?;
        if takes.contains(&reply.code) { Ok(reply) } else { Err(Failure::Said(stage, reply)) }
    }

    async fn reply(&mut self) -> Result<Reply, &'static str> {
        let mut reply = Reply { code: 0, lines: Vec::new() };
        while reply.lines.len() < MAX_LINES {
            let mut line = Vec::new();
            let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
            let read = (&mut self.stream).take(limit).read_until(b'\n', &mut line).await;
            if read.is_err() || line.is_empty() {
                return Err("cut");
            }
            let Some(said) = line.strip_suffix(b"\n") else {
                return Err(if line.len() >= MAX_LINE { "no answer" } else { "cut" });
            };
            let said = said.strip_suffix(b"\r").unwrap_or(said);
            let printable = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' };
            let said: String = said.iter().map(printable).collect();
            let code = said.get(..3).filter(|code| code.bytes().all(|c| c.is_ascii_digit()));
            let code = code.and_then(|code| code.parse().ok()).ok_or("no answer")?;
            if !(200..600).contains(&code) || (reply.code != 0 && reply.code != code) {
                return Err("no answer");
            }
            reply.code = code;
            let rest = said.get(3..).unwrap_or_default();
            let more = rest.starts_with('-');
            if !more && !rest.is_empty() && !rest.starts_with(' ') {
                return Err("no answer");
            }
            reply.lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if !more {
                return Ok(reply);
            }
        }
        Err("no answer")
    }

    async fn hello(&mut self, name: &str) -> Result<Offers, Failure> {
        let reply = self.ask(Stage::Ehlo, format!("EHLO {name}\r\n").as_bytes(), &[250]).await?;
        let words = |line: &String| line.split_ascii_whitespace().map(str::to_ascii_uppercase).collect();
        // The first line is the server's name.
        Ok(Offers(reply.lines.iter().skip(1).map(words).collect()))
    }

    async fn sign_in(&mut self, offers: &Offers, credentials: &Credentials) -> Result<(), Failure> {
        let (name, password) = (&credentials.username, &credentials.password);
        if offers.signs_in_by("PLAIN") {
            let plain = Zeroizing::new(format!("\0{name}\0{}", password.as_str()));
            let coded = Zeroizing::new(BASE64.encode(plain.as_bytes()));
            let words = Zeroizing::new(format!("AUTH PLAIN {}\r\n", coded.as_str()));
            self.ask(Stage::Auth, words.as_bytes(), &[235]).await?;
        } else if offers.signs_in_by("LOGIN") {
            let line =
                |text: &str| Zeroizing::new(format!("{}\r\n", Zeroizing::new(BASE64.encode(text.as_bytes())).as_str()));
            self.ask(Stage::Auth, b"AUTH LOGIN\r\n", &[334]).await?;
            self.ask(Stage::Auth, line(name).as_bytes(), &[334]).await?;
            self.ask(Stage::Auth, line(password).as_bytes(), &[235]).await?;
        } else {
            return Err(Failure::Broke(Stage::Auth, "not offered"));
        }
        Ok(())
    }

    /// Forgets what went before; fails where the connection is no more.
    pub(super) async fn reset(&mut self) -> Result<(), Failure> {
        self.ask(Stage::Reset, b"RSET\r\n", &[250]).await.map(drop)
    }

    /// Hands over one message, whose lines end with CRLF.
    pub(super) async fn deliver(&mut self, from: &Address, to: &Address, message: &[u8]) -> Result<Reply, Failure> {
        self.ask(Stage::Mail, format!("MAIL FROM:<{}>\r\n", from.as_str()).as_bytes(), &[250]).await?;
        self.ask(Stage::Rcpt, format!("RCPT TO:<{}>\r\n", to.as_str()).as_bytes(), &[250, 251]).await?;
        self.ask(Stage::Data, b"DATA\r\n", &[354]).await?;
        self.ask(Stage::Letter, &stuffed(message), &[250]).await
    }

    /// Takes leave; nothing depends on the answer.
    pub(super) async fn quit(mut self) {
        let _ = self.ask(Stage::Quit, b"QUIT\r\n", &[221]).await;
        let _ = timeout_at(self.deadline, self.stream.get_mut().shutdown()).await;
    }
}

/// The message as it goes over the wire: a dot more where a line begins with one, and the line that ends it.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len().saturating_add(64));
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(answer: &[u8]) -> Result<Reply, &'static str> {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        far.write_all(answer).await.unwrap();
        drop(far);
        let mut talk = Talk::new(near, Instant::now() + std::time::Duration::from_secs(20));
        talk.reply().await
    }

    #[tokio::test]
    async fn answers_as_servers_write_them() {
        let reply = heard(b"250-mx.example\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n").await.unwrap();
        assert_eq!((reply.code, reply.lines), (250, vec!["mx.example".into(), "STARTTLS".into(), "AUTH PLAIN".into()]));
        assert_eq!(heard(b"354\r\n").await.unwrap().code, 354);
        assert_eq!(heard(b"250 accettato, citt\xe0\n").await.unwrap().lines, ["accettato, citt?"]);
        let reply = heard(b"550 5.1.1 unknown\r\n").await.unwrap();
        assert_eq!(reply.enhanced(), Some("5.1.1"));
        for none in ["550 5.1 x", "550 5.1.1111", "550 5.1.x", "550", "550 192.0.2.1"] {
            assert_eq!(heard(format!("{none}\r\n").as_bytes()).await.unwrap().enhanced(), None, "{none}");
        }
    }

    #[tokio::test]
    async fn what_is_no_answer() {
        let long = format!("250 {}\r\n", "x".repeat(MAX_LINE));
        let many = "250-x\r\n".repeat(MAX_LINES + 1);
        for bad in [
            "hello\r\n", "25\r\n", "2x0 \r\n", "150 x\r\n", "600 x\r\n", "250-a\r\n251 b\r\n", "250x\r\n", "\r\n",
            &long, &many,
        ] {
            assert_eq!(heard(bad.as_bytes()).await.unwrap_err(), "no answer", "{bad:?}");
        }
        for cut in ["", "250", "250 ok", "250-a\r\n", "250-a\r\n250"] {
            assert_eq!(heard(cut.as_bytes()).await.unwrap_err(), "cut", "{cut:?}");
        }
    }

    #[test]
    fn only_the_last_line_is_a_dot() {
        assert_eq!(stuffed(b"a\r\n.\r\n..b\r\nc.\r\n"), b"a\r\n..\r\n...b\r\nc.\r\n.\r\n");
        assert_eq!(stuffed(b".\r\n"), b"..\r\n.\r\n");
    }
}
