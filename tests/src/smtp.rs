//! A fake SMTP server, written from the RFCs and sharing no code with the server. It keeps what it takes byte for byte, and is
//! strict: a line that two servers could end at different places, a command out of turn or a password in clear is noted. What
//! goes wrong on the way is ordered from it.

#![allow(clippy::expect_used, clippy::panic, reason = "a test without its ground fails, loudly and at once")]

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use borsellino_server::clock::Clock;
use borsellino_server::mail::{Address, Credentials, Mailer, Security, Sender, Settings};
use data_encoding::BASE64;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::certificates::{Authority, Pair, Subject};

/// As whom letters come here.
pub const FROM: &str = "borsellino@valdorso.example";

/// Who may sign in where somebody has to.
pub const USER: (&str, &str) = ("borsellino", "Segreto \u{e8} qui");

/// How long a test waits for what should come at once.
const SOON: Duration = Duration::from_secs(30);

/// Where in the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before anything was said.
    Greeting,
    /// EHLO.
    Hello,
    /// STARTTLS.
    Starttls,
    /// Each step of AUTH.
    Auth,
    /// RSET.
    Reset,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// After the dot.
    Letter,
}

/// What goes wrong there. After the dot a letter counts as taken where nothing was answered.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This is answered, CRLF is added.
    Says(Vec<u8>),
    /// The connection ends.
    Cut,
    /// Nothing is said any more.
    Silent,
}

impl Fault {
    /// An answer.
    pub fn says(text: &str) -> Self {
        Self::Says(text.as_bytes().to_vec())
    }
}

/// What kind of server it is.
#[derive(Clone, Debug)]
pub struct Kind {
    /// How the way to it is secured.
    pub security: Security,
    /// What it says about signing in, e.g. `AUTH PLAIN LOGIN`; nothing where nobody has to.
    pub auth: Option<&'static str>,
    /// Whether it can STARTTLS where that is its kind.
    pub offers_starttls: bool,
    /// Its certificate.
    pub certificate: Subject,
}

impl Kind {
    /// One that anybody may write to, in clear.
    pub fn open() -> Self {
        Self { security: Security::None, auth: None, offers_starttls: true, certificate: Subject::server() }
    }

    /// One behind TLS, that [`USER`] has to sign in to.
    pub fn closed(security: Security) -> Self {
        Self { security, auth: Some("AUTH PLAIN LOGIN"), ..Self::open() }
    }
}

/// A letter that it took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// The message, as it was before dots were doubled.
    pub raw: Vec<u8>,
    /// What the client called itself.
    pub hello: String,
    /// Whether it came over TLS.
    pub tls: bool,
    /// As whom the client had signed in.
    pub user: Option<String>,
    /// Over which connection, from 0.
    pub connection: usize,
}

#[derive(Default)]
struct Inner {
    faults: Vec<(At, Fault)>,
    taken: Vec<Taken>,
    violations: Vec<String>,
    connections: usize,
    quits: usize,
}

struct Shared {
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
    kind: Kind,
    acceptor: TlsAcceptor,
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("the lock")
    }

    fn note(&self, what: impl FnOnce(&mut Inner)) {
        what(&mut self.inner());
        self.changed.send_replace(());
    }

    fn violated(&self, what: String) {
        self.note(|inner| inner.violations.push(what));
    }

    fn fault(&self, at: At) -> Option<Fault> {
        let mut inner = self.inner();
        let place = inner.faults.iter().position(|(place, _)| *place == at)?;
        Some(inner.faults.remove(place).1)
    }
}

/// A running fake.
pub struct Smtp {
    shared: Arc<Shared>,
    port: u16,
    authority: String,
    served: JoinHandle<()>,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smtp({})", self.port)
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.served.abort();
    }
}

impl Smtp {
    /// Starts one that anybody may write to, in clear.
    ///
    /// # Panics
    /// Where there is no port for it.
    pub async fn start() -> Self {
        Self::start_as(Kind::open()).await
    }

