/* tagheap: a tagged first-fit heap. Release everything under a tag in one call. No libc.
 *
 * Made from the library's sources: change those. MIT or Apache-2.0.
 *
 * Every function that can fail answers a th_status, or a null pointer and a th_status beside it. Whatever the
 * failure, nothing was changed. No function ends the program or throws, but th_global_deallocate and
 * th_global_deallocate_pool, which say so.
 *
 * Sizes are in bytes, alignments powers of two. Tags are any 64-bit numbers but 0 and the seventeen highest, and
 * need no creation. Pointers must not be null where nothing else is said; those that are, are answered by TH_NULL.
 *
 * A heap or pool made without TH_LOCKED is for one thread at a time. With it, any thread may call, and each call
 * has it for itself; a call from a signal handler on what its thread was using is answered by TH_REENTERED.
 *
 * A pool's lock is taken before its heap's. So whoever has the heap, in a th_visit_block or in a handler that
 * interrupted a call, must use no pool with a lock: another thread may have that, and wait for the heap. Handlers may
 * use one heap, and pools of th_pool_lock_free.
 */

#ifndef TAGHEAP_H
#define TAGHEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For whoever has a compiler of C99 or C++11, on x86-64 Linux. */
#if !defined(__x86_64__) || !defined(__linux__)
#error "tagheap runs on x86-64 Linux only"
#endif


/* The three routines of the assembly heap by their own names, for programs that define TAGHEAP_NAMES and link
 * libtagheap.a; libtagheap.so has none of them. */
#if defined(TAGHEAP_NAMES)
#ifdef __cplusplus
extern "C" {
#endif
/* th_global_allocate. */
void *allocate(uint64_t pool, size_t size);
/* th_global_deallocate. */
void deallocate(void *block);
/* th_global_deallocate_pool. */
void deallocate_pool(uint64_t pool);
#ifdef __cplusplus
}
#endif
#endif


/**
 * A heap or pool that several threads use: every call has it for itself.
 */
#define TH_LOCKED 1

/**
 * A pool with pooling switched off: each request is a block of the heap's own, so that whatever watches the
 * heap sees each piece. For hunting faults.
 */
#define TH_PASS_THROUGH 2

/**
 * A heap over a reservation whose memory is to lie in pages of 2 MiB, where the kernel has them: faster for tens of
 * megabytes and more, but what lies unused between blocks is resident too.
 */
#define TH_HUGE_PAGES 8

/**
 * A pool of th_pool_classes or th_pool_priority: when all slots meant for a request are in use, it takes one that
 * is larger, or meant for less important requests.
 */
#define TH_BORROW 4

/**
 * A pool that notes how long its operations take, the last and the longest of each, and how often one takes longer
 * than it may; see th_pool_timing. Each takes some ten nanoseconds more, which do not count. What is in between
 * does, interruptions by the kernel and the wait for the pool's lock included.
 */
#define TH_TIMED 16

/**
 * How many classes a pool can have.
 */
#define TH_CLASSES 8

/**
 * What must not fail.
 */
#define TH_CRITICAL 0

/**
 * What usually comes.
 */
#define TH_NORMAL 1

/**
 * Large objects.
 */
#define TH_LARGE 2

/**
 * What goes soon.
 */
#define TH_TEMPORARY 3

/**
 * th_pool_allocate and th_pool_allocate_at.
 */
#define TH_ALLOCATE 0

/**
 * th_pool_deallocate.
 */
#define TH_DEALLOCATE 1

/**
 * th_pool_resize to as many bytes or more.
 */
#define TH_GROW 2

/**
 * th_pool_resize to fewer.
 */
#define TH_SHRINK 3

/**
 * th_pool_reset.
 */
#define TH_RESET 4

/**
 * The version of this header: major, minor and patch level in a byte each.
 */
#define TH_VERSION 256

/**
 * The tag of free blocks.
 */
#define TH_TAG_FREE 0

/**
 * The tag of the heap's own blocks.
 */
#define TH_TAG_HEAP 18446744073709551615ull

/**
 * The tag of a block around memory of somebody else's who moved the program break.
 */
#define TH_TAG_FOREIGN 18446744073709551614ull

/**
 * The tag under which the library keeps the handles of pools. Refused in requests.
 */
#define TH_TAG_LIBRARY 18446744073709551599ull

/**
 * How a call ended. Whatever it is but TH_OK, nothing was changed.
 *
 * 1 to 15: there is no memory for the request; it may succeed later.
 * 16 to 47: the caller asked for something that makes no sense.
 * 48 and more: the heap or pool is damaged: somebody wrote where only the library writes.
 */
