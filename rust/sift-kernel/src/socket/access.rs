//! Who may connect, and to do what; and whether the place of a socket is one that nobody else can take.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{file, KernelError, Result};

/// A group of operations that peers are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Ask for actions and end them: what an agent needs.
    Act,
    /// Say what came into a conversation.
    Observe,
    /// See what waits for people, and hand in what they signed.
    Approve,
    /// See how the actions of a trace are undone, and take that up.
    Rollback,
    /// Revoke and reinstate.
    Revoke,
    /// Reload files, see the books.
    Operate,
}

impl Right {
    /// As it is written in settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Observe => "observe",
            Self::Approve => "approve",
            Self::Rollback => "rollback",
            Self::Revoke => "revoke",
            Self::Operate => "operate",
        }
    }
}

const ALL: [Right; 6] =
    [Right::Act, Right::Observe, Right::Approve, Right::Rollback, Right::Revoke, Right::Operate];

/// A user or a group: its number, or its name in `/etc/passwd` or `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// The number.
    Number(u32),
    /// The name.
    Name(String),
}

/// `[[socket.peer]]`: who may do what. Both `user` and `group`, when both are named.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Of which user the process is.
    pub user: Option<Id>,
    /// Of which effective group it is; groups that it is in besides are not looked at.
    pub group: Option<Id>,
    /// What it may do.
    pub allow: BTreeSet<Right>,
}

/// `[socket]`: the door of `mode = "socket"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SocketBounds {
    /// The socket, from the folder of the settings.
    pub path: PathBuf,
    /// Most connections.
    pub connections: usize,
    /// Most connections of one user.
    pub connections_per_user: usize,
    /// Most bytes of one frame.
    pub frame_bytes: usize,
    /// How long one frame may take to come or to be taken, milliseconds.
    pub frame_ms: u64,
    /// Most answers of one client whose receipts can still be fetched; the oldest goes first.
    pub answers: usize,
    /// Who may connect: the user of the kernel's process alone, when nobody is named.
    pub peer: Vec<Peer>,
}

impl Default for SocketBounds {
    fn default() -> Self {
        Self {
            path: PathBuf::from("run/kernel.sock"),
            connections: 256,
            connections_per_user: 128,
            frame_bytes: 1 << 20,
            frame_ms: 5_000,
            answers: 1_024,
            peer: Vec::new(),
        }
    }
}

impl SocketBounds {
    /// Errors: a peer that is nobody, or may do nothing.
    pub(crate) fn check(&self) -> Result<()> {
        for peer in &self.peer {
            if (peer.user.is_none() && peer.group.is_none()) || peer.allow.is_empty() {
                return Err(KernelError::Config(
                    "kernel.toml: a `socket.peer` needs a `user` or a `group`, and what to `allow`"
                        .to_owned(),
                ));
            }
        }
        Ok(())
    }
}

/// What peers may do.
pub(super) type Rights = BTreeSet<Right>;

/// The peers of the settings, by number.
#[derive(Clone, Debug)]
pub(super) struct Access {
    entries: Vec<(Option<u32>, Option<u32>, Rights)>,
}

/// The number of a name in a file of `name:password:number:...` lines.
fn look_up(id: &Id, list: &str, what: &str) -> Result<u32> {
    let name = match id {
        Id::Number(number) => return Ok(*number),
        Id::Name(name) => name,
    };
    let text = fs::read_to_string(list).map_err(|error| file(list, "read", &error))?;
    let mut found = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)).flatten()?.parse().ok()
    });
    found.next().ok_or_else(|| {
        KernelError::Config(format!(
            "kernel.toml: `{list}` has no {what} `{name}`: write its number if it is kept elsewhere"
        ))
    })
}

impl Access {
    /// Errors: a name that is not known here.
    pub(super) fn new(peers: &[Peer], own: u32) -> Result<Self> {
        if peers.is_empty() {
            return Ok(Self { entries: vec![(Some(own), None, ALL.into())] });
        }
        let entries = peers
            .iter()
            .map(|peer| {
                let user = peer.user.as_ref().map(|id| look_up(id, "/etc/passwd", "user"));
                let group = peer.group.as_ref().map(|id| look_up(id, "/etc/group", "group"));
                Ok((user.transpose()?, group.transpose()?, peer.allow.clone()))
            })
            .collect::<Result<_>>()?;
        Ok(Self { entries })
    }

    /// What a process of this user and group may do.
    pub(super) fn rights(&self, user: u32, group: u32) -> Rights {
        let fits = |wanted: &Option<u32>, is: u32| wanted.is_none_or(|wanted| wanted == is);
        self.entries
            .iter()
            .filter(|(users, groups, _)| fits(users, user) && fits(groups, group))
            .flat_map(|(_, _, rights)| rights)
            .copied()
            .collect()
    }

