//! What a third party sees of a receipt, whatever was done to it; and of a ledger, whatever was done to that.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "helpers of tests: a panic there is the report"
)]

mod sim;

use std::sync::Arc;
use std::time::Duration;

use sift_ledger::audit::{audit, Audit, AuditError};
use sift_ledger::dsse::{Envelope, Signature};
use sift_ledger::keys::{Keyring, PrivateKey, PublicKey, Purpose};
use sift_ledger::log::{Core, Log, LogConfig, LogError};
use sift_ledger::merkle::leaf_hash;
use sift_ledger::note::{cosign, Checkpoint};
use sift_ledger::receipt::{seal, verify_receipt, Class, Fields, Verified, Verifier};
use sift_ledger::storage::Storage;
use sift_ledger::tiles::TlogProof;
use sim::Sim;

const ORIGIN: &str = "example.com/ledger";
const NOW: i64 = 1_790_000_000_000;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

fn public(id: &str, purpose: Purpose, seed: u8) -> PublicKey {
    PublicKey::new(id, purpose, &key(seed).public()).unwrap()
}

/// Log 1, kernel 2, witnesses 3 and 4.
fn keys() -> Vec<PublicKey> {
    vec![
        public("log", Purpose::Log, 1).named(ORIGIN),
        public("kernel", Purpose::Receipt, 2),
        public("w3", Purpose::Witness, 3).named("witness.example/3"),
        public("w4", Purpose::Witness, 4).named("witness.example/4"),
    ]
}

fn ring(keys: Vec<PublicKey>) -> Keyring {
    let mut ring = Keyring::new();
    for key in keys {
        ring.add(key).unwrap();
    }
    ring
}

fn config(seed: u8) -> LogConfig {
    LogConfig { segment_bytes: 256 << 10, ..LogConfig::new(ORIGIN, key(seed)) }
}

fn receipt(number: u64, class: Class) -> Vec<u8> {
    let id = format!("r-{number}");
    let fields =
        Fields { request_id: &id, decision: "deny", decided_at: NOW, class, ..Fields::default() };
    seal(&fields, ("kernel", &key(2))).unwrap()
}

/// A receipt in a log of 20, and its proof.
fn logged(class: Class) -> (Vec<u8>, TlogProof) {
    let log = Log::open(Arc::new(Sim::new()), config(1)).unwrap();
    let tickets: Vec<_> = (0..20).map(|n| log.append(receipt(n, class)).unwrap()).collect();
    let durable = tickets[13].wait(Duration::from_secs(60)).unwrap();
    tickets[19].wait(Duration::from_secs(60)).unwrap();
    let envelope = log.entry(durable.index).unwrap().to_vec();
    (envelope, log.inclusion(durable.index).unwrap())
}

fn verify(envelope: &[u8], proof: Option<&TlogProof>, keys: Vec<PublicKey>) -> Verified {
    let text = proof.map(TlogProof::to_text);
    verify_receipt(envelope, text.as_deref(), &ring(keys), NOW + 1000).unwrap()
}

fn words(verified: &Verified) -> [&'static str; 3] {
    [verified.signature.word(), verified.inclusion.word(), verified.witness.word()]
}