typedef enum {
    /**
     * Done.
     */
    TH_OK = 0,
    /**
     * No address space could hold it.
     */
    TH_TOO_LARGE = 1,
    /**
     * No free block fits, and there is no more memory.
     */
    TH_NO_MEMORY = 2,
    /**
     * There is no memory for the heap's indexes. Heaps in buffers below 64 KiB have none.
     */
    TH_NO_INDEX = 3,
    /**
     * The tag would hold more than its limit allows.
     */
    TH_LIMIT = 4,
    /**
     * The pool is full, or has not so much left in one piece.
     */
    TH_FULL = 5,
    /**
     * The pool serves no request so large.
     */
    TH_OVERSIZED = 6,
    /**
     * The pool serves no request so strictly aligned.
     */
    TH_OVERALIGNED = 7,
    /**
     * The array for what is to be told has no room for all of it.
     */
    TH_NO_ROOM = 8,
    /**
     * The tag is 0 or one of the seventeen highest numbers, which are the heap's and the library's own.
     */
    TH_RESERVED_TAG = 16,
    /**
     * The pointer lies outside the heap.
     */
    TH_NOT_FROM_HERE = 17,
    /**
     * The pointer lies in the heap, but no block starts there.
     */
    TH_NOT_A_BLOCK = 18,
    /**
     * The block was deallocated before.
     */
    TH_DOUBLE_FREE = 19,
    /**
     * The block went when its tag was released.
     */
    TH_RELEASED = 20,
    /**
     * The size is not the one that was asked for.
     */
    TH_SIZE_MISMATCH = 21,
    /**
     * The alignment is not one that the block has.
     */
    TH_ALIGN_MISMATCH = 22,
    /**
     * The block belongs to another tag than the caller named.
     */
    TH_TAG_MISMATCH = 23,
    /**
     * The mark is too old.
     */
    TH_STALE_MARK = 24,
    /**
     * A resize goes the wrong way.
     */
    TH_WRONG_WAY = 25,
    /**
     * This thread is using the heap or pool already: a callback or a signal handler came back to it.
     */
    TH_REENTERED = 26,
    /**
     * A pool owns the tag; or, when a pool is to own it, somebody holds blocks under it.
     */
    TH_TAG_IN_USE = 27,
    /**
     * A piece of a stack is given back before those that were put on it later.
     */
    TH_OUT_OF_ORDER = 28,
    /**
     * A pointer is null that must not be.
     */
    TH_NULL = 32,
    /**
     * The pointer is no heap or pool, or one that was destroyed, as far as there is memory to read: a pool's is its heap's,
     * which th_trim and th_purge may give to the kernel.
     */
    TH_NOT_A_HANDLE = 33,
    /**
     * The alignment is no power of two.
     */
    TH_BAD_ALIGN = 34,
    /**
     * A flag is not known here.
     */
    TH_BAD_FLAGS = 35,
    /**
     * The text is not UTF-8.
     */
    TH_BAD_TEXT = 36,
    /**
     * A pool with a lock is to be made on a heap without one.
     */
    TH_NOT_LOCKED = 37,
    /**
     * Somebody else owns the program break: the libc, or another heap of this library's.
     */
    TH_BREAK_OWNED = 38,
    /**
     * The call is not for this kind of pool.
     */
    TH_WRONG_KIND = 39,
    /**
     * A number is outside its range.
     */
    TH_OUT_OF_RANGE = 40,
    /**
     * A block's header is damaged.
     */
    TH_DAMAGED_HEADER = 48,
    /**
     * The heap's first block is damaged.
     */
    TH_DAMAGED_ROOT = 49,
    /**
     * Two free blocks touch that should be one.
     */
    TH_DAMAGED_ORDER = 50,
    /**
     * An index of the heap disagrees with its blocks.
     */
    TH_DAMAGED_INDEX = 51,
    /**
     * The numbers of a tag disagree with its blocks.
     */
    TH_DAMAGED_ACCOUNT = 52,
    /**
     * Somebody moved the program break below the heap's end.
     */
    TH_BREAK_MOVED = 53,
    /**
     * What a pool notes about its memory is damaged.
     */
    TH_DAMAGED_POOL = 54,
} th_status;

/**
 * A heap of tagged blocks.
 *
 * Made by th_heap_reserve, th_heap_in_buffer or th_heap_at_break, ended by th_heap_destroy.
 */
typedef struct th_heap th_heap;

/**
 * A pool: hands out pieces of the memory that it takes from a heap under a tag which is its own.
 *
 * Made by th_pool_fixed and the like, ended by th_pool_destroy, or by th_heap_destroy with its heap.
 */
typedef struct th_pool th_pool;

/**
 * Blocks and their bytes, headers included.
 */
typedef struct {
    /**
     * How many blocks.
     */
    size_t blocks;
    /**
     * Their bytes, headers of 32 bytes included.
     */
    size_t bytes;
} th_amount;

/**
 * A moment in a heap's life, see th_mark.
 */
typedef struct {
    /**
     * The heap's own.
     */
    uint64_t opaque;
} th_moment;

/**
 * Numbers about a whole heap.
 */
typedef struct {
    /**
     * Blocks under users' tags, handles of pools among them.
     */
    th_amount used;
    /**
     * Free blocks.
     */
    th_amount free;
    /**
     * Blocks of the heap's own.
     */
    th_amount own;
    /**
     * Bytes of the largest free block, header included.
     */
    size_t largest_free;
    /**
     * Bytes of all blocks together.
     */
    size_t row;
    /**
     * Bytes that the heap has had from where its memory comes from.
     */
    size_t granted;
} th_stats;

/**
 * Numbers about a tag. Those that count survive a release, until the tag is forgotten.
 */
typedef struct {
    /**
     * The tag.
     */
    uint64_t tag;
    /**
     * Blocks it holds.
     */
    size_t blocks;
    /**
     * Their bytes, headers included.
     */
    size_t bytes;
    /**
     * Bytes that were asked for in them.
     */
    size_t requested;
    /**
     * The most that `bytes` ever was, or since the peak was reset.
     */
    size_t peak;
    /**
     * Blocks handed out.
     */
    uint64_t allocations;
    /**
     * Blocks given back, one by one or by a release.
     */
    uint64_t deallocations;
    /**
     * Requests for which there was no memory.
     */
    uint64_t failures;
    /**
     * Bytes of the largest request met.
     */
    size_t largest;
    /**
     * The most that `bytes` may be; SIZE_MAX if there is no limit.
     */
    size_t limit;
    /**
     * Its name, ended by a zero byte; empty unless it was named.
     */
    char name[32];
} th_tag_stats;

/**
 * What a release would do.
 */
typedef struct {
    /**
     * What it would free.
     */
    th_amount amount;
    /**
     * Bytes by which the row of blocks would get shorter.
     */
    size_t shorter;
} th_forecast;

/**
 * A block as a walk sees it.
 */
typedef struct {
    /**
     * What its holder has a pointer to. Not to be followed by others.
     */
    const void *payload;
    /**
     * Bytes of payload.
     */
    size_t usable;
    /**
     * Whose it is; TH_TAG_FREE if it is free.
     */
    uint64_t tag;
} th_block;

/**
 * Sees a block, and says whether to go on. The heap is busy meanwhile: calls on it answer TH_REENTERED. It returns
 * as functions do: no longjmp, no exception.
 */
