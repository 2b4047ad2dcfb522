/* tagheap_malloc: scopes by name for programs that run with libtagheap_malloc.so, preloaded or linked. MIT or Apache-2.0.
 *
 * What a thread allocates in a scope, by malloc and its family or by C++'s new, carries the scope's tag, wherever it goes
 * and whoever frees it. What was allocated before keeps its tag, even where it grows. Threads begin outside any scope.
 * With TAGHEAP_TAGS=library in the environment, what is allocated outside any is tagged by library, and in one by the scope.
 *
 * A program that includes this needs no library, neither to be linked nor to run: without it each function answers
 * TH_MALLOC_ABSENT, or what else it says, after a look at one word. So it does on other platforms. With it, it runs as
 *
 *     LD_PRELOAD=/path/to/libtagheap_malloc.so ./program
 *
 * or is linked with -ltagheap_malloc.
 *
 * Scopes are the thread's, not those of a stack or a coroutine: whoever goes on elsewhere in the middle of one (swapcontext,
 * co_await) leaves it before and enters it again after, and takes a thread's tag along by th_scope_tag.
 *
 * Tags are any 64-bit numbers but 0, the sixteen highest, and th_malloc_tag("tagheap"), and need no creation: some hundred of
 * them, for parts of a program, not one for each request.
 *
 * No function throws, or ends the program. Those of scopes may be called by signal handlers, too; the others answer
 * TH_MALLOC_REENTERED to one that came into the heap. A child made by fork is in the scopes that its parent was in.
 *
 * For compilers of C99 and C++11. It may be included beside tagheap.h, whose heaps are others.
 */

#ifndef TAGHEAP_MALLOC_H
#define TAGHEAP_MALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * How a call ended. Whatever it is but TH_MALLOC_OK, nothing was changed. Where th_status of tagheap.h has such a one,
 * the number is the same.
 */
typedef enum {
    /**
     * Done.
     */
    TH_MALLOC_OK = 0,
    /**
     * There is no memory for what is to be kept of the tag.
     */
    TH_MALLOC_NO_MEMORY = 2,
    /**
     * The tag is one of the heap's own.
     */
    TH_MALLOC_RESERVED_TAG = 16,
    /**
     * This thread is using the heap already: a signal handler came into it.
     */
    TH_MALLOC_REENTERED = 26,
    /**
     * The scope was left before, or ended with one around it, or another thread is in it, as far as th_scope_leave finds it.
     */
    TH_MALLOC_OUT_OF_ORDER = 28,
    /**
     * A pointer is null that must not be.
     */
    TH_MALLOC_NULL = 32,
    /**
     * The text is not UTF-8.
     */
    TH_MALLOC_BAD_TEXT = 36,
    /**
     * The heap is damaged: somebody wrote where only the library writes.
     */
    TH_MALLOC_DAMAGED = 48,
    /**
     * The library is not there.
     */
    TH_MALLOC_ABSENT = 64,
    /**
     * Not all was written; errno says why.
     */
    TH_MALLOC_NOT_WRITTEN = 65
} th_malloc_status;

/**
 * The tag of what is allocated outside any scope, but by library where that is asked for.
 */
#define TH_MALLOC_UNTAGGED 0x756e746167676564u

/**
 * A scope that was entered. All zero is none.
 */
typedef struct {
    /**
     * The library's own.
     */
    uint64_t outer;
    /**
     * The library's own.
     */
    uint32_t level;
    /**
     * TH_MALLOC_OK, or why it was not entered.
     */
    th_malloc_status status;
} th_scope;

/**
 * What is held under a tag.
 */
typedef struct {
    /**
     * The tag.
     */
    uint64_t tag;
    /**
     * Objects that were allocated and not freed.
     */
    size_t objects;
    /**
     * Their bytes: of those up to 8 KiB rounded up to one of a row of sizes.
     */
    size_t bytes;
    /**
     * Bytes of the blocks that the tag has: 64 KiB at a time for small objects, and a block for each large one.
     */
    size_t held;
    /**
     * The most that `held` ever was, or since the peak was reset.
     */
    size_t peak;
    /**
     * The most that `held` may be; SIZE_MAX if there is no limit.
     */
    size_t limit;
    /**
     * Its name, ended by a zero byte: the one that was set, else what its number spells, else its number.
     */
    char name[32];
} th_holding;

/**
 * Sees what is held under a tag, and says whether to go on. It may allocate, and call all these functions. It returns as
 * functions do: no longjmp, no exception.
 */
typedef bool (*th_visit_holding)(const th_holding *holding, void *context);

