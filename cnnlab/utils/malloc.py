"""glibc malloc settings that keep freed memory, for fewer page faults in large steps on CPU.

XLA's CPU client allocates a step's temporary buffers with malloc and frees them afterwards. Above
32 MB, and outside of its main arena, glibc gives such memory back to the system at once; the next
step then takes a page fault for each 4 kB of it: 9,576 a step for LeNet-5 at batch 512, which was a
fifth to two fifths of its time. Set early, these settings leave none.
"""

import ctypes
import sys

# Numbers of malloc.h: return memory from the end of the heap only above this size; never map
# large blocks one by one; all threads in the main arena, which alone can grow without bound, and
# grows by much at a time.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, ARENA_MAX = -1, -2, -3, -8
SETTINGS = {
    ARENA_MAX: 1,
    MMAP_THRESHOLD: 1 << 30,
    TRIM_THRESHOLD: (1 << 31) - 1,
    TOP_PAD: 1 << 26,
}


def keep_freed_memory() -> bool:
    """Apply the settings; return whether the C library is glibc and accepted them.

    Another C library (macOS, Windows, musl) is left alone.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return all(library.mallopt(name, value) == 1 for name, value in SETTINGS.items())