typedef bool (*th_visit_block)(const th_block *block, void *context);

/**
 * Sees a tag's numbers, and says whether to go on; as th_visit_block.
 */
typedef bool (*th_visit_tag)(const th_tag_stats *stats, void *context);

/**
 * How the numbers about a tag changed between two moments.
 *
 * Blocks that were retagged or merged in between are fewer of one tag and more of another, and count as neither
 * allocations nor deallocations. A tag that was forgotten in between counted anew from there on: what is told of its
 * counters is less than what happened then. What is held is exact.
 */
typedef struct {
    /**
     * The tag.
     */
    uint64_t tag;
    /**
     * Blocks that it holds more, or fewer.
     */
    ptrdiff_t blocks;
    /**
     * Their bytes, headers included.
     */
    ptrdiff_t bytes;
    /**
     * Bytes that were asked for in them.
     */
    ptrdiff_t requested;
    /**
     * Blocks handed out.
     */
    uint64_t allocations;
    /**
     * Blocks given back, one by one or by a release.
     */
    uint64_t deallocations;
    /**
     * Requests for which there was no memory.
     */
    uint64_t failures;
    /**
     * Its name, or the one it had earlier, ended by a zero byte; empty unless it was named.
     */
    char name[32];
} th_change;

/**
 * Sees how a tag's numbers changed, and says whether to go on. It may use the heap.
 */
typedef bool (*th_visit_change)(const th_change *change, void *context);

/**
 * Numbers about a pool, in bytes, or in slots where its memory is equal slots.
 */
typedef struct {
    /**
     * Whether the numbers are slots.
     */
    bool slots;
    /**
     * What can be in use at most: the bound; without one, what the pool has taken from the heap so far.
     */
    size_t total;
    /**
     * What is in use.
     */
    size_t used;
    /**
     * The most that was ever in use.
     */
    size_t peak;
    /**
     * Requests served.
     */
    uint64_t allocations;
    /**
     * Pieces given back, one by one or by a reset.
     */
    uint64_t deallocations;
    /**
     * Requests refused.
     */
    uint64_t failures;
} th_usage;

/**
 * Told that a pool fills up: its tag, its numbers, and the `context` it was made with, each time what is in use
 * reaches so many percent of the `total` in its numbers from below. Pools of th_pool_blocks, and all with
 * TH_PASS_THROUGH, call only if they have a bound.
 *
 * Called in the request that reached it, be it in a signal handler, when all is in order but the piece is not handed
 * out yet. It may use other pools, and the heap. Its own pool is busy: with a lock, all calls on it answer
 * TH_REENTERED but those about its tag or its times; without, those that reset, rewind or end it, and so does
 * th_heap_destroy. It returns as functions do: no longjmp, no exception.
 */
typedef void (*th_alarm)(uint64_t tag, const th_usage *usage, void *context);

/**
 * Settings of a pool. All zero is a pool without a bound, for one thread, which calls nobody.
 */
typedef struct {
    /**
     * Some of TH_LOCKED, TH_PASS_THROUGH, TH_BORROW and TH_TIMED, or 0.
     */
    uint32_t flags;
    /**
     * Bytes of payload that the pool may take from its heap; 0 for as many as it likes.
     */
    size_t bound;
    /**
     * Whom the pool calls at its watermark, or null.
     */
    th_alarm alarm;
    /**
     * What it is called with besides. The caller's own, or null.
     */
    void *context;
    /**
     * The watermark: so many percent of what the pool can have in use at most. 0 stands for 90.
     */
    uint32_t percent;
} th_pool_options;

/**
 * Slots of one size.
 */
typedef struct {
    /**
     * Bytes of a slot. 0 counts as 1.
     */
    size_t size;
    /**
     * How many slots.
     */
    size_t slots;
} th_class;

/**
 * A moment in a pool's life, see th_pool_mark.
 */
typedef struct {
    /**
     * The pool's own.
     */
    uint64_t opaque[6];
} th_pool_moment;

/**
 * How long something took.
 */
typedef struct {
    /**
     * Cycles of the time-stamp counter, which runs at a constant rate.
     */
    uint64_t cycles;
    /**
     * Nanoseconds.
     */
    uint64_t nanoseconds;
} th_elapsed;

/**
 * How long an operation of a pool took, whether it succeeded or not.
 */
typedef struct {
    /**
     * The last one; 0 if there was none.
     */
    th_elapsed last;
    /**
     * The longest one.
     */
    th_elapsed longest;
    /**
     * What it may take; 0 if nobody said.
     */
    th_elapsed limit;
    /**
     * How often it took longer.
     */
    uint64_t exceeded;
} th_timing;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * A heap over a reservation of address space of its own, committed as the heap grows.
 *
 * For every hosted program. `capacity` is the most that the heap can have, in bytes, rounded up to whole pages;
 * 0 for 64 GiB, or what the process may have of that. `flags` is 0 or some of
 * TH_LOCKED, without which the heap is for one thread at a time, and TH_HUGE_PAGES.
 *
 * The heap is the caller's to destroy. Null on failure; `why`, unless it is null, gets the status: TH_NO_MEMORY,
 * TH_TOO_LARGE, TH_BAD_FLAGS.
 */
th_heap *th_heap_reserve(size_t capacity,
                         uint32_t flags,
                         th_status *why);

/**
 * Bytes that a heap's handle takes from the buffer it is made in, besides what its alignment to 16 skips.
 */
size_t th_heap_size(void);

/**
 * A heap in the caller's own bytes: first its handle, see th_heap_size, then its memory. Without TH_LOCKED, no
 * system call is made.
 *
 * The bytes, whatever they hold, are the heap's until it is destroyed, and the caller's again then. Where 64 KiB
 * and more lie behind the handle, a twelfth of them and 4 KiB are the heap's indexes; smaller buffers have
 * none: a heap in one scans its blocks, and knows no limits, names or marks. `flags` is TH_LOCKED or 0.
 *
 * Null on failure; `why`, unless it is null, gets the status: TH_NO_MEMORY if the bytes are too few, TH_NULL,
 * TH_BAD_FLAGS.
 */
