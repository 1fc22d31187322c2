//! `kernel.toml`: what a kernel is, where its files are, and its bounds. Every bound has a default and a unit
//! in its name.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{file, KernelError, Result};
use crate::socket::SocketBounds;

/// A length of time as it is written in a setting: `30s`, `5m`, `1h`, `1d`, or `forever`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(Option<i64>);

impl Window {
    /// Milliseconds; nothing for one without end.
    pub fn ms(self) -> Option<i64> {
        self.0
    }
}

const UNITS: [(&str, i64); 4] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ms) = self.0 else { return f.write_str("forever") };
        let unit = UNITS.iter().find(|(_, length)| ms % length == 0);
        unit.map_or(Ok(()), |(unit, length)| write!(f, "{}{unit}", ms / length))
    }
}

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        if text == "forever" {
            return Ok(Self(None));
        }
        UNITS
            .iter()
            .find_map(|(unit, length)| {
                let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
                // Ten years: longer ones are mistakes, and sums of times stay far from the edge.
                (number > 0)
                    .then(|| number.checked_mul(*length))?
                    .filter(|ms| *ms <= 3_660 * 86_400_000)
            })
            .map(|ms| Self(Some(ms)))
            .ok_or_else(|| {
                format!("`{text}` is no time: write `30s`, `5m`, `1h`, `1d` or `forever`")
            })
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        Self::try_from(String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// When a permit is handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// When the receipt is on disk. The default.
    #[default]
    Durable,
    /// When the receipt is queued: a crash loses the receipts of the last commit interval, of actions that may
    /// have happened.
    Queued,
}

/// Which processes work with a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The one that opens it. The default.
    #[default]
    Single,
    /// A process of its own, which the others reach through a socket.
    Socket,
}

/// How receipts are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptClass {
    /// Each one by itself: it can be checked without the log. The default.
    #[default]
    Signed,
    /// By the checkpoint of the log alone.
    Batched,
}

/// `[request]`: what is accepted as a request.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestBounds {
    /// Most bytes of the arguments as JSON.
    pub max_bytes: usize,
    /// Deepest nesting of the arguments.
    pub max_depth: usize,
    /// Longest time between `issued_at` and `expires_at`, milliseconds.
    pub lifetime_ms: i64,
    /// How far clocks may be apart, milliseconds.
    pub skew_ms: i64,
    /// Most nonces that are remembered, for up to twice `lifetime_ms + 3 * skew_ms`; no agent has more of them than
    /// are left. One takes some 40 bytes.
    pub nonces: usize,
}

impl Default for RequestBounds {
    fn default() -> Self {
        Self {
            max_bytes: 65_536,
            max_depth: 32,
            lifetime_ms: 60_000,
            skew_ms: 5_000,
            nonces: 4_000_000,
        }
    }
}

impl RequestBounds {
    /// The longest time for which one request can be accepted, by the wall clock.
    pub fn window_ms(&self) -> i64 {
        self.lifetime_ms.saturating_add(self.skew_ms)
    }
}

/// `[lease]`: reservations.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseBounds {
    /// How long an action may take until its reservation is charged, seconds.
    pub seconds: i64,
    /// How long an ended lease is remembered, seconds.
    pub memory_seconds: i64,
    /// Most open leases, accounts and rates.
    pub entries: usize,
}

impl Default for LeaseBounds {
    fn default() -> Self {
        Self { seconds: 300, memory_seconds: 3_600, entries: 1_000_000 }
    }
}

/// `[approval]`: what waits for people.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalBounds {
    /// How long one is asked for, and how long it may then be used, seconds from the request.
    pub seconds: i64,
    /// Most approvals that wait for one agent: people who are asked too often stop reading.
    pub pending_per_agent: usize,
    /// Most approvals that wait.
    pub pending: usize,
    /// Group whose members may sign elevations; without one nobody can.
    pub elevation_group: Option<String>,
    /// Longest elevation, seconds.
    pub elevation_seconds: i64,
}

impl Default for ApprovalBounds {
    fn default() -> Self {
        Self {
            seconds: 900,
            pending_per_agent: 32,
            pending: 10_000,
            elevation_group: None,
            elevation_seconds: 3_600,
        }
    }
}

/// `[session]`: grants.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionBounds {
    /// Longest session, seconds.
    pub seconds: i64,
    /// Most sessions that are open.
    pub open: usize,
}

impl Default for SessionBounds {
    fn default() -> Self {
        Self { seconds: 86_400, open: 100_000 }
    }
}

/// `[log]`: the ledger.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogBounds {
    /// Least time from the start of one commit to that of the next, microseconds: receipts gather for it. After a
    /// pause a receipt is committed at once, and so are those of one caller alone.
    pub interval_us: u64,
    /// How long `durable()` waits, milliseconds.
    pub wait_ms: u64,
}

impl Default for LogBounds {
    fn default() -> Self {
        Self { interval_us: 400, wait_ms: 5_000 }
    }
}