#[test]
fn three_questions_have_three_answers() {
    let (envelope, proof) = logged(Class::Signed);
    let seen = verify(&envelope, Some(&proof), keys());
    assert_eq!(words(&seen), ["valid", "valid", "missing"]);
    assert_eq!((seen.statement.request_id.as_str(), seen.index), ("r-13", Some(13)));
    assert_eq!(words(&verify(&envelope, None, keys())), ["valid", "missing", "missing"]);

    let cosigned =
        cosign(&proof.checkpoint, "witness.example/3", &key(3), NOW as u64 / 1000).unwrap();
    let witnessed = TlogProof { checkpoint: cosigned.clone(), ..proof.clone() };
    let seen = verify(&envelope, Some(&witnessed), keys());
    assert_eq!(words(&seen), ["valid", "valid", "valid"]);
    assert!(seen.witness.detail().contains("w3"));
    let mut two = Verifier::new(ring(keys())).witnesses(2);
    let seen = two.verify(&envelope, Some(&witnessed.to_text()), NOW).unwrap();
    assert_eq!(words(&seen), ["valid", "valid", "missing"]);
    let both = cosign(&cosigned, "witness.example/4", &key(4), NOW as u64 / 1000).unwrap();
    let both = TlogProof { checkpoint: both, ..proof.clone() };
    assert!(two.verify(&envelope, Some(&both.to_text()), NOW).unwrap().witness.is_valid());

    // One file with everything.
    let file = TlogProof { extra: Some(envelope.clone()), ..witnessed }.to_text();
    let seen = Verifier::new(ring(keys())).verify_file(&file, NOW).unwrap();
    assert_eq!(words(&seen), ["valid", "valid", "valid"]);
    assert!(Verifier::new(ring(keys())).verify_file(&proof.to_text(), NOW).is_err());
}

#[test]
fn witnesses_that_do_not_hold_are_said() {
    let (envelope, proof) = logged(Class::Signed);
    let time = NOW as u64 / 1000;
    for (name, seed, time, word, what) in [
        // A stranger under a known name has another key id, and is ignored.
        ("witness.example/3", 9, time, "missing", "0 of 1"),
        ("witness.example/9", 3, time, "missing", "0 of 1"),
        ("witness.example/3", 3, time + 100_000, "invalid", "not valid at this time"),
        ("witness.example/3", 3, u64::MAX, "invalid", "not valid at this time"),
    ] {
        let checkpoint = cosign(&proof.checkpoint, name, &key(seed), time).unwrap();
        let seen = verify(&envelope, Some(&TlogProof { checkpoint, ..proof.clone() }), keys());
        assert_eq!(seen.witness.word(), word, "{name} {seed} {time}");
        assert!(seen.witness.detail().contains(what), "{}", seen.witness.detail());
    }
    // A cosignature of another checkpoint, moved here.
    let other = Checkpoint { origin: ORIGIN.to_owned(), size: 20, root: [0; 32] }.sign(&[&key(1)]);
    let other = cosign(&other, "witness.example/3", &key(3), time).unwrap();
    let line = other.lines().last().unwrap();
    let checkpoint = format!("{}{line}\n", proof.checkpoint);
    let seen = verify(&envelope, Some(&TlogProof { checkpoint, ..proof }), keys());
    assert_eq!(words(&seen), ["valid", "valid", "invalid"]);
}

