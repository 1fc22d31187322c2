//! The kernel's side of the socket.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, Permissions};
use std::net::Shutdown;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::process::getuid;
use sift_policy::json::Value;

use super::access::{safe_place, Access, Rights, SocketBounds};
use super::link::{Broken, Link};
use super::message::{write_answer, Call, Fault, Fetched, Hello, Reply, Welcome};
use crate::budget::Ending;
use crate::error::{file, KernelError, Result};
use crate::gate::{Gate, Local};
use crate::kernel::{Authorization, Durable, Status};
use crate::session::{SignedElevation, SignedGrant};
use crate::sync::lock;
use crate::wire::random;

/// What a connection keeps between calls for its replies, bytes.
const ROOM: usize = 16 << 10;

/// Most receipts that one call fetches.
pub(super) const MOST_TICKETS: usize = 256;

/// A kernel that others reach. Dropping it stops it.
pub struct Server {
    shared: Arc<Shared>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
    process: u32,
}

struct Shared {
    local: Arc<Local>,
    access: Access,
    bounds: SocketBounds,
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of the socket's file: another one at its place is not ours to remove.
    file: (u64, u64),
    stopping: AtomicBool,
    open: Mutex<Open>,
    gone: Condvar,
}

/// What is connected.
#[derive(Default)]
struct Open {
    next: u64,
    links: HashMap<u64, (u32, Arc<UnixStream>)>,
    clients: HashMap<(u32, [u8; 16]), Weak<Mutex<Answers>>>,
}

/// Answers of one client whose receipts can be fetched, the oldest first, under numbers that follow each other.
struct Answers {
    first: u64,
    kept: VecDeque<Authorization>,
    most: usize,
}

impl Answers {
    fn next(&self) -> u64 {
        self.first.saturating_add(self.kept.len() as u64)
    }

    fn keep(&mut self, answer: Authorization) {
        self.kept.push_back(answer);
        if self.kept.len() > self.most {
            self.kept.pop_front();
            self.first = self.first.saturating_add(1);
        }
    }

    fn get(&self, ticket: u64) -> Option<Authorization> {
        let place = usize::try_from(ticket.checked_sub(self.first)?).ok()?;
        self.kept.get(place).cloned()
    }
}

/// The user, the rights and the client of a connection.
struct Visitor {
    user: u32,
    rights: Rights,
    answers: Arc<Mutex<Answers>>,
}

