//! Decoded views: what is written in base64, hex, escapes, invisible or look-alike characters.
//!
//! A text has one identity view and one folded view, but many decoded ones: each is a **window**, a piece
//! of the text of at most [`WINDOW`] bytes (more only for compressed data and for a break inside a unit) and
//! the way to read it. Four questions make the interface:
//!
//! | question | answered by |
//! |---|---|
//! | where is something encoded? | [`windows`] for a whole text, [`Finder`] for one that comes in pieces |
//! | what does it say? | [`Window::decode`], into a buffer of the caller's |
//! | where did it stand? | [`Map`]: spans of the decoded bytes back to whole encoding units of the text |
//! | is something encoded in there? | [`Nesting::visit`]: all of it to a bounded depth and amount of work |
//!
//! ```
//! use sift_text::decode::{windows, Limits, Map};
//!
//! let text = b"token: c2VjcmV0LXdvcmRzLWluLWhlcmU= (expires)";
//! let mut found = Vec::new();
//! windows(text, &Limits::default(), &mut found);
//! let (mut decoded, mut map) = (Vec::new(), Map::default());
//! found[0].decode(text, &Limits::default(), &mut decoded);
//! assert_eq!(decoded, b"secret-words-in-here");
//! found[0].map(text, &mut map);
//! assert_eq!(map.span(0, 6), (7, 15)); // "secret" is in the first two groups of four
//! ```
//!
//! **Two kinds of decoders.** *Dense* ones (base64, hex) read runs of their alphabet in which every
//! character counts. A run is read in every phase, four for base64 and two for hex, because a word, a `/` or
//! a `-` in front of it shifts it; of each phase only the stretches count that read as text: UTF-8, or UTF-16
//! of Latin letters, without control characters, at least [`MIN_TEXT`] bytes. That is also the filter: a
//! random identifier or binary has no such stretch. *Sparse* ones (escapes, characters) read text in
//! which a few *units* stand for something else and all other bytes for themselves. A unit may be *loud* or
//! *quiet*: a loud one (`%61`, a Cyrillic letter beside a Latin one) opens a window that reaches [`REACH`]
//! bytes to both sides; a quiet one (`\n`, `&lt;`, a full-width comma) is decoded in windows that others
//! open.
//!
//! Beside them are four *veils* that hide words from rules for injections but are no encoding of anything
//! else: spaced letters, digits for letters, backwards, ROT13. The first two are found by [`veiled`]. The others have
//! no alphabet to be told by, so they are found by [`cues`], patterns that whoever has a pattern engine puts beside
//! its own, and read in the window [`Window::around`] a hit.
//!
//! **Windows overlap**: one begins each [`STRIDE`] bytes from the beginning of its run, at a whole unit, so
//! anything whose encoding takes at most `STRIDE` bytes is whole in one of them.
//!
//! **Locality.** Every decision looks at a bounded number of bytes, never at the rest of the text: a
//! [`Finder`] that is fed pieces finds exactly the windows of the whole, whatever the cuts. It says what
//! must be held: [`Finder::held`].
//!
//! **What a finding must touch.** In a sparse window a finding counts only if [`Map::touched`] says that it,
//! or what was looked at beside it, holds a unit. All others are in the identity view too, or come from
//! the cut at the edge of the window.

mod base64;
mod chain;
mod characters;
mod escapes;
mod gate;
mod hex;
mod inflate;
mod lookalikes;
mod map;
mod nesting;
mod runs;
mod sparse;
mod track;
mod veiled;

pub use chain::Chain;
pub use characters::{invisible, Invisible, InvisibleKind};
pub use gate::Gate;
pub use map::Map;
pub use nesting::{Level, Nesting, Outcome};
pub use veiled::{cues, veiled, Cue};

use base64::Base64;
use characters::Characters;
use escapes::Escapes;
use hex::{Hex, Pairs};
use sparse::Sparse;

/// Encoded bytes of a window, more only by what the last unit takes: a letter takes 18 in two encodings of six
/// and three, and a token has a hundred.
pub const WINDOW: usize = 4096;

/// From the beginning of a window to that of the next one in the same run.
pub const STRIDE: usize = 2048;

/// From one window of a [`Cue`] to the next.
pub const CUE_STRIDE: usize = 512;

/// Bytes that a sparse window takes on both sides of a loud unit.
pub const REACH: usize = 128;

/// Shortest text that a dense window may hold, in decoded bytes; of UTF-16, in characters.
pub const MIN_TEXT: usize = 12;