th_heap *th_heap_in_buffer(void *bytes,
                           size_t size,
                           uint32_t flags,
                           th_status *why);

/**
 * The heap at the program break, of which a program has one at a time.
 *
 * In a program without libc: from now on nobody else moves the break, by whatever system call, nor does a
 * child that shares this process's memory. In a program with a libc, which owns the break, it is
 * refused: TH_BREAK_OWNED. Of a library built with the feature `take-over`, it takes the break over from glibc
 * instead: glibc's malloc uses mappings from then on. That works before any thread is started only.
 *
 * `flags` is TH_LOCKED or 0. Null on failure; `why`, unless it is null, gets the status: TH_BREAK_OWNED,
 * TH_NO_MEMORY, TH_BAD_FLAGS.
 */
th_heap *th_heap_at_break(uint32_t flags,
                          th_status *why);

/**
 * Ends a heap and all pools on it. Nobody uses its blocks any more, nor its handle. Null is no error.
 *
 * A reservation goes back to the kernel, a buffer to the caller; at the break, what is behind the blocks goes
 * back, and the rest stays the process's. TH_REENTERED from inside a callback of this heap's or of a pool's on it,
 * TH_NOT_A_HANDLE for what is none.
 */
th_status th_heap_destroy(th_heap *heap);

/**
 * Takes the heap's lock ahead of a fork, so that no other thread holds it in the child.
 *
 * Call it before fork, and th_heap_after_fork behind it in the parent and in the child; pthread_atfork takes the
 * three. Pools' locks are taken before their heap's. TH_REENTERED if this thread has the lock already. Nothing
 * is done without TH_LOCKED.
 */
th_status th_heap_before_fork(th_heap *heap);

/**
 * Gives the lock back that th_heap_before_fork took: once in the parent, and once in the child.
 */
th_status th_heap_after_fork(th_heap *heap);

/**
 * Says that there is one thread in this program, first of all: locks take it for that and ask no kernel, so that a heap
 * or pool with TH_LOCKED in a buffer needs none. O(1).
 *
 * Answers whether that is so from now on: false once a lock was used. If there are more threads after all, one that
 * would have to wait gets TH_REENTERED, and none enters while another is there.
 */
bool th_assume_one_thread(void);

/**
 * Allocates `size` bytes under `tag`, aligned to `align`, a power of two, and to 16 at least.
 *
 * The lowest free block that fits is taken; it costs a header of 32 bytes, and sizes are rounded up to 16. A size
 * of 0 gets a block of its own. The bytes hold whatever was there. The block is the caller's until he gives it
 * back, its tag is released, or the heap is destroyed.
 *
 * Null on failure; `why`, unless it is null, gets the status, and `errno`, in a program that has one, ENOMEM,
 * EINVAL, EDEADLK or EFAULT: TH_NO_MEMORY, TH_TOO_LARGE, TH_LIMIT, TH_NO_INDEX; TH_BAD_ALIGN, TH_RESERVED_TAG,
 * TH_TAG_IN_USE if a pool owns the tag, TH_REENTERED; TH_DAMAGED_HEADER and the like.
 */
void *th_allocate(th_heap *heap,
                  uint64_t tag,
                  size_t size,
                  size_t align,
                  th_status *why);

/**
 * As th_allocate, with all bytes zero.
 */
void *th_allocate_zeroed(th_heap *heap, uint64_t tag, size_t size, size_t align, th_status *why);

/**
 * Gives a block back. A null block is no error.
 *
 * Misuse is found, and changes nothing, as long as the address was not given to somebody else meanwhile:
 * TH_NOT_FROM_HERE, TH_NOT_A_BLOCK, TH_DOUBLE_FREE, TH_RELEASED, TH_TAG_IN_USE for a pool's block. TH_DAMAGED_HEADER
 * if its header or a neighbour's is damaged; TH_REENTERED.
 */
th_status th_deallocate(th_heap *heap,
                        void *block);

/**
 * As th_deallocate, for a caller who knows the size and alignment that he asked for: TH_SIZE_MISMATCH or
 * TH_ALIGN_MISMATCH if the block is not such a one.
 */
th_status th_deallocate_sized(th_heap *heap, void *block, size_t size, size_t align);

/**
 * As th_deallocate, for a caller who knows whose the block is: TH_TAG_MISMATCH if it is another's.
 */
th_status th_deallocate_in(th_heap *heap, uint64_t tag, void *block);

/**
 * Makes a block larger or smaller, for `size` bytes aligned to `align`: in place where the blocks around allow it,
 * else in a new block, to which the bytes that both were asked for are copied.
 *
 * The answer is the block from now on. Null on failure, as for th_allocate and th_deallocate, and TH_NULL for a
 * null block; the block stays as it was then.
 */
void *th_resize(th_heap *heap,
                void *block,
                size_t size,
                size_t align,
                th_status *why);

/**
 * As th_resize, with all bytes behind those that the old block was asked for zero.
 */
void *th_resize_zeroed(th_heap *heap, void *block, size_t size, size_t align, th_status *why);

/**
 * Gives a block to another tag. Fails as th_deallocate does, with TH_NULL for a null block, and with TH_RESERVED_TAG,
 * TH_TAG_IN_USE, TH_LIMIT or TH_NO_INDEX for the new tag.
 */
th_status th_retag(th_heap *heap,
                   void *block,
                   uint64_t tag);

/**
 * Whether a block that somebody holds starts at this address. False on failure too.
 */
bool th_contains(const th_heap *heap, const void *block);

/**
 * Whose a block is, to `tag`, be it a pool's. Fails as th_deallocate does otherwise, and with TH_NULL for a
 * null block.
 */
th_status th_tag_of(const th_heap *heap, const void *block, uint64_t *tag);

