//! What a guardian's account is opened with: the code from the office, the user name, the password.

use std::fmt;

use thiserror::Error;

use crate::fiscal_code::{PersonalCode, ascii, code_traits};
use crate::language::Language;
use crate::ledger::Hash;

/// How long a code from the office can be used, in milliseconds: 30 days.
pub const OFFICE_CODE_MILLIS: i64 = 30 * 24 * 60 * 60 * 1_000;

/// After how many wrong tries a code, or a recovery, is of no use any more.
pub const MOST_TRIES: i64 = 5;

/// Crockford's alphabet: no letter that is taken for a digit.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// How many of the characters are random; the others tell a slip of the pen.
const RANDOM: usize = 13;

/// Why a text is not a code from the office. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OfficeCodeError {
    /// Something other than letters, digits, blanks and hyphens, or not fifteen of them.
    #[error("a code from the office has 15 letters and digits")]
    Shape,
    /// The last two characters do not follow from the others.
    #[error("the code from the office is mistyped")]
    Check,
}

impl OfficeCodeError {
    /// For the parent. It is the same for both: who types it again finds either.
    pub fn sentence(self, language: Language) -> &'static str {
        language.choose([
            "Nel codice dell'ufficio c'è un errore di battitura: ha 15 caratteri, controllali uno per uno.",
            "There is a typing error in the office's code: it has 15 characters, check them one by one.",
            "Im Code der Gemeinde ist ein Tippfehler: Er hat 15 Zeichen, bitte einzeln prüfen.",
        ])
    }
}

/// Fifteen characters that the office gives to one adult, e.g. `0R1GT-4V7ZK-92MQJ`: 65 random bits, and ten that tell a
/// slip of the pen before it costs a try.
///
/// Whoever holds it can open an account, so `Debug` shows nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OfficeCode([u8; 15]);
code_traits!(redacted OfficeCode, OfficeCodeError);

impl OfficeCode {
    /// Reads a code as people type it: case, blanks and hyphens (also the typographic ones) are ignored, an O is a zero, an
    /// I and an L are ones.
    ///
    /// # Errors
    /// See [`OfficeCodeError`].
    pub fn parse(text: &str) -> Result<Self, OfficeCodeError> {
        let ignored = |c: &char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}');
        let mut code = [0; 15];
        let mut places = code.iter_mut();
        for c in text.chars().filter(|c| !ignored(c)) {
            let letter = match c.to_ascii_uppercase() {
                'O' => b'0',
                'I' | 'L' => b'1',
                c => u8::try_from(c).ok().filter(|c| LETTERS.contains(c)).ok_or(OfficeCodeError::Shape)?,
            };
            *places.next().ok_or(OfficeCodeError::Shape)? = letter;
        }
        if places.next().is_some() {
            return Err(OfficeCodeError::Shape);
        }
        let read = Self(code);
        if read.check() == code.get(RANDOM..).unwrap_or_default() { Ok(read) } else { Err(OfficeCodeError::Check) }
    }

    /// Makes a code out of thirteen secure random bytes, of which five bits each are used.
    pub fn issue(random: [u8; RANDOM]) -> Self {
        let mut code = Self([b'0'; 15]);
        code.0.iter_mut().zip(random).for_each(|(place, byte)| *place = letter(byte));
        let check = code.check();
        code.0.iter_mut().skip(RANDOM).zip(check).for_each(|(place, letter)| *place = letter);
        code
    }

    fn check(&self) -> [u8; 2] {
        let random = self.0.get(..RANDOM).unwrap_or_default();
        let Hash([first, second, ..]) = Hash::of(&[b"borsellino.office-code.v1".as_slice(), random].concat());
        [letter(first), letter(second)]
    }

    /// The fifteen characters.
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// In three groups of five, as the office prints it: `0R1GT-4V7ZK-92MQJ`.
    pub fn grouped(&self) -> String {
        self.0.chunks(5).map(ascii).collect::<Vec<_>>().join("-")
    }
}

/// The letter for a byte's last five bits.
fn letter(byte: u8) -> u8 {
    LETTERS.get(usize::from(byte & 31)).copied().unwrap_or_default()
}

/// Why a text can't be a user name. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UsernameError {
    /// Not 3 to 64 characters.
    #[error("a user name has 3 to 64 characters")]
    Length,
    /// Something other than letters, digits and `. _ - + @`.
    #[error("a user name is made of the letters a to z, digits, and . _ - + @")]
    Character,
    /// A codice fiscale: by it somebody else may be meant.
    #[error("a user name is no codice fiscale")]
    FiscalCode,
}