/// How a piece of text is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Encoding {
    Base64,
    Hex,
    /// The bytes of the window are UTF-16.
    Utf16,
    Gzip,
    Zlib,
    /// `%61`, `%u0061`.
    Percent,
    /// `&lt;`, `&#97;`, `&#x61;`.
    Entity,
    /// Behind a backslash: `\u0061`, `\u{61}`, `\x61`, `\141`, `\n`.
    Escape,
    /// Tag characters: invisible ASCII.
    Tag,
    /// Variation selectors that carry bytes.
    Selector,
    /// Characters without a glyph between visible ones, and marks that strike letters through.
    Invisible,
    /// Full-width, mathematical, enclosed, small and raised forms of ASCII characters.
    Styled,
    /// Characters of other scripts that look like ASCII ones.
    Lookalike,
    /// `i g n o r e`
    Spaced,
    /// `1gn0r3`
    Leet,
    /// `erongi`
    Reversed,
    /// `vtaber`
    Rot13,
}

impl Encoding {
    /// All encodings, in order.
    pub const ALL: [Self; 17] = [
        Self::Base64,
        Self::Hex,
        Self::Utf16,
        Self::Gzip,
        Self::Zlib,
        Self::Percent,
        Self::Entity,
        Self::Escape,
        Self::Tag,
        Self::Selector,
        Self::Invisible,
        Self::Styled,
        Self::Lookalike,
        Self::Spaced,
        Self::Leet,
        Self::Reversed,
        Self::Rot13,
    ];

    /// The encoding of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.as_str() == name)
    }

    /// The name in findings and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::Utf16 => "utf16",
            Self::Gzip => "gzip",
            Self::Zlib => "zlib",
            Self::Percent => "percent",
            Self::Entity => "entity",
            Self::Escape => "escape",
            Self::Tag => "tag",
            Self::Selector => "selector",
            Self::Invisible => "invisible",
            Self::Styled => "styled",
            Self::Lookalike => "lookalike",
            Self::Spaced => "spaced",
            Self::Leet => "leet",
            Self::Reversed => "reversed",
            Self::Rot13 => "rot13",
        }
    }
}

/// A set of encodings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Encodings(u32);

impl Encodings {
    /// All of them.
    pub const ALL: Self = Self((1 << Encoding::ALL.len()) - 1);

    /// All but those whose words have to be looked for by an engine: that alone takes a third to a half of the time
    /// of a scan with the default rules.
    pub const USUAL: Self =
        Self(Self::ALL.0 & !(1 << Encoding::Reversed as u8 | 1 << Encoding::Rot13 as u8));

    /// Whether they have one in common.
    pub const fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of them are in `other`.
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub const fn contains(self, encoding: Encoding) -> bool {
        self.0 >> encoding as u8 & 1 == 1
    }

    #[must_use]
    pub const fn with(self, encoding: Encoding) -> Self {
        Self(self.0 | 1 << encoding as u8)
    }

    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The encodings in their order.
    pub fn iter(self) -> impl Iterator<Item = Encoding> {
        Encoding::ALL.into_iter().filter(move |&encoding| self.contains(encoding))
    }
}

/// Which reading a window has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reading {
    Base64(Form),
    /// Digits in pairs without anything between them.
    Hex(Form),
    /// Pairs of digits with separators: `41 42`, `0x41, 0x42`.
    Pairs(Form),
    /// Percent, entities and backslashes.
    Escapes,
    /// Invisible and look-alike characters.
    Characters,
    /// For injection rules only, as the following: single letters with separators.
    Spaced,
    /// Digits for letters.
    Leet,
    /// Backwards.
    Reversed,
    /// Letters turned by 13.
    Rot13,
}

/// What the bytes of a dense window are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    Text,
    /// Of Latin letters, either order of bytes.
    Utf16,
    Gzip,
    Zlib,
}

/// A piece of a text and how to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// First byte.
    pub start: usize,
    /// Bytes of a sparse window before this stand for themselves, whatever they look like: until its first loud
    /// unit a window reads as the text around it does. `start` where all is read.
    pub literal: usize,
    /// End.
    pub end: usize,
    /// How it is encoded.
    pub reading: Reading,
    /// Whether the same run goes on behind `end`: what reaches the end of the decoded bytes may be longer.
    pub open: bool,
}

/// How far decoding may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Levels of encoding undone: 3 finds base64 in base64 in base64.
    pub depth: usize,
    /// Bytes that nested windows of one window of the text may decode to together, for each of its bytes.
    pub work: usize,
    /// Encoded bytes of a compressed run that are read.
    pub packed_bytes: usize,
    /// Bytes that a compressed run may become.
    pub unpacked_bytes: usize,
    /// What is undone. Decoders that read nothing of it do not look for windows; others read a window as a
    /// whole, and whoever counts findings asks [`Level::touched`].
    pub encodings: Encodings,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 3,
            work: 16,
            packed_bytes: 16 << 10,
            unpacked_bytes: 64 << 10,
            encodings: Encodings::ALL,
        }
    }
}