/**
 * Bytes that a block has, at least as many as were asked for, to `size`. Fails as th_tag_of does.
 */
th_status th_usable_size(const th_heap *heap, const void *block, size_t *size);

/**
 * Bytes that were asked for in a block, to `size`. Fails as th_tag_of does.
 */
th_status th_requested_size(const th_heap *heap, const void *block, size_t *size);

/**
 * The number of a tag that is named: up to eight printable ASCII bytes of the text, the first the highest.
 *
 * Such tags print as their names, and sort as them. 0, which is no tag, for a null pointer or an empty text.
 */
uint64_t th_tag_named(const char *name);

/**
 * Frees every block under a tag. Nobody uses them any more.
 *
 * `released`, unless it is null, gets how many they were; a tag without blocks is no error. O(blocks of the tag).
 * TH_RESERVED_TAG, TH_TAG_IN_USE if a pool owns the tag, TH_REENTERED, TH_DAMAGED_HEADER: nothing is freed then.
 */
th_status th_release(th_heap *heap,
                     uint64_t tag,
                     th_amount *released);

/**
 * As th_release, for all tags from `first` to `last`, both included, but those that are reserved or owned by pools,
 * which stay. O(tags that have numbers, and blocks of the range).
 */
th_status th_release_range(th_heap *heap,
                           uint64_t first,
                           uint64_t last,
                           th_amount *released);

/**
 * Marks this moment, to `moment`; for th_release_since.
 */
th_status th_mark(th_heap *heap, th_moment *moment);

/**
 * As th_release, for the blocks that were allocated since a moment. TH_STALE_MARK for one too long ago, or of
 * another heap, as far as that shows; TH_NO_INDEX where the heap has none.
 */
th_status th_release_since(th_heap *heap, uint64_t tag, th_moment moment, th_amount *released);

/**
 * Gives all blocks under one tag to another. `moved`, unless it is null, gets how many they were.
 *
 * TH_RESERVED_TAG, TH_TAG_IN_USE for either; TH_LIMIT, TH_NO_INDEX, TH_REENTERED, TH_DAMAGED_HEADER.
 */
th_status th_merge(th_heap *heap, uint64_t from, uint64_t to, th_amount *moved);

/**
 * Lets a tag hold at most so many bytes, headers included; SIZE_MAX for as many as it likes.
 *
 * A request beyond is TH_LIMIT. What the tag holds already it keeps. For a pool's tag, too.
 * TH_RESERVED_TAG, TH_NO_INDEX, TH_REENTERED on failure.
 */
th_status th_set_limit(th_heap *heap, uint64_t tag, size_t bytes);

/**
 * Calls a tag by a name besides: UTF-8 that ends with a zero byte, of which up to 31 bytes are kept; a control
 * character becomes `?`.
 *
 * TH_NULL, TH_BAD_TEXT, TH_RESERVED_TAG, TH_NO_INDEX, TH_REENTERED on failure.
 */
th_status th_set_name(th_heap *heap,
                      uint64_t tag,
                      const char *name);

/**
 * Lets a tag's peak begin anew, at what it holds now.
 */
th_status th_reset_peak(th_heap *heap, uint64_t tag);

/**
 * Forgets a tag's numbers, name and limit, if it holds no blocks.
 */
th_status th_forget(th_heap *heap, uint64_t tag);

/**
 * Numbers about the whole heap, to `stats`. O(blocks). TH_DAMAGED_HEADER, TH_REENTERED on failure.
 */
th_status th_stats_of_heap(const th_heap *heap, th_stats *stats);

/**
 * Numbers about a tag, to `stats`; for one that was never used all zero but `tag` and `limit`. O(1), but in
 * a heap without indexes, where blocks are counted and what else is kept by tag is as for one never used.
 */
th_status th_stats_of_tag(const th_heap *heap, uint64_t tag, th_tag_stats *stats);

/**
 * What th_release of a tag would do, to `forecast`; nothing is done. O(blocks).
 */
th_status th_would_release(const th_heap *heap, uint64_t tag, th_forecast *forecast);

/**
 * Whose block is the last in use, so that memory behind it alone can go back, to `tag`; 0 if nobody's. O(blocks).
 */
th_status th_pinned_by(const th_heap *heap,
                       uint64_t *tag);

/**
 * Calls `visit` with each block and `context`, in the order of addresses, until it answers false. O(blocks).
 *
 * TH_OK at the end, or when `visit` ended it. TH_DAMAGED_HEADER at the first damage; TH_NULL, TH_REENTERED.
 */
th_status th_walk(const th_heap *heap, th_visit_block visit, void *context);

/**
 * Calls `visit` with the numbers of each tag that was used and not forgotten, and `context`, in no order, until it
 * answers false. A heap without indexes knows of none.
 */
th_status th_tags(const th_heap *heap,
                  th_visit_tag visit,
                  void *context);

/**
 * Checks everything: the memory, every header, every index and number. O(blocks). TH_OK, or the first damage.
 */
th_status th_check(const th_heap *heap);

/**
 * Gives memory behind the last block back to the kernel, in whole pages; `bytes`, unless it is null, gets how much.
 */
th_status th_trim(th_heap *heap,
                  size_t *bytes);

/**
 * Gives every whole page that no block in use needs back to the kernel: those behind the last block, as th_trim does,
 * and those inside free blocks, which are touched anew when they are handed out again. A system call for each free
 * block with a page in it. What was known of blocks freed there is lost: freeing one once more is TH_NOT_A_BLOCK, no
 * longer TH_DOUBLE_FREE. `bytes`, unless it is null, gets how much.
 */
th_status th_purge(th_heap *heap,
                   size_t *bytes);

/**
 * A table in text: blocks and bytes by tag, and its name where it has one. Written as snprintf writes: at most
 * `capacity` bytes to `text`, a zero byte at the end; `length`, unless it is null, gets the bytes that all of it has
 * without that. `text` may be null if `capacity` is 0. O(blocks and tags).
 */
th_status th_table(const th_heap *heap,
                   char *text,
                   size_t capacity,
                   size_t *length);

