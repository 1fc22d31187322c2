//! One end of a connection: whole frames in, whole frames out, each within its time.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{recv, send, RecvFlags, SendFlags};

use super::message::{frame_length, HEAD};

/// What a connection keeps between frames, bytes: room for an ordinary call.
const ROOM: usize = 16 << 10;

/// The least that a time-out of a socket can be; zero would be none at all.
const LEAST: Duration = Duration::from_millis(1);

/// Why no frame came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The other side is gone, or the system says no.
    Gone,
    /// It took too long.
    Slow,
    /// It is too long, or something else than a frame.
    Wrong,
}

/// What a frame could not be sent for.
pub(super) enum Unsent {
    /// Nothing of it left: the other side had gone before.
    Nothing,
    /// Some of it left, never all of it.
    Part,
}

pub(super) struct Link {
    stream: Arc<UnixStream>,
    incoming: Vec<u8>,
    /// The time-out that the socket has for reading.
    patience: Option<Duration>,
}

impl Link {
    /// Errors: the system does not take the time-out.
    pub(super) fn new(stream: Arc<UnixStream>, sending: Duration) -> io::Result<Self> {
        stream.set_write_timeout(Some(sending.max(LEAST)))?;
        Ok(Self { stream, incoming: vec![0; ROOM], patience: None })
    }

    fn be_patient(&mut self, patience: Option<Duration>) -> Result<(), Broken> {
        if patience != self.patience {
            let wanted = patience.map(|patience| patience.max(LEAST));
            self.stream.set_read_timeout(wanted).map_err(|_| Broken::Gone)?;
            self.patience = patience;
        }
        Ok(())
    }

    /// Reads one frame.
    ///
    /// Args: how long to wait for its first byte, and how long for the rest; the most bytes it may have.
    ///
    /// Nothing may follow it: the other side waits for an answer before it goes on.
    pub(super) fn receive(
        &mut self,
        first: Option<Duration>,
        rest: Duration,
        most: usize,
    ) -> Result<&[u8], Broken> {
        let mut filled = 0_usize;
        let mut until = None;
        self.be_patient(first)?;
        loop {
            if filled == self.incoming.len() {
                // Doubled as bytes come, and never for what is only announced.
                let more = self.incoming.len().saturating_mul(2).min(most.max(ROOM));
                self.incoming.resize(more, 0);
            }
            let room = self.incoming.get_mut(filled..).unwrap_or_default();
            match recv(&*self.stream, room, RecvFlags::empty()) {
                Ok((_, 0)) => return Err(Broken::Gone),
                Ok((_, got)) => filled = filled.saturating_add(got),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(Broken::Slow),
                Err(_) => return Err(Broken::Gone),
            }
            if let Some(length) = frame_length(self.incoming.get(..filled).unwrap_or_default()) {
                let length = usize::try_from(length).map_err(|_| Broken::Wrong)?;
                if length < HEAD || length > most || filled > length {
                    return Err(Broken::Wrong);
                }
                if filled == length {
                    return self.incoming.get(..length).ok_or(Broken::Wrong);
                }
            }
            if filled > 0 {
                let until = *until.get_or_insert_with(|| Instant::now() + rest);
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(Broken::Slow);
                }
                self.be_patient(Some(left))?;
            }
        }
    }

    /// Gives back the room that a large frame took.
    pub(super) fn shrink(&mut self) {
        if self.incoming.len() > ROOM {
            self.incoming = vec![0; ROOM];
        }
    }

    /// Sends one frame.
    pub(super) fn send(&self, frame: &[u8], within: Duration) -> Result<(), Unsent> {
        let mut left = frame;
        let mut until = None;
        while !left.is_empty() {
            // Without the signal that ends a process whose reader is gone: it may be an agent's.
            match send(&*self.stream, left, SendFlags::NOSIGNAL) {
                Ok(sent) => left = left.get(sent..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(_) if left.len() == frame.len() => return Err(Unsent::Nothing),
                Err(_) => return Err(Unsent::Part),
            }
            if !left.is_empty()
                && Instant::now() > *until.get_or_insert_with(|| Instant::now() + within)
            {
                return Err(Unsent::Part);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const SOON: Duration = Duration::from_millis(20);

    fn pair() -> (UnixStream, Link) {
        let (one, other) = UnixStream::pair().unwrap();
        (one, Link::new(Arc::new(other), SOON).unwrap())
    }

    fn frame(payload: usize) -> Vec<u8> {
        let mut frame = u32::try_from(payload + 1).unwrap().to_le_bytes().to_vec();
        frame.resize(payload + HEAD, 7);
        frame
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        for size in [0, 1, 100, ROOM - HEAD, ROOM, 5 * ROOM] {
            let (mut one, mut link) = pair();
            let sent = frame(size);
            let pieces = sent.clone();
            let writer = std::thread::spawn(move || {
                for piece in pieces.chunks(ROOM / 2 + 1) {
                    one.write_all(piece).unwrap();
                }
                one
            });
            let wait = Duration::from_secs(10);
            let got = link.receive(None, wait, 1 << 20).unwrap();
            assert!(got == sent.as_slice());
            link.shrink();
            assert_eq!(link.incoming.len(), ROOM);
            drop(writer.join().unwrap());
            assert_eq!(link.receive(None, wait, 1 << 20).unwrap_err(), Broken::Gone);
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_at_once() {
        let long = 1_u32 << 30;
        for bytes in [
            &[0, 0, 0, 0][..],
            &long.to_le_bytes(),
            &[255; 4],
            // One and a half.
            &[frame(3), vec![9, 0]].concat(),
        ] {
            let (mut one, mut link) = pair();
            one.write_all(bytes).unwrap();
            let error = link.receive(None, Duration::from_secs(10), 1 << 20).unwrap_err();
            assert_eq!(error, Broken::Wrong);
            assert!(link.incoming.len() <= ROOM);
        }
    }

    #[test]
    fn half_a_frame_does_not_wait_for_ever() {
        for half in [1, 4, 5, 50] {
            let (mut one, mut link) = pair();
            one.write_all(frame(100).get(..half).unwrap()).unwrap();
            assert_eq!(link.receive(None, SOON, 1 << 20).unwrap_err(), Broken::Slow);
        }
        let (_one, mut link) = pair();
        assert_eq!(link.receive(Some(SOON), SOON, 1 << 20).unwrap_err(), Broken::Slow);
    }

    #[test]
    fn nothing_and_part_of_what_is_sent_are_told_apart() {
        let (one, link) = pair();
        drop(one);
        assert!(matches!(link.send(&frame(10), SOON), Err(Unsent::Nothing)));
        // Nobody reads: the buffer of the system fills up.
        let (_one, link) = pair();
        assert!(matches!(link.send(&frame(64 << 20), SOON), Err(Unsent::Part)));
    }
}