/// `kernel.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whom requests and grants must be addressed to: a name of this kernel that no other one has.
    pub audience: String,
    /// Name of the log in its checkpoints, such as `example.com/actions`. No other log may ever have it.
    pub origin: String,
    /// Folder of the store and the ledger, from the folder of this file; `state` unless said otherwise.
    #[serde(default = "state")]
    pub state: PathBuf,
    /// Private key that signs receipts and permits.
    pub receipt_key: PathBuf,
    /// Its id in `keys.toml`.
    pub receipt_key_id: String,
    /// Private key that signs checkpoints.
    pub log_key: PathBuf,
    /// The one before it, while the ledger goes from one to the other: the checkpoint of that moment is signed by both.
    #[serde(default)]
    pub retiring_log_key: Option<PathBuf>,
    /// Which processes work with it.
    #[serde(default)]
    pub mode: Mode,
    /// The socket.
    #[serde(default)]
    pub socket: SocketBounds,
    /// When permits are handed out.
    #[serde(default)]
    pub release: Release,
    /// Risk tiers whose permits are handed out before their receipts are durable.
    #[serde(default)]
    pub queued_risks: Vec<String>,
    /// How receipts are signed.
    #[serde(default)]
    pub receipts: ReceiptClass,
    /// Accept requests without signature from this process. Whoever can call the kernel is then any agent.
    #[serde(default)]
    pub trust_process: bool,
    /// Where to note what was asked of the policy, arguments in clear, for `policy replay`; nowhere, when absent.
    #[serde(default)]
    pub decisions: Option<PathBuf>,
    /// How long a permit may be used, seconds.
    #[serde(default = "minute")]
    pub permit_seconds: i64,
    /// Requests.
    #[serde(default)]
    pub request: RequestBounds,
    /// Leases.
    #[serde(default)]
    pub lease: LeaseBounds,
    /// Approvals.
    #[serde(default)]
    pub approval: ApprovalBounds,
    /// Sessions.
    #[serde(default)]
    pub session: SessionBounds,
    /// The ledger.
    #[serde(default)]
    pub log: LogBounds,
}

fn state() -> PathBuf {
    PathBuf::from("state")
}

fn minute() -> i64 {
    60
}

/// What a call holds besides the arguments of an action, bytes.
const ROOM: usize = 64 << 10;

/// A day in seconds, the longest of what should be short.
const DAY: i64 = 86_400;

impl Config {
    /// Reads `kernel.toml`.
    ///
    /// Errors: no TOML, an unknown key, a bound out of its range.
    pub fn from_text(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| {
            KernelError::Config(format!("kernel.toml: {}", error.to_string().trim_end()))
        })?;
        let (request, lease, approval) = (&config.request, &config.lease, &config.approval);
        let socket = &config.socket;
        let day = DAY * 1_000;
        for (name, value, low, high) in [
            ("request.lifetime_ms", request.lifetime_ms, 1, day),
            ("request.skew_ms", request.skew_ms, 0, 300_000),
            ("request.max_bytes", size(request.max_bytes), 1, 16 << 20),
            ("request.max_depth", size(request.max_depth), 1, 128),
            ("request.nonces", size(request.nonces), 1, 1 << 30),
            ("lease.seconds", lease.seconds, 1, 30 * DAY),
            ("lease.memory_seconds", lease.memory_seconds, 1, 30 * DAY),
            ("lease.entries", size(lease.entries), 1, 1 << 30),
            ("approval.seconds", approval.seconds, 1, 30 * DAY),
            ("approval.elevation_seconds", approval.elevation_seconds, 1, 30 * DAY),
            ("session.seconds", config.session.seconds, 1, 366 * DAY),
            ("permit_seconds", config.permit_seconds, 1, DAY),
            ("socket.connections", size(socket.connections), 1, 65_536),
            ("socket.connections_per_user", size(socket.connections_per_user), 1, 65_536),
            ("socket.frame_bytes", size(socket.frame_bytes), 64 << 10, 64 << 20),
            ("socket.frame_ms", i64::try_from(socket.frame_ms).unwrap_or(i64::MAX), 10, 600_000),
            ("socket.answers", size(socket.answers), 1, 1 << 20),
        ] {
            if !(low..=high).contains(&value) {
                return Err(KernelError::Config(format!(
                    "kernel.toml: `{name}` is {value}, and must be {low} to {high}"
                )));
            }
        }
        for (name, value) in [("audience", &config.audience), ("origin", &config.origin)] {
            if value.is_empty() || value.len() > 256 || value.chars().any(char::is_control) {
                return Err(KernelError::Config(format!(
                    "kernel.toml: `{name}` must be 1 to 256 printable bytes"
                )));
            }
        }
        if let Some(word) = config
            .queued_risks
            .iter()
            .find(|risk| !["low", "medium", "high", "critical"].contains(&risk.as_str()))
        {
            return Err(KernelError::Config(format!("kernel.toml: `{word}` is no risk tier")));
        }
        socket.check()?;
        if config.mode == Mode::Socket
            && socket.frame_bytes < request.max_bytes.saturating_add(ROOM)
        {
            return Err(KernelError::Config(format!(
                "kernel.toml: `socket.frame_bytes` must be at least `request.max_bytes` and {ROOM}"
            )));
        }
        if config.mode == Mode::Socket && config.trust_process {
            return Err(KernelError::Config(
                "kernel.toml: `trust_process` is for callers in the kernel's own process, and \
                 `mode = \"socket\"` has none: take one of them out"
                    .to_owned(),
            ));
        }
        Ok(config)
    }

    /// Reads `kernel.toml` in a folder; paths in it count from there.
    ///
    /// Errors: as above, and a file that cannot be read.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join("kernel.toml");
        let text = std::fs::read_to_string(&path).map_err(|error| file(&path, "read", &error))?;
        let mut config = Self::from_text(&text)?;
        let socket = &mut config.socket.path;
        for inside in [&mut config.state, &mut config.receipt_key, &mut config.log_key, socket] {
            *inside = folder.join(&*inside);
        }
        for inside in [&mut config.decisions, &mut config.retiring_log_key].into_iter().flatten() {
            *inside = folder.join(&*inside);
        }
        Ok(config)
    }
}

