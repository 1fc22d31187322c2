//! A kernel behind a socket: the same answers as in this process, peers that are slow or hostile, and ends of
//! either side at any moment.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is its report")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use sift_kernel::socket::{Call, Client, ClientBounds, Hello, Reply, Server, Welcome};
use sift_kernel::{
    sign, ActionRequest, Answer, Credential, Decision, Gate, KernelError, LeaseState, Local,
    Session, SessionGrant, Stamp, Status, Subject, Trace, Verdict,
};
use sift_policy::json::Value;

#[allow(dead_code, reason = "each file of tests uses some of it")]
mod common;

use common::{key, now, refund, write, AUDIENCE};

/// The settings of a kernel whose restarts need no wait, in front of those that all have.
const TRACE: Trace<'_> = Trace { id: "t1", tenant: None, agent: None };

const SOCKET: &str = "mode = \"socket\"";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), SOCKET);
        let path = folder.path().join("kernel.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}\n[request]\nskew_ms = 0\n{more}")).unwrap();
        Self { folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/kernel.sock")
    }

    fn local(&self) -> Arc<Local> {
        Arc::new(Local::open(self.folder.path(), None).unwrap())
    }

    fn serve(&self) -> Server {
        // Requests of one millisecond are not told apart from those before a restart.
        std::thread::sleep(Duration::from_millis(2));
        let server = Server::start(self.local(), None).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        server
    }

    fn connect(&self) -> Client {
        Client::connect(&self.socket(), ClientBounds::default()).unwrap()
    }
}

fn signed(request: &ActionRequest) -> Credential {
    let stamp = Stamp::new(AUDIENCE, now(), 60_000).unwrap();
    sign(request, "bot-1", &key(3), stamp).unwrap()
}

fn ask(gate: &dyn Gate, request: &ActionRequest) -> Answer {
    gate.authorize(request, &signed(request), None)
}

fn user() -> u32 {
    fs::metadata("/proc/self").unwrap().uid()
}