    /// Whether a process of another user may connect.
    pub(super) fn others(&self, own: u32) -> bool {
        self.entries.iter().any(|(user, _, _)| *user != Some(own))
    }
}

/// A path whose folders nobody but the owners can change, and the root.
///
/// Args: the path of a socket, whose folder is there; users that are trusted with it.
///
/// Returns the path without links.
///
/// Errors: a folder that belongs to somebody else, or that others may write to. In the socket's own folder they
/// could put another socket in its place; in one above it, another folder.
pub(super) fn safe_place(path: &Path, owners: &[u32]) -> Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| KernelError::Config("the path of the socket names no file".to_owned()))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = folder.canonicalize().map_err(|error| file(folder, "open", &error))?;
    for (place, above) in folder.ancestors().enumerate() {
        let known = fs::symlink_metadata(above).map_err(|error| file(above, "look at", &error))?;
        if known.uid() != 0 && !owners.contains(&known.uid()) {
            return Err(KernelError::Config(format!(
                "`{}` belongs to user {}, who could put another socket in its place: choose another folder",
                above.display(),
                known.uid()
            )));
        }
        let sticky = place > 0 && known.mode() & 0o1000 != 0;
        if known.mode() & 0o022 != 0 && !sticky {
            return Err(KernelError::Config(format!(
                "others may write to `{}`, so they could put another socket in its place: take that right away",
                above.display()
            )));
        }
    }
    let safe = folder.join(name);
    // `sun_path` has 108 bytes, the last one zero; the server adds a few for its temporary name.
    if safe.as_os_str().len() > 96 {
        return Err(KernelError::Config(format!(
            "`{}` is too long for a Unix socket: 96 bytes are the most",
            safe.display()
        )));
    }
    Ok(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn peer(user: Option<u32>, group: Option<u32>, allow: &[Right]) -> Peer {
        Peer {
            user: user.map(Id::Number),
            group: group.map(Id::Number),
            allow: allow.iter().copied().collect(),
        }
    }

    #[test]
    fn nobody_named_is_the_own_user_alone() {
        let access = Access::new(&[], 1_000).unwrap();
        assert_eq!(access.rights(1_000, 5), ALL.into());
        assert!(access.rights(0, 0).is_empty());
        assert!(!access.others(1_000));
    }

    #[test]
    fn those_who_are_named_may_do_what_is_listed() {
        let access = Access::new(
            &[
                peer(Some(1), None, &[Right::Act]),
                peer(None, Some(7), &[Right::Observe]),
                peer(Some(2), Some(7), &[Right::Revoke]),
            ],
            1_000,
        )
        .unwrap();
        assert_eq!(access.rights(1, 1), [Right::Act].into());
        assert_eq!(access.rights(1, 7), [Right::Act, Right::Observe].into());
        assert_eq!(access.rights(2, 7), [Right::Observe, Right::Revoke].into());
        assert!(access.rights(2, 1).is_empty());
        assert!(access.rights(1_000, 1_000).is_empty());
        assert!(access.others(1_000));
    }

    #[test]
    fn names_are_looked_up() {
        let root = Id::Name("root".to_owned());
        assert_eq!(look_up(&root, "/etc/passwd", "user").unwrap(), 0);
        let nobody = Id::Name("no such user".to_owned());
        let error = look_up(&nobody, "/etc/passwd", "user").unwrap_err().to_string();
        assert!(error.contains("no user `no such user`"), "{error}");
    }

    #[test]
    fn a_place_that_others_may_change_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let own = fs::metadata(folder.path()).unwrap().uid();
        let inside = folder.path().join("run");
        fs::create_dir(&inside).unwrap();
        let socket = inside.join("kernel.sock");
        let mode = |path: &Path, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&inside, 0o755);
        assert!(safe_place(&socket, &[own]).is_ok());
        for wrong in [0o775, 0o757, 0o1777] {
            mode(&inside, wrong);
            let error = safe_place(&socket, &[own]).unwrap_err().to_string();
            assert!(error.contains("others may write"), "{wrong:o}: {error}");
        }
        mode(&inside, 0o755);
        mode(folder.path(), 0o777);
        assert!(safe_place(&socket, &[own]).is_err());
        mode(folder.path(), 0o1777);
        assert!(safe_place(&socket, &[own]).is_ok());
        let long = inside.join("x".repeat(97));
        assert!(safe_place(&long, &[own]).unwrap_err().to_string().contains("too long"));
    }
}
