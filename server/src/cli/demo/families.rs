//! The invented people of the demo. Every name, code and account here is made up.

use borsellino_domain::service::ServiceKind;

/// What every guardian of the demo signs in with.
pub(super) const PASSWORD: &str = "borsellino-demo";

/// The guardian the newcomer signs in as, at the first creditor.
pub(super) const USERNAME: &str = "maria.bianchi";

/// The activation codes of the two creditors.
pub(super) const ACTIVATION_CODES: [&str; 2] = ["5645312010", "5645312028"];

pub(super) struct CreditorSeed {
    pub(super) fiscal_code: &'static str,
    pub(super) name: &'static str,
    pub(super) segregation_code: &'static str,
    pub(super) cbill: &'static str,
    pub(super) iban: &'static str,
    pub(super) postal_iban: Option<&'static str>,
    pub(super) help_phone: &'static str,
}

pub(super) const BROKER: &str = "99900020019";
pub(super) const STATION: &str = "99900020019_01";

pub(super) const CREDITORS: [CreditorSeed; 2] = [
    CreditorSeed {
        fiscal_code: "99900010010",
        name: "Comune di Valdorso",
        segregation_code: "01",
        cbill: "BVDRS",
        iban: "IT89A9999901001000000112233",
        postal_iban: Some("IT45R0760103200000000001016"),
        help_phone: "000 1234567",
    },
    CreditorSeed {
        fiscal_code: "99900040017",
        name: "Unione dei Comuni della Valle",
        segregation_code: "02",
        cbill: "BUNVL",
        iban: "IT49A9999901001000000445566",
        postal_iban: None,
        help_phone: "000 7654321",
    },
];

pub(super) struct ServiceSeed {
    pub(super) kind: ServiceKind,
    pub(super) name: &'static str,
    pub(super) presets: &'static [i64],
    pub(super) low_mark: i64,
}

/// Both creditors offer these.
pub(super) const SERVICES: [ServiceSeed; 4] = [
    ServiceSeed {
        kind: ServiceKind::Canteen,
        name: "Mensa scolastica",
        presets: &[1_000, 2_000, 4_000, 6_000],
        low_mark: 1_500,
    },
    ServiceSeed {
        kind: ServiceKind::Transport,
        name: "Trasporto scolastico",
        presets: &[1_000, 2_000, 5_000],
        low_mark: 600,
    },
    ServiceSeed {
        kind: ServiceKind::AfterSchool,
        name: "Post-scuola",
        presets: &[1_500, 3_000, 6_000],
        low_mark: 1_000,
    },
    ServiceSeed { kind: ServiceKind::Nursery, name: "Nido", presets: &[5_000, 10_000, 20_000], low_mark: 5_000 },
];

pub(super) struct WalletSeed {
    pub(super) kind: ServiceKind,
    pub(super) tariff: &'static str,
    /// Of one meal, ride or day; 0 for none.
    pub(super) unit_price: i64,
    /// What the balance was when the history begins.
    pub(super) opening: i64,
    /// How many of the last school days were used.
    pub(super) days: usize,
    /// Top-ups: how many school days ago, and how much.
    pub(super) top_ups: &'static [(usize, i64)],
}

pub(super) struct ChildSeed {
    pub(super) given_name: &'static str,
    pub(super) family_name: &'static str,
    /// The first fifteen characters of the codice fiscale; the sixteenth follows from them.
    pub(super) code: &'static str,
    pub(super) school: &'static str,
    pub(super) class_name: &'static str,
    pub(super) wallets: &'static [WalletSeed],
}

pub(super) struct GuardianSeed {
    pub(super) username: &'static str,
    pub(super) full_name: &'static str,
    pub(super) code: &'static str,
    /// Positions in the family's children.
    pub(super) children: &'static [usize],
}

pub(super) struct BillSeed {
    /// Position in the family's children, kind of service, cents.
    pub(super) lines: &'static [(usize, ServiceKind, i64)],
    pub(super) number: &'static str,
    pub(super) period: &'static str,
    pub(super) reason: &'static str,
    /// Days from today.
    pub(super) due_in: i64,
}

pub(super) struct FamilySeed {
    /// Position in [`CREDITORS`].
    pub(super) creditor: usize,
    pub(super) guardians: &'static [GuardianSeed],
    pub(super) children: &'static [ChildSeed],
    pub(super) bills: &'static [BillSeed],
    /// Top-ups waiting to be paid at a PSP: child, kind of service, cents.
    pub(super) waiting: &'static [(usize, ServiceKind, i64)],
}

const PRIMARY: &str = "Scuola primaria G. Rodari";
const NURSERY: &str = "Nido L'Aquilone";