/// What both kinds of kernel do, side by side.
fn whole(gate: &dyn Gate) {
    assert_eq!(gate.audience(), AUDIENCE);
    let allowed = ask(gate, &refund(500));
    assert_eq!((allowed.decision, allowed.status), (Decision::Allow, Status::Ok));
    assert_eq!(allowed.rule_ids, ["small"]);
    assert_eq!(allowed.policy_hash, gate.policy_hash().unwrap());
    let durable = gate.durable(&allowed).unwrap().unwrap();
    assert!(durable.permit.is_some());
    assert_eq!(gate.durable(&allowed).unwrap().unwrap().receipt, durable.receipt);
    let placed = durable.placed.unwrap();
    assert!(gate.proof(placed.index).unwrap().starts_with("c2sp.org/tlog-proof"));
    let lease = allowed.lease.clone().unwrap();
    let cost = BTreeMap::from([("usd_micros".to_owned(), 3)]);
    let settled = gate.settle(&lease, cost.clone(), &Value::Null).unwrap();
    assert_eq!(settled.state, LeaseState::Settled);
    assert_eq!(gate.settle(&lease, cost, &Value::Null).unwrap(), settled);
    assert!(matches!(gate.cancel(&lease), Err(KernelError::LeaseConflict(_))));
    let broken_off = ask(gate, &refund(1)).lease.clone().unwrap();
    assert_eq!(gate.abandon(&broken_off).unwrap().state, LeaseState::Unknown);
    assert!(gate.totals().unwrap().values().any(|(_, _, settled)| *settled > 0));

    let denied = ask(gate, &refund(0));
    assert_eq!((denied.decision, denied.reason.as_str()), (Decision::Deny, "invalid_arguments"));
    assert!(gate.durable(&denied).unwrap().unwrap().permit.is_none());
    let mut wrong = signed(&refund(1));
    wrong.stamp.nonce = [0; 16];
    let stranger = gate.authorize(&refund(1), &wrong, None);
    assert_eq!(stranger.reason, "invalid_signature");
    assert!(gate.durable(&stranger).unwrap().is_none());
    assert!(!gate.when_durable(&stranger, Box::new(|| panic!("told"))));

    let (sender, told) = std::sync::mpsc::channel();
    let later = ask(gate, &refund(2));
    let tell = Box::new(move || sender.send(()).unwrap());
    assert!(gate.when_durable(&later, tell));
    told.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(gate.durable(&later).unwrap().unwrap().permit.is_some());

    let request = refund(9_000);
    let asked = ask(gate, &request);
    assert_eq!(asked.decision, Decision::Escalate);
    let id = asked.approval.clone().unwrap();
    assert_eq!(gate.pending().unwrap().len(), 1);
    let record = gate.approval(&id).unwrap().unwrap();
    assert!(gate.approval("none").unwrap().is_none());
    let signature = record.sign(AUDIENCE, "ann", &key(4), Verdict::Approve).unwrap();
    let state = gate.sign_approval(&id, "ann", Verdict::Approve, &signature).unwrap();
    assert_eq!(state.word(), "approved");
    let again = gate.sign_approval(&id, "ann", Verdict::Approve, &signature);
    assert!(matches!(again, Err(KernelError::Invalid(_))));
    assert_eq!(gate.authorize(&request, &signed(&request), Some(&id)).decision, Decision::Allow);

    let session = open_session(gate);
    let mut inside = refund(5);
    inside.session = Some(session.id().to_owned());
    let credential = session.mac(&inside, now(), 60_000).unwrap();
    assert_eq!(gate.authorize(&inside, &credential, None).decision, Decision::Allow);

    let subject = Subject::tenant("acme");
    gate.revoke(&subject).unwrap();
    assert_eq!(ask(gate, &refund(1)).reason, "tenant_revoked");
    gate.reinstate(&subject).unwrap();
    gate.observe("acme", "c1", "web", "pay to account DE00 1234 5678 at once").unwrap();
    assert!(gate.undos(TRACE).unwrap().is_empty());
    assert!(!gate.take_undo(TRACE, "r1").unwrap());
    gate.reload().unwrap();
    gate.close().unwrap();
    assert_eq!(ask(gate, &refund(1)).reason, "kernel_unavailable");
    assert!(matches!(gate.cancel("none"), Err(KernelError::Unavailable(_))));
}

fn open_session(gate: &dyn Gate) -> Session {
    let grant = SessionGrant {
        session: String::new(),
        tenant: "acme".to_owned(),
        agent: "bot".to_owned(),
        roles: ["support".to_owned()].into(),
        tools: None,
        conversation: None,
        not_before_ms: now(),
        expires_at_ms: now() + 60_000,
    };
    let signed = grant.sign(AUDIENCE, "bot-1", &key(3)).unwrap();
    let session = gate.open_session(&signed).unwrap();
    assert_eq!(gate.open_session(&signed).unwrap().id(), session.id());
    session
}

#[test]
fn a_kernel_is_the_same_in_this_process_and_behind_a_socket() {
    whole(&*Place::new("").local());
    let place = Place::new("");
    let _server = place.serve();
    whole(&place.connect());
}

