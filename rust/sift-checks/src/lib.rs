//! Tests of what a pattern found: checksums, entropy, stand-ins, code, shapes.
//!
//! Rules name checks in their documents; the engine runs them in that order on each candidate. All
//! are pure functions of the value and a few bytes before it, allocate nothing, take time linear in
//! the length, and accept any bytes. This crate knows nothing of rules or engines; to decide what a
//! rule's score becomes, see `sift-scan`.
//!
//! ```
//! use sift_checks::{Check, Outcome, Subject};
//!
//! let check = Check::from_name("placeholder").unwrap();
//! let subject = Subject { value: b"your-api-key-here", before: b"token = ", after: b"" };
//! assert_eq!(check.run(&subject), Outcome::Drop("placeholder"));
//! ```

#![forbid(unsafe_code)]

mod card;
mod checksum;
mod code;
mod crc;
mod crypto;
mod device;
mod encoded;
mod entropy;
mod iban;
mod name;
mod national;
mod network;
mod phone;
mod placeholder;
mod prose;
mod published;
mod shape;
#[cfg(test)]
mod testing;
mod tlds;
mod words;

pub use checksum::is_date;
pub use crc::{base62_decode, base62_encode, crc32};
pub use entropy::entropy;
use national::{africa, americas, asia, britain, europe, germany, oceania};

/// What a check looks at.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The capture group of the rule.
    pub value: &'a [u8],
    /// At most 64 bytes of text that end where the value begins.
    pub before: &'a [u8],
    /// At most two bytes of text that begin where the value ends, as far as the pattern has to have looked at them:
    /// behind a point or a hyphen both, behind anything else the first.
    pub after: &'a [u8],
}

/// What a check says about a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing against it, nothing new.
    Keep,
    /// The candidate's score is this from here on.
    Set(f32),
    /// A checksum says that the value is what its form claims: score 1.
    Proven,
    /// The value is these first bytes of the candidate, the rest is other text.
    Shorten(usize),
    /// No finding, for this reason, unless a context word says what the value is.
    Unless(&'static str),
    /// No finding, for this reason, a stable code.
    Drop(&'static str),
}

macro_rules! checks {
    (
        $($variant:ident = $name:literal: $describe:literal,)+
        // Regions: the two letters of libphonenumber, the rule's name, what is dialled before a number at home,
        // the code from abroad.
        @phones { $($region:ident = $phone:literal $letters:literal $home:literal $code:literal: $who:literal,)+ }
    ) => {
        /// The checks a rule can name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Check {
            $(#[doc = concat!("`", $name, "`: ", $describe, ".")] $variant,)+
            /// `phone_gb` and so on: telephone number as a region writes it.
            PhoneOf(Region),
        }

        /// Where telephone numbers are written in a way of their own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Region {
            $(#[doc = concat!("Telephone numbers as ", $who, " writes them.")] $region,)+
        }

        impl Region {
            /// Its letters, the digits that are dialled before a number at home, and its country code.
            pub(crate) const fn dialling(self) -> ([u8; 2], &'static [u8], &'static [u8]) {
                match self {
                    $(Self::$region => (*$letters, $home, $code),)+
                }
            }
        }

        impl Check {
            /// The check that rule documents call `name`.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    $($phone => Some(Self::PhoneOf(Region::$region)),)+
                    _ => None,
                }
            }

            /// Its name in rule documents.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    $(Self::PhoneOf(Region::$region) => $phone,)+
                }
            }

            /// Every check, in the order of the documentation.
            #[must_use]
            pub fn all() -> &'static [Self] {
                &[$(Self::$variant,)+ $(Self::PhoneOf(Region::$region),)+]
            }

            /// What it does, for people: lower case, no final period.
            #[must_use]
            pub fn describe(self) -> &'static str {
                match self {
                    $(Self::$variant => $describe,)+
                    $(Self::PhoneOf(Region::$region) => {
                        concat!("telephone number as ", $who, " writes it")
                    })+
                }
            }
        }
    };
}