impl Window {
    /// Decodes the window of `text` into `out`, which is cleared first and keeps its capacity.
    ///
    /// `text` is the text, or the piece of a stream, that the window was found in. Linear in the window;
    /// compressed data becomes at most `limits.unpacked_bytes`. Nothing in `out` if the data is not valid.
    pub fn decode(&self, text: &[u8], limits: &Limits, out: &mut Vec<u8>) {
        out.clear();
        match self.form() {
            Form::Text => {
                self.pieces(text, &mut |piece| out.extend_from_slice(piece.bytes()));
            }
            form => {
                let mut raw = Vec::new();
                self.pieces(text, &mut |piece| raw.extend_from_slice(piece.bytes()));
                match form {
                    Form::Gzip => inflate::gzip(&raw, limits.unpacked_bytes, out),
                    Form::Zlib => inflate::zlib(&raw, limits.unpacked_bytes, out),
                    Form::Text | Form::Utf16 => {
                        map::utf16(&raw, |_, character| out.extend_from_slice(character));
                    }
                }
            }
        }
    }

    /// Appends what the window decodes to to `out`. `tell` is told of each piece of it where it begins in `out`, where
    /// in the text, and whether it is a unit; if not, its bytes stand for themselves. Not of compressed data or UTF-16.
    pub fn append(&self, text: &[u8], out: &mut Vec<u8>, tell: &mut dyn FnMut(usize, usize, bool)) {
        self.pieces(text, &mut |piece| {
            let (start, unit) = match piece {
                Piece::Literal { start, .. } => (start, false),
                Piece::Unit { start, .. } => (start, true),
            };
            tell(out.len(), start, unit);
            out.extend_from_slice(piece.bytes());
        });
    }

    /// Fills `map` with the way back from the decoded bytes to `text`.
    ///
    /// No map is kept while decoding: almost every window has no finding.
    pub fn map(&self, text: &[u8], map: &mut Map) {
        map.fill(self, text);
    }

    /// The window of a hit of a [`Cue`] that ends at `hit`, in a text of `length` bytes.
    ///
    /// Windows of cues lie on a grid, so that many hits are few windows: whoever has several hits leaves out
    /// what comes again. What takes at most half of [`CUE_STRIDE`] to both sides of the hit is whole in it.
    pub fn around(hit: usize, length: usize, reading: Reading) -> Self {
        let block = hit / CUE_STRIDE * CUE_STRIDE;
        let start = block.saturating_sub(CUE_STRIDE / 2).min(length);
        let end = length.min(block + CUE_STRIDE + CUE_STRIDE / 2);
        Self { start, literal: start, end, reading, open: end < length }
    }

    /// Whether only rules for injections should read the window: secrets in it would be chance.
    pub const fn is_for_injection(&self) -> bool {
        matches!(self.reading, Reading::Spaced | Reading::Leet | Reading::Reversed | Reading::Rot13)
    }

    /// Whether most bytes of the window stand for themselves: see "What a finding must touch".
    pub const fn is_sparse(&self) -> bool {
        matches!(
            self.reading,
            Reading::Escapes | Reading::Characters | Reading::Spaced | Reading::Leet
        )
    }

    fn form(&self) -> Form {
        match self.reading {
            Reading::Base64(form) | Reading::Hex(form) | Reading::Pairs(form) => form,
            _ => Form::Text,
        }
    }

    /// Tells the pieces of the window in the order of what they decode to.
    fn pieces(&self, text: &[u8], tell: &mut dyn FnMut(Piece<'_>)) {
        let Some(inside) = text.get(..self.end).filter(|_| self.start <= self.end) else { return };
        match self.reading {
            Reading::Base64(_) => base64::pieces(inside, self.start, tell),
            Reading::Hex(_) => hex::pieces(inside, self.start, tell),
            Reading::Pairs(_) => hex::pair_pieces(inside, self.start, tell),
            // What stands behind the window may be looked at, as it was when the window was found.
            Reading::Escapes => sparse::pieces::<Escapes>(text, *self, tell),
            Reading::Characters => sparse::pieces::<Characters>(text, *self, tell),
            Reading::Spaced | Reading::Leet | Reading::Reversed | Reading::Rot13 => {
                veiled::pieces(self.reading, inside, self.start, tell);
            }
        }
    }
}

/// A part of a window.
#[derive(Clone, Copy, Debug)]
enum Piece<'a> {
    /// Bytes that stand for themselves, from `start` on.
    Literal { start: usize, bytes: &'a [u8] },
    /// An encoding unit.
    Unit { start: usize, end: usize, bytes: &'a [u8], encoding: Encoding },
}

impl<'a> Piece<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Literal { bytes, .. } | Self::Unit { bytes, .. } => bytes,
        }
    }
}