/**
 * A picture of the row of blocks in text: each its tag and bytes, free ones in brackets. As th_table.
 */
th_status th_drawing(const th_heap *heap, char *text, size_t capacity, size_t *length);

/**
 * What last went wrong on this heap or its pools, in whichever thread, in one line of text for people: with
 * addresses, tags and sizes. As th_table; empty if nothing went wrong so far.
 */
th_status th_last_error(const th_heap *heap, char *text, size_t capacity, size_t *length);

/**
 * Numbers about every tag that was used and not forgotten, in the order of tags: to `tags`, which has room for `capacity`
 * of them, and to `count` how many they are. For th_changes and th_change_table. Changes no number.
 *
 * In a heap without indexes, the tags that hold blocks; O(tags * blocks) there. TH_NO_ROOM if they are more than there is
 * room for: `count` gets how many there are at least, and what is in `tags` is nothing's then. `tags` may be null if
 * `capacity` is 0. TH_NULL, TH_REENTERED, TH_DAMAGED_HEADER.
 */
th_status th_snapshot(const th_heap *heap,
                      th_tag_stats *tags,
                      size_t capacity,
                      size_t *count);

/**
 * Calls `visit` with how each tag's numbers changed from `earlier` to `later`, as far as any did, and `context`, until it
 * answers false: what holds the most bytes more comes first, what holds the most bytes less last.
 *
 * Both are arrays that th_snapshot filled, or parts of them in their order, with so many tags; null if that is 0.
 * TH_NULL.
 */
th_status th_changes(const th_tag_stats *earlier,
                     size_t earlier_count,
                     const th_tag_stats *later,
                     size_t later_count,
                     th_visit_change visit,
                     void *context);

/**
 * A table in text of what th_changes tells, and of all together. As th_table.
 */
th_status th_change_table(const th_tag_stats *earlier,
                          size_t earlier_count,
                          const th_tag_stats *later,
                          size_t later_count,
                          char *text,
                          size_t capacity,
                          size_t *length);

/**
 * A pool that is no more than a tag of its own: each piece is a block of the heap's, with a header of 32 bytes.
 *
 * For all kinds of pools:
 *
 * The pool takes its memory from `heap` under `tag`, which is its own as long as it lives: blocks under the tag
 * are neither handed out, given back, released nor retagged by the heap's own functions then, which answer
 * TH_TAG_IN_USE. `options` may be null. The heap is destroyed after its pools or with them. Without TH_LOCKED,
 * a pool is for one thread at a time.
 *
 * Null on failure; `why`, unless it is null, gets the status: TH_NO_MEMORY and the like, TH_RESERVED_TAG,
 * TH_TAG_IN_USE if somebody holds blocks under the tag, TH_NOT_LOCKED, TH_BAD_FLAGS, TH_OUT_OF_RANGE for more than
 * 100 percent.
 */
th_pool *th_pool_blocks(th_heap *heap,
                        uint64_t tag,
                        const th_pool_options *options,
                        th_status *why);

/**
 * A pool of `slots` equal slots, each for up to `size` bytes aligned to `align`. Takes all its memory now.
 *
 * A request takes one slot, whatever its size. Double frees, interior and foreign pointers are found.
 * TH_BAD_ALIGN besides.
 */
th_pool *th_pool_fixed(th_heap *heap,
                       uint64_t tag,
                       size_t size,
                       size_t align,
                       size_t slots,
                       const th_pool_options *options,
                       th_status *why);

/**
 * As th_pool_fixed, but takes a chunk of at least `slots` slots whenever none is free.
 */
th_pool *th_pool_fixed_growing(th_heap *heap,
                               uint64_t tag,
                               size_t size,
                               size_t align,
                               size_t slots,
                               const th_pool_options *options,
                               th_status *why);

/**
 * As th_pool_fixed, for threads and signal handlers that take and give back slots at once, without a lock.
 *
 * Its heap has a lock if several threads use the pool; that is for reset, check and destroy. It needs no TH_LOCKED.
 * With TH_PASS_THROUGH it has a lock, and is not for signal handlers.
 */
th_pool *th_pool_lock_free(th_heap *heap,
                           uint64_t tag,
                           size_t size,
                           size_t align,
                           size_t slots,
                           const th_pool_options *options,
                           th_status *why);

/**
 * A pool that only moves a cursor through chunks that double: an arena.
 *
 * Pieces of any size and alignment, without headers. The last one can be given back and resized in place; what
 * others give back stays in use until a reset or a rewind. A reset keeps the newest chunk.
 */
th_pool *th_pool_bump(th_heap *heap,
                      uint64_t tag,
                      const th_pool_options *options,
                      th_status *why);

/**
 * A pool for objects of any size that come and go and all go at once in the end: as fast as an arena, and single
 * pieces are given back.
 *
 * Pieces of up to 32 KiB, rounded up to one of a row of sizes, come from chunks that grow with the pool; what is
 * given back serves the next request of its size. Larger ones are blocks of the heap's own. A reset keeps the
 * chunks, unless larger ones are out: then all goes back.
 * Double frees, interior and foreign pointers are found.
 */
th_pool *th_pool_size_classes(th_heap *heap,
                              uint64_t tag,
                              const th_pool_options *options,
                              th_status *why);

/**
 * As th_pool_size_classes, but the first chunk has `bytes` bytes, header and notes and all, if the pool and the heap have
 * that: what the pool will usually hold, and a twelfth. The next three have room for four times as many bytes of pieces as
 * the one before, those behind twice.
 *
 * From 1 KiB to 1 TiB, rounded down to 16; what is less or more counts as these. With th_pool_size_classes a chunk has
 * 16 KiB at first, or as many bytes as the tag held at most before, up to 1 MiB; 16 KiB in a buffer.
 */
th_pool *th_pool_size_classes_with_chunk(th_heap *heap,
                                         uint64_t tag,
                                         size_t bytes,
                                         const th_pool_options *options,
                                         th_status *why);

