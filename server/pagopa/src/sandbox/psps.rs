//! The invented PSPs and what they charge.

/// A payment service provider of the sandbox.
#[derive(Debug)]
pub(super) struct Psp {
    /// `idPSP`, 35 characters at most.
    pub(super) id: &'static str,
    /// `PSPCompanyName`, 70 characters at most.
    pub(super) name: &'static str,
    /// `pspFiscalCode`.
    pub(super) fiscal_code: &'static str,
    /// `idChannel`.
    pub(super) channel: &'static str,
    /// The way of paying it offers.
    pub(super) method: Method,
    /// Fee for one payment, euro cents.
    pub(super) fee_cents: i64,
    /// A line under the name, in Italian.
    pub(super) about: &'static str,
}

/// How the payer pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Card,
    Account,
    Other,
    /// At a counter, not from a cart.
    Counter,
}

impl Method {
    /// Name in the API and in addresses.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Account => "account",
            Self::Other => "other",
            Self::Counter => "counter",
        }
    }

    /// Name on screen.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Card => "Carta di credito/debito",
            Self::Account => "Conto corrente",
            Self::Other => "Altri metodi di pagamento",
            Self::Counter => "Allo sportello",
        }
    }

    /// The ways a cart can be paid, as Checkout orders them.
    pub(super) const CHECKOUT: [Self; 3] = [Self::Card, Self::Account, Self::Other];

    pub(super) fn parse(key: &str) -> Option<Self> {
        [Self::Card, Self::Account, Self::Other, Self::Counter].into_iter().find(|m| m.key() == key)
    }

    /// `paymentMethod` of the receipt.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Card => "CP",
            Self::Account => "BBT",
            Self::Other => "TPAY",
            Self::Counter => "CASH",
        }
    }

    /// `channelDescription` of the receipt.
    pub(super) const fn channel(self) -> &'static str {
        match self {
            Self::Counter => "sportello",
            _ => "WISP",
        }
    }
}

/// All of them; each method has at least one.
pub(super) const PSPS: &[Psp] = &[
    psp(
        "ABI99901",
        "Banca di Prova S.p.A.",
        "99900038888",
        "99900038888_01",
        Method::Card,
        90,
        "Carte di tutti i circuiti",
    ),
    psp(
        "ABI99902",
        "Credito Esemplare",
        "99900048887",
        "99900048887_01",
        Method::Card,
        120,
        "Carte di tutti i circuiti",
    ),
    psp(
        "ABI99903",
        "Banca Popolare Immaginaria",
        "99900058886",
        "99900058886_01",
        Method::Card,
        150,
        "Carte di tutti i circuiti",
    ),
    psp("ABI99904", "Banca di Prova S.p.A.", "99900038888", "99900038888_02", Method::Account, 50, "Pagamento diretto"),
    psp("ABI99905", "Cassa Rurale Inventata", "99900068885", "99900068885_01", Method::Account, 100, "Bonifico SCT"),
    psp("PSP99906", "PagaFinto", "99900078884", "99900078884_01", Method::Other, 0, "App sul telefono"),
    psp("PSP99907", "Portafoglio Prova", "99900088883", "99900088883_01", Method::Other, 70, "Portafoglio elettronico"),
    psp("TAB99908", "Tabaccheria Simulata", "99900098882", "99900098882_01", Method::Counter, 200, "Tabaccheria"),
    psp(
        "ABI99909",
        "Banca di Prova S.p.A.",
        "99900038888",
        "99900038888_03",
        Method::Counter,
        150,
        "Sportello della banca",
    ),
    psp("ABI99910", "Credito Esemplare", "99900048887", "99900048887_02", Method::Counter, 0, "App della banca"),
];

const fn psp(
    id: &'static str,
    name: &'static str,
    fiscal_code: &'static str,
    channel: &'static str,
    method: Method,
    fee_cents: i64,
    about: &'static str,
) -> Psp {
    Psp { id, name, fiscal_code, channel, method, fee_cents, about }
}

/// Those that offer a method, in their order.
pub(super) fn offering(method: Method) -> impl Iterator<Item = &'static Psp> {
    PSPS.iter().filter(move |p| p.method == method)
}

/// The one with this id; without an id, the first that offers the method. `None` where it does not offer the method.
pub(super) fn choose(method: Method, id: Option<&str>) -> Option<&'static Psp> {
    offering(method).find(|p| id.is_none_or(|id| p.id == id))
}