checks! {
    GithubCrc32 = "github_crc32":
        "proves a GitHub token by its CRC-32, scores one with a wrong checksum 0.6",
    Placeholder = "placeholder":
        "drops stand-ins: example words, masks, counting, repetition, fewer than 4 distinct bytes",
    Unfilled = "unfilled":
        "drops what was never filled in: masks, template expressions, your-key-here; milder than placeholder",
    Published = "published":
        "drops keys that their vendor publishes as samples",
    UrlPassword = "url_password":
        "drops what was never filled in, and on the web (http, ws, git) also words, names and stand-ins",
    NotVariable = "not_variable":
        "drops names of variables, template expressions, look-ups in an environment, `null` and kin",
    NotPath = "not_path":
        "drops paths and file names",
    NotUrl = "not_url":
        "drops URLs, also those with a password, and host names with a port or a known ending",
    NotIdentifier = "not_identifier":
        "drops names in snake, camel, kebab or dotted case with few digits, and calls",
    NotUuid = "not_uuid":
        "drops UUIDs",
    NotHash = "not_hash":
        "drops hexadecimal of a digest's length and digests that name their algorithm",
    HasDigit = "has_digit":
        "drops values without a digit",
    Mixed = "mixed":
        "drops values that do not have both letters and digits",
    KeyWord = "key_word":
        "drops values without key, token, secret, passw, credential or auth in the 40 bytes before",
    SecretName = "secret_name":
        "drops values of fields whose name says otherwise: secret_name, tokenUrl, publicKey, csrf_token",
    NotWord = "not_word":
        "drops single words, numbers, dates and versions",
    NotProse = "not_prose":
        "drops sentences, code between two strings and regular expressions: what a quoted password is not",
    JwtHeader = "jwt_header":
        "scores 0.95 if the first part is a JSON web token's header, drops what does not begin as one",
    EncodesText = "encodes_text":
        "drops what is not base64 of printable text",
    Base64Text = "base64_text":
        "drops base64 of readable text",
    Luhn = "luhn":
        "drops digits that fail the Luhn test",
    NotPart = "not_part":
        "drops numbers that go on to their left: decimals, UUIDs, paths, names",
    NotGlued = "not_glued":
        "drops what touches a name, unless its groups or a label tell it",
    Card = "card":
        "payment card: network, Luhn; proven in the groups of the plastic",
    Iban = "iban":
        "proves an IBAN by structure and MOD 97-10",
    Lei = "lei":
        "proves a legal entity identifier by MOD 97-10",
    Bitcoin = "bitcoin":
        "proves a Bitcoin address by Base58Check, Bech32 or Bech32m",
    Ipv4 = "ipv4":
        "IPv4 address; local ones and versions score below an edit",
    Ipv6 = "ipv6":
        "IPv6 address with zone and prefix",
    Mac = "mac":
        "hardware address that is neither broadcast nor empty",
    Email = "email":
        "e-mail address in a top-level domain",
    Url = "url":
        "URL or host name in a top-level domain",
    Vin = "vin":
        "vehicle identification number, check digit of North America",
    Imei = "imei":
        "equipment identity of a telephone",
    Bic = "bic":
        "business identifier code of a country",
    Uuid = "uuid":
        "UUID of RFC 9562",
    UsSsn = "us_ssn":
        "social security number of the United States: assigned, not void",
    UsItin = "us_itin":
        "individual taxpayer number of the United States: assigned groups",
    UsNpi = "us_npi":
        "national provider identifier of the United States",
    UsEin = "us_ein":
        "employer identification number of the United States: assigned prefixes",
    AbaRouting = "aba_routing":
        "routing number of the American Bankers Association",
    Dea = "dea":
        "registration number of the Drug Enforcement Administration",
    CaSin = "ca_sin":
        "social insurance number of Canada",
    CaHealthOntario = "ca_health_ontario":
        "health number of Ontario",
    CaHealthBc = "ca_health_bc":
        "personal health number of British Columbia",
    BrCpf = "br_cpf":
        "taxpayer number of Brazil",
    BrCnpj = "br_cnpj":
        "company number of Brazil, with letters since 2026",
    UkNhs = "uk_nhs":
        "National Health Service number",
    UkUtr = "uk_utr":
        "unique taxpayer reference of the United Kingdom",
    UkNino = "uk_nino":
        "national insurance number of the United Kingdom: allocated prefixes",
    UkPlate = "uk_plate":
        "current plate of the United Kingdom: age identifier",
    UkDrivingLicence = "uk_driving_licence":
        "driving licence of the United Kingdom: field of the surname",
    DeTaxId = "de_tax_id":
        "tax identification number of Germany",
    DeDocument = "de_document":
        "passport or identity card of Germany",
    DeIdCard = "de_id_card":
        "identity card of Germany, old ones without check digit too",
    DeSerial = "de_serial":
        "serial number of a German passport or identity card, a check digit behind it or not",
    DeSocialSecurity = "de_social_security":
        "pension insurance number of Germany",
    DeHealthInsurance = "de_health_insurance":
        "health insurance number of Germany",
    DeLanr = "de_lanr":
        "physician number of Germany",
    DeBsnr = "de_bsnr":
        "practice number of Germany",
    DeVat = "de_vat":
        "VAT number of Germany, proven by its check digit",
    DePlz = "de_plz":
        "post code of Germany",
    EsNif = "es_nif":
        "tax number of Spain",
    EsNie = "es_nie":
        "foreigner number of Spain",
    EsCif = "es_cif":
        "tax number of a Spanish organisation",
    ItFiscalCode = "it_fiscal_code":
        "tax code of Italy, proven by its letter",
    ItVat = "it_vat":
        "VAT number of Italy",
    PlPesel = "pl_pesel":
        "PESEL of Poland",
    PlNip = "pl_nip":
        "taxpayer number of Poland",
    PlRegon = "pl_regon":
        "business register number of Poland",
    FiIdentityCode = "fi_identity_code":
        "personal identity code of Finland",
    SePersonnummer = "se_personnummer":
        "personal number of Sweden",
    SeOrganisation = "se_organisation":
        "organisation number of Sweden",
    TrNationalId = "tr_national_id":
        "identity number of Turkey",
    TrPlate = "tr_plate":
        "plate of Turkey: province",
    FrNir = "fr_nir":
        "social security number of France",
    NlBsn = "nl_bsn":
        "citizen service number of the Netherlands",
    BeNational = "be_national":
        "national register number of Belgium",
    CnIdentityCard = "cn_identity_card":
        "identity number of China, proven by birthday and check character",
    JpMyNumber = "jp_my_number":
        "individual number of Japan",
    JpCorporateNumber = "jp_corporate_number":
        "corporate number of Japan",
    IlNationalId = "il_national_id":
        "identity number of Israel",
    InAadhaar = "in_aadhaar":
        "Aadhaar number of India",
    InGstin = "in_gstin":
        "goods and services tax number of India, proven by its check character",
    InPan = "in_pan":
        "permanent account number of India: kind of holder",
    InPlate = "in_plate":
        "plate of India: state",
    SgFin = "sg_fin":
        "NRIC or FIN of Singapore, proven by its letter",
    SgUen = "sg_uen":
        "entity number of Singapore",
    KrRrn = "kr_rrn":
        "resident registration number of Korea, proven by its check digit",
    KrFrn = "kr_frn":
        "foreigner registration number of Korea, proven by its check digit",
    KrBrn = "kr_brn":
        "business registration number of Korea",
    KrDriverLicense = "kr_driver_license":
        "driver licence of Korea: region",
    ThTnin = "th_tnin":
        "identity number of Thailand",
    PhTin = "ph_tin":
        "taxpayer number of the Philippines",
    AuAbn = "au_abn":
        "business number of Australia",
    AuAcn = "au_acn":
        "company number of Australia",
    AuTfn = "au_tfn":
        "tax file number of Australia",
    AuMedicare = "au_medicare":
        "Medicare card of Australia",
    NzIrd = "nz_ird":
        "tax number of New Zealand",
    ZaId = "za_id":
        "identity number of South Africa",
    ZaCompany = "za_company":
        "company registration of South Africa",
    NgNin = "ng_nin":
        "identity number of Nigeria",
    Phone = "phone":
        "telephone number with its country code",
    @phones {
        Au = "phone_au" b"AU" b"0" b"61": "Australia",
        Br = "phone_br" b"BR" b"0" b"55": "Brazil",
        Cn = "phone_cn" b"CN" b"0" b"86": "China",
        De = "phone_de" b"DE" b"0" b"49": "Germany",
        Es = "phone_es" b"ES" b"" b"34": "Spain",
        Fr = "phone_fr" b"FR" b"0" b"33": "France",
        Gb = "phone_gb" b"GB" b"0" b"44": "the United Kingdom",
        Il = "phone_il" b"IL" b"0" b"972": "Israel",
        In = "phone_in" b"IN" b"0" b"91": "India",
        It = "phone_it" b"IT" b"" b"39": "Italy",
        Jp = "phone_jp" b"JP" b"0" b"81": "Japan",
        Kr = "phone_kr" b"KR" b"0" b"82": "Korea",
        Ng = "phone_ng" b"NG" b"0" b"234": "Nigeria",
        Nl = "phone_nl" b"NL" b"0" b"31": "the Netherlands",
        Nz = "phone_nz" b"NZ" b"0" b"64": "New Zealand",
        Ph = "phone_ph" b"PH" b"0" b"63": "the Philippines",
        Pl = "phone_pl" b"PL" b"" b"48": "Poland",
        Se = "phone_se" b"SE" b"0" b"46": "Sweden",
        Sg = "phone_sg" b"SG" b"" b"65": "Singapore",
        Th = "phone_th" b"TH" b"0" b"66": "Thailand",
        Tr = "phone_tr" b"TR" b"0" b"90": "Turkey",
        Us = "phone_us" b"US" b"1" b"1": "North America",
        Za = "phone_za" b"ZA" b"0" b"27": "South Africa",
    }
}

