//! Tells text made by people from random letters: a table of letter pairs and what is built on it.
//!
//! Each pair of neighbouring letters has a weight: the logarithm of how much likelier it is in words
//! than among random letters. Measured on words of source code, documents and chat joined to the
//! length given, against random lower-case letters:
//!
//! | letters | words not taken for words | random letters taken for words |
//! |---|---|---|
//! | 8 | 5.4 % | 3.3 % |
//! | 12 | 4.3 % | 0.74 % |
//! | 16 | 1.8 % | 0.18 % |
//! | 20 | 1.4 % | 0.05 % |

/// Row: first letter; column: second letter; value above `m`: half bits of evidence for words.
/// Counted over distinct words, each weighted by the logarithm of its number.
#[rustfmt::skip]
const WEIGHTS: [&[u8; 26]; 26] = [
    b"eoqpekngoflsprepesqtmljimg",
    b"ngjgnefemieofeneellgnfeeie",
    b"qemfreeqoeooifsgfnkqneeeje",
    b"nfflsgheqfekfgnfelngmgeeie",
    b"qkrtoomjkhgqptjolutqinlpje",
    b"megenmeepeelgeoeelhjmeeeje",
    b"legepejlmeekhlleenlfleeefe",
    b"peefpeeeneeghhoeelhljeeege",
    b"onqopnoeeeippurmfnqrgoeken",
    b"ieeekeeegeeeeeieeeieieeeee",
    b"heefoegeleegfheeeelfgefeee",
    b"qgimshgerehqehqieemmmheepe",
    b"qkehreeepeeimfopeelgleeehe",
    b"peqqqmsgogkjhlojehrsmlfeie",
    b"llooikmelglpqtnoesoopnojhg",
    b"qeegqegknefpfepneqlomeeeke",
    b"eeeeeeeeeeeeeeeeeeeeneeeee",
    b"rimnujlerellnmqjenqpnkhene",
    b"neogsjhoqekkjhoohgpsphjele",
    b"qelitjepteemhfpierpnneigne",
    b"mnnjnilemeeonqhnepppeeefee",
    b"neferefeoeeeeekeeeeeeeeeee",
    b"meeeneglmeegekleekjeeefeee",
    b"hejekeeekeeeeeemeeeleeeeee",
    b"ffhejeeejeegijilefkjeegeee",
    b"jeeeneeeheeeeefeeeeeeeeeef",
];

/// Half bits of evidence that the two letters, in either case, are neighbours in a word.
fn weight(first: u8, second: u8) -> i32 {
    let (row, column) = ((first | 0x20).wrapping_sub(b'a'), (second | 0x20).wrapping_sub(b'a'));
    match WEIGHTS.get(usize::from(row)).and_then(|row| row.get(usize::from(column))) {
        Some(&weight) => i32::from(weight) - i32::from(b'm'),
        None => 0,
    }
}

/// The letters of a text, seen one byte at a time.
#[derive(Default)]
pub(crate) struct Letters {
    pub(crate) letters: usize,
    /// Words, counting each hump of `camelCase`.
    pub(crate) words: usize,
    /// Evidence for words in half bits, less one for each pair: see the table above. Saturating, for
    /// texts of any length; a sum out of range has long been decided.
    evidence: i32,
    last: u8,
}

impl Letters {
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut letters = Self::default();
        text.iter().for_each(|&byte| letters.push(byte));
        letters
    }

    pub(crate) fn push(&mut self, byte: u8) {
        if byte.is_ascii_alphabetic() {
            self.letters += 1;
            let hump = self.last.is_ascii_lowercase() && byte.is_ascii_uppercase();
            if !self.last.is_ascii_alphabetic() || hump {
                self.words += 1;
            } else {
                self.evidence = self.evidence.saturating_add(weight(self.last, byte) - 1);
            }
        }
        self.last = byte;
    }

    /// Whether the pairs are those of words. Next to no letters is no evidence against it.
    pub(crate) fn read_as_words(&self) -> bool {
        self.evidence >= -4
    }
}

