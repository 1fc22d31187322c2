//! The side of those who ask a kernel in another process.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{set_socket_timeout, socket_peercred, Timeout};
use rustix::net::{connect, socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::getuid;
use sift_policy::json::Value;
use sift_policy::ShadowCounters;

use super::access::safe_place;
use super::bytes::fits;
use super::link::{Link, Unsent};
use super::message::{write_authorize, Call, Fetched, Hello, Reply, Steps, Welcome};
use super::server::MOST_TICKETS;
use crate::approval::{ApprovalRecord, ApprovalState, Verdict};
use crate::budget::Outcome;
use crate::error::{KernelError, Result};
use crate::gate::{Answer, Gate, Totals};
use crate::kernel::{Authorization, Durable, Status};
use crate::request::{ActionRequest, Credential};
use crate::revocation::Subject;
use crate::session::{Session, SignedElevation, SignedGrant};
use crate::store::{Trace, Undo};
use crate::sync::lock;
use crate::wire::random;

/// Bounds of a client.
#[derive(Clone, Copy, Debug)]
pub struct ClientBounds {
    /// Most connections, and so most calls that are under way; more threads wait for one.
    pub connections: usize,
    /// How long a call may take, and how long a thread waits for a connection. Waiting for a receipt takes as
    /// long as the kernel's `log.wait_ms` in addition.
    pub timeout: Duration,
}

impl Default for ClientBounds {
    fn default() -> Self {
        Self { connections: 16, timeout: Duration::from_secs(5) }
    }
}

/// What the kernel keeps for an answer, and what came of it.
pub(crate) struct Slot {
    ticket: u64,
    fetched: Mutex<Option<Result<Durable>>>,
}

type Told = Box<dyn FnOnce() + Send>;

/// A kernel in another process.
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    /// Of which user the kernel's process is.
    server: u32,
    name: [u8; 16],
    welcome: Welcome,
    bounds: ClientBounds,
    process: u32,
    closed: AtomicBool,
    pool: Mutex<Pool>,
    returned: Condvar,
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Link>,
    open: usize,
}

/// Receipts that nobody waits for in a thread of his own.
#[derive(Default)]
struct Waiting {
    queue: VecDeque<(Arc<Slot>, Told)>,
    running: bool,
}

/// What the frame of an observation has besides its texts, bytes, and some more.
const FIELDS: usize = 64;

fn unavailable(message: impl Into<String>) -> KernelError {
    KernelError::Unavailable(message.into())
}

/// Connects, and makes sure who answers.
fn dial(
    path: &Path,
    server: u32,
    name: [u8; 16],
    bounds: &ClientBounds,
) -> Result<(Link, Welcome)> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        unavailable(format!(
            "cannot reach a kernel at `{shown}`: {error}; start it with `sift-fast serve --kernel DIR`"
        ))
    };
    let system = |error: rustix::io::Errno| failed(error.into());
    let socket: OwnedFd =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(system)?;
    // Connecting waits while the kernel's queue is full.
    set_socket_timeout(&socket, Timeout::Send, Some(bounds.timeout)).map_err(system)?;
    connect(&socket, &SocketAddrUnix::new(path).map_err(system)?).map_err(system)?;
    let peer = socket_peercred(&socket).map_err(system)?.uid.as_raw();
    if peer != server {
        return Err(unavailable(format!(
            "`{shown}` is served by user {peer} and belongs to user {server}: that is not the kernel"
        )));
    }
    let mut link = Link::new(Arc::new(UnixStream::from(socket)), bounds.timeout).map_err(failed)?;
    let mut out = Vec::new();
    Hello { client: name }.write(&mut out);
    // A kernel that lets nobody in may have gone by now; what it said is there all the same.
    let _ = link.send(&out, bounds.timeout);
    let welcome = link
        .receive(Some(bounds.timeout), bounds.timeout, 64 << 10)
        .ok()
        .and_then(|frame| Welcome::read(frame).ok())
        .ok_or_else(|| {
            unavailable(format!("what answers at `{shown}` is no kernel of this release"))
        })?
        .map_err(KernelError::from)?;
    Ok((link, welcome))
}