/// Whether somebody else may change what a kernel believes: settings, policies, state, and where its keys are.
///
/// Errors: as for [`check_place`].
pub(crate) fn check_places(folder: &Path, config: &Config) -> Result<()> {
    let policies = folder.join("policy");
    let state = &config.state;
    let mut places = vec![folder.to_owned(), state.clone(), policies.clone()];
    for name in ["kernel.toml", "keys.toml", "budgets.toml", "tools.toml"] {
        places.push(folder.join(name));
    }
    for name in ["ledger", "kernel.lock", "kernel.sqlite", "kernel.sqlite-wal", "kernel.sqlite-shm"]
    {
        places.push(state.join(name));
    }
    // The keys themselves are looked at when they are read.
    places.extend(
        [&config.receipt_key, &config.log_key]
            .into_iter()
            .chain(&config.retiring_log_key)
            .filter_map(|key| Some(key.parent()?.to_owned())),
    );
    if let Ok(entries) = std::fs::read_dir(&policies) {
        places.extend(entries.flatten().map(|entry| entry.path()));
    }
    places.iter().try_for_each(|place| check_place(place))
}

/// Whether a file or folder is this user's own, or root's, and not for everybody to write to.
///
/// Errors: it is not, and which one. What is not there is somebody else's concern.
pub(crate) fn check_place(place: &Path) -> Result<()> {
    let Ok(known) = std::fs::metadata(place) else { return Ok(()) };
    let place = place.display();
    if known.mode() & 0o002 != 0 {
        return Err(KernelError::Config(format!(
            "everybody may write to `{place}`: take that right away with `chmod o-w`"
        )));
    }
    if known.uid() != 0 && known.uid() != rustix::process::geteuid().as_raw() {
        return Err(KernelError::Config(format!(
            "`{place}` belongs to user {}, who may change it: give it to the user of this process with `chown`",
            known.uid()
        )));
    }
    Ok(())
}

fn size(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"
        audience = "kernel.acme"
        origin = "acme.example/actions"
        receipt_key = "receipt.key"
        receipt_key_id = "kernel-1"
        log_key = "log.key"
    "#;

    #[test]
    fn little_is_enough_and_the_defaults_are_strict() {
        let config = Config::from_text(LEAST).unwrap();
        assert_eq!(config.release, Release::Durable);
        assert_eq!(config.receipts, ReceiptClass::Signed);
        assert!(!config.trust_process);
        assert_eq!(config.request.window_ms(), 65_000);
        assert!(config.approval.elevation_group.is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("release = \"never\"", "never"),
            ("trust = true", "trust"),
            ("queued_risks = [\"lo\"]", "`lo`"),
            ("permit_seconds = 0", "permit_seconds"),
            ("[request]\nlifetime_ms = 86_400_001", "request.lifetime_ms"),
            ("[request]\nnonce_cache_ms = 120_000", "nonce_cache_ms"),
            ("[request]\nskew_ms = -1", "request.skew_ms"),
            ("[lease]\nseconds = 0", "lease.seconds"),
        ] {
            let error = Config::from_text(&format!("{LEAST}{text}")).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(Config::from_text(&LEAST.replace("kernel.acme", "")).is_err());
    }

    #[test]
    fn windows_are_read_and_shown() {
        for (text, ms, shown) in [
            ("30s", Some(30_000), "30s"),
            ("60s", Some(60_000), "1m"),
            ("24h", Some(86_400_000), "1d"),
            ("forever", None, "forever"),
        ] {
            let window = Window::try_from(text.to_owned()).unwrap();
            assert_eq!((window.ms(), window.to_string().as_str()), (ms, shown));
        }
        for wrong in ["", "0s", "-1s", "1", "s", "1w", "1.5h", "99999999d", "9223372036854775807d"]
        {
            assert!(Window::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