impl UsernameError {
    /// For the parent: the whole rule.
    pub fn sentence(self, language: Language) -> &'static str {
        language.choose([
            "Il nome utente ha da 3 a 64 caratteri: lettere senza accenti, cifre e . _ - + @. Non può essere un codice fiscale.",
            "A user name has 3 to 64 characters: unaccented letters, digits and . _ - + @. It can't be a codice fiscale.",
            "Ein Benutzername hat 3 bis 64 Zeichen: Buchstaben ohne Akzente, Ziffern und . _ - + @. Eine Steuernummer kann es nicht sein.",
        ])
    }
}

/// What a guardian signs in with, in small letters; an e-mail address may be one.
#[derive(Clone, PartialEq, Eq)]
pub struct Username(String);
code_traits!(redacted Username, UsernameError);

impl Username {
    /// Reads a name that somebody chooses; case and blanks around it do not matter.
    ///
    /// # Errors
    /// See [`UsernameError`].
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        let name = text.trim().to_ascii_lowercase();
        if !name.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-+@".contains(&c)) {
            return Err(UsernameError::Character);
        }
        if !(3..=64).contains(&name.len()) {
            return Err(UsernameError::Length);
        }
        if PersonalCode::parse(&name).is_ok() { Err(UsernameError::FiscalCode) } else { Ok(Self(name)) }
    }

    /// In small letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which rule a password that somebody chooses breaks. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordRule {
    /// Less than twelve characters.
    #[error("a password has at least 12 characters")]
    Short,
    /// More than 128.
    #[error("a password has at most 128 characters")]
    Long,
    /// Fewer than five different characters, or little but one after the other in the alphabet, the digits or a row of keys.
    #[error("a password is not made of one character again and again, nor of characters in a row")]
    Simple,
    /// Among those that are tried first.
    #[error("a password is not one that many people have")]
    Common,
    /// Little more than the user name, the own name or code.
    #[error("a password is not made of one's own name or code")]
    Personal,
}

impl PasswordRule {
    /// As it travels.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
            Self::Simple => "simple",
            Self::Common => "common",
            Self::Personal => "personal",
        }
    }

    /// The one that travels as `code`.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Short, Self::Long, Self::Simple, Self::Common, Self::Personal]
            .into_iter()
            .find(|rule| rule.code() == code)
    }
}

impl PasswordRule {
    /// For the parent.
    pub fn sentence(self, language: Language) -> &'static str {
        language.choose(match self {
            Self::Short => [
            "La password ha almeno 12 caratteri: una frase va benissimo.",
            "A password has at least 12 characters: a sentence does very well.",
            "Ein Passwort hat mindestens 12 Zeichen: Ein Satz eignet sich gut.",
            ],
            Self::Long => [
            "La password ha al massimo 128 caratteri: accorciala.",
            "A password has at most 128 characters: make it shorter.",
            "Ein Passwort hat höchstens 128 Zeichen: Bitte kürzen.",
            ],
            Self::Simple => [
            "Questa password è fatta di caratteri in fila o ripetuti: scegli piuttosto una frase.",
            "This password is made of characters in a row or repeated: choose a sentence instead.",
            "Dieses Passwort besteht aus Zeichenreihen oder Wiederholungen: Bitte lieber einen Satz wählen.",
            ],
            Self::Common => [
            "Questa password è tra le prime che si provano: scegli piuttosto una frase.",
            "This password is among those that are tried first: choose a sentence instead.",
            "Dieses Passwort wird als eines der ersten probiert: Bitte lieber einen Satz wählen.",
            ],
            Self::Personal => [
            "Questa password è fatta del tuo nome o del tuo codice: scegline una che non parli di te.",
            "This password is made of your own name or code: choose one that does not speak of you.",
            "Dieses Passwort besteht aus Ihrem Namen oder Ihrer Steuernummer: Bitte eines wählen, das nichts über Sie sagt.",
            ],
        })
    }
}

/// What a parent reads where a recovery has expired or was stopped.
pub fn recovery_ended(language: Language) -> &'static str {
    language.choose([
        "Questo recupero è scaduto o è stato interrotto: ricomincia.",
        "This recovery has expired or was stopped: start again.",
        "Diese Wiederherstellung ist abgelaufen oder wurde abgebrochen: Bitte neu beginnen.",
    ])
}