#[test]
fn a_changed_receipt_is_refused() {
    let (envelope, proof) = logged(Class::Signed);
    let parsed = Envelope::parse(&envelope).unwrap();
    let payload = String::from_utf8(parsed.payload.clone()).unwrap();
    let allowed = payload.replace("\"deny\"", "\"allow\"").into_bytes();
    assert_ne!(allowed, parsed.payload);

    let forged = Envelope { payload: allowed.clone(), ..parsed.clone() }.to_json();
    assert_eq!(words(&verify(&forged, Some(&proof), keys())), ["invalid", "invalid", "missing"]);
    // The signature taken off, and the class with it: only inclusion can speak for it, and it does not.
    let batched = String::from_utf8(allowed).unwrap().replace("\"signed\"", "\"batched\"");
    let forged = Envelope::unsigned(&parsed.payload_type, batched.into_bytes()).to_json();
    assert_eq!(words(&verify(&forged, Some(&proof), keys())), ["missing", "invalid", "missing"]);
    let bare = Envelope { signatures: vec![], ..parsed.clone() }.to_json();
    let seen = verify(&bare, Some(&proof), keys());
    assert_eq!(words(&seen), ["invalid", "invalid", "missing"]);
    assert!(seen.signature.detail().contains("says that it is signed"));
    // Signed by another key, under the kernel's name and under its own.
    for (id, what) in [("kernel", "does not verify"), ("evil", "no receipt key")] {
        let forged =
            Envelope::signed(&parsed.payload_type, parsed.payload.clone(), id, &key(9)).to_json();
        let seen = verify(&forged, Some(&proof), keys());
        assert_eq!(words(&seen), ["invalid", "invalid", "missing"]);
        assert!(seen.signature.detail().contains(what), "{}", seen.signature.detail());
    }
    // A signature of the log's key, which is for checkpoints.
    let forged =
        Envelope::signed(&parsed.payload_type, parsed.payload.clone(), "log", &key(1)).to_json();
    assert!(verify(&forged, None, keys()).signature.is_invalid());
    // A bad signature of a known key is not outweighed by a good one.
    let mut doubled = parsed.clone();
    doubled.signatures.insert(0, Signature { keyid: "kernel".into(), sig: vec![0; 64] });
    assert!(verify(&doubled.to_json(), None, keys()).signature.is_invalid());
    // The same statement, its envelope spelt differently: signed, and not what is in the log.
    let spelt = String::from_utf8(envelope).unwrap().replacen("{\"payload\"", "{ \"payload\"", 1);
    assert_eq!(
        words(&verify(spelt.as_bytes(), Some(&proof), keys())),
        ["valid", "invalid", "missing"]
    );
}

#[test]
fn a_changed_proof_is_refused() {
    let (envelope, proof) = logged(Class::Signed);
    let changed: [(&str, TlogProof); 5] = [
        ("root", TlogProof { index: 12, ..proof.clone() }),
        ("outside", TlogProof { index: 20, ..proof.clone() }),
        ("length", TlogProof { hashes: proof.hashes[1..].to_vec(), ..proof.clone() }),
        (
            "no key",
            TlogProof {
                checkpoint: Checkpoint {
                    origin: ORIGIN.into(),
                    size: 1,
                    root: leaf_hash(&envelope),
                }
                .sign(&[&key(9)]),
                index: 0,
                hashes: vec![],
                extra: None,
            },
        ),
        (
            "signature",
            TlogProof {
                checkpoint: proof.checkpoint.replacen("\n20\n", "\n21\n", 1),
                ..proof.clone()
            },
        ),
    ];
    for (what, proof) in changed {
        let seen = verify(&envelope, Some(&proof), keys());
        assert_eq!(words(&seen), ["valid", "invalid", "missing"], "{what}");
        assert!(seen.inclusion.detail().contains(what), "{what}: {}", seen.inclusion.detail());
        assert_eq!(seen.index, None);
    }
    let mut elsewhere = Verifier::new(ring(keys())).origin("example.com/other");
    let seen = elsewhere.verify(&envelope, Some(&proof.to_text()), NOW).unwrap();
    assert!(seen.inclusion.detail().contains("not of `example.com/other`"));
}

#[test]
fn a_batched_receipt_is_signed_through_its_checkpoint() {
    let (envelope, proof) = logged(Class::Batched);
    assert_eq!(words(&verify(&envelope, Some(&proof), keys())), ["valid", "valid", "missing"]);
    assert_eq!(words(&verify(&envelope, None, keys())), ["missing", "missing", "missing"]);
    let elsewhere = TlogProof { index: 3, ..proof };
    assert_eq!(
        words(&verify(&envelope, Some(&elsewhere), keys())),
        ["missing", "invalid", "missing"]
    );
}

