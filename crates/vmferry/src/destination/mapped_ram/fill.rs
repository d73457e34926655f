//! Memory that is mapped from a file, as long as it is: keeps the file, and brings all pages in if it is to.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::mapping::Mapped;
use crate::control::Restore;
use crate::error::Side;
use crate::memory::populate::{HUGE_PAGE_BYTES, detach};
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};
use crate::panicking::caught;
use crate::shared::ms_since;

/// Bytes that are brought in by one call: the guest's own faults wait no longer than that takes.
const PIECE_BYTES: usize = HUGE_PAGE_BYTES;

/// Guest memory that came from a file by mapping. Dropping it ends the filling; the memory stays mapped.
#[derive(Debug)]
pub(crate) struct Restored {
    account: Arc<Mutex<Restore>>,
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Locked against writers: when a file is cut, the kernel drops what was mapped from behind its end, pages that
    /// this process has copies of as well.
    _file: Option<File>,
}

impl Restored {
    /// Nothing was mapped, and this is why.
    pub(in crate::destination) fn not_mapped(fault: String) -> Self {
        Self::kept(Restore { fault: Some(fault), ..Restore::default() }, None)
    }

    fn kept(account: Restore, file: Option<File>) -> Self {
        Self { account: Arc::new(Mutex::new(account)), stops: Arc::default(), thread: None, _file: file }
    }

    /// Keeps the file of what was `mapped`; with `fills`, until a thread has brought all of it in.
    pub(in crate::destination) fn start(mapped: Mapped, blocks: &[Arc<dyn RamBlock>], fills: bool) -> Self {
        let Mapped { file, runs, account, .. } = mapped;
        let mut restored = Self::kept(account, Some(file));
        if !fills {
            return restored;
        }
        let (account, stops, blocks) = (Arc::clone(&restored.account), Arc::clone(&restored.stops), blocks.to_vec());
        let work = move || {
            let begun = Instant::now();
            let filled = caught(Side::Destination, || Ok(fill(&runs, &blocks, &account, &stops)));
            let fault = match filled {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("the pages could not all be brought in: {error}")),
                Err(panic) => Some(panic.to_string()),
            };
            let mut account = of(&account);
            if let Some(fault) = fault {
                tracing::error!(%fault, "the guest relies on the file on which it was");
                account.fault = Some(fault);
            } else if account.is_complete() {
                account.fill_ms = Some(ms_since(begun));
                tracing::info!(bytes = account.filled_bytes, "all pages are here");
            }
        };
        match thread::Builder::new().name("fill".to_owned()).spawn(work) {
            Ok(thread) => restored.thread = Some(thread),
            Err(error) => of(&restored.account).fault = Some(format!("the pages cannot be brought in: {error}")),
        }
        restored
    }

    /// How far it is.
    pub(crate) fn account(&self) -> Restore {
        of(&self.account).clone()
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It catches panics.
            let _ = thread.join();
        }
    }
}

fn of(account: &Mutex<Restore>) -> MutexGuard<'_, Restore> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives each page of `runs` a copy of its own, in order.
fn fill(
    runs: &[(usize, usize, usize)],
    blocks: &[Arc<dyn RamBlock>],
    account: &Mutex<Restore>,
    stops: &AtomicBool,
) -> io::Result<()> {
    for (block, first, count) in runs {
        let Some(block) = blocks.get(*block) else { continue };
        let (mut page, end) = (*first, first + count);
        while page < end {
            if stops.load(Ordering::Relaxed) {
                return Ok(());
            }
            let pages = (PIECE_BYTES / TARGET_PAGE).min(end - page);
            let memory = block.run(page as u64 * TARGET_PAGE_BYTES, pages * TARGET_PAGE).map_err(io::Error::other)?;
            detach(&memory)?;
            page += pages;
            of(account).filled_bytes += (pages * TARGET_PAGE) as u64;
        }
    }
    Ok(())
}