/**
 * A stack of `bytes` bytes, in one block of the heap's: the piece put on last is given back first.
 *
 * Sizes are rounded up to 8. A piece given back out of order is TH_OUT_OF_ORDER. Only the piece on top grows.
 */
th_pool *th_pool_stack(th_heap *heap,
                       uint64_t tag,
                       size_t bytes,
                       const th_pool_options *options,
                       th_status *why);

/**
 * As th_pool_stack, with a limit: a request of more than `limit` bytes is TH_OVERSIZED, whatever room there is.
 *
 * Without one, the limit is all that the stack has.
 */
th_pool *th_pool_stack_with_limit(th_heap *heap,
                                  uint64_t tag,
                                  size_t bytes,
                                  size_t limit,
                                  const th_pool_options *options,
                                  th_status *why);

/**
 * `bytes` bytes, in one block of the heap's, divided into pieces of any size that come back in any order.
 *
 * A request takes the lowest free place that fits; sizes are rounded up to 16, and nothing stands in front of a
 * piece. Double frees, interior and foreign pointers are found.
 */
th_pool *th_pool_free_list(th_heap *heap,
                           uint64_t tag,
                           size_t bytes,
                           const th_pool_options *options,
                           th_status *why);

/**
 * A buddy system over `bytes` bytes, in one block of the heap's: pieces are powers of two, down to `smallest`.
 *
 * Both numbers are rounded up to a power of two, the second to 16 at least. A call takes O(log blocks) at most.
 * Double frees, interior and foreign pointers are found.
 */
th_pool *th_pool_buddy(th_heap *heap,
                       uint64_t tag,
                       size_t bytes,
                       size_t smallest,
                       const th_pool_options *options,
                       th_status *why);

/**
 * A pool of slots in several sizes: `count` classes, from 1 to TH_CLASSES. Takes all its memory now.
 *
 * A request takes a slot of the smallest class that fits; when that is full it is refused, or with TH_BORROW takes
 * a slot of the next larger class that has one. Slots are aligned to the largest power of two, up to 4096, that
 * divides their size. TH_OUT_OF_RANGE besides.
 */
th_pool *th_pool_classes(th_heap *heap,
                         uint64_t tag,
                         const th_class *classes,
                         size_t count,
                         const th_pool_options *options,
                         th_status *why);

/**
 * A pool of slots for four levels of importance, so that requests of one leave those of others alone.
 *
 * `levels` says the size and count of slots for each, TH_CRITICAL first; null for 64 slots of 32 bytes, 32 of 128, 8
 * of 1024 and 16 of 256. Requests name their level by th_pool_allocate_at; those that name none are TH_TEMPORARY.
 * When a level is full, a request to it is refused, or with TH_BORROW takes a slot of a less important one. Takes
 * all its memory now.
 */
th_pool *th_pool_priority(th_heap *heap,
                          uint64_t tag,
                          const th_class *levels,
                          const th_pool_options *options,
                          th_status *why);

/**
 * Hands out a piece of `size` bytes, aligned to `align`, a power of two. A size of 0 gets a piece of its own.
 *
 * The piece is the caller's until it is given back, the pool is reset or destroyed, or its heap is.
 * Null on failure; `why`, unless it is null, gets the status: TH_FULL, TH_NO_MEMORY and the like,
 * TH_OVERSIZED, TH_OVERALIGNED, TH_BAD_ALIGN, TH_REENTERED.
 */
void *th_pool_allocate(th_pool *pool, size_t size, size_t align, th_status *why);

/**
 * As th_pool_allocate, for a request of a level, from a pool of th_pool_priority: TH_CRITICAL, TH_NORMAL, TH_LARGE or
 * TH_TEMPORARY. TH_WRONG_KIND, TH_OUT_OF_RANGE besides.
 */
void *th_pool_allocate_at(th_pool *pool,
                          uint32_t level,
                          size_t size,
                          size_t align,
                          th_status *why);

/**
 * Gives a piece back, with the size and alignment it was asked for with. A null piece is no error.
 *
 * What is found to be misuse, each kind says; TH_NOT_FROM_HERE, TH_NOT_A_BLOCK, TH_DOUBLE_FREE,
 * TH_SIZE_MISMATCH, TH_OUT_OF_ORDER and the like.
 */
th_status th_pool_deallocate(th_pool *pool, void *piece, size_t size, size_t align);

/**
 * Makes a piece larger or smaller: in place where the kind can, else in a new piece, to which the bytes that
 * both have are copied. `align` is the piece's alignment, which it keeps.
 *
 * Null on failure, as for th_pool_allocate and th_pool_deallocate; the piece stays as it was.
 */
void *th_pool_resize(th_pool *pool,
                     void *piece,
                     size_t old_size,
                     size_t align,
                     size_t new_size,
                     th_status *why);

/**
 * Takes all pieces back. Nobody uses them any more, nor the pool during the call, locked or not.
 *
 * TH_DAMAGED_POOL, TH_DAMAGED_HEADER or TH_REENTERED on failure; TH_REENTERED from its alarm, too.
 */
th_status th_pool_reset(th_pool *pool);

/**
 * Whether the address lies in memory from which this pool hands out pieces. False on failure too.
 */
bool th_pool_contains(const th_pool *pool, const void *address);

/**
 * Gives chunks in which nothing is in use back to the heap, for other tags: of a pool of th_pool_size_classes those that
 * a reset kept, and all where nothing is in use; of th_pool_fixed_growing any; of th_pool_fixed none. `bytes`, unless it
 * is null, gets how much. th_trim and th_purge give the heap's to the kernel. O(chunks), or O(slots) of equal size.
 *
 * TH_WRONG_KIND: others have no such chunks, or give them back by a reset. TH_REENTERED from inside a lock.
 */
th_status th_pool_trim(th_pool *pool,
                       size_t *bytes);

/**
 * Checks what the pool notes about its memory. TH_OK, or the damage.
 */
th_status th_pool_check(const th_pool *pool);