impl Server {
    /// Takes a place for the socket and begins to serve.
    ///
    /// Args: the kernel; the path of the socket, else that of the settings.
    ///
    /// Errors: `Config` for a kernel whose settings do not say `mode = "socket"`, peers that are not known, a
    /// place that others can change, that something else has taken, or that another process serves (it is
    /// named).
    pub fn start(local: Arc<Local>, path: Option<&Path>) -> Result<Self> {
        let config = local.kernel().config();
        if config.mode != crate::config::Mode::Socket {
            return Err(KernelError::Config(
                "kernel.toml: write `mode = \"socket\"` for a kernel that others reach".to_owned(),
            ));
        }
        let own = getuid().as_raw();
        let bounds = config.socket.clone();
        let access = Access::new(&bounds.peer, own)?;
        let wanted = path.unwrap_or(&bounds.path);
        if let Some(folder) = wanted.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            if !folder.exists() {
                // Others reach the socket through it, and change nothing in it.
                let made = fs::DirBuilder::new().mode(0o755).create(folder);
                made.map_err(|error| file(folder, "make", &error))?;
            }
        }
        let path = safe_place(wanted, &[own])?;
        let listener = listen(&path, if access.others(own) { 0o666 } else { 0o600 })?;
        let known = fs::symlink_metadata(&path).map_err(|error| file(&path, "look at", &error))?;
        let shared = Arc::new(Shared {
            local,
            access,
            bounds,
            listener,
            path,
            file: (known.dev(), known.ino()),
            stopping: AtomicBool::new(false),
            open: Mutex::default(),
            gone: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = std::thread::Builder::new()
            .name("sift-fast-accept".to_owned())
            .spawn(move || accepting.accept())
            .map_err(|error| KernelError::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Self { shared, acceptor: Mutex::new(Some(acceptor)), process: std::process::id() })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Whom requests must be addressed to.
    pub fn audience(&self) -> &str {
        self.shared.local.audience()
    }

    /// Reads policies, manifest and public keys again; peers are read at the start alone.
    ///
    /// Errors: as for [`Gate::reload`].
    pub fn reload(&self) -> Result<()> {
        self.shared.local.reload()
    }

    /// Stops: nobody is let in any more, calls that are under way are answered, and the kernel is closed. Again:
    /// nothing.
    ///
    /// Errors: those of [`crate::Kernel::close`].
    pub fn stop(&self) -> Result<()> {
        if self.shared.stopping.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        // Wakes whoever waits in `accept`.
        let _ = rustix::net::shutdown(&self.shared.listener, rustix::net::Shutdown::Both);
        if let Some(acceptor) = lock(&self.acceptor).take() {
            let _ = acceptor.join();
        }
        let shared = &self.shared;
        let still = fs::symlink_metadata(&shared.path).map(|known| (known.dev(), known.ino()));
        if still.is_ok_and(|still| still == shared.file) {
            let _ = fs::remove_file(&shared.path);
        }
        let config = shared.local.kernel().config();
        let patience = Duration::from_millis(shared.bounds.frame_ms.max(config.log.wait_ms));
        shared.end(Shutdown::Read, patience);
        shared.end(Shutdown::Both, Duration::from_secs(1));
        shared.local.close()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::process::id() == self.process {
            let _ = self.stop();
        }
    }
}

/// A socket that nobody finds before its permissions are right.
fn listen(path: &Path, mode: u32) -> Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(file(path, "look at", &error)),
        Ok(known) if !known.file_type().is_socket() => {
            return Err(KernelError::Config(format!(
                "`{}` is there and is no socket: choose another path",
                path.display()
            )));
        }
        // One that nobody answers at was left by a process that ended.
        Ok(_) => {
            if let Ok(stream) = UnixStream::connect(path) {
                let holder =
                    socket_peercred(&stream).map_or(0, |peer| peer.pid.as_raw_nonzero().get());
                return Err(KernelError::Config(format!(
                    "`{}` is served by process {holder}: stop it first, or choose another path",
                    path.display()
                )));
            }
        }
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let fresh = path.with_file_name(name);
    let _ = fs::remove_file(&fresh);
    let failed = |error: std::io::Error| file(path, "listen at", &error);
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    fs::set_permissions(&fresh, Permissions::from_mode(mode))
        .and_then(|()| fs::rename(&fresh, path))
        .map_err(|error| {
            let _ = fs::remove_file(&fresh);
            failed(error)
        })?;
    Ok(listener)
}

/// One connection among those that are open; gone from them when it is dropped.
struct Entry {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut open = lock(&self.shared.open);
        open.links.remove(&self.number);
        open.clients.retain(|_, answers| answers.strong_count() > 0);
        drop(open);
        self.shared.gone.notify_all();
    }
}

fn say(link: &Link, out: &mut Vec<u8>, reply: &Reply, within: Duration) -> bool {
    out.clear();
    reply.write(out);
    link.send(out, within).is_ok()
}

fn fault(error: &KernelError) -> Reply {
    Reply::Fault(Fault::from(error))
}

impl Shared {
    fn frame_time(&self) -> Duration {
        Duration::from_millis(self.bounds.frame_ms)
    }