#[test]
fn times_revocations_and_places_limit_a_key() {
    let (envelope, proof) = logged(Class::Signed);
    let with = |change: fn(&mut PublicKey)| {
        let mut all = keys();
        change(&mut all[1]);
        all
    };
    let signature = |keys: Vec<PublicKey>, proof: Option<&TlogProof>| {
        let seen = verify(&envelope, proof, keys);
        (seen.signature.word(), seen.signature.detail().to_owned())
    };
    assert_eq!(signature(with(|key| key.not_after = Some(NOW)), None).0, "valid");
    assert_eq!(signature(with(|key| key.not_after = Some(NOW - 1)), None).0, "invalid");
    assert_eq!(signature(with(|key| key.not_before = Some(NOW + 1)), None).0, "invalid");
    // Who has a revoked key writes any date: a place in the log must bound what it signed.
    let revoked = |key: &mut PublicKey| key.revoked = Some(NOW + 1);
    assert_eq!(signature(with(revoked), Some(&proof)).0, "invalid");
    // From its time on: one that lies ahead refuses nothing yet, as for permits.
    assert_eq!(signature(with(|key| key.revoked = Some(NOW + 1_001)), None).0, "valid");
    assert_eq!(signature(with(|key| key.revoked = Some(NOW + 1_000)), None).0, "invalid");
    let bounded = |key: &mut PublicKey| (key.revoked, key.to_size) = (Some(NOW + 1), 14);
    assert_eq!(signature(with(bounded), Some(&proof)).0, "valid");
    let (word, detail) = signature(with(bounded), None);
    assert!(word == "invalid" && detail.contains("proof of inclusion"), "{detail}");
    let (word, detail) = signature(with(|key| key.to_size = 13), Some(&proof));
    assert!(word == "invalid" && detail.contains("tree size 14"), "{detail}");
    // Dated in the future.
    let seen = verify_receipt(&envelope, None, &ring(keys()), NOW - 400_000).unwrap();
    assert!(seen.signature.detail().contains("future"));
    // A log key beyond its last size, in the proof.
    let mut all = keys();
    all[0].to_size = 19;
    assert!(verify(&envelope, Some(&proof), all).inclusion.detail().contains("tree size 20"));
}

#[test]
fn what_is_no_receipt_is_an_error() {
    let (envelope, proof) = logged(Class::Signed);
    let ring = ring(keys());
    let parsed = Envelope::parse(&envelope).unwrap();
    let text = String::from_utf8(parsed.payload.clone()).unwrap();
    for (from, to) in [
        ("in-toto.io/Statement/v1", "in-toto.io/Statement/v2"),
        ("receipt/v1", "receipt/v2"),
        ("\"signed\"", "\"sealed\""),
        ("\"decided_at\":1790000000000", "\"decided_at\":1.5"),
        ("\"name\":", "\"nam\":"),
        ("\"sha256\":\"00", "\"sha256\":\"0g"),
        ("[{\"digest\"", "[{},{\"digest\""),
        ("{\"_type\"", "{\"more\":1,\"_type\""),
        ("{\"_type\"", "{\"_type\":1,\"_type\""),
    ] {
        let payload = text.replacen(from, to, 1).into_bytes();
        assert_ne!(payload, parsed.payload, "{from}");
        let changed = Envelope::signed(&parsed.payload_type, payload, "kernel", &key(2));
        assert!(verify_receipt(&changed.to_json(), None, &ring, NOW).is_err(), "{to}");
    }
    let other = Envelope::signed("text/plain", parsed.payload, "kernel", &key(2)).to_json();
    assert!(verify_receipt(&other, None, &ring, NOW).is_err());
    assert!(verify_receipt(&envelope, Some(&proof.checkpoint), &ring, NOW).is_err());
    assert!(verify_receipt(b"", None, &ring, NOW).is_err());
}

/// A log of these entries, published, and the checkpoint after each step.
fn history(steps: &[&[&str]], seed: u8) -> (Sim, Vec<String>) {
    let sim = Sim::new();
    let core = Core::open(Arc::new(sim.clone()), config(seed)).unwrap();
    let mut notes = Vec::new();
    for step in steps {
        let entries: Vec<Arc<[u8]>> =
            step.iter().map(|entry| Arc::from(entry.as_bytes())).collect();
        notes.push(core.commit(&entries).unwrap().checkpoint.to_string());
        core.publish().unwrap();
    }
    (sim, notes)
}

