//! Compiles the built-in rules into databases, so that a process that starts does not: loading one takes
//! 0.1 to 0.4 ms, compiling 0.5 to 8 s.
//!
//! Each view has one for any text, and one for what needs a byte above ASCII, which most texts are spared.
//!
//! The databases are for the lowest CPU level and run on every one; the engine still picks its own code
//! by CPU at run time. Without Hyperscan they are empty and the automata engine is used.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{env, fs};

use sift_hs::{Database, Flags, Pattern, Platform};
use sift_rules::{
    divide, hyperscan_expression, Anchor, Category, Mark, Opening, Parts, RuleSet, Shape, Values,
    View,
};
use sift_text::decode::{cues, Reading};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let (mut source, mut compiled) = (String::new(), HashMap::new());
    // What personal data leaves to the engine costs a scan for both less in one database than in two, and a scan
    // for secrets alone, 8 to 15 % of whose time in the engine it was, nothing if it is in another.
    let all: &[&str] = &["default", "pii"];
    for (sets, view, name) in [
        (all, View::Identity, "ALL"),
        (&["secrets"], View::Identity, "SECRETS"),
        (&["pii"], View::Identity, "PERSONAL"),
        (&["default"], View::Folded, "FOLDED"),
        (&["default"], View::Folded, "VEILED"),
    ] {
        let rules = RuleSet::select(sets, &[])?;
        let (mut any, mut high) = (Group::default(), Group::default());
        let (mut runs, mut marks) = (String::new(), String::new());
        for pattern in rules.patterns().iter().filter(|p| p.view == view) {
            let rule = &rules.rules()[pattern.rule];
            let parts = pattern.parts().map_err(|e| format!("rule `{}`: {e}", rule.id))?;
            if let Some(shape) = pattern.shape()? {
                runs += &embedded(&rule.id, &shape);
                continue;
            }
            // A single secret that could be found by places would cost every scan for secrets their pass.
            let personal = rule.category == Category::Pii;
            if let Some(openings) = pattern.openings()?.filter(|_| personal) {
                let all: String = openings.iter().map(opening).collect();
                marks += &format!("({:?}, &[{all}]),\n", rule.id);
                continue;
            }
            let divided = divide(&parts.trigger());
            for (group, part) in [(&mut any, divided.plain), (&mut high, divided.high)] {
                if let Some(part) = part {
                    group.keys.push(rule.id.clone());
                    group.expressions.push(hyperscan_expression(&part));
                }
            }
            high.bytes.extend(divided.bytes);
        }
        // Where veiled words may stand: in a database of their own they would cost as much as all others together, and
        // a scan that lifts no veils 10 to 30 % in the same.
        if name == "VEILED" {
            for cue in cues() {
                let parts = Parts::parse(&cue.pattern, None, None, None)?;
                let name = if cue.reading == Reading::Reversed { "reversed" } else { "rot13" };
                any.keys.push(name.to_owned());
                any.expressions.push(hyperscan_expression(&parts.trigger()));
            }
        }
        let mut databases = String::new();
        for (group, kind) in [(any, "ANY"), (high, "HIGH")] {
            if group.keys.is_empty() {
                continue;
            }
            // Of several of these the part above ASCII is the same: it is compiled once, and once in the library.
            let of = format!("{name}_{kind}");
            let bytes = match compiled.entry(group.expressions.clone()) {
                Entry::Occupied(same) => same.into_mut(),
                Entry::Vacant(free) => {
                    let file = out.join(format!("{}.hsdb", of.to_lowercase()));
                    fs::write(&file, group.compile()?)?;
                    let path = file.display().to_string();
                    source += &format!("static {of}: &[u8] = include_bytes!({path:?});\n");
                    free.insert(of)
                }
            };
            databases += &format!(
                "EmbeddedDatabase {{ keys: &{:?}, needs: &{:?}, bytes: {bytes} }},\n",
                group.keys,
                group.bytes.iter().collect::<Vec<_>>(),
            );
        }
        source += &format!(
            "pub(super) static {name}: Embedded = Embedded {{ databases: &[{databases}], runs: &[{runs}], marks: &[{marks}] }};\n"
        );
    }
    fs::write(out.join("databases.rs"), source)?;
    Ok(())
}

/// What goes into one database.
#[derive(Default)]
struct Group {
    keys: Vec<String>,
    expressions: Vec<String>,
    /// A text without any of these is not scanned; none if every text is.
    bytes: BTreeSet<u8>,
}

impl Group {
    /// Empty without Hyperscan.
    fn compile(&self) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        if !sift_hs::available() {
            return Ok(Vec::new());
        }
        let patterns: Vec<Pattern<'_>> = (0_u32..)
            .zip(&self.expressions)
            .map(|(id, expression)| Pattern { expression, id, flags: Flags::default() })
            .collect();
        let database = Database::compile(&patterns, Platform::Generic).map_err(|error| {
            let key = error.pattern_id().and_then(|id| self.keys.get(id as usize));
            format!("rule `{}`: {error}", key.map_or("?", String::as_str))
        })?;
        Ok(database.serialize()?)
    }
}

/// An opening as the source of `EmbeddedOpening`.
fn opening(opening: &Opening) -> String {
    match opening {
        Opening::At { place, sets } => format!("EmbeddedOpening::At(Place::{place:?}, &{sets:?}),"),
        Opening::Sign { sign, near, far, left, sets } => {
            format!("EmbeddedOpening::Sign({sign}, {near}, {far}, {left:?}, &{sets:?}),")
        }
        Opening::Colons { far, core, stop, lead } => {
            format!("EmbeddedOpening::Colons({far}, {core:?}, {stop:?}, {lead:?}),")
        }
    }
}

/// A shape as the source of `EmbeddedShape`.
fn embedded(key: &str, shape: &Shape) -> String {
    let Shape { run, digit, lead, .. } = shape;
    let texts = |anchors: &[Anchor]| {
        let one = |a: &Anchor| format!("(&{:?}, {}, {}),", a.text, a.near, a.far);
        anchors.iter().map(one).collect::<String>()
    };
    let mark = match &shape.mark {
        Mark::Left { anchors, name, link, gate, values } => {
            let gate = match gate {
                Some(gate) => format!("Some((&[{}], {}))", texts(&gate.anchors), gate.direct),
                None => "None".to_owned(),
            };
            let Values { alphabet, lengths, behind } = values;
            format!(
                "EmbeddedMark::Left {{ anchors: &[{}], name: &{name:?}, link: &{link:?}, gate: {gate}, \
                 alphabet: {alphabet}, lengths: &{lengths:?}, behind: &{behind:?} }}",
                texts(anchors)
            )
        }
        Mark::Inside(anchors) => format!("EmbeddedMark::Inside(&[{}])", texts(anchors)),
        Mark::Whole(shortest, longest) => format!("EmbeddedMark::Whole({shortest}, {longest})"),
    };
    format!(
        "EmbeddedShape {{ key: {key:?}, run: {run}, digit: {digit}, lead: {lead}, mark: {mark} }},\n"
    )
}