impl Client {
    /// Connects to the kernel that serves a socket.
    ///
    /// Args: the path; bounds.
    ///
    /// Errors: `Unavailable` when nobody answers there, `Config` for a place that others could change, and for a
    /// user that the kernel's settings do not let in.
    pub fn connect(path: &Path, bounds: ClientBounds) -> Result<Self> {
        let server = owner(path)?;
        let path = safe_place(path, &[getuid().as_raw(), server])?;
        let name = random::<16>()?;
        let (link, welcome) = dial(&path, server, name, &bounds)?;
        let shared = Shared {
            path,
            server,
            name,
            welcome,
            bounds: ClientBounds { connections: bounds.connections.max(1), ..bounds },
            process: std::process::id(),
            closed: AtomicBool::new(false),
            pool: Mutex::new(Pool { idle: vec![link], open: 1 }),
            returned: Condvar::new(),
            waiting: Mutex::default(),
            more: Condvar::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

fn owner(path: &Path) -> Result<u32> {
    let known = fs::symlink_metadata(path).map_err(|error| {
        unavailable(format!(
            "cannot reach a kernel at `{}`: {error}; start it with `sift-fast serve --kernel DIR`",
            path.display()
        ))
    })?;
    Ok(known.uid())
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    fn check_usable(&self) -> Result<()> {
        if std::process::id() != self.process {
            return Err(unavailable(
                "the connection belongs to the process this one was forked from: connect after the fork",
            ));
        }
        if self.closed.load(Ordering::SeqCst) {
            return Err(unavailable("the kernel is closed"));
        }
        Ok(())
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        if std::process::id() != self.process {
            return;
        }
        let mut pool = lock(&self.pool);
        let idle = std::mem::take(&mut pool.idle);
        pool.open = pool.open.saturating_sub(idle.len());
        drop(pool);
        self.returned.notify_all();
        // Whoever holds the queue sees that it is over, or waits and is woken.
        drop(lock(&self.waiting));
        self.more.notify_all();
    }

    /// A connection for one call, and whether it is new.
    fn take(&self) -> Result<(Link, bool)> {
        let until = Instant::now() + self.bounds.timeout;
        let mut pool = lock(&self.pool);
        loop {
            self.check_usable()?;
            if let Some(link) = pool.idle.pop() {
                return Ok((link, false));
            }
            if pool.open < self.bounds.connections {
                pool.open = pool.open.saturating_add(1);
                drop(pool);
                return match self.dial() {
                    Ok(link) => Ok((link, true)),
                    Err(error) => {
                        self.lose();
                        Err(error)
                    }
                };
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(unavailable(
                    "all connections to the kernel are in use: raise `connections`, or ask less at once",
                ));
            }
            pool = self.returned.wait_timeout(pool, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn dial(&self) -> Result<Link> {
        let (link, welcome) = dial(&self.path, self.server, self.name, &self.bounds)?;
        if welcome.audience != self.welcome.audience {
            return Err(unavailable(
                "another kernel has taken the place of this one: connect again",
            ));
        }
        Ok(link)
    }

    /// A connection is no more.
    fn lose(&self) {
        let mut pool = lock(&self.pool);
        pool.open = pool.open.saturating_sub(1);
        drop(pool);
        self.returned.notify_one();
    }

    fn give_back(&self, mut link: Link) {
        link.shrink();
        let mut pool = lock(&self.pool);
        if self.closed.load(Ordering::SeqCst) {
            pool.open = pool.open.saturating_sub(1);
        } else {
            pool.idle.push(link);
        }
        drop(pool);
        self.returned.notify_one();
    }

    /// Sends a frame and reads the reply to it.
    ///
    /// A connection that turns out to be closed before anything of the frame has left is replaced: the kernel
    /// was started again. After that the frame may have been read, and is not sent again.
    fn exchange(&self, frame: &[u8], patience: Duration) -> Result<Reply> {
        self.check_usable()?;
        if frame.len() as u64 > self.welcome.frame_bytes {
            return Err(KernelError::Limit(
                "the call is longer than a frame may be: raise `socket.frame_bytes` of kernel.toml"
                    .to_owned(),
            ));
        }
        loop {
            let (mut link, fresh) = self.take()?;
            match link.send(frame, self.bounds.timeout) {
                Ok(()) => {}
                Err(Unsent::Nothing) if !fresh => {
                    drop(link);
                    self.lose();
                    continue;
                }
                Err(_) => {
                    drop(link);
                    self.lose();
                    return Err(unavailable("the call did not reach the kernel: nothing was done"));
                }
            }
            // Replies are as long as the kernel sends them: it is believed in all else.
            let reply = link
                .receive(Some(patience), patience, usize::MAX)
                .ok()
                .and_then(|frame| Reply::read(frame).ok());
            return match reply {
                Some(Reply::Fault(fault)) => {
                    self.give_back(link);
                    Err(fault.into())
                }
                Some(reply) => {
                    self.give_back(link);
                    Ok(reply)
                }
                None => {
                    drop(link);
                    self.lose();
                    Err(unavailable(
                        "the kernel's process ended or did not answer in time: what was asked for may have been \
                         done",
                    ))
                }
            };
        }
    }

    fn call(&self, call: &Call) -> Result<Reply> {
        let mut out = Vec::with_capacity(256);
        call.write(&mut out);
        self.exchange(&out, self.bounds.timeout)
    }

    fn fetch(&self, tickets: Vec<u64>) -> Result<Vec<Fetched>> {
        let count = tickets.len();
        self.wait_for(&Call::Durable { tickets }, count)
    }

    /// Asks for receipts, which takes as long as the disk does.
    fn wait_for(&self, call: &Call, count: usize) -> Result<Vec<Fetched>> {
        let mut out = Vec::with_capacity(64);
        call.write(&mut out);
        let patience = Duration::from_millis(self.welcome.wait_ms) + self.bounds.timeout;
        match self.exchange(&out, patience)? {
            Reply::Durable(fetched) if fetched.len() == count => Ok(fetched),
            _ => Err(odd()),
        }
    }

    /// Fetches receipts for those who are called back, many with one call.
    fn watch(&self) {
        loop {
            let mut waiting = lock(&self.waiting);
            while waiting.queue.is_empty() {
                if self.closed.load(Ordering::SeqCst) {
                    waiting.running = false;
                    return;
                }
                waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let most = waiting.queue.len().min(MOST_TICKETS);
            let batch: Vec<_> = waiting.queue.drain(..most).collect();
            drop(waiting);
            let fetched = self.fetch(batch.iter().map(|(slot, _)| slot.ticket).collect());
            let mut fetched = match fetched {
                Ok(fetched) => fetched.into_iter().map(result).collect(),
                Err(error) => {
                    let message = error.to_string();
                    batch.iter().map(|_| Err(unavailable(message.clone()))).collect::<Vec<_>>()
                }
            };
            for ((slot, told), one) in batch.into_iter().zip(fetched.drain(..)) {
                let mut known = lock(&slot.fetched);
                // Somebody else may have waited for the same one with more luck.
                if !matches!(&*known, Some(Ok(_))) {
                    *known = Some(one);
                }
                drop(known);
                told();
            }
        }
    }
}

fn odd() -> KernelError {
    unavailable("the kernel's reply is to another call: both sides need the same release")
}

/// What a ticket was good for. It is made for answers with a receipt alone.
fn result(fetched: Fetched) -> Result<Durable> {
    fetched?.ok_or_else(odd)
}

impl Gate for Client {
    fn audience(&self) -> &str {
        &self.shared.welcome.audience
    }

    fn remote(&self) -> bool {
        true
    }

    fn policy_hash(&self) -> Result<[u8; 32]> {
        match self.shared.call(&Call::PolicyHash)? {
            Reply::Hash(hash) => Ok(hash),
            _ => Err(odd()),
        }
    }

    fn authorize(
        &self,
        request: &ActionRequest,
        credential: &Credential,
        approval: Option<&str>,
    ) -> Answer {
        let mut denial = Authorization::unavailable(&credential.stamp.request_id);
        if !fits(&request.args) {
            // More or deeper than any kernel takes.
            denial.reason = "invalid_request".to_owned();
            denial.status = Status::Ok;
            return Answer { authorization: denial, slot: None };
        }
        let mut out = Vec::with_capacity(1_024);
        write_authorize(&mut out, request, credential, approval);
        match self.shared.exchange(&out, self.shared.bounds.timeout) {
            Ok(Reply::Answer { authorization, ticket })
                if authorization.request_id == denial.request_id =>
            {
                let slot = ticket.map(|ticket| Slot { ticket, fetched: Mutex::default() });
                Answer { authorization, slot: slot.map(Arc::new) }
            }
            Err(KernelError::Limit(_)) => {
                denial.reason = "invalid_request".to_owned();
                denial.status = Status::Ok;
                Answer { authorization: denial, slot: None }
            }
            _ => Answer { authorization: denial, slot: None },
        }
    }

    fn durable(&self, answer: &Answer) -> Result<Option<Durable>> {
        let Some(slot) = &answer.slot else {
            return self.shared.check_usable().map(|()| None);
        };
        // Held while it is fetched, so that two who wait for one receipt fetch it once.
        let mut fetched = lock(&slot.fetched);
        match fetched.take() {
            Some(Ok(durable)) => {
                *fetched = Some(Ok(durable.clone()));
                return Ok(Some(durable));
            }
            // Told once; who asks again tries again.
            Some(Err(error)) => return Err(error),
            None => {}
        }
        let mut one = self.shared.fetch(vec![slot.ticket])?;
        let durable = result(one.pop().ok_or_else(odd)?)?;
        *fetched = Some(Ok(durable.clone()));
        Ok(Some(durable))
    }

    fn recorded(&self, answer: &Answer) -> Result<Option<Durable>> {
        let Some(slot) = &answer.slot else {
            return self.shared.check_usable().map(|()| None);
        };
        let mut one = self.shared.wait_for(&Call::Recorded { ticket: slot.ticket }, 1)?;
        result(one.pop().ok_or_else(odd)?).map(Some)
    }

    fn when_durable(&self, answer: &Answer, told: Told) -> bool {
        let Some(slot) = &answer.slot else { return false };
        let shared = &self.shared;
        if shared.check_usable().is_err() {
            // What `durable` says then does not wait.
            told();
            return true;
        }
        let mut waiting = lock(&shared.waiting);
        if !waiting.running {
            let watching = Arc::clone(shared);
            let started = std::thread::Builder::new()
                .name("sift-fast-receipts".to_owned())
                .spawn(move || watching.watch());
            if started.is_err() {
                drop(waiting);
                // Without a thread, whoever is called waits by himself.
                told();
                return true;
            }
            waiting.running = true;
        }
        waiting.queue.push_back((Arc::clone(slot), told));
        drop(waiting);
        shared.more.notify_one();
        true
    }

    fn settle(
        &self,
        lease: &str,
        actual: BTreeMap<String, i64>,
        result: &Value,
    ) -> Result<Outcome> {
        if !fits(result) {
            return Err(KernelError::Invalid(
                "the result of the action is larger or nested deeper than can be kept".to_owned(),
            ));
        }
        let result = result.clone();
        self.outcome(&Call::Settle { lease: lease.to_owned(), actual, result })
    }

    fn cancel(&self, lease: &str) -> Result<Outcome> {
        self.outcome(&Call::Cancel { lease: lease.to_owned() })
    }

    fn abandon(&self, lease: &str) -> Result<Outcome> {
        self.outcome(&Call::Abandon { lease: lease.to_owned() })
    }

    fn undos(&self, trace: Trace<'_>) -> Result<Vec<Undo>> {
        match self.shared.call(&Call::Undos(Steps::of(trace)))? {
            Reply::Undos(undos) => Ok(undos),
            _ => Err(odd()),
        }
    }

    fn take_undo(&self, trace: Trace<'_>, request_id: &str) -> Result<bool> {
        let call = Call::TakeUndo { steps: Steps::of(trace), request_id: request_id.to_owned() };
        match self.shared.call(&call)? {
            Reply::Flag(taken) => Ok(taken),
            _ => Err(odd()),
        }
    }

    fn return_undo(&self, trace: Trace<'_>, request_id: &str) -> Result<()> {
        self.done(&Call::ReturnUndo { steps: Steps::of(trace), request_id: request_id.to_owned() })
    }

    fn observe(&self, tenant: &str, conversation: &str, source: &str, text: &str) -> Result<()> {
        // What the kernel cannot be told it must know of, or it would take the conversation for clean.
        let names = tenant.len().saturating_add(conversation.len()).saturating_add(source.len());
        let length = names.saturating_add(text.len()).saturating_add(FIELDS) as u64;
        let told = length <= self.shared.welcome.frame_bytes;
        self.done(&Call::Observe {
            tenant: tenant.to_owned(),
            conversation: conversation.to_owned(),
            source: source.to_owned(),
            text: told.then(|| text.to_owned()),
        })
    }

    fn open_session(&self, signed: &SignedGrant) -> Result<Session> {
        match self.shared.call(&Call::OpenSession { grant: signed.to_json()? })? {
            Reply::Session { id, key } if id == signed.grant.session => {
                Session::with_key(&id, self.audience(), &key)
            }
            _ => Err(odd()),
        }
    }

    fn elevate(&self, signed: &SignedElevation) -> Result<()> {
        self.done(&Call::Elevate { elevation: signed.to_json()? })
    }

    fn pending(&self) -> Result<Vec<ApprovalRecord>> {
        match self.shared.call(&Call::Pending)? {
            Reply::Approvals(records) => Ok(records),
            _ => Err(odd()),
        }
    }

    fn approval(&self, id: &str) -> Result<Option<ApprovalRecord>> {
        match self.shared.call(&Call::Approval { id: id.to_owned() })? {
            Reply::Approvals(mut records) if records.len() <= 1 => Ok(records.pop()),
            _ => Err(odd()),
        }
    }

    fn sign_approval(
        &self,
        id: &str,
        key_id: &str,
        verdict: Verdict,
        signature: &[u8],
    ) -> Result<ApprovalState> {
        let call = Call::SignApproval {
            id: id.to_owned(),
            key_id: key_id.to_owned(),
            verdict,
            signature: signature.to_vec(),
        };
        match self.shared.call(&call)? {
            Reply::State(state) => Ok(state),
            _ => Err(odd()),
        }
    }

    fn revoke(&self, subject: &Subject) -> Result<()> {
        self.done(&Call::Revoke { subject: subject.clone(), back: false })
    }

    fn reinstate(&self, subject: &Subject) -> Result<()> {
        self.done(&Call::Revoke { subject: subject.clone(), back: true })
    }

    fn reload(&self) -> Result<()> {
        self.done(&Call::Reload)
    }

    fn proof(&self, index: u64) -> Result<String> {
        match self.shared.call(&Call::Proof { index })? {
            Reply::Text(text) => Ok(text),
            _ => Err(odd()),
        }
    }

    fn totals(&self) -> Result<Totals> {
        match self.shared.call(&Call::Totals)? {
            Reply::Totals(totals) => Ok(totals),
            _ => Err(odd()),
        }
    }

    fn shadow_counters(&self) -> Result<Vec<ShadowCounters>> {
        match self.shared.call(&Call::Shadow)? {
            Reply::Shadow(counters) => Ok(counters),
            _ => Err(odd()),
        }
    }

    fn close(&self) -> Result<()> {
        self.shared.close();
        Ok(())
    }
}

impl Client {
    fn outcome(&self, call: &Call) -> Result<Outcome> {
        match self.shared.call(call)? {
            Reply::Outcome(outcome) => Ok(outcome),
            _ => Err(odd()),
        }
    }

    fn done(&self, call: &Call) -> Result<()> {
        match self.shared.call(call)? {
            Reply::Done => Ok(()),
            _ => Err(odd()),
        }
    }
}