#ifdef __cplusplus
extern "C" {
#endif

/* What the library has: called by the functions below, where it is there. Linkers leave it to the loader whether it is only
 * where all look for it in the table of addresses, which compilers do not in a program that lies where it says (-no-pie):
 * so an instruction does. */
#if defined(__x86_64__) && !defined(__ILP32__) && defined(__linux__) && defined(__GNUC__)
#define TH_MALLOC_THE(function) \
    __extension__({ \
        __typeof__(function) *th_malloc_at; \
        __asm__(".weak " #function "\n\t" \
                "mov{q}\t{" #function "@GOTPCREL(%%rip), %0|%0, QWORD PTR " #function "@GOTPCREL[rip]}" \
                : "=r"(th_malloc_at)); \
        th_malloc_at; \
    })
#define TH_MALLOC_HAS(function) TH_MALLOC_THE(function)
#define TH_MALLOC_WEAK __attribute__((weak, visibility("default")))
#else
#define TH_MALLOC_THE(function) (function)
#define TH_MALLOC_HAS(function) 0
#define TH_MALLOC_WEAK
#endif
TH_MALLOC_WEAK extern th_scope tagheap_scope_enter(uint64_t tag);
TH_MALLOC_WEAK extern th_malloc_status tagheap_scope_leave(th_scope scope);
TH_MALLOC_WEAK extern uint64_t tagheap_scope_tag(void);
TH_MALLOC_WEAK extern th_malloc_status tagheap_malloc_set_name(uint64_t tag, const char *name);
TH_MALLOC_WEAK extern th_malloc_status tagheap_malloc_set_limit(uint64_t tag, size_t bytes);
TH_MALLOC_WEAK extern th_malloc_status tagheap_malloc_reset_peak(uint64_t tag);
TH_MALLOC_WEAK extern th_malloc_status tagheap_malloc_holding(uint64_t tag, th_holding *holding);
TH_MALLOC_WEAK extern th_malloc_status tagheap_malloc_tags(th_visit_holding visit, void *context);
TH_MALLOC_WEAK extern th_malloc_status tagheap_malloc_report(int file);

/**
 * The tag of a name: up to eight printable ASCII bytes of it, the first the highest; what is longer is cut off, so that
 * "requests in" and "requests out" are one tag. For long names give numbers to tags, and names to these: th_malloc_set_name.
 *
 * Such tags print as their names. A byte that is not printable ASCII becomes '?'. 0, which is refused, for a null pointer
 * or an empty text. Needs no library.
 */
static inline uint64_t th_malloc_tag(const char *name) {
    uint64_t tag = 0;
    /* Letter by letter, which compilers make a number of, where they know the name. */
#define TH_MALLOC_LETTER(place) \
    if (!name[place]) { \
        return tag; \
    } \
    tag |= (uint64_t)(name[place] >= ' ' && name[place] <= '~' ? name[place] : '?') << (56 - 8 * (place))
    if (!name) {
        return tag;
    }
    TH_MALLOC_LETTER(0);
    TH_MALLOC_LETTER(1);
    TH_MALLOC_LETTER(2);
    TH_MALLOC_LETTER(3);
    TH_MALLOC_LETTER(4);
    TH_MALLOC_LETTER(5);
    TH_MALLOC_LETTER(6);
    TH_MALLOC_LETTER(7);
#undef TH_MALLOC_LETTER
    return tag;
}

/**
 * Enters a scope: what this thread allocates until th_scope_leave, to which the answer goes, carries the tag. Some sixty
 * instructions; no lock.
 *
 * Scopes nest; in one of TH_MALLOC_UNTAGGED all is as outside any. A reserved tag is refused, which the answer's `status`
 * says: the scope around it stays in force then.
 */
static inline th_scope th_scope_enter(uint64_t tag) {
    const th_scope absent = {0, 0, TH_MALLOC_ABSENT};
    return TH_MALLOC_HAS(tagheap_scope_enter) ? TH_MALLOC_THE(tagheap_scope_enter)(tag) : absent;
}

/**
 * Leaves a scope: what was in force before it is so again. Scopes in it that were not left end with it, as those do that
 * a longjmp jumps out of.
 *
 * TH_MALLOC_OUT_OF_ORDER, and nothing changes, for one that was left before, or ended so, and for another thread's, where
 * this thread is in no scope so deep. Where it is, in one that it entered since, that one ends: leave each once, by the
 * thread that entered it. For one that was not entered, its `status`. A scope that a thread ends in ends with it.
 */
static inline th_malloc_status th_scope_leave(th_scope scope) {
    return TH_MALLOC_HAS(tagheap_scope_leave) ? TH_MALLOC_THE(tagheap_scope_leave)(scope) : TH_MALLOC_ABSENT;
}

/**
 * The tag of this thread's scope, TH_MALLOC_UNTAGGED outside any: for work that goes on elsewhere, which enters it there.
 * 0 without the library.
 */
static inline uint64_t th_scope_tag(void) {
    return TH_MALLOC_HAS(tagheap_scope_tag) ? TH_MALLOC_THE(tagheap_scope_tag)() : 0;
}

/**
 * Calls a tag by a name besides: UTF-8 that ends with a zero byte, of which up to 31 bytes are kept; a control character
 * becomes '?'.
 *
 * TH_MALLOC_NULL, TH_MALLOC_BAD_TEXT, TH_MALLOC_RESERVED_TAG, TH_MALLOC_NO_MEMORY, TH_MALLOC_REENTERED on failure.
 */
static inline th_malloc_status th_malloc_set_name(uint64_t tag, const char *name) {
    return TH_MALLOC_HAS(tagheap_malloc_set_name) ? TH_MALLOC_THE(tagheap_malloc_set_name)(tag, name) : TH_MALLOC_ABSENT;
}

/**
 * Lets a tag hold at most so many bytes, as th_holding's `held` counts them; SIZE_MAX for as many as it likes.
 *
 * A request beyond is refused: malloc answers NULL, and errno is ENOMEM; new throws std::bad_alloc. So is one to make
 * larger what has the tag, in whatever scope. What the tag holds already it keeps, be that more, and may make it smaller.
 * Each thread takes 64 KiB for small objects of a size, so that a limit counts in those.
 * TH_MALLOC_RESERVED_TAG, TH_MALLOC_NO_MEMORY, TH_MALLOC_REENTERED on failure.
 */
static inline th_malloc_status th_malloc_set_limit(uint64_t tag, size_t bytes) {
    return TH_MALLOC_HAS(tagheap_malloc_set_limit) ? TH_MALLOC_THE(tagheap_malloc_set_limit)(tag, bytes) : TH_MALLOC_ABSENT;
}

/**
 * Lets a tag's peak begin anew, at what it holds now. TH_MALLOC_RESERVED_TAG, TH_MALLOC_REENTERED on failure.
 */
static inline th_malloc_status th_malloc_reset_peak(uint64_t tag) {
    return TH_MALLOC_HAS(tagheap_malloc_reset_peak) ? TH_MALLOC_THE(tagheap_malloc_reset_peak)(tag) : TH_MALLOC_ABSENT;
}

/**
 * What is held under a tag, to `holding`: exact while no other thread changes it. For a tag that was never used nothing,
 * and without the library, too. O(threads and the tag's blocks).
 *
 * TH_MALLOC_NULL, TH_MALLOC_REENTERED on failure.
 */
static inline th_malloc_status th_malloc_holding(uint64_t tag, th_holding *holding) {
    const th_holding none = {tag, 0, 0, 0, 0, SIZE_MAX, ""};
    if (TH_MALLOC_HAS(tagheap_malloc_holding)) {
        return TH_MALLOC_THE(tagheap_malloc_holding)(tag, holding);
    }
    if (holding) {
        *holding = none;
    }
    return TH_MALLOC_ABSENT;
}

/**
 * Calls `visit` with what is held under each tag that holds or held anything, and `context`, in the order of tags, until
 * it answers false. TH_MALLOC_NULL, TH_MALLOC_REENTERED on failure.
 */
static inline th_malloc_status th_malloc_tags(th_visit_holding visit, void *context) {
    return TH_MALLOC_HAS(tagheap_malloc_tags) ? TH_MALLOC_THE(tagheap_malloc_tags)(visit, context) : TH_MALLOC_ABSENT;
}

/**
 * Prints the table of what is held by tag to an open file, by its descriptor: as malloc_stats does to standard error, and
 * without allocating. TH_MALLOC_NOT_WRITTEN, TH_MALLOC_REENTERED on failure.
 */
static inline th_malloc_status th_malloc_report(int file) {
    return TH_MALLOC_HAS(tagheap_malloc_report) ? TH_MALLOC_THE(tagheap_malloc_report)(file) : TH_MALLOC_ABSENT;
}

#undef TH_MALLOC_HAS
#undef TH_MALLOC_THE
#undef TH_MALLOC_WEAK

#ifdef __cplusplus
} // extern "C"