/// Whether `text` is a name: words in snake, camel, kebab or dotted case, digits few and only
/// at the ends of words.
pub(crate) fn identifier(text: &[u8]) -> bool {
    let text = without_version(trim_start_underscores(text));
    if !text.first().is_some_and(u8::is_ascii_alphabetic) {
        return false;
    }
    let mut letters = Letters::default();
    let (mut digits, mut digit_runs) = (0usize, 0usize);
    // Neighbouring capitals in words that are not all capitals: half of random letters are such,
    // of names only acronyms.
    let (mut capitals, mut capitals_here, mut lower_here) = (0usize, 0usize, false);
    let (mut last, mut before_last) = (0u8, 0u8);
    for &byte in text {
        // A word behind a number begins with one capital, as in `Length64String`.
        if last.is_ascii_uppercase() && before_last.is_ascii_digit() && !byte.is_ascii_lowercase() {
            return false;
        }
        match byte {
            b'a'..=b'z' if last.is_ascii_digit() => return false,
            b'a'..=b'z' => lower_here = true,
            b'A'..=b'Z' => capitals_here += usize::from(last.is_ascii_uppercase()),
            b'_' | b'-' | b'.' | b':' => {
                capitals += if lower_here { capitals_here } else { 0 };
                (capitals_here, lower_here) = (0, false);
            }
            b'>' if last == b'-' => {}
            b'0'..=b'9' => {
                digits += 1;
                digit_runs += usize::from(!last.is_ascii_digit());
            }
            _ => return false,
        }
        letters.push(byte);
        (before_last, last) = (last, byte);
    }
    let few_digits = digit_runs <= 2 && digits <= 4 && digits * 3 <= letters.letters;
    capitals += if lower_here { capitals_here } else { 0 };
    few_digits
        && capitals * 6 <= letters.letters
        && letters.letters * 2 >= letters.words * 5
        && letters.read_as_words()
}

/// What follows a capital letter and a number at the start, as in `V1Status` and `X509Flags`.
fn without_version(text: &[u8]) -> &[u8] {
    let digits = text.iter().skip(1).take(4).take_while(|byte| byte.is_ascii_digit()).count();
    match text.split_at_checked(1 + digits) {
        Some(([b'A'..=b'Z', ..], rest))
            if digits > 0 && rest.first().is_some_and(u8::is_ascii_uppercase) =>
        {
            rest
        }
        _ => text,
    }
}

fn trim_start_underscores(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| byte != b'_').unwrap_or(text.len());
    &text[start..]
}

/// Whether `text` is one plain word in lower, upper or Title case. Bytes beyond ASCII are letters.
pub(crate) fn single_word(text: &[u8]) -> bool {
    let text = text.strip_suffix(b":").unwrap_or(text);
    let text = match text {
        [rest @ .., b',' | b';' | b'.'] => rest,
        _ => text,
    };
    let Some((_, tail)) = text.split_first() else { return false };
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
    text.iter().all(is_letter)
        && (tail.iter().all(|byte| !byte.is_ascii_uppercase())
            || text.iter().all(|byte| !byte.is_ascii_lowercase()))
        // Up to seven letters tell too little, and too few of them make a secret.
        && (text.len() <= 7 || Letters::of(text).read_as_words())
}

#[cfg(test)]
mod tests {
    use super::{identifier, single_word};
    use crate::testing::Random;

    #[test]
    fn names_people_write() {
        for name in [
            "client_secret",
            "clientSecret",
            "ClientSecret",
            "CLIENT_SECRET",
            "client-secret",
            "app.config.database",
            "getAccessToken",
            "my_token_2",
            "AccountManager",
            "password",
            "__private_name",
            "std::string::value",
            "this->token",
            "authorization_header_v2",
            "V1LocalObjectReference",
            "NonEmptyMaxLength64String",
            "D3DKMT_PRESENTHISTORYTOKEN",
        ] {
            assert!(identifier(name.as_bytes()), "{name} is a name");
        }
        for other in ["", "_", "1abc", "a1b2c3", "foo bar", "x+y", "kqzvXwptJgbq", "a_b_c_d", "é"]
        {
            assert!(!identifier(other.as_bytes()), "{other} is no name");
        }
    }

    #[test]
    fn single_words() {
        for word in ["password", "Secret", "TOKEN", "größe", "токен", "value,", "name:"] {
            assert!(single_word(word.as_bytes()), "{word} is a word");
        }
        for other in ["", "two words", "camelCase", "abc1", "xkqjzvwpqf", "with-hyphen"] {
            assert!(!single_word(other.as_bytes()), "{other} is no word");
        }
    }

    #[test]
    fn random_letters_are_rarely_words() {
        let mut random = Random::new(26);
        let lower: Vec<u8> = (b'a'..=b'z').collect();
        let (mut named, mut worded) = (0, 0);
        for _ in 0..10_000 {
            let value = random.bytes(&lower, 16);
            named += usize::from(identifier(&value));
            worded += usize::from(single_word(&value));
        }
        assert!(named <= 30 && worded <= 30, "{named} names, {worded} words of 10,000");
    }
}