fn look(sim: &Sim, seen: &[String]) -> Result<Audit, AuditError> {
    audit(sim, &ring(keys()), Some(ORIGIN), seen, NOW, &mut |_, _| {})
}

#[test]
fn what_was_done_to_a_ledger_is_told() {
    let (one, two, three): (&[&str], &[&str], &[&str]) = (&["a", "b"], &["c"], &["d", "e"]);
    let (sim, notes) = history(&[one, two, three], 1);
    assert_eq!(look(&sim, &notes).unwrap().agreeing, 3);
    assert_eq!(look(&sim, &[]).unwrap().checkpoint.checkpoint.size, 5);

    // Cut: an older state of the same ledger.
    let (cut, _) = history(&[one, two], 1);
    assert_eq!(look(&cut, &notes), Err(AuditError::Cut { size: 3, seen: 5 }));
    // Rebuilt with the log's key, from the beginning.
    let (rebuilt, _) = history(&[&["x", "b"], two, three], 1);
    assert_eq!(look(&rebuilt, &notes), Err(AuditError::Rebuilt { other: 2 }));
    // Forked with the log's key: the beginning is the same.
    let (forked, fork) = history(&[one, &["x"], three], 1);
    assert_eq!(look(&forked, &notes), Err(AuditError::Forked { same: 2, other: 3 }));
    assert_eq!(look(&sim, &fork), Err(AuditError::Forked { same: 2, other: 3 }));
    // Re-signed with another key.
    let (resigned, _) = history(&[one, two, three], 9);
    assert!(matches!(look(&resigned, &notes), Err(AuditError::Resigned(_))));
    let messages =
        [&cut, &rebuilt, &forked, &resigned].map(|sim| look(sim, &notes).unwrap_err().to_string());
    for (message, word) in messages.iter().zip(["cut:", "rebuilt:", "forked:", "re-signed:"]) {
        assert!(message.starts_with(word), "{message}");
    }
    // A checkpoint of another log says nothing about this one.
    let foreign = Checkpoint { origin: ORIGIN.into(), size: 2, root: [0; 32] }.sign(&[&key(9)]);
    assert!(matches!(look(&sim, &[foreign]), Err(AuditError::Seen(1, _))));
}