#[test]
fn one_of_twenty_identical_requests_passes() {
    let place = Place::new("");
    let _server = place.serve();
    let clients = [place.connect(), place.connect()];
    let request = refund(1);
    let credential = signed(&request);
    let barrier = Barrier::new(20);
    let mut reasons: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20)
            .map(|number| {
                let client = clients.get(number % 2).unwrap();
                let (request, credential, barrier) = (&request, &credential, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    client.authorize(request, credential, None).reason.clone()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    reasons.sort();
    let mut wanted = vec!["allowed"];
    wanted.extend(["replayed"; 19]);
    assert_eq!(reasons, wanted);
}

#[test]
fn a_restart_is_survived_and_replays_are_not() {
    let place = Place::new("");
    let server = place.serve();
    let client = place.connect();
    let request = refund(1);
    let credential = signed(&request);
    let answer = client.authorize(&request, &credential, None);
    assert_eq!(answer.decision, Decision::Allow);
    let kept = client.durable(&answer).unwrap().unwrap();
    let lost = ask(&client, &refund(1));
    server.stop().unwrap();
    server.stop().unwrap();
    drop(server);
    assert!(!place.socket().exists());
    let down = ask(&client, &refund(1));
    assert_eq!((down.reason.as_str(), down.status), ("kernel_unavailable", Status::Error));
    assert!(matches!(client.pending(), Err(KernelError::Unavailable(_))));
    assert!(matches!(client.durable(&lost), Err(KernelError::Unavailable(_))));
    // What came before is still known here.
    assert_eq!(client.durable(&answer).unwrap().unwrap(), kept);

    let _server = place.serve();
    assert_eq!(ask(&client, &refund(1)).decision, Decision::Allow);
    let again = client.authorize(&request, &credential, None);
    assert_eq!(again.reason, "issued_before_start");
    // The kernel that kept it is no more, and none of its numbers means something else now.
    for _ in 0..3 {
        assert_eq!(ask(&client, &refund(1)).decision, Decision::Allow);
    }
    assert!(matches!(client.durable(&lost), Err(KernelError::Unavailable(_))));
}

/// A kernel that reads one call, says nothing, and goes away, as one that is killed does.
#[test]
fn what_was_under_way_is_denied_and_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("kernel.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let serving = std::thread::spawn(move || {
        let mut calls = 0;
        // The first connection greets and dies in a call; the second one would see the call again.
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let mut greeting = [0; 29];
            stream.read_exact(&mut greeting).unwrap();
            let mut out = Vec::new();
            let audience = AUDIENCE.to_owned();
            Welcome { audience, frame_bytes: 1 << 20, wait_ms: 10 }.write(&mut out);
            stream.write_all(&out).unwrap();
            if stream.read(&mut [0; 4_096]).is_ok_and(|got| got > 0) {
                calls += 1;
            }
        }
        calls
    });
    let client = Client::connect(&path, ClientBounds::default()).unwrap();
    let answer = ask(&client, &refund(1));
    assert_eq!((answer.reason.as_str(), answer.status), ("kernel_unavailable", Status::Error));
    let other = UnixStream::connect(&path).unwrap();
    let mut hello = Vec::new();
    Hello { client: [0; 16] }.write(&mut hello);
    (&other).write_all(&hello).unwrap();
    assert_eq!(serving.join().unwrap(), 1);
}

fn greeted(path: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(path).unwrap();
    let mut out = Vec::new();
    Hello { client: [1; 16] }.write(&mut out);
    stream.write_all(&out).unwrap();
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let mut rest = vec![0; u32::from_le_bytes(head) as usize];
    stream.read_exact(&mut rest).unwrap();
    assert!(Welcome::read(&[&head[..], &rest].concat()).unwrap().is_ok());
    stream
}

/// Whether the other side has ended the connection, after whatever it said.
fn ended(mut stream: UnixStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn peers_that_talk_nonsense_or_nothing_harm_nobody() {
    let place = Place::new("[socket]\nframe_ms = 200\n");
    let _server = place.serve();
    let client = place.connect();
    let path = place.socket();
    let silent: Vec<_> = (0..8).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let mut half = Vec::new();
    let mut call = Vec::new();
    Call::Cancel { lease: "x".repeat(100) }.write(&mut call);
    for cut in [1, 4, 5, 50] {
        let mut stream = greeted(&path);
        stream.write_all(call.get(..cut).unwrap()).unwrap();
        half.push(stream);
    }
    // Xorshift: the same nonsense in every run.
    let mut state = 0x5EED_u64;
    let mut nonsense = Vec::new();
    for round in 0..64 {
        let mut bytes = vec![0; 1 + round * 7];
        for byte in &mut bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state.to_le_bytes()[0];
        }
        let mut stream =
            if round % 2 == 0 { UnixStream::connect(&path).unwrap() } else { greeted(&path) };
        // It may have been refused in the middle.
        let _ = stream.write_all(&bytes);
        nonsense.push(stream);
        assert_eq!(ask(&client, &refund(1)).decision, Decision::Allow);
    }
    // A frame that is announced as longer than may be, and one that nobody reads the reply of.
    let mut long = greeted(&path);
    long.write_all(&u32::MAX.to_le_bytes()).unwrap();
    let mut deaf = greeted(&path);
    let mut hash = Vec::new();
    Call::PolicyHash.write(&mut hash);
    deaf.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
    for _ in 0..200 {
        if deaf.write_all(&hash).is_err() {
            break;
        }
    }
    assert_eq!(ask(&client, &refund(1)).decision, Decision::Allow);
    for stream in silent.into_iter().chain(half).chain(nonsense).chain([long]) {
        assert!(ended(stream));
    }
    assert_eq!(ask(&client, &refund(1)).decision, Decision::Allow);
}