    fn accept(self: &Arc<Self>) {
        while !self.stopping.load(Ordering::SeqCst) {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream),
                // Out of descriptors, or a peer that went away: neither gets better by haste.
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Gives a connection a thread, or tells it why not. Never waits for the peer: the buffer of a fresh socket
    /// has room for a reason.
    fn admit(self: &Arc<Self>, stream: UnixStream) {
        let stream = Arc::new(stream);
        let Ok(link) = Link::new(Arc::clone(&stream), self.frame_time()) else { return };
        let Ok(peer) = socket_peercred(&*stream) else { return };
        let (user, group) = (peer.uid.as_raw(), peer.gid.as_raw());
        let rights = self.access.rights(user, group);
        if rights.is_empty() {
            let error = KernelError::Config(format!(
                "user {user} with group {group} may not connect: no `socket.peer` of kernel.toml names them"
            ));
            say(&link, &mut Vec::new(), &fault(&error), self.frame_time());
            return;
        }
        let Some(entry) = self.enter(user, &stream) else {
            let error = KernelError::Unavailable(
                "the kernel has as many connections as it may have: close some, or raise \
                 `socket.connections` and `socket.connections_per_user` of kernel.toml"
                    .to_owned(),
            );
            say(&link, &mut Vec::new(), &fault(&error), self.frame_time());
            return;
        };
        // A thread that cannot be had drops the connection with the closure.
        let _ = std::thread::Builder::new()
            .name("sift-fast-peer".to_owned())
            .spawn(move || entry.shared.serve(link, user, rights));
    }

    fn enter(self: &Arc<Self>, user: u32, stream: &Arc<UnixStream>) -> Option<Entry> {
        let mut open = lock(&self.open);
        let same = open.links.values().filter(|(other, _)| *other == user).count();
        if open.links.len() >= self.bounds.connections || same >= self.bounds.connections_per_user {
            return None;
        }
        let number = open.next;
        open.next = open.next.wrapping_add(1);
        open.links.insert(number, (user, Arc::clone(stream)));
        Some(Entry { shared: Arc::clone(self), number })
    }

    /// Answers of a client, shared by its connections.
    ///
    /// Errors: no randomness.
    fn answers(&self, user: u32, client: [u8; 16]) -> Result<Arc<Mutex<Answers>>> {
        let mut open = lock(&self.open);
        let known = open.clients.entry((user, client)).or_default();
        if let Some(answers) = known.upgrade() {
            return Ok(answers);
        }
        // Numbers of a kernel that is no more must not be those of other answers.
        let first = u64::from_le_bytes(random::<8>()?) >> 1;
        let most = self.bounds.answers;
        let fresh = Arc::new(Mutex::new(Answers { first, kept: VecDeque::new(), most }));
        *known = Arc::downgrade(&fresh);
        Ok(fresh)
    }

    /// One connection, from its greeting to its end.
    fn serve(&self, mut link: Link, user: u32, rights: Rights) {
        let within = self.frame_time();
        let most = self.bounds.frame_bytes;
        let mut out = Vec::with_capacity(4_096);
        let nonsense = KernelError::Invalid(
            "that is no call of this version of the protocol: both sides need the same release"
                .to_owned(),
        );
        let Ok(hello) = link.receive(Some(within), within, 256).map(Hello::read) else { return };
        let Ok(hello) = hello else {
            say(&link, &mut out, &fault(&nonsense), within);
            return;
        };
        let answers = match self.answers(user, hello.client) {
            Ok(answers) => answers,
            Err(error) => {
                say(&link, &mut out, &fault(&error), within);
                return;
            }
        };
        let visitor = Visitor { user, rights, answers };
        let config = self.local.kernel().config();
        Welcome {
            audience: config.audience.clone(),
            frame_bytes: most as u64,
            wait_ms: config.log.wait_ms,
        }
        .write(&mut out);
        if link.send(&out, within).is_err() {
            return;
        }
        loop {
            out.clear();
            match link.receive(None, within, most).map(Call::read) {
                Ok(Ok(call)) => self.perform(call, &visitor, &mut out),
                Ok(Err(_)) | Err(Broken::Wrong) => {
                    say(&link, &mut out, &fault(&nonsense), within);
                    return;
                }
                Err(Broken::Gone | Broken::Slow) => return,
            }
            if out.len() > most {
                let error = KernelError::Limit(
                    "the reply is longer than a frame may be: raise `socket.frame_bytes` of kernel.toml"
                        .to_owned(),
                );
                if !say(&link, &mut out, &fault(&error), within) {
                    return;
                }
            } else if link.send(&out, within).is_err() {
                return;
            }
            link.shrink();
            out.shrink_to(ROOM);
        }
    }

    /// Does a call, if the peer may ask for it, and writes the reply.
    fn perform(&self, call: Call, visitor: &Visitor, out: &mut Vec<u8>) {
        let allowed = visitor.rights.contains(&call.right());
        match call {
            Call::Authorize { request, credential, approval } => {
                if !allowed {
                    let mut denial = Authorization::unavailable(&credential.stamp.request_id);
                    denial.reason = "peer_not_allowed".to_owned();
                    denial.status = Status::Ok;
                    return write_answer(out, &denial, None);
                }
                let kernel = self.local.kernel();
                let peer = Some(visitor.user);
                let answer = kernel.authorize_for(peer, &request, &credential, approval.as_deref());
                if answer.has_receipt() {
                    let mut answers = lock(&visitor.answers);
                    write_answer(out, &answer, Some(answers.next()));
                    answers.keep(answer);
                } else {
                    write_answer(out, &answer, None);
                }
            }
            call if !allowed => fault(&KernelError::Config(format!(
                "user {} may not do that: `socket.peer` of kernel.toml does not allow them to `{}`",
                visitor.user,
                call.right().word()
            )))
            .write(out),
            Call::Durable { tickets } => {
                let kernel = self.local.kernel();
                Reply::Durable(self.fetch(&tickets, visitor, |answer| kernel.durable(answer)))
                    .write(out);
            }
            Call::Recorded { ticket } => {
                let kernel = self.local.kernel();
                Reply::Durable(self.fetch(&[ticket], visitor, |answer| kernel.recorded(answer)))
                    .write(out);
            }
            call => match self.call(call, Some(visitor.user)) {
                Ok(reply) => reply.write(out),
                Err(error) => fault(&error).write(out),
            },
        }
    }

    /// Receipts of answers, waited for together: no longer than for one.
    fn fetch(
        &self,
        tickets: &[u64],
        visitor: &Visitor,
        wait: impl Fn(&Authorization) -> Result<Option<Durable>>,
    ) -> Vec<Fetched> {
        let kernel = self.local.kernel();
        let error = |what: &str| Err(Fault::from(&KernelError::Unavailable(what.to_owned())));
        let answers = lock(&visitor.answers);
        let kept: Vec<_> =
            tickets.iter().take(MOST_TICKETS).map(|ticket| answers.get(*ticket)).collect();
        drop(answers);
        let until = Instant::now() + Duration::from_millis(kernel.config().log.wait_ms);
        kept.into_iter()
            .map(|answer| match answer {
                None => error(
                    "the answer is not kept any more: fetch receipts sooner, or raise \
                     `socket.answers` of kernel.toml",
                ),
                Some(_) if Instant::now() > until => {
                    error("the receipt was not durable in time; it may still become so")
                }
                Some(answer) => wait(&answer).map_err(|error| Fault::from(&error)),
            })
            .collect()
    }

    fn call(&self, call: Call, peer: Option<u32>) -> Result<Reply> {
        let local = &*self.local;
        Ok(match call {
            // They have been taken care of.
            Call::Authorize { .. } | Call::Durable { .. } | Call::Recorded { .. } => Reply::Done,
            Call::Settle { lease, actual, result } => {
                Reply::Outcome(local.end_for(peer, &lease, Ending::Settle(actual), &result)?)
            }
            Call::Cancel { lease } => {
                Reply::Outcome(local.end_for(peer, &lease, Ending::Cancel, &Value::Null)?)
            }
            Call::Abandon { lease } => {
                Reply::Outcome(local.end_for(peer, &lease, Ending::Abandon, &Value::Null)?)
            }
            Call::Undos(steps) => Reply::Undos(local.undos(steps.trace())?),
            Call::TakeUndo { steps, request_id } => {
                Reply::Flag(local.take_undo(steps.trace(), &request_id)?)
            }
            Call::ReturnUndo { steps, request_id } => {
                local.return_undo(steps.trace(), &request_id)?;
                Reply::Done
            }
            Call::Observe { tenant, conversation, source, text } => {
                match text {
                    Some(text) => local.observe(&tenant, &conversation, &source, &text)?,
                    None => local.overflow(&tenant, &conversation)?,
                }
                Reply::Done
            }
            Call::OpenSession { grant } => {
                let grant = SignedGrant::from_json(&grant)?;
                let session = local.kernel().open_session_for(peer, &grant)?;
                Reply::Session { id: session.id().to_owned(), key: *session.key() }
            }
            Call::Elevate { elevation } => {
                local.elevate(&SignedElevation::from_json(&elevation)?)?;
                Reply::Done
            }
            Call::Pending => Reply::Approvals(local.pending()?),
            Call::Approval { id } => Reply::Approvals(local.approval(&id)?.into_iter().collect()),
            Call::SignApproval { id, key_id, verdict, signature } => {
                Reply::State(local.sign_approval(&id, &key_id, verdict, &signature)?)
            }
            Call::Revoke { subject, back: false } => {
                local.revoke(&subject)?;
                Reply::Done
            }
            Call::Revoke { subject, back: true } => {
                local.reinstate(&subject)?;
                Reply::Done
            }
            Call::Reload => {
                local.reload()?;
                Reply::Done
            }
            Call::PolicyHash => Reply::Hash(local.policy_hash()?),
            Call::Proof { index } => Reply::Text(local.proof(index)?),
            Call::Totals => Reply::Totals(local.totals()?),
            Call::Shadow => Reply::Shadow(local.shadow_counters()?),
        })
    }

    /// Ends all connections and waits until their threads are gone.
    fn end(&self, how: Shutdown, patience: Duration) {
        let mut open = lock(&self.open);
        for (_, stream) in open.links.values() {
            let _ = stream.shutdown(how);
        }
        let until = Instant::now() + patience;
        while !open.links.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            open = self.gone.wait_timeout(open, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