/* One that has no name goes at once. */
#if __cplusplus >= 201703L && defined(__has_cpp_attribute)
#if __has_cpp_attribute(nodiscard) >= 201907L
#define TH_MALLOC_NODISCARD [[nodiscard]]
#endif
#endif
#ifndef TH_MALLOC_NODISCARD
#define TH_MALLOC_NODISCARD
#endif

namespace tagheap {

/**
 * A scope that is left where this goes, by an exception, too: tagheap::scope parsing("parser");
 *
 * What is made by new, by containers and strings, and by whatever is called meanwhile carries its tag. It stays in the
 * block of code, and the thread, that made it.
 */
class scope {
public:
    /**
     * As th_scope_enter.
     */
    TH_MALLOC_NODISCARD explicit scope(uint64_t tag) noexcept : entered(th_scope_enter(tag)) {}

    /**
     * As th_scope_enter, for the tag of a name: see th_malloc_tag.
     */
    TH_MALLOC_NODISCARD explicit scope(const char *name) noexcept : entered(th_scope_enter(th_malloc_tag(name))) {}

    scope(const scope &) = delete;
    scope &operator=(const scope &) = delete;

    ~scope() { th_scope_leave(entered); }

    /**
     * TH_MALLOC_OK, or why it was not entered.
     */
    th_malloc_status status() const noexcept { return entered.status; }

private:
    th_scope entered;
};

} // namespace tagheap

#undef TH_MALLOC_NODISCARD
#endif

#endif