/// What passwords are mostly made of, as far as twelve characters are concerned: with digits and signs around or between them
/// they are still the same.
const COMMON: &[&str] = &[
    "password", "passw", "parola", "segreta", "segreto", "benvenuto", "benvenuti", "welcome", "iloveyou", "letmein",
    "admin", "amministratore", "administrator", "utente", "scuola", "mensa", "bambino", "bambina", "borsellino",
    "comune", "municipio", "juventus", "inter", "milan", "napoli", "roma", "lazio", "forza", "ciao", "amore",
    "amoremio", "tiamo", "francesco", "francesca", "alessandro", "alessandra", "andrea", "giulia", "martina", "chiara",
    "matteo", "lorenzo", "leonardo", "sofia", "aurora", "antonio", "giuseppe", "giovanni", "maria", "luca", "marco",
    "mario", "rossi", "stella", "principessa", "princess", "sunshine", "football", "calcio", "monkey", "dragon",
    "master", "superman", "batman", "pokemon", "italia", "italy", "estate", "inverno", "primavera", "autunno",
    "gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre", "ottobre",
    "novembre", "dicembre", "computer", "internet", "google", "facebook", "instagram", "qwerty", "qwertyuiop",
    "asdfgh", "asdfghjkl", "zxcvbn", "zxcvbnm", "qazwsx", "abc", "abcd", "abcdef", "changeme", "default", "test",
    "prova", "pippo", "pluto", "topolino", "paperino", "minnie", "trustno", "starwars", "shadow", "michael", "jordan",
    "charlie",
];

/// Rows in which neighbours stand.
const ROWS: [&str; 5] = ["abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// A password that somebody chooses, by the rules for new ones: 12 to 128 characters, whichever they are, and not one that is
/// guessed first (NIST SP 800-63B, 5.1.1.2). `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(String);

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(…)")
    }
}

impl NewPassword {
    /// Reads a password as typed; `own` are the words that are somebody's own: user name, names, codice fiscale.
    ///
    /// # Errors
    /// See [`PasswordRule`].
    pub fn parse(text: &str, own: &[&str]) -> Result<Self, PasswordRule> {
        let count = text.chars().count();
        if count < 12 {
            return Err(PasswordRule::Short);
        }
        if count > 128 {
            return Err(PasswordRule::Long);
        }
        let low: Vec<char> = text.to_lowercase().chars().collect();
        let mut different = low.clone();
        different.sort_unstable();
        different.dedup();
        if different.len() < 5 || in_a_row(&low).saturating_mul(3) > low.len().saturating_mul(2) {
            return Err(PasswordRule::Simple);
        }
        let plain: String = low.into_iter().filter(|c| c.is_alphanumeric()).collect();
        let own = own.iter().flat_map(|own| own.split(|c: char| !c.is_alphanumeric())).map(str::to_lowercase);
        let own: Vec<String> = own.filter(|own| own.chars().count() >= 3).collect();
        if little_but(&plain, own.iter().map(String::as_str)) {
            return Err(PasswordRule::Personal);
        }
        if little_but(&plain, COMMON.iter().copied()) {
            return Err(PasswordRule::Common);
        }
        Ok(Self(text.to_owned()))
    }

    /// As typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text has some of these words, and beside them digits and hardly a letter.
fn little_but<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> bool {
    let mut words: Vec<&str> = words.filter(|word| text.contains(word)).collect();
    // The longest first: what is left of a word must not hide it.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let rest = words.iter().fold(text.to_owned(), |rest, word| rest.replace(word, ""));
    !words.is_empty() && rest.chars().filter(|c| c.is_alphabetic()).count() < 3
}

/// How many characters follow the one before them in a row, or are it again, in either direction.
fn in_a_row(text: &[char]) -> usize {
    let follows = |pair: &[char]| {
        let [a, b] = pair else { return false };
        let next = |row: &str| {
            let places: Vec<char> = row.chars().collect();
            places.windows(2).any(|two| two == [*a, *b] || two == [*b, *a])
        };
        a == b || ROWS.iter().any(|row| next(row))
    };
    text.windows(2).filter(|pair| follows(pair)).count()
}

crate::ledger::coded! {
    /// A secret question. Which of them somebody chose is no secret.
    SecretQuestion, "secret question" {
        /// What their pet is called.
        Pet = "pet",
        /// The dish they liked best as a child.
        Dish = "dish",
        /// The street where they grew up.
        Street = "street",
        /// Their best friend of the first school years.
        Friend = "friend",
        /// Their first teacher.
        Teacher = "teacher",
    }
}

impl SecretQuestion {
    /// Every question, in the order in which they are offered.
    pub const ALL: [Self; 5] = [Self::Pet, Self::Dish, Self::Street, Self::Friend, Self::Teacher];

