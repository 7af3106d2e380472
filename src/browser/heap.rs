//! The allocator: blocks of powers of two, one list of free ones a size. Some memory is lost to rounding, which a chat's few hundred kilobytes
//! can bear; the usual allocator is 2 kB more to load (brotli). The launcher bundle runs once for a moment and gives nothing back, which
//! also spares it all the code that frees things.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

const SIZES: usize = 32;
/// Smallest block: 16 bytes, which is also the largest alignment that is asked for in practice; a larger one gets a larger block.
const SMALLEST: u32 = 4;
const PAGE: usize = 65_536;

struct Heap {
    /// Next byte never used, and the end of what we have; both 0 at first.
    fresh: Cell<usize>,
    end: Cell<usize>,
    /// By the power of two: the first free block, whose first word is the next one.
    free: [Cell<usize>; SIZES],
}

#[global_allocator]
static HEAP: Heap = Heap {
    fresh: Cell::new(0),
    end: Cell::new(0),
    free: [const { Cell::new(0) }; SIZES],
};

// SAFETY: wasm without threads runs one thing at a time.
unsafe impl Sync for Heap {}

/// Power of two of the block for this layout. `None`: more than the address space.
fn power(layout: Layout) -> Option<usize> {
    let bytes = layout.size().max(layout.align());
    let power = (usize::BITS - bytes.wrapping_sub(1).leading_zeros()).max(SMALLEST) as usize;
    (power < SIZES - 1).then_some(power)
}

impl Heap {
    /// A block that was never used. 0: there is no more memory.
    fn take(&self, power: usize) -> usize {
        let size = 1 << power;
        // Blocks begin at a multiple of their size up to a page, so any alignment holds.
        let align = size.min(PAGE);
        let mut start = (self.fresh.get() + align - 1) & !(align - 1);
        if start + size > self.end.get() {
            let pages = size.div_ceil(PAGE);
            let at = core::arch::wasm32::memory_grow::<0>(pages);
            if at == usize::MAX {
                return 0;
            }
            start = at * PAGE;
            self.end.set(start + pages * PAGE);
        }
        self.fresh.set(start + size);
        start
    }
}

// SAFETY: a block is given out once until it comes back, is at least as large as asked, and is aligned to its own size (up to a page).
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(power) = power(layout) else {
            return std::ptr::null_mut();
        };
        let list = &self.free[power];
        let block = list.get();
        if block != 0 {
            // SAFETY: a free block's first word is ours (`dealloc` wrote it).
            list.set(unsafe { *(block as *const usize) });
            return block as *mut u8;
        }
        self.take(power) as *mut u8
    }

    #[cfg_attr(not(any(feature = "panel", feature = "headless")), inline(always))]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if cfg!(any(feature = "panel", feature = "headless"))
            && let Some(power) = power(layout)
        {
            let list = &self.free[power];
            // SAFETY: the block is at least 16 bytes, aligned, and nobody's now.
            unsafe { *block.cast::<usize>() = list.get() };
            list.set(block as usize);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's layout with another size; the caller guarantees that it is valid.
        let wanted = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // Rounding up left room: most growth of a string stays where it is.
        if power(wanted) == power(layout) {
            return block;
        }
        // SAFETY: both blocks are at least `min` bytes, and the new one is fresh, so they do not overlap.
        unsafe {
            let new = self.alloc(wanted);
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}