/// Finds the windows of a text that comes in pieces.
///
/// The caller keeps the text in a buffer, to which it appends what comes and from whose front it drops
/// what is no longer needed. Offsets are those of the buffer.
///
/// ```
/// use sift_text::decode::{Finder, Limits};
///
/// let (mut finder, mut found) = (Finder::new(&Limits::default()), Vec::new());
/// let mut buffer = b"what is c2VjcmV0LXdvcm".to_vec();
/// finder.advance(&buffer, false, &mut found);
/// assert_eq!(finder.held(buffer.len()).dense, 8);
/// buffer.extend_from_slice(b"RzLWluLWhlcmU=?");
/// finder.advance(&buffer, true, &mut found);
/// assert_eq!((found[0].start, found[0].end), (8, 36));
/// ```
#[derive(Clone, Debug)]
pub struct Finder {
    base64: Option<Base64>,
    hex: Option<(Hex, Pairs)>,
    escapes: Option<Sparse<Escapes>>,
    characters: Option<Sparse<Characters>>,
}

/// What hides words from rules for injections and is no encoding of anything else.
pub const VEILS: Encodings = Encodings(0)
    .with(Encoding::Spaced)
    .with(Encoding::Leet)
    .with(Encoding::Reversed)
    .with(Encoding::Rot13);

/// What each of the sparse decoders undoes.
const ESCAPES: Encodings =
    Encodings(0).with(Encoding::Percent).with(Encoding::Entity).with(Encoding::Escape);
const CHARACTERS: Encodings = Encodings(0)
    .with(Encoding::Tag)
    .with(Encoding::Selector)
    .with(Encoding::Invisible)
    .with(Encoding::Styled)
    .with(Encoding::Lookalike);

/// What a stream may not release yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// A dense window that is not yet told begins here or later: hold from here.
    pub dense: usize,
    /// The first loud unit whose window is not yet told begins here or later. Until there all sparse
    /// views read as the identity view, so hold from where the identity view's undecided part
    /// began when it had been read up to here.
    pub sparse: usize,
    /// The same without the regions that are open ([`Finder::open`]): for whoever reads on in those.
    pub unit: usize,
    /// The buffer must go back to here for the windows that are not yet told.
    pub buffer: usize,
}

/// Where windows of a sparse decoder overlap or follow one another, and more is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    pub reading: Reading,
    /// Where the window begins that will be told next.
    pub start: usize,
    /// Where the one after it begins, once that is known.
    pub next: Option<usize>,
    /// The first loud unit: bytes before it stand for themselves.
    pub first: usize,
    /// Read up to here, a place between units.
    pub read: usize,
}

impl Open {
    /// The windows that are not told, as far as they are read.
    pub fn windows(&self) -> impl Iterator<Item = Window> + '_ {
        let Self { reading, start, next, first, read } = *self;
        let window = move |start: usize| Window {
            start,
            literal: start.max(first),
            end: read,
            reading,
            open: true,
        };
        std::iter::once(start).chain(next).map(window)
    }
}

impl Finder {
    /// A finder at the beginning of a text.
    pub fn new(limits: &Limits) -> Self {
        let wanted = limits.encodings;
        Self {
            base64: wanted.contains(Encoding::Base64).then(|| Base64::new(limits.packed_bytes)),
            hex: wanted
                .contains(Encoding::Hex)
                .then(|| (Hex::new(limits.packed_bytes), Pairs::default())),
            escapes: wanted.meet(ESCAPES).then(|| Sparse::new(Reading::Escapes, 0)),
            characters: wanted.meet(CHARACTERS).then(|| Sparse::new(Reading::Characters, 0)),
        }
    }

    /// Reads on to the end of `text` and adds the windows that are now certain to `found`.
    ///
    /// `finished` says that nothing follows. Each byte is read once by each decoder, but for the last few
    /// ones of a piece, which may be half a unit.
    pub fn advance(&mut self, text: &[u8], finished: bool, found: &mut Vec<Window>) {
        self.advance_dense(text, finished, found);
        self.advance_sparse(text, finished, found);
    }

