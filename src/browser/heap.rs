//! The launcher bundle's allocator: takes, never gives back. That bundle runs once, for a few kilobytes, and the usual allocator with all the
//! code that frees things is a quarter of its size.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

struct Heap {
    /// Next free byte and end of what we have; both 0 at first.
    free: Cell<usize>,
    end: Cell<usize>,
}

#[global_allocator]
static HEAP: Heap = Heap {
    free: Cell::new(0),
    end: Cell::new(0),
};

// SAFETY: wasm without threads runs one thing at a time.
unsafe impl Sync for Heap {}

const PAGE: usize = 65_536;

// SAFETY: `alloc` gives out each byte once, aligned, from pages that only this allocator has asked for; nothing is freed.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut start = (self.free.get() + layout.align() - 1) & !(layout.align() - 1);
        if start + layout.size() > self.end.get() {
            // A page aligns any layout. What was left of the last one is lost, which is little.
            let pages = layout.size() / PAGE + 1;
            start = core::arch::wasm32::memory_grow::<0>(pages).wrapping_mul(PAGE);
            if start == usize::MAX.wrapping_mul(PAGE) {
                return std::ptr::null_mut();
            }
            self.end.set(start + pages * PAGE);
        }
        self.free.set(start + layout.size());
        start as *mut u8
    }

    #[inline(always)]
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