#[test]
fn connections_are_bounded() {
    let place = Place::new("[socket]\nconnections = 8\nconnections_per_user = 3\nframe_ms = 200\n");
    let _server = place.serve();
    let first = [greeted(&place.socket()), greeted(&place.socket()), greeted(&place.socket())];
    let refused = Client::connect(&place.socket(), ClientBounds::default());
    let Err(KernelError::Unavailable(message)) = refused else { panic!("let in") };
    assert!(message.contains("socket.connections"), "{message}");
    drop(first);
    let mut tries = 0;
    while Client::connect(&place.socket(), ClientBounds::default()).is_err() {
        tries += 1;
        assert!(tries < 1_000, "a connection that ended is still counted");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn more_threads_than_connections_take_turns() {
    let place = Place::new("");
    let _server = place.serve();
    let bounds = ClientBounds { connections: 2, timeout: Duration::from_secs(30) };
    let client = Client::connect(&place.socket(), bounds).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let answer = ask(&client, &refund(1));
                    assert_eq!(answer.decision, Decision::Allow);
                    assert!(client.durable(&answer).unwrap().is_some());
                }
            });
        }
    });
}

#[test]
fn a_peer_does_what_its_rights_say() {
    let own = user();
    let place = Place::new(&format!(
        "[[socket.peer]]\nuser = {own}\nallow = [\"act\"]\n\
         [[socket.peer]]\nuser = {}\nallow = [\"act\", \"revoke\"]\n",
        own + 1
    ));
    let _server = place.serve();
    assert_eq!(fs::metadata(place.socket()).unwrap().mode() & 0o777, 0o666);
    let client = place.connect();
    assert_eq!(ask(&client, &refund(1)).decision, Decision::Allow);
    for refused in [
        client.pending().map(drop),
        client.reload(),
        client.observe("acme", "c1", "web", "text"),
        client.undos(TRACE).map(drop),
        client.revoke(&Subject::tenant("acme")),
    ] {
        let Err(KernelError::Config(message)) = refused else { panic!("it may") };
        assert!(message.contains("does not allow"), "{message}");
    }
    assert_eq!(ask(&client, &refund(1)).decision, Decision::Allow);
}

#[test]
fn an_observer_may_not_act() {
    let place = Place::new(&format!("[[socket.peer]]\nuser = {}\nallow = [\"observe\"]\n", user()));
    let _server = place.serve();
    assert_eq!(fs::metadata(place.socket()).unwrap().mode() & 0o777, 0o600);
    let client = place.connect();
    let answer = ask(&client, &refund(1));
    assert_eq!((answer.decision, answer.reason.as_str()), (Decision::Deny, "peer_not_allowed"));
    assert!(client.cancel("x").is_err());
    client.observe("acme", "c1", "web", "text").unwrap();
}

#[test]
fn another_user_is_not_let_in() {
    let place = Place::new(&format!("[[socket.peer]]\nuser = {}\nallow = [\"act\"]\n", user() + 1));
    let _server = place.serve();
    let refused = Client::connect(&place.socket(), ClientBounds::default());
    let Err(KernelError::Config(message)) = refused else { panic!("let in") };
    assert!(message.contains("may not connect"), "{message}");
}