    /// As [`advance`](Self::advance), for the dense decoders alone.
    pub fn advance_dense(&mut self, text: &[u8], finished: bool, found: &mut Vec<Window>) {
        if let Some(base64) = &mut self.base64 {
            base64.advance(text, finished, found);
        }
        if let Some((hex, pairs)) = &mut self.hex {
            hex.advance(text, finished, found);
            pairs.advance(text, finished, found);
        }
    }

    /// As [`advance`](Self::advance), for the sparse decoders alone.
    pub fn advance_sparse(&mut self, text: &[u8], finished: bool, found: &mut Vec<Window>) {
        if let Some(escapes) = &mut self.escapes {
            escapes.advance(text, finished, found);
        }
        if let Some(characters) = &mut self.characters {
            characters.advance(text, finished, found);
        }
    }

    /// What must be held after [`advance`](Self::advance), of a text of `length` bytes so far.
    pub fn held(&self, length: usize) -> Held {
        let base64 = self.base64.as_ref().map(Base64::held);
        let hex = self.hex.as_ref().map(|(hex, pairs)| hex.held().min(pairs.held()));
        let dense = base64.into_iter().chain(hex).fold(length, usize::min);
        let escapes = self.escapes.as_ref().map(|it| (it.held(), it.buffer()));
        let characters = self.characters.as_ref().map(|it| (it.held(), it.buffer()));
        let both = escapes.into_iter().chain(characters);
        let sparse = both.clone().map(|(held, _)| held).fold(length, usize::min);
        let buffer = both.map(|(_, buffer)| buffer).fold(dense, usize::min);
        let units = self.escapes.as_ref().map(Sparse::unit);
        let units = units.into_iter().chain(self.characters.as_ref().map(Sparse::unit));
        Held { dense, sparse, unit: units.fold(length, usize::min), buffer }
    }

    /// Regions of sparse windows that are open, at most one of each decoder.
    pub fn open(&self) -> impl Iterator<Item = Open> {
        let escapes = self.escapes.as_ref().and_then(Sparse::open);
        escapes.into_iter().chain(self.characters.as_ref().and_then(Sparse::open))
    }

    /// The caller dropped `count` bytes from the front of its buffer, at most [`Held::buffer`].
    pub fn dropped(&mut self, count: usize) {
        if let Some(base64) = &mut self.base64 {
            base64.dropped(count);
        }
        if let Some((hex, pairs)) = &mut self.hex {
            hex.dropped(count);
            pairs.dropped(count);
        }
        if let Some(escapes) = &mut self.escapes {
            escapes.dropped(count);
        }
        if let Some(characters) = &mut self.characters {
            characters.dropped(count);
        }
    }
}

/// Adds the windows of a whole text to `found`, decoder by decoder, each from left to right.
pub fn windows(text: &[u8], limits: &Limits, found: &mut Vec<Window>) {
    windows_by(text, limits, &mut Gate::default(), found);
}

/// As [`windows`], with a buffer that is kept for many texts.
pub fn windows_by(text: &[u8], limits: &Limits, gate: &mut Gate, found: &mut Vec<Window>) {
    gate.look(text, limits.encodings.meet(VEILS));
    windows_in(text, limits, gate, found);
}

/// The windows of a text that `gate` has looked at.
fn windows_in(text: &[u8], limits: &Limits, gate: &Gate, found: &mut Vec<Window>) {
    windows_behind(text, limits, 0, gate, found);
}

/// The same without sparse units that end at `literal` or before: see [`Window::literal`].
fn windows_behind(
    text: &[u8],
    limits: &Limits,
    literal: usize,
    gate: &Gate,
    found: &mut Vec<Window>,
) {
    let by = Some(gate);
    let wanted = limits.encodings;
    if wanted.contains(Encoding::Base64) && gate.has(gate::BASE64) {
        Base64::new(limits.packed_bytes).advance_by(text, true, by, found);
    }
    if wanted.contains(Encoding::Hex) {
        if gate.has(gate::HEX) {
            Hex::new(limits.packed_bytes).advance_by(text, true, by, found);
        }
        if gate.has(gate::PAIRS) {
            Pairs::default().advance_by(text, true, by, found);
        }
    }
    if wanted.meet(ESCAPES) && gate.has(gate::ESCAPES) {
        Sparse::<Escapes>::new(Reading::Escapes, literal).advance_by(text, true, by, found);
    }
    if wanted.meet(CHARACTERS) && gate.has(gate::CHARACTERS) {
        Sparse::<Characters>::new(Reading::Characters, literal).advance_by(text, true, by, found);
    }
}

/// The value of a hexadecimal digit.
const fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