/**
 * Numbers about the pool, to `usage`.
 */
th_status th_pool_usage(const th_pool *pool, th_usage *usage);

/**
 * Numbers about a part of the pool, to `usage`: a class of th_pool_classes, in the order in which they were given, or
 * a level of th_pool_priority. TH_WRONG_KIND, TH_OUT_OF_RANGE.
 */
th_status th_pool_usage_of(const th_pool *pool,
                           size_t part,
                           th_usage *usage);

/**
 * The tag that the pool owns; 0 if there is no pool.
 */
uint64_t th_pool_tag(const th_pool *pool);

/**
 * Takes the pool's lock ahead of a fork, if it has one; see th_heap_before_fork, which comes after it. A pool of
 * th_pool_lock_free has one for th_pool_check, and for all with TH_PASS_THROUGH.
 */
th_status th_pool_before_fork(th_pool *pool);

/**
 * Gives the lock back that th_pool_before_fork took: once in the parent, and once in the child.
 */
th_status th_pool_after_fork(th_pool *pool);

/**
 * Ends a pool: all its memory goes back to the heap, and its tag is free again. Null is no error.
 *
 * Nobody uses its pieces any more, nor the pool during the call. TH_REENTERED from its alarm, and while the heap is
 * busy. If the heap is damaged, TH_DAMAGED_HEADER or the like; the pool is gone then all the same, and what it held
 * stays in the heap.
 */
th_status th_pool_destroy(th_pool *pool);

/**
 * Marks this moment of a pool of th_pool_bump or th_pool_stack, to `moment`; for th_pool_rewind. O(1).
 *
 * A moment takes nothing, and need not be rewound to. TH_WRONG_KIND, TH_NULL, TH_REENTERED on failure.
 */
th_status th_pool_mark(const th_pool *pool, th_pool_moment *moment);

/**
 * Takes all pieces back that were handed out since a moment, which can be rewound to again. Nobody uses them any
 * more; what was handed out before stays in use, but of what an arena made larger in place since only the bytes
 * that it had then. An arena's chunks taken since go back to the heap: O(chunks); a stack: O(pieces).
 *
 * TH_STALE_MARK if what was in use then has been given back, reset or rewound since, as far as that is known: what
 * has grown beyond the moment again may pass for what was there. Always, if the moment is no pool's or another's,
 * and with TH_PASS_THROUGH. TH_WRONG_KIND, TH_REENTERED besides, and TH_DAMAGED_POOL or TH_DAMAGED_HEADER, with
 * which some of an arena's chunks may be gone.
 */
th_status th_pool_rewind(th_pool *pool,
                         th_pool_moment moment);

/**
 * How long an operation of a pool with TH_TIMED took so far, to `timing`: TH_ALLOCATE, TH_DEALLOCATE, TH_GROW,
 * TH_SHRINK or TH_RESET. O(1), without the pool's lock.
 *
 * The first timing or limit in a process takes a millisecond, in which the counter's rate is held against the kernel's
 * clock, unless th_assume_cycles_per_second said it. TH_WRONG_KIND without TH_TIMED, TH_OUT_OF_RANGE.
 */
th_status th_pool_timing(const th_pool *pool,
                         uint32_t operation,
                         th_timing *timing);

/**
 * Says what an operation of a pool with TH_TIMED may take from now on, in nanoseconds; 0 for any time. How often it
 * takes longer is counted. TH_WRONG_KIND, TH_OUT_OF_RANGE.
 */
th_status th_pool_limit_time(th_pool *pool,
                             uint32_t operation,
                             uint64_t nanoseconds);

/**
 * Forgets the times taken so far, such as those from before everything was warm. Limits stay. TH_WRONG_KIND.
 */
th_status th_pool_clear_times(th_pool *pool);

/**
 * The times of a pool with TH_TIMED in text, a line for each operation that there was. As th_table. TH_WRONG_KIND.
 */
th_status th_pool_times(const th_pool *pool,
                        char *text,
                        size_t capacity,
                        size_t *length);

/**
 * Says how many cycles of the time-stamp counter a second has, as a device's maker does: then pools with TH_TIMED
 * ask no kernel for the time, and none of their users waits a millisecond.
 *
 * Answers whether that is so from now on: false for 0, and once a limit or a timing was asked for, for the rate is
 * known then, and stays.
 */
bool th_assume_cycles_per_second(uint64_t cycles);

/**
 * Allocates `size` bytes, aligned to 16, in pool `pool` of the program's one heap, which the first call makes: at
 * the program break in a program without libc (see th_heap_at_break), else in a reservation.
 *
 * Any number but 0 and the seventeen highest is a pool, and needs no creation. A block that was given back is reused
 * whole. For any thread, where there is a libc; without one, for one. Null on failure, with `errno` where there is
 * one.
 */
void *th_global_allocate(uint64_t pool,
                         size_t size);

/**
 * Gives a block of th_global_allocate's back. A null block is no error.
 *
 * One that is none, or was given back before, ends the program: a line on standard error, which says what and where,
 * and SIGABRT.
 */
void th_global_deallocate(void *block);

/**
 * Gives all blocks of a pool of th_global_allocate's back. Nobody uses them any more. A pool without blocks is no
 * error, nor is a number that is none.
 *
 * Ends the program if the heap is damaged.
 */
void th_global_deallocate_pool(uint64_t pool);

/**
 * Takes the lock of the program's one heap ahead of a fork, as th_heap_before_fork does.
 */
th_status th_global_before_fork(void);

/**
 * Gives it back: once in the parent, and once in the child.
 */
th_status th_global_after_fork(void);

/**
 * What a status says, in one line without a newline. Never null; the text is the library's and stays.
 */
const char *th_strerror(int status);

/**
 * The version of the library that the program runs with, as TH_VERSION.
 */
uint32_t th_version(void);

/**
 * The same as text, such as 0.1.0. The text is the library's and stays.
 */
const char *th_version_string(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TAGHEAP_H */
