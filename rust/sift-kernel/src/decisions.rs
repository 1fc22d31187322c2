//! What was asked of the policy and what it said, as lines of JSON for `policy replay`. Only where the settings ask for
//! it, since it holds arguments in clear; receipts hold none.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sift_policy::json::Value;
use sift_policy::{effect_name, Outcome, Request};

use crate::codec::{list, number, object, text, to_json};
use crate::error::{file, Result};
use crate::sync::lock;

/// Bytes of one file, as many as `policy replay` reads; the one before is kept beside it.
const MOST: u64 = 64 << 20;

/// A file that grows by one line for each decision.
#[derive(Debug)]
pub(crate) struct Decisions {
    path: PathBuf,
    most: u64,
    open: Mutex<(File, u64)>,
}

fn open(path: &Path) -> std::io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

impl Decisions {
    /// Errors: the file cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let opened = open(path).map_err(|error| file(path, "open", &error))?;
        Ok(Self { path: path.to_owned(), most: MOST, open: Mutex::new(opened) })
    }

    /// Adds one line, as well as it goes: no decision depends on it, and the receipt is the evidence.
    pub(crate) fn add(&self, request_id: &str, request: &Request<'_>, outcome: &Outcome) {
        let Ok(mut line) = to_json(&record(request_id, request, outcome)) else { return };
        line.push(b'\n');
        let mut open_file = lock(&self.open);
        let size = open_file.1.saturating_add(line.len() as u64);
        if size > self.most && open_file.1 > 0 {
            let mut before = self.path.clone().into_os_string();
            before.push(".1");
            let Ok(fresh) = fs::rename(&self.path, before).and_then(|()| open(&self.path)) else {
                return;
            };
            *open_file = fresh;
        }
        if open_file.0.write_all(&line).is_ok() {
            open_file.1 = open_file.1.saturating_add(line.len() as u64);
        }
    }
}

fn record(request_id: &str, request: &Request<'_>, outcome: &Outcome) -> Value {
    let findings = request.findings.iter().map(|one| {
        object(vec![
            ("argument", text(&one.argument)),
            ("category", text(&one.category)),
            ("entity_type", text(&one.entity_type)),
            ("score", Some(Value::Float(one.score))),
        ])
    });
    let taint = request
        .taint
        .iter()
        .map(|one| object(vec![("argument", text(&one.argument)), ("source", text(&one.source))]));
    let approved_by = request.approved_by.iter().map(|one| {
        let groups = list(one.groups.iter().filter_map(|group| text(group)));
        object(vec![("name", text(&one.name)), ("groups", groups)])
    });
    let estimate =
        object(request.estimate.iter().map(|(unit, amount)| (*unit, number(*amount))).collect());
    let asked = object(vec![
        ("tenant", text(request.tenant)),
        ("agent", text(request.agent)),
        ("role", text(request.role)),
        ("tool", text(&request.tool.name)),
        ("args", Some(request.args.clone())),
        ("now_ms", number(request.now_ms)),
        ("session", request.session.and_then(text)),
        ("conversation", request.conversation.and_then(text)),
        ("model", request.model.and_then(text)),
        ("model_version", request.model_version.and_then(text)),
        ("elevation", request.elevation.and_then(text)),
        ("findings", list(findings)),
        ("taint", list(taint)),
        ("approved_by", list(approved_by)),
        ("estimate", Some(estimate)),
    ]);
    object(vec![
        ("request_id", text(request_id)),
        ("request", Some(asked)),
        ("decision", text(effect_name(&outcome.effect))),
        ("reason", text(outcome.reason.code())),
        ("rule_ids", list(outcome.rule_ids.iter().filter_map(|rule| text(rule)))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sift_policy::json::{parse, JsonLimits};
    use sift_policy::{replay, Approver, ArgumentFinding, Policy, Recorded, Taint};

    const TOOLS: &str = r#"
        version = 1
        [tool.refund]
        action = "payment"
        risk = "high"
        reversible = true
        exports = false
        charges = []
        args = { type = "object", required = ["cents"], properties = { cents = { type = "integer" } } }
    "#;

    fn policy(most: i64) -> Policy {
        let text = format!(
            "@id(\"small\") permit (principal, action == Action::\"refund\", resource) \
             when {{ context.args.cents <= {most} }};\n\
             @id(\"tainted\") forbid (principal, action, resource) when {{ context.taint.sources.contains(\"web\") }};"
        );
        Policy::from_texts(TOOLS, &[("p.cedar", &text)]).unwrap()
    }

    #[test]
    fn what_is_noted_is_replayed_and_files_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decisions.jsonl");
        let mut decisions = Decisions::open(&path).unwrap();
        let (before, after) = (policy(500), policy(100));
        let findings = [ArgumentFinding {
            argument: "/cents".to_owned(),
            category: "pii".to_owned(),
            entity_type: "X".to_owned(),
            score: 0.85,
        }];
        let taint = [Taint { argument: "/cents".to_owned(), source: "web".to_owned() }];
        let approved_by = [Approver { name: "ann".to_owned(), groups: vec!["f".to_owned()] }];
        for (cents, taint) in [(50, &[][..]), (300, &[][..]), (50, &taint[..]), (900, &[][..])] {
            let args = parse(format!("{{\"cents\":{cents}}}").as_bytes(), &JsonLimits::default());
            let args = args.unwrap();
            let request = Request {
                tenant: "acme",
                agent: "bot",
                role: "support",
                tool: before.tool("refund").unwrap(),
                args: &args,
                session: Some("s"),
                conversation: None,
                model: Some("m"),
                model_version: None,
                now_ms: 1_790_000_000_000,
                findings: &findings,
                taint,
                approved_by: &approved_by,
                elevation: None,
                estimate: &[("usd_micros", 7)],
            };
            decisions.add(&format!("r{cents}"), &request, &before.decide(&request));
        }
        let text = fs::read_to_string(&path).unwrap();
        let records: Vec<Recorded> = text
            .lines()
            .map(|line| Recorded::from_json(line.as_bytes(), &JsonLimits::default()).unwrap())
            .collect();
        assert_eq!(records.len(), 4);
        for record in &records {
            assert_eq!(replay(&before, record), None, "{}", record.request_id);
        }
        let differing: Vec<String> = records
            .iter()
            .filter_map(|record| replay(&after, record))
            .map(|difference| difference.request_id)
            .collect();
        assert_eq!(differing, ["r300"]);
        decisions.most = fs::metadata(&path).unwrap().len();
        let args = Value::Object(Default::default());
        let tool = before.tool("refund").unwrap();
        let request = Request {
            tenant: "acme",
            agent: "bot",
            role: "support",
            tool,
            args: &args,
            session: None,
            conversation: None,
            model: None,
            model_version: None,
            now_ms: 0,
            findings: &[],
            taint: &[],
            approved_by: &[],
            elevation: None,
            estimate: &[],
        };
        decisions.add("next", &request, &before.decide(&request));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
        let kept = fs::read_to_string(folder.path().join("decisions.jsonl.1")).unwrap();
        assert_eq!(kept, text);
    }
}