#[test]
fn a_place_is_taken_by_one() {
    let place = Place::new("");
    let first = place.serve();
    let held = Local::open(place.folder.path(), None).err().unwrap().to_string();
    assert!(held.contains(&format!("process {}", std::process::id())), "{held}");
    // Another folder's kernel at the same path.
    let other = Place::new("");
    let taken = Server::start(other.local(), Some(&place.socket())).err().unwrap().to_string();
    assert!(taken.contains(&format!("served by process {}", std::process::id())), "{taken}");
    drop(first);
    // Left behind by a process that was killed.
    drop(UnixListener::bind(place.socket()).unwrap());
    assert!(fs::symlink_metadata(place.socket()).unwrap().file_type().is_socket());
    let second = place.serve();
    assert_eq!(ask(&place.connect(), &refund(1)).decision, Decision::Allow);
    drop(second);
    fs::write(place.socket(), "something").unwrap();
    let error = Server::start(place.local(), None).err().unwrap().to_string();
    assert!(error.contains("is no socket"), "{error}");
    assert_eq!(fs::read_to_string(place.socket()).unwrap(), "something");
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let single = Arc::new(Local::open(folder.path(), None).unwrap());
    let error = Server::start(single, None).err().unwrap().to_string();
    assert!(error.contains("mode = \"socket\""), "{error}");
    for more in [
        "mode = \"socket\"\ntrust_process = true",
        "[[socket.peer]]\nallow = [\"act\"]\n[x]",
        "[[socket.peer]]\nuser = 1\nallow = []\n[x]",
        "[[socket.peer]]\nuser = 1\nallow = [\"everything\"]\n[x]",
    ] {
        let text = format!(
            "audience = \"a\"\norigin = \"o\"\nreceipt_key = \"r\"\nreceipt_key_id = \"r\"\n\
             log_key = \"l\"\n{}",
            more.replace("\n[x]", "")
        );
        assert!(sift_kernel::Config::from_text(&text).is_err(), "{more}");
    }
}

#[test]
fn answers_that_nobody_fetches_make_room() {
    let place = Place::new("[socket]\nanswers = 4\n");
    let _server = place.serve();
    let client = place.connect();
    let answers: Vec<Answer> = (0..6).map(|_| ask(&client, &refund(1))).collect();
    let fetched: Vec<bool> = answers.iter().map(|one| client.durable(one).is_ok()).collect();
    assert_eq!(fetched, [false, false, true, true, true, true]);
    // Another client's numbers are not these.
    let mine = ask(&client, &refund(1));
    let other = place.connect();
    assert_eq!(ask(&other, &refund(1)).decision, Decision::Allow);
    assert!(matches!(other.durable(&mine), Err(KernelError::Unavailable(_))));
    assert!(client.durable(&mine).unwrap().is_some());
}

#[test]
fn what_is_too_long_for_a_frame_is_told() {
    let place = Place::new("max_bytes = 1024\n[socket]\nframe_bytes = 66560\n");
    let _server = place.serve();
    let client = place.connect();
    let text = "x".repeat(70_000);
    let mut request = refund(1);
    request.trace_id = Some(text.clone());
    assert_eq!(ask(&client, &request).reason, "invalid_request");
    // What the kernel could not be told counts as seen: the conversation is not clean.
    let mut inside = refund(1);
    inside.conversation = Some("c1".to_owned());
    for (length, passes) in [(66_560 - 64 - 9, true), (66_560 - 64 - 8, false)] {
        let seen = client.observe("acme", "c1", "web", text.get(..length).unwrap());
        assert_eq!(seen.is_ok(), passes);
        assert_eq!(ask(&client, &inside).decision == Decision::Allow, passes);
    }
    let answer = ask(&client, &inside);
    assert_eq!((answer.reason.as_str(), answer.status), ("taint_unknown", Status::Error));
    assert_eq!(ask(&client, &refund(1)).decision, Decision::Allow);
}

#[test]
fn replies_of_another_kind_are_not_believed() {
    let mut out = Vec::new();
    Reply::Done.write(&mut out);
    assert!(Welcome::read(&out).is_err());
    assert!(Hello::read(&out).is_err());
    assert!(Call::read(&out).is_err());
}