    /// Starts one of this kind.
    ///
    /// # Panics
    /// Where there is no port for it.
    pub async fn start_as(kind: Kind) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let root = Authority::root("Autorità della posta");
        let acceptor = acceptor(&root.certify(&kind.certificate));
        let (inner, changed) = (Mutex::default(), watch::Sender::new(()));
        let shared = Arc::new(Shared { inner, changed, kind, acceptor });
        let served = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { shared, port, authority: root.certificate, served }
    }

    /// What a mailer to it is made of.
    ///
    /// # Panics
    /// Never: the addresses are some.
    pub fn settings(&self) -> Settings {
        let kind = &self.shared.kind;
        let credentials = Credentials { username: USER.0.to_owned(), password: Zeroizing::new(USER.1.to_owned()) };
        Settings {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            security: kind.security,
            credentials: kind.auth.map(|_| credentials),
            from: Sender { name: "Comune di Valdorso".to_owned(), address: Address::parse(FROM).expect("an address") },
            reply_to: None,
            timeout: SOON,
            idle_for: SOON,
            authorities: Some(self.authority.clone()),
        }
    }

    /// A mailer to it that dates letters by `clock`.
    ///
    /// # Panics
    /// Where it can't be made.
    pub fn mailer(&self, clock: Clock) -> Mailer {
        Mailer::new(self.settings(), clock).expect("a mailer")
    }

    /// These happen, each once, where the dialogue first comes there.
    pub fn order(&self, faults: impl IntoIterator<Item = (At, Fault)>) {
        self.shared.inner().faults.extend(faults);
    }

    /// What was ordered and did not happen yet.
    pub fn left(&self) -> usize {
        self.shared.inner().faults.len()
    }

    /// What it took.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.inner().taken.clone()
    }

    /// What it objects to.
    pub fn violations(&self) -> Vec<String> {
        self.shared.inner().violations.clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.inner().connections
    }

    /// How many clients have taken leave.
    pub fn quits(&self) -> usize {
        self.shared.inner().quits
    }

    /// Waits until this holds.
    ///
    /// # Panics
    /// Where it does not come to hold in time.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let come = tokio::time::timeout(SOON, changed.wait_for(|()| holds(self))).await;
        drop(come.expect("what is waited for").expect("a running fake"));
    }
}

fn acceptor(pair: &Pair) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
    let config = builder.with_no_client_auth().with_single_cert(chain.expect("certificates"), key).expect("a pair");
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut clients = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let connection = shared.inner().connections;
        shared.note(|inner| inner.connections += 1);
        let shared = Arc::clone(&shared);
        // A client that hangs up ends its dialogue, and nothing else.
        clients.spawn(async move { drop(client(tcp, connection, &shared).await) });
    }
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// What goes on after an answer.
enum Next {
    /// The next command.
    Heard,
    /// TLS, over the same connection.
    Tls,
    /// Nothing.
    Over,
}

struct Dialogue<'a, W> {
    stream: BufReader<W>,
    shared: &'a Shared,
    connection: usize,
    tls: bool,
    hello: Option<String>,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

async fn client(tcp: TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    match shared.kind.security {
        Security::Tls => {
            let tls = shared.acceptor.accept(tcp).await?;
            let mut dialogue = Dialogue::new(tls, connection, shared, true);
            dialogue.greet().await?;
            dialogue.run().await.map(drop)
        }
        Security::None | Security::Starttls => {
            let mut dialogue = Dialogue::new(tcp, connection, shared, false);
            dialogue.greet().await?;
            if !matches!(dialogue.run().await?, Next::Tls) {
                return Ok(());
            }
            if !dialogue.stream.buffer().is_empty() {
                shared.violated("something was said between STARTTLS and TLS".to_owned());
            }
            let tls = shared.acceptor.accept(dialogue.stream.into_inner()).await?;
            Dialogue::new(tls, connection, shared, true).run().await.map(drop)
        }
    }
}

