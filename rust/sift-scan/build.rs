//! Compiles the built-in rules into databases, one for each view, so that a process that starts does
//! not: loading one takes 0.1 to 0.4 ms, compiling 0.5 to 8 s.
//!
//! The databases are for the lowest CPU level and run on every one; the engine still picks its own code
//! by CPU at run time. Without Hyperscan they are empty and the automata engine is used.

use std::path::PathBuf;
use std::{env, fs};

use sift_hs::{Database, Flags, Pattern, Platform};
use sift_rules::{hyperscan_expression, Anchor, Category, Mark, Opening, RuleSet, Shape, View};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let mut source = String::new();
    // What personal data leaves to the engine costs less in the database of all than in one more.
    let all: &[&str] = &["default", "pii"];
    for (sets, view, name) in [
        (all, View::Identity, "IDENTITY"),
        (all, View::Folded, "FOLDED"),
        (&["pii"], View::Identity, "PERSONAL"),
    ] {
        let rules = RuleSet::select(sets, &[])?;
        let (mut keys, mut runs, mut marks) = (Vec::new(), String::new(), String::new());
        let mut expressions = Vec::new();
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
            expressions.push(hyperscan_expression(&parts.trigger()));
            keys.push(rule.id.clone());
        }
        let patterns: Vec<Pattern<'_>> = (0_u32..)
            .zip(&expressions)
            .map(|(id, expression)| Pattern { expression, id, flags: Flags::default() })
            .collect();
        let bytes = if sift_hs::available() && !patterns.is_empty() {
            let database = Database::compile(&patterns, Platform::Generic).map_err(|error| {
                let key = error.pattern_id().and_then(|id| keys.get(id as usize));
                format!("rule `{}`: {error}", key.map_or("?", String::as_str))
            })?;
            database.serialize()?
        } else {
            Vec::new()
        };
        let file = out.join(format!("{}.hsdb", name.to_lowercase()));
        fs::write(&file, bytes)?;
        source += &format!(
            "pub(super) static {name}: Embedded = Embedded {{ keys: &{keys:?}, runs: &[{runs}], marks: &[{marks}], bytes: include_bytes!({:?}) }};\n",
            file.display().to_string()
        );
    }
    fs::write(out.join("databases.rs"), source)?;
    Ok(())
}

/// An opening as the source of `EmbeddedOpening`.
fn opening(opening: &Opening) -> String {
    match opening {
        Opening::At { place, sets } => format!("EmbeddedOpening::At(Place::{place:?}, &{sets:?}),"),
        Opening::Sign { sign, far, left, sets } => {
            format!("EmbeddedOpening::Sign({sign}, {far}, {left:?}, &{sets:?}),")
        }
        Opening::Colons { far, core, stop } => {
            format!("EmbeddedOpening::Colons({far}, {core:?}, {stop:?}),")
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
        Mark::Left { anchors, name, link } => {
            format!("EmbeddedMark::Left(&[{}], &{name:?}, &{link:?})", texts(anchors))
        }
        Mark::Inside(anchors) => format!("EmbeddedMark::Inside(&[{}])", texts(anchors)),
        Mark::Whole(shortest, longest) => format!("EmbeddedMark::Whole({shortest}, {longest})"),
    };
    format!(
        "EmbeddedShape {{ key: {key:?}, run: {run}, digit: {digit}, lead: {lead}, mark: {mark} }},\n"
    )
}