    /// As it is asked.
    pub fn sentence(self, language: Language) -> &'static str {
        language.choose(match self {
            Self::Pet => {
                ["Qual è il nome del tuo animale domestico?", "What is your pet called?", "Wie heißt Ihr Haustier?"]
            }
            Self::Dish => [
                "Qual era il tuo piatto preferito alle elementari?",
                "Which dish did you like best as a child?",
                "Was war als Kind Ihr Lieblingsgericht?",
            ],
            Self::Street => [
                "In quale via abitavi alle elementari?",
                "In which street did you live as a pupil?",
                "In welcher Straße wohnten Sie in der Grundschulzeit?",
            ],
            Self::Friend => [
                "Come si chiamava l'amico o l'amica del cuore alle elementari?",
                "Who was your best friend at primary school?",
                "Wie hieß Ihr bester Freund oder Ihre beste Freundin in der Grundschule?",
            ],
            Self::Teacher => [
                "Come si chiamava chi ti insegnava in prima elementare?",
                "What was your first teacher called?",
                "Wie hieß Ihre Lehrkraft in der ersten Klasse?",
            ],
        })
    }
}

/// Why a text is no answer to a secret question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecretAnswerError {
    /// Fewer than three letters and digits.
    #[error("an answer has at least 3 letters or digits")]
    Short,
    /// More than 64.
    #[error("an answer has at most 64 letters and digits")]
    Long,
}

impl SecretAnswerError {
    /// For the parent.
    pub fn sentence(self, language: Language) -> &'static str {
        language.choose(match self {
            Self::Short => [
                "Scrivi la risposta alla domanda segreta: ha almeno tre lettere o cifre.",
                "Type the answer to the secret question: it has three letters or digits at least.",
                "Geben Sie die Antwort auf die Geheimfrage ein: mindestens drei Buchstaben oder Ziffern.",
            ],
            Self::Long => [
                "La risposta è troppo lunga: ha al massimo 64 lettere o cifre.",
                "The answer is too long: it has 64 letters or digits at most.",
                "Die Antwort ist zu lang: höchstens 64 Buchstaben oder Ziffern.",
            ],
        })
    }
}

/// A small letter without its accent, where it is one of those that Italian, German and their neighbours write.
fn unaccented(c: char) -> char {
    match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è' | 'é' | 'ê' | 'ë' | 'ě' | 'ę' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => 'o',
        'ș' | 'ş' | 'š' | 'ś' => 's',
        'ț' | 'ţ' => 't',
        'ù' | 'ú' | 'û' | 'ü' | 'ů' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        // A combining accent is no letter, and falls away with the signs.
        other => other,
    }
}

/// The answer to a secret question, as it is compared: letters and digits in small letters, without accents and whatever stands between
/// them. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretAnswer(String);

impl fmt::Debug for SecretAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretAnswer(…)")
    }
}

impl SecretAnswer {
    /// Reads an answer as typed: years later nobody knows whether they wrote `Via Roma, 3` or `via roma 3`.
    ///
    /// # Errors
    /// [`SecretAnswerError`].
    pub fn parse(text: &str) -> Result<Self, SecretAnswerError> {
        let low = text.chars().flat_map(char::to_lowercase);
        let plain: String = low.map(unaccented).filter(|c| c.is_alphanumeric()).collect();
        match plain.chars().count() {
            0..=2 => Err(SecretAnswerError::Short),
            3..=64 => Ok(Self(plain)),
            _ => Err(SecretAnswerError::Long),
        }
    }