#[test]
fn a_ledger_altered_without_its_key_is_told() {
    let many: Vec<String> = (0..700).map(|n| format!("entry {n}")).collect();
    let refs: Vec<&str> = many.iter().map(String::as_str).collect();
    let (sim, _) = history(&[&refs[..300], &refs[300..]], 1);
    assert!(look(&sim, &[]).is_ok());
    let altered = |change: &dyn Fn(&Sim)| {
        let copy = sim.copy();
        change(&copy);
        match look(&copy, &[]) {
            Err(error @ AuditError::Altered(_)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let bend = |path: &'static str, at: usize| {
        altered(&move |copy: &Sim| copy.tamper(path, |bytes| bytes[at] ^= 1))
    };
    assert!(bend("tile/entries/001", 10).contains("entry 25"));
    assert!(bend("tile/0/000", 0).contains("entry 0 "));
    assert!(bend("tile/1/000.p/2", 40).contains("tile/1/000.p/2"));
    assert!(bend("tile/entries/002.p/188", 1).contains("bundle"));
    // What an older checkpoint needed is still there, and read too.
    let (twice, _) = history(&[&refs[..600], &refs[600..]], 1);
    assert!(look(&twice, &[]).is_ok());
    for path in ["tile/0/002.p/88", "tile/entries/002.p/88"] {
        twice.tamper(path, |bytes| bytes[10] ^= 1);
        let error = look(&twice, &[]).unwrap_err();
        assert!(matches!(&error, AuditError::Altered(what) if what.contains(path)), "{error}");
        twice.tamper(path, |bytes| bytes[10] ^= 1);
    }
    assert!(altered(&|copy| copy.remove_file("tile/entries/001")).contains("gone"));
    // Entry and tiles rewritten so that they agree: the signed root does not.
    let rewritten = altered(&|copy| {
        copy.tamper("tile/entries/002.p/188", |bytes| bytes[2] ^= 1);
        copy.tamper("tile/0/002.p/188", |bytes| {
            let changed: Vec<u8> =
                many[512].bytes().enumerate().map(|(n, b)| b ^ u8::from(n == 0)).collect();
            bytes[..32].copy_from_slice(&leaf_hash(&changed));
        });
    });
    assert!(rewritten.contains("not with the signed root"), "{rewritten}");

    // While it is written, a partial tile makes way for the full one.
    let growing = sim.copy();
    let core = Core::open(Arc::new(growing.clone()), config(1)).unwrap();
    let old = growing.copy();
    let more: Vec<Arc<[u8]>> =
        (700..800).map(|n| Arc::from(format!("entry {n}").as_bytes())).collect();
    core.commit(&more).unwrap();
    core.publish().unwrap();
    growing.tamper("checkpoint", |bytes| *bytes = old.read("checkpoint", 9999).unwrap());
    assert_eq!(look(&growing, &[]).unwrap().checkpoint.checkpoint.size, 700);
}

/// What nobody can tell from the journal alone: it is made of zeros, and ends where they begin. Whoever kept a copy of
/// the head puts that back with it.
#[test]
fn a_journal_that_lost_its_end_is_told_by_its_head_or_by_a_kept_checkpoint() {
    let sim = Sim::new();
    let core = Core::open(Arc::new(sim.clone()), config(1)).unwrap();
    let commit = |entry: &str| core.commit(&[Arc::from(entry.as_bytes())]).unwrap();
    let mut notes = vec![commit("a").checkpoint.to_string()];
    let head = sim.read("journal/head", 1 << 20).unwrap();
    notes.extend(["b", "c"].map(|entry| commit(entry).checkpoint.to_string()));
    drop(core);
    let segments = sim.list("journal").unwrap();
    let segment = segments.iter().find(|name| name.ends_with(".seg")).unwrap();
    let segment = format!("journal/{segment}");
    sim.tamper(&segment, |bytes| {
        let last_two = bytes.chunks_mut(4096).rev().filter(|page| page.iter().any(|b| *b != 0));
        last_two.take(2).for_each(|page| page.fill(0));
    });
    let damage = |sim: &Sim| match Core::open(Arc::new(sim.clone()), config(1)) {
        Err(LogError::Damaged(what)) => what,
        _ => panic!("opened"),
    };
    let said = damage(&sim.copy());
    assert!(said.contains("entries 1 to 2 were acknowledged"), "{said}");
    // Without its key the head can be taken away or spoilt, and neither says that nothing is missing.
    let gone = sim.copy();
    gone.remove_file("journal/head");
    assert!(damage(&gone).contains("gone"));
    let spoilt = sim.copy();
    for (slot, what) in [(0, "entries 1 to"), (4096, "was changed")] {
        spoilt.tamper("journal/head", |bytes| bytes[slot + 20] ^= 1);
        let said = damage(&spoilt);
        assert!(said.contains(what), "{said}");
    }
    // The other slot's is no copy of it.
    let swapped = sim.copy();
    swapped.tamper("journal/head", |bytes| bytes[..8192].rotate_left(4096));
    assert!(damage(&swapped).contains("was changed"));
    sim.tamper("journal/head", |bytes| bytes.copy_from_slice(&head));
    Core::open(Arc::new(sim.clone()), config(1)).unwrap();
    assert_eq!(look(&sim, &notes[..1]).unwrap().checkpoint.checkpoint.size, 1);
    assert_eq!(look(&sim, &notes), Err(AuditError::Cut { size: 1, seen: 3 }));
}