pub(super) const FAMILIES: [FamilySeed; 4] = [
    FamilySeed {
        creditor: 0,
        guardians: &[
            GuardianSeed { username: USERNAME, full_name: "Maria Bianchi", code: "BNCMRA85D52F205", children: &[0, 1] },
            GuardianSeed {
                username: "paolo.rossi",
                full_name: "Paolo Rossi",
                code: "RSSPLA82H14F205",
                children: &[0, 1],
            },
        ],
        children: &[
            ChildSeed {
                given_name: "Giulia",
                family_name: "Rossi",
                code: "RSSGLI17C48F205",
                school: PRIMARY,
                class_name: "3A",
                wallets: &[
                    WalletSeed {
                        kind: ServiceKind::Canteen,
                        tariff: "fascia 2",
                        unit_price: 425,
                        opening: 3_115,
                        days: 28,
                        top_ups: &[(22, 4_000), (9, 6_000)],
                    },
                    WalletSeed {
                        kind: ServiceKind::Transport,
                        tariff: "intera",
                        unit_price: 120,
                        opening: 1_000,
                        days: 20,
                        top_ups: &[(12, 2_000)],
                    },
                ],
            },
            ChildSeed {
                given_name: "Luca",
                family_name: "Rossi",
                code: "RSSLCU23T05F205",
                school: NURSERY,
                class_name: "Grandi",
                wallets: &[
                    WalletSeed {
                        kind: ServiceKind::Nursery,
                        tariff: "fascia 2",
                        unit_price: 0,
                        opening: 5_000,
                        days: 0,
                        top_ups: &[(15, 10_000)],
                    },
                    WalletSeed {
                        kind: ServiceKind::AfterSchool,
                        tariff: "intera",
                        unit_price: 350,
                        opening: 2_000,
                        days: 6,
                        top_ups: &[],
                    },
                ],
            },
        ],
        bills: &[
            BillSeed {
                lines: &[(1, ServiceKind::Nursery, 18_000), (0, ServiceKind::Transport, 5_733)],
                number: "2026/118",
                period: "ottobre 2026",
                reason: "Pagamento cumulativo servizi scolastici",
                due_in: 25,
            },
            BillSeed {
                lines: &[(0, ServiceKind::Transport, 3_600)],
                number: "2026/204",
                period: "novembre 2026",
                reason: "Quota trasporto scolastico",
                due_in: 40,
            },
        ],
        waiting: &[(0, ServiceKind::Canteen, 2_000)],
    },
    FamilySeed {
        creditor: 0,
        guardians: &[GuardianSeed {
            username: "amina.diallo",
            full_name: "Amina Diallo",
            code: "DLLMNA88E60Z330",
            children: &[0],
        }],
        children: &[ChildSeed {
            given_name: "Ousmane",
            family_name: "Ndiaye",
            code: "NDYSMN16L07F205",
            school: PRIMARY,
            class_name: "4B",
            wallets: &[WalletSeed {
                kind: ServiceKind::Canteen,
                tariff: "fascia 1",
                unit_price: 210,
                opening: 500,
                days: 25,
                top_ups: &[(20, 3_000)],
            }],
        }],
        bills: &[],
        waiting: &[],
    },
    FamilySeed {
        creditor: 0,
        guardians: &[GuardianSeed {
            username: "giorgio.verdi",
            full_name: "Giorgio Verdi",
            code: "VRDGRG79A15F205",
            children: &[0],
        }],
        children: &[ChildSeed {
            given_name: "Anna",
            family_name: "Verdi",
            code: "VRDNNA18B41F205",
            school: PRIMARY,
            class_name: "2A",
            wallets: &[WalletSeed {
                kind: ServiceKind::Canteen,
                tariff: "intera",
                unit_price: 550,
                opening: 10_000,
                days: 24,
                top_ups: &[],
            }],
        }],
        bills: &[],
        waiting: &[],
    },
    FamilySeed {
        creditor: 1,
        guardians: &[GuardianSeed {
            username: "elena.gallo",
            full_name: "Elena Gallo",
            code: "GLLLNE86S55F205",
            children: &[0],
        }],
        children: &[ChildSeed {
            given_name: "Matteo",
            family_name: "Conti",
            code: "CNTMTT17M20F205",
            school: "Scuola primaria A. Manzi",
            class_name: "3C",
            wallets: &[
                WalletSeed {
                    kind: ServiceKind::Canteen,
                    tariff: "fascia 3",
                    unit_price: 510,
                    opening: 4_000,
                    days: 15,
                    top_ups: &[(10, 5_000)],
                },
                WalletSeed {
                    kind: ServiceKind::Transport,
                    tariff: "intera",
                    unit_price: 150,
                    opening: 3_000,
                    days: 15,
                    top_ups: &[],
                },
            ],
        }],
        bills: &[BillSeed {
            lines: &[(0, ServiceKind::Transport, 4_500)],
            number: "2026/31",
            period: "ottobre 2026",
            reason: "Quota trasporto scolastico",
            due_in: 20,
        }],
        waiting: &[],
    },
];