    /// What is hashed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_code_is_read_as_people_type_it(random: [u8; RANDOM]) {
            let code = OfficeCode::issue(random);
            prop_assert_eq!(OfficeCode::parse(code.as_str()), Ok(code));
            prop_assert_eq!(OfficeCode::parse(&code.grouped().to_lowercase().replace('0', "o").replace('1', "l")), Ok(code));
            prop_assert_eq!(OfficeCode::parse(&format!(" {} ", code.grouped().replace('-', " \u{2013} "))), Ok(code));
        }

        #[test]
        fn any_text_is_a_code_a_name_a_password_or_none(text in "\\PC{0,140}") {
            if let Ok(code) = OfficeCode::parse(&text) {
                prop_assert_eq!(code.as_str().len(), 15);
            }
            if let Ok(name) = Username::parse(&text) {
                prop_assert_eq!(Username::parse(name.as_str()), Ok(name));
            }
            let count = text.chars().count();
            match NewPassword::parse(&text, &["anna.verdi", "Anna Verdi"]) {
                Ok(password) => prop_assert!(password.as_str() == text && (12..=128).contains(&count)),
                Err(PasswordRule::Short) => prop_assert!(count < 12),
                Err(PasswordRule::Long) => prop_assert!(count > 128),
                Err(_) => prop_assert!((12..=128).contains(&count)),
            }
        }
    }

    #[test]
    fn nearly_every_slip_of_the_pen_is_seen() {
        let code = OfficeCode::issue([7; RANDOM].map(|byte: u8| byte.wrapping_mul(37)));
        let (mut slips, mut seen) = (0, 0);
        for place in 0..15 {
            for letter in LETTERS {
                let mut typed = code.0;
                typed[place] = *letter;
                if typed != code.0 {
                    slips += 1;
                    seen += usize::from(OfficeCode::parse(ascii(&typed)) == Err(OfficeCodeError::Check));
                }
            }
        }
        assert_eq!(slips, 15 * 31);
        assert!(seen > slips - 5, "{seen} of {slips}");
        assert_eq!(OfficeCode::parse("12345"), Err(OfficeCodeError::Shape));
        assert_eq!(OfficeCode::parse("U2345-67890-ABCDE"), Err(OfficeCodeError::Shape), "there is no U");
        assert_eq!(format!("{code:?}"), "OfficeCode(…)");
    }

    #[test]
    fn a_name_is_kept_in_small_letters() {
        assert_eq!(Username::parse(" Anna.Verdi@Example.org ").unwrap().as_str(), "anna.verdi@example.org");
        assert_eq!(Username::parse("ab"), Err(UsernameError::Length));
        assert_eq!(Username::parse("anna verdi"), Err(UsernameError::Character));
        assert_eq!(Username::parse("annà"), Err(UsernameError::Character));
        assert_eq!(Username::parse("rssmra80a01h501u"), Err(UsernameError::FiscalCode));
    }

    #[test]
    fn a_password_that_is_guessed_first_is_none() {
        let own = ["anna.verdi", "Anna Verdi", "VRDNNA85C41H501X"];
        let rule = |text: &str| NewPassword::parse(text, &own).err();
        assert_eq!(rule("corta"), Some(PasswordRule::Short));
        assert_eq!(rule(&"lunga parola ".repeat(10)), Some(PasswordRule::Long));
        for text in ["aaaaaaaaaaaa", "abababababab", "123456789012", "abcdefghijkl", "qwertyuiop12", "987654321098"] {
            assert_eq!(rule(text), Some(PasswordRule::Simple), "{text}");
        }
        for text in [
            "Password2026!", "passwordpassword", "Juventus1897!", "Qwerty.2026.Qwerty", "forza napoli 1926",
            "Amore-Mio-2010",
        ] {
            assert_eq!(rule(text), Some(PasswordRule::Common), "{text}");
        }
        for text in ["anna.verdi.1985", "VerdiAnna2026!", "vrdnna85c41h501x"] {
            assert_eq!(rule(text), Some(PasswordRule::Personal), "{text}");
        }
        for text in [
            "corretto cavallo batteria",
            "il gatto mangia alle 7",
            "xK3$pQ9!zL2m",
            "小明今天很高兴去学校吃饭吧",
            "anna canta sotto la doccia",
        ] {
            assert_eq!(rule(text), None, "{text}");
        }
        assert_eq!(format!("{:?}", NewPassword::parse("xK3$pQ9!zL2m", &[]).unwrap()), "NewPassword(…)");
        for rule in ["short", "long", "simple", "common", "personal"] {
            assert_eq!(PasswordRule::from_code(rule).unwrap().code(), rule);
        }
    }

    #[test]
    fn an_answer_is_the_same_however_it_is_written() {
        let plain = |text: &str| SecretAnswer::parse(text).map(|answer| answer.as_str().to_owned());
        for text in ["Via Roma, 3", " via  roma 3 ", "VIA-ROMA 3"] {
            assert_eq!(plain(text).as_deref(), Ok("viaroma3"), "{text}");
        }
        for text in ["Fürst Élan", "furst elan", "Fu\u{308}rst E\u{301}lan"] {
            assert_eq!(plain(text).as_deref(), Ok("furstelan"), "{text}");
        }
        assert_eq!(plain("a b!"), Err(SecretAnswerError::Short));
        assert_eq!(plain(&"x".repeat(65)), Err(SecretAnswerError::Long));
        assert_eq!(format!("{:?}", SecretAnswer::parse("Fido")), "Ok(SecretAnswer(…))");
    }
}
