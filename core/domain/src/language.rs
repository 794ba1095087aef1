//! The languages of the screens: Italian first, English second, German third (South Tyrol is bilingual).

/// A language a screen, a document or an error sentence is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// Italian, the default.
    #[default]
    Italian,
    /// English.
    English,
    /// German.
    German,
}

impl Language {
    /// Reads the primary subtag of a BCP 47 tag (`de-IT` is German); anything unknown is Italian.
    pub fn from_tag(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        match primary.to_ascii_lowercase().as_str() {
            "en" => Self::English,
            "de" => Self::German,
            _ => Self::Italian,
        }
    }

    /// Of something said in Italian, English and German, the one for this language.
    pub fn choose<T>(self, [italian, english, german]: [T; 3]) -> T {
        match self {
            Self::Italian => italian,
            Self::English => english,
            Self::German => german,
        }
    }

    /// The primary subtag: `it`, `en` or `de`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Italian => "it",
            Self::English => "en",
            Self::German => "de",
        }
    }
}