impl<'a, W: Wire> Dialogue<'a, W> {
    fn new(stream: W, connection: usize, shared: &'a Shared, tls: bool) -> Self {
        let stream = BufReader::new(stream);
        Self { stream, shared, connection, tls, hello: None, user: None, from: None, to: Vec::new() }
    }

    async fn say(&mut self, answer: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(&[answer, b"\r\n"].concat()).await?;
        stream.flush().await
    }

    /// Answers, unless something else was ordered. Whether the answer is as good as the usual one, and what follows.
    async fn answer(&mut self, at: At, usual: &str) -> io::Result<(bool, Next)> {
        match self.shared.fault(at) {
            None => {
                self.say(usual.as_bytes()).await?;
                Ok((true, Next::Heard))
            }
            Some(Fault::Says(answer)) => {
                self.say(&answer).await?;
                Ok((answer.first() == usual.as_bytes().first(), Next::Heard))
            }
            Some(Fault::Cut) => Ok((false, Next::Over)),
            Some(Fault::Silent) => {
                // Until the other side has enough of it.
                let mut rest = Vec::new();
                self.stream.read_to_end(&mut rest).await?;
                Ok((false, Next::Over))
            }
        }
    }

    async fn greet(&mut self) -> io::Result<()> {
        match self.answer(At::Greeting, "220 mx.valdorso.example ESMTP").await? {
            (_, Next::Over) => Err(io::ErrorKind::ConnectionAborted.into()),
            _ => Ok(()),
        }
    }