impl Check {
    /// Looks at `subject`.
    ///
    /// ```
    /// use sift_checks::{Check, Outcome, Subject};
    ///
    /// let subject = Subject { value: b"79927398713", before: b"", after: b"" };
    /// assert_eq!(Check::Luhn.run(&subject), Outcome::Keep);
    /// ```
    #[must_use]
    pub fn run(self, subject: &Subject<'_>) -> Outcome {
        let value = subject.value;
        let (drop, reason) = match self {
            Self::GithubCrc32 => return crc::github(value),
            Self::JwtHeader => return encoded::jwt_header(value),
            Self::Placeholder => (placeholder::is_placeholder(value), "placeholder"),
            Self::Unfilled => (placeholder::is_unfilled(value), "unfilled"),
            Self::Published => (published::is_sample(value), "published"),
            Self::UrlPassword => (is_shown_in_url(value, subject.before), "url_password"),
            Self::NotVariable => (code::is_variable(value, subject.before), "variable"),
            Self::NotPath => (code::is_path(value), "path"),
            Self::NotUrl => (code::is_url(value), "url"),
            Self::NotIdentifier => (code::is_identifier(value), "identifier"),
            Self::NotUuid => (shape::is_uuid(value), "uuid"),
            Self::NotHash => (shape::is_hash(value), "hash"),
            Self::HasDigit => (!value.iter().any(u8::is_ascii_digit), "no_digit"),
            Self::Mixed => (
                !value.iter().any(u8::is_ascii_digit) || !value.iter().any(u8::is_ascii_alphabetic),
                "not_mixed",
            ),
            Self::KeyWord => (!has_key_word(subject.before), "no_key_word"),
            Self::SecretName => (name::is_other_field(subject.before), "name"),
            Self::NotProse => (prose::is_prose(value), "prose"),
            Self::NotWord => (words::single_word(value) || shape::is_number(value), "word"),
            Self::EncodesText => (!encoded::encodes_text(value), "no_text"),
            Self::Base64Text => (encoded::is_base64_text(value), "base64_text"),
            Self::Luhn => (!shape::luhn(value), "luhn"),
            Self::NotPart => return device::part(subject),
            Self::NotGlued => return device::glued(subject),
            Self::Card => return card::card(value, subject.before),
            Self::Iban => return iban::iban(value),
            Self::Lei => return iban::lei(value),
            Self::Bitcoin => return crypto::bitcoin(value),
            Self::Ipv4 => return network::ipv4(value, subject.before),
            Self::Ipv6 => return network::ipv6(value, subject.before),
            Self::Mac => return network::mac(value, subject.before),
            Self::Email => return network::email(value, subject.before),
            Self::Url => return network::url(value),
            Self::Vin => return device::vin(value),
            Self::Imei => return device::imei(value),
            Self::Bic => return device::bic(value),
            Self::Uuid => return device::uuid(value),
            Self::UsSsn => return americas::us_ssn(value),
            Self::UsItin => return americas::us_itin(value),
            Self::UsNpi => return americas::us_npi(value),
            Self::UsEin => return americas::us_ein(value),
            Self::AbaRouting => return americas::aba_routing(value),
            Self::Dea => return americas::dea(value),
            Self::CaSin => return americas::ca_sin(value),
            Self::CaHealthOntario => return americas::ca_health_ontario(value),
            Self::CaHealthBc => return americas::ca_health_bc(value),
            Self::BrCpf => return americas::br_cpf(value),
            Self::BrCnpj => return americas::br_cnpj(value),
            Self::UkNhs => return britain::uk_nhs(value),
            Self::UkUtr => return britain::uk_utr(value),
            Self::UkNino => return britain::uk_nino(value),
            Self::UkPlate => return britain::uk_plate(value),
            Self::UkDrivingLicence => return britain::uk_driving_licence(value),
            Self::DeTaxId => return germany::de_tax_id(value),
            Self::DeDocument => return germany::de_document(value),
            Self::DeSerial => return germany::de_serial(value),
            Self::DeIdCard => return germany::de_id_card(value),
            Self::DeSocialSecurity => return germany::de_social_security(value),
            Self::DeHealthInsurance => return germany::de_health_insurance(value),
            Self::DeLanr => return germany::de_lanr(value),
            Self::DeBsnr => return germany::de_bsnr(value),
            Self::DeVat => return germany::de_vat(value),
            Self::DePlz => return germany::de_plz(value),
            Self::EsNif => return europe::es_nif(value),
            Self::EsNie => return europe::es_nie(value),
            Self::EsCif => return europe::es_cif(value),
            Self::ItFiscalCode => return europe::it_fiscal_code(value),
            Self::ItVat => return europe::it_vat(value),
            Self::PlPesel => return europe::pl_pesel(value),
            Self::PlNip => return europe::pl_nip(value),
            Self::PlRegon => return europe::pl_regon(value),
            Self::FiIdentityCode => return europe::fi_identity_code(value),
            Self::SePersonnummer => return europe::se_personnummer(value),
            Self::SeOrganisation => return europe::se_organisation(value),
            Self::TrNationalId => return europe::tr_national_id(value),
            Self::TrPlate => return europe::tr_plate(value),
            Self::FrNir => return europe::fr_nir(value),
            Self::NlBsn => return europe::nl_bsn(value),
            Self::BeNational => return europe::be_national(value),
            Self::CnIdentityCard => return asia::cn_identity_card(value),
            Self::JpMyNumber => return asia::jp_my_number(value),
            Self::JpCorporateNumber => return asia::jp_corporate_number(value),
            Self::IlNationalId => return asia::il_national_id(value),
            Self::InAadhaar => return asia::in_aadhaar(value),
            Self::InGstin => return asia::in_gstin(value),
            Self::InPan => return asia::in_pan(value),
            Self::InPlate => return asia::in_plate(value),
            Self::SgFin => return asia::sg_fin(value),
            Self::SgUen => return asia::sg_uen(value),
            Self::KrRrn => return asia::kr_rrn(value),
            Self::KrFrn => return asia::kr_frn(value),
            Self::KrBrn => return asia::kr_brn(value),
            Self::KrDriverLicense => return asia::kr_driver_license(value),
            Self::ThTnin => return asia::th_tnin(value),
            Self::PhTin => return asia::ph_tin(value),
            Self::AuAbn => return oceania::au_abn(value),
            Self::AuAcn => return oceania::au_acn(value),
            Self::AuTfn => return oceania::au_tfn(value),
            Self::AuMedicare => return oceania::au_medicare(value),
            Self::NzIrd => return oceania::nz_ird(value),
            Self::ZaId => return africa::za_id(value),
            Self::ZaCompany => return africa::za_company(value),
            Self::NgNin => return africa::ng_nin(value),
            Self::Phone => return phone::international(value, subject.before),
            Self::PhoneOf(region) => return phone::national(value, subject.before, region),
        };
        if drop {
            Outcome::Drop(reason)
        } else {
            Outcome::Keep
        }
    }
}

