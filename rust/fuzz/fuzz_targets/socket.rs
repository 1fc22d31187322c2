//! Any bytes as a frame of the kernel's socket: nothing panics, room is made for what comes alone, and what is read is
//! written back as it was, so that no two frames mean the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sift_kernel::socket::{Call, Hello, Malformed, Reply, Welcome};

fn check<T>(frame: &[u8], read: fn(&[u8]) -> Result<T, Malformed>, write: fn(&T, &mut Vec<u8>)) {
    if let Ok(message) = read(frame) {
        let mut again = Vec::new();
        write(&message, &mut again);
        // The length in front is the transport's: it is read before there is a frame.
        assert_eq!(again.get(4..), frame.get(4..));
    }
}

fuzz_target!(|data: &[u8]| {
    check(data, Call::read, Call::write);
    check(data, Reply::read, Reply::write);
    check(data, Hello::read, Hello::write);
    check(data, |frame| Welcome::read(frame)?.map_err(|_| Malformed), Welcome::write);
});