    /// A line without its end.
    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        let Some(said) = line.strip_suffix(b"\r\n") else {
            if !line.is_empty() {
                self.shared
                    .violated(format!("a line that does not end with CRLF: {:?}", String::from_utf8_lossy(&line)));
            }
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if said.len() > 998 || said.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0) || !byte.is_ascii()) {
            self.shared.violated(format!("a line that is none: {:?}", String::from_utf8_lossy(said)));
        }
        Ok(said.to_vec())
    }

    async fn run(&mut self) -> io::Result<Next> {
        loop {
            let line = self.line().await?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match self.command(verb, rest).await? {
                Next::Heard => {}
                next => return Ok(next),
            }
        }
    }

    async fn command(&mut self, verb: &str, rest: &str) -> io::Result<Next> {
        let kind = &self.shared.kind;
        let starttls = kind.security == Security::Starttls && !self.tls;
        match verb {
            "EHLO" => {
                self.hello = Some(rest.to_owned());
                let mut lines = vec!["mx.valdorso.example".to_owned(), "PIPELINING".to_owned(), "8BITMIME".to_owned()];
                lines.extend((starttls && kind.offers_starttls).then(|| "STARTTLS".to_owned()));
                lines.extend(kind.auth.filter(|_| !starttls).map(str::to_owned));
                let last = lines.len() - 1;
                let mark = |(place, line)| format!("250{}{line}", if place == last { ' ' } else { '-' });
                let answer = lines.into_iter().enumerate().map(mark).collect::<Vec<_>>().join("\r\n");
                Ok(self.answer(At::Hello, &answer).await?.1)
            }
            "STARTTLS" if starttls => match self.answer(At::Starttls, "220 go ahead").await? {
                (true, Next::Heard) => Ok(Next::Tls),
                (_, next) => Ok(next),
            },
            "AUTH" => self.auth(rest).await,
            "RSET" => {
                self.forget();
                Ok(self.answer(At::Reset, "250 2.0.0 Ok").await?.1)
            }
            "MAIL" => {
                if self.hello.is_none() || self.from.is_some() || starttls {
                    self.shared.violated(format!("MAIL out of turn: {rest}"));
                }
                if kind.auth.is_some() && self.user.is_none() {
                    self.say(b"530 5.7.0 Authentication required").await?;
                    return Ok(Next::Heard);
                }
                let path = self.path(rest, "FROM:");
                let (good, next) = self.answer(At::Mail, "250 2.1.0 Ok").await?;
                self.from = path.filter(|_| good);
                Ok(next)
            }
            "RCPT" => {
                if self.from.is_none() {
                    self.shared.violated(format!("RCPT out of turn: {rest}"));
                }
                let path = self.path(rest, "TO:");
                let (good, next) = self.answer(At::Rcpt, "250 2.1.5 Ok").await?;
                self.to.extend(path.filter(|_| good));
                Ok(next)
            }
            "DATA" => {
                if self.to.is_empty() {
                    self.shared.violated("DATA out of turn".to_owned());
                }
                match self.answer(At::Data, "354 End data with <CR><LF>.<CR><LF>").await? {
                    (true, Next::Heard) => self.letter().await,
                    (_, next) => Ok(next),
                }
            }
            "QUIT" => {
                self.say(b"221 2.0.0 Bye").await?;
                self.shared.note(|inner| inner.quits += 1);
                Ok(Next::Over)
            }
            _ => {
                self.shared.violated(format!("an unknown command: {verb}"));
                self.say(b"502 5.5.2 Error: command not recognized").await?;
                Ok(Next::Heard)
            }
        }
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    fn path(&self, rest: &str, before: &str) -> Option<String> {
        let path = rest.strip_prefix(before).and_then(|rest| rest.strip_prefix('<')?.strip_suffix('>'));
        if path.is_none_or(|path| path.contains(['<', '>', ' '])) {
            self.shared.violated(format!("no path: {rest}"));
        }
        path.map(str::to_owned)
    }

    async fn auth(&mut self, rest: &str) -> io::Result<Next> {
        if self.shared.kind.security != Security::None && !self.tls {
            self.shared.violated("a password in clear".to_owned());
        }
        let (name, password) = match rest.split_once(' ') {
            Some(("PLAIN", coded)) => {
                let plain = decoded(coded);
                let parts: Vec<&str> = plain.split('\0').collect();
                let [_, name, password] = parts[..] else {
                    self.shared.violated("AUTH PLAIN of another form".to_owned());
                    return Ok(Next::Over);
                };
                (name.to_owned(), password.to_owned())
            }
            None if rest == "LOGIN" => {
                let mut said = Vec::new();
                for question in ["Username:", "Password:"] {
                    let question = format!("334 {}", BASE64.encode(question.as_bytes()));
                    match self.answer(At::Auth, &question).await? {
                        (true, Next::Heard) => {}
                        (_, next) => return Ok(next),
                    }
                    let line = self.line().await?;
                    said.push(decoded(&String::from_utf8_lossy(&line)));
                }
                let password = said.pop().unwrap_or_default();
                (said.pop().unwrap_or_default(), password)
            }
            _ => {
                self.shared.violated("AUTH in an unknown way".to_owned());
                return Ok(Next::Over);
            }
        };
        if (name.as_str(), password.as_str()) != USER {
            self.say(b"535 5.7.8 Error: authentication failed").await?;
            return Ok(Next::Heard);
        }
        let (good, next) = self.answer(At::Auth, "235 2.7.0 Authentication successful").await?;
        self.user = Some(name).filter(|_| good);
        Ok(next)
    }

    async fn letter(&mut self) -> io::Result<Next> {
        let mut raw = Vec::new();
        loop {
            let line = self.line().await?;
            if line == b"." {
                break;
            }
            raw.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            raw.extend_from_slice(b"\r\n");
        }
        let taken = Taken {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            raw,
            hello: self.hello.clone().unwrap_or_default(),
            tls: self.tls,
            user: self.user.clone(),
            connection: self.connection,
        };
        let refused = self
            .shared
            .inner()
            .faults
            .iter()
            .find(|(at, _)| *at == At::Letter)
            .is_some_and(|(_, fault)| matches!(fault, Fault::Says(answer) if !answer.starts_with(b"2")));
        if !refused {
            self.shared.note(|inner| inner.taken.push(taken));
        }
        Ok(self.answer(At::Letter, "250 2.0.0 Ok: queued as 4ZxQ1k").await?.1)
    }
}

fn decoded(coded: &str) -> String {
    let bytes = BASE64.decode(coded.as_bytes()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