/// Whether a word that names a secret stands shortly before the value, alone or inside a longer name.
fn has_key_word(before: &[u8]) -> bool {
    const WORDS: [&[u8]; 6] = [b"key", b"token", b"secret", b"passw", b"credential", b"auth"];
    let near = &before[before.len().saturating_sub(40)..];
    WORDS.iter().any(|word| near.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)))
}

/// Whether the password of a URL is one for show. Words are passwords of databases and brokers, as in
/// the settings of a test server; in a web address they stand in a document.
fn is_shown_in_url(value: &[u8], before: &[u8]) -> bool {
    const SERVICES: [&[u8]; 27] = [
        b"postgres",
        b"postgresql",
        b"cockroachdb",
        b"redshift",
        b"mysql",
        b"mariadb",
        b"mongodb",
        b"redis",
        b"rediss",
        b"amqp",
        b"amqps",
        b"mssql",
        b"sqlserver",
        b"oracle",
        b"ftp",
        b"ftps",
        b"sftp",
        b"smb",
        b"ldap",
        b"ldaps",
        b"smtp",
        b"smtps",
        b"imaps",
        b"mqtt",
        b"mqtts",
        b"nats",
        b"clickhouse",
    ];
    if placeholder::is_unfilled(value) {
        return true;
    }
    let scheme = before.windows(3).rposition(|three| three == b"://").map_or(&b""[..], |at| {
        let start = before[..at]
            .iter()
            .rposition(|&byte| !(byte.is_ascii_alphanumeric() || byte == b'+'))
            .map_or(0, |other| other + 1);
        &before[start..at]
    });
    // `mysql+pymysql` names the driver too.
    let service = scheme.split(|&byte| byte == b'+').next().unwrap_or_default();
    let is_service = SERVICES.iter().any(|name| service.eq_ignore_ascii_case(name));
    !is_service
        && (placeholder::is_placeholder(value)
            || words::single_word(value)
            || code::is_identifier(value))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Check, Outcome, Subject};
    use crate::testing::{Random, BASE62, BASE64, BASE64URL, HEX};

    #[test]
    fn a_key_word_stands_near() {
        let far = format!("key {}", " ".repeat(40));
        for (before, keeps) in
            [("acme_api_KEY = ", true), ("acmeToken: '", true), ("acme = ", false), (&far, false)]
        {
            let outcome =
                Check::KeyWord.run(&Subject { value: b"x", before: before.as_bytes(), after: b"" });
            assert_eq!(outcome == Outcome::Keep, keeps, "{before}");
        }
    }

    #[test]
    fn words_are_passwords_of_services_and_not_of_the_web() {
        for (before, value, keeps) in [
            ("postgres://app:", "opensesame", true),
            ("url = 'mysql+pymysql://root:", "secret", true),
            ("mongodb+srv://root:", "hunter", true),
            ("ftp://u:", "password", false),
            ("https://user:", "opensesame", false),
            ("https://user:", "k3v9Zq1x", true),
            ("://user:", "secret", false),
            ("user:", "secret", false),
        ] {
            let subject =
                Subject { value: value.as_bytes(), before: before.as_bytes(), after: b"" };
            assert_eq!(Check::UrlPassword.run(&subject) == Outcome::Keep, keeps, "{before}");
        }
    }

    #[test]
    fn names_are_unique_and_lead_back() {
        let mut names = HashSet::new();
        for &check in Check::all() {
            assert!(names.insert(check.name()));
            assert_eq!(Check::from_name(check.name()), Some(check));
            assert!(!check.describe().is_empty() && !check.describe().ends_with('.'));
        }
        assert_eq!(Check::from_name("Placeholder"), None);
    }

    #[test]
    fn digits_and_letters() {
        for (check, value, drop) in [
            (Check::HasDigit, "abc", true),
            (Check::HasDigit, "", true),
            (Check::HasDigit, "abc1", false),
            (Check::Mixed, "abc", true),
            (Check::Mixed, "123", true),
            (Check::Mixed, "-a1-", false),
        ] {
            let outcome = check.run(&Subject { value: value.as_bytes(), before: b"", after: b"" });
            assert_eq!(matches!(outcome, Outcome::Drop(_)), drop, "{check:?} of `{value}`");
        }
    }

    /// The checks that judge by likeness must not eat random tokens.
    #[test]
    fn random_tokens_are_kept() {
        let checks = [
            Check::Placeholder,
            Check::Unfilled,
            Check::NotVariable,
            Check::NotIdentifier,
            Check::NotPath,
            Check::NotUrl,
            Check::NotWord,
            Check::NotProse,
            Check::Base64Text,
        ];
        let upper_hex = b"0123456789ABCDEF";
        let base32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let lower_base36 = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let alphabets: [(&str, &[u8], &[usize]); 8] = [
            ("base62", BASE62, &[20, 24, 32, 40, 48, 64]),
            ("hex", HEX, &[32, 40, 64]),
            ("HEX", upper_hex, &[32, 40, 64]),
            ("base64", BASE64, &[20, 22, 24, 28, 32, 40, 44, 64, 86, 88]),
            ("base64url", BASE64URL, &[20, 22, 32, 43, 64]),
            ("base32", base32, &[16, 20, 26, 32, 52]),
            ("base36", lower_base36, &[16, 20, 25, 32, 50]),
            ("letters", letters, &[20, 24, 32]),
        ];
        let mut random = Random::new(20_241_121);
        for (name, alphabet, lengths) in alphabets {
            for &length in lengths {
                let mut dropped = [0usize; 9];
                for _ in 0..10_000 {
                    let value = random.bytes(alphabet, length);
                    for (check, dropped) in checks.iter().zip(&mut dropped) {
                        let outcome =
                            check.run(&Subject { value: &value, before: b"key = ", after: b"" });
                        *dropped += usize::from(outcome != Outcome::Keep);
                    }
                }
                for (check, dropped) in checks.iter().zip(dropped) {
                    assert!(dropped <= 10, "{check:?} drops {dropped} of 10,000 {name} {length}");
                }
            }
        }
    }

    /// Any bytes, and bytes near what the checks look for, give an answer and no panic.
    #[test]
    fn hostile_bytes() {
        let mut random = Random::new(0xbad);
        let pieces: &[&[u8]] = &[
            b"${",
            b"}",
            b"$",
            b"{{",
            b"<",
            b">",
            b"(",
            b")",
            b"[",
            b"]",
            b"%",
            b"__",
            b"://",
            b"//",
            b":",
            b".",
            b"...",
            b"**",
            b"eyJ",
            b"=",
            b"==",
            b"ghp_",
            b"test",
            b"your_",
            b"x",
            b"0x",
            b"-",
            b"_",
            b"/",
            b"\\",
            b"\xe2\x80",
            b"\xff",
            b"\x00",
            b"null",
            b"abc",
            b"process.env",
            b"self.",
            b"1.2",
            b"{\"alg\":\"",
            b"sha256:",
            b"urn:uuid:",
            b"www.",
        ];
        for round in 0..60_000 {
            let count = (random.next() % 12) as usize;
            let mut value = Vec::new();
            for _ in 0..count {
                match random.next() % 3 {
                    0 => value.extend(random.any(3)),
                    1 => value.extend(random.bytes(BASE62, 4)),
                    _ => value.extend(pieces[(random.next() % pieces.len() as u64) as usize]),
                }
            }
            let cut = (random.next() % (value.len() as u64 + 1)) as usize;
            let (before, after) = value.split_at(cut);
            let value = if round % 2 == 0 { after } else { &value };
            let subject = Subject { value, before, after: b"" };
            for check in Check::all() {
                if let Outcome::Set(score) = check.run(&subject) {
                    assert!(score > 0.0 && score < 1.0);
                }
            }
            assert!((0.0..=8.0).contains(&super::entropy(value)));
        }
    }
}
