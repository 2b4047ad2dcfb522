/* tagheap for C++17: heaps that end where they go out of scope, and pools of every kind as memory resources of the
 * standard library's containers. MIT or Apache-2.0.
 *
 *     tagheap::heap heap = tagheap::heap::reserve();
 *     tagheap::pool request = tagheap::pool::bump(heap, th_tag_named("request"));
 *     std::pmr::vector<std::pmr::string> words(&request);
 *
 * All of it is in this file and tagheap.h, which says of each function what it takes, answers and refuses; a heap and a
 * pool go wherever one of its functions takes a th_heap * or a th_pool *.
 *
 * What tagheap.h answers by a null pointer or a th_status is thrown here, as tagheap::error. A program that is compiled
 * without exceptions is ended there, by one line on standard error and std::abort. Destructors throw nothing.
 *
 * As in tagheap.h, a heap or pool made without TH_LOCKED is for one thread at a time.
 */

#ifndef TAGHEAP_HPP
#define TAGHEAP_HPP

#include "tagheap.h"

#if __cplusplus < 201703L
#error "tagheap.hpp is for C++17 and later; tagheap.h is for C++11, too"
#elif !__has_include(<memory_resource>)
#error "tagheap.hpp needs a standard library that has <memory_resource>: libstdc++ 9, libc++ 16"
#endif

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>

namespace tagheap {

/**
 * Why something was not done; whatever it is, nothing was changed. A std::bad_alloc, as containers expect of a memory
 * resource.
 */
class error : public std::bad_alloc {
public:
    explicit error(th_status status) noexcept : why(status) {}

    th_status status() const noexcept { return why; }

    /**
     * As th_strerror: one line, whose text is the library's.
     */
    const char *what() const noexcept override { return th_strerror(why); }

private:
    th_status why;
};

namespace detail {

[[noreturn]] inline void refuse(th_status why) {
#if defined(__cpp_exceptions)
    throw error(why);
#else
    std::fprintf(stderr, "tagheap: fatal: %s\n", th_strerror(why));
    std::abort();
#endif
}

inline void done(th_status status) {
    if (status != TH_OK) refuse(status);
}

template <class T>
T *made(T *pointer, th_status why) {
    if (pointer == nullptr) refuse(why);
    return pointer;
}

/* What a function answers that writes why where it answers nothing. */
template <class Ask>
auto asked(Ask ask) {
    th_status why = TH_OK;
    auto *answer = ask(&why);
    return made(answer, why);
}

/* What th_table and the like write. */
template <class Write>
std::string text(Write write) {
    std::string whole;
    std::size_t length = 0;
    /* Once to ask how long it is; again if it has become longer meanwhile. */
    do {
        whole.resize(length);
        done(write(&whole[0], whole.size() + 1, &length));
    } while (length > whole.size());
    whole.resize(length);
    return whole;
}

} // namespace detail

/**
 * A heap that ends where this does, and all pools on it with it: declare it before whatever uses it.
 */
class heap {
public:
    /**
     * As th_heap_reserve.
     */
    static heap reserve(std::size_t capacity = 0, std::uint32_t flags = 0) {
        return heap(detail::asked([&](th_status *why) { return th_heap_reserve(capacity, flags, why); }));
    }

    /**
     * As th_heap_in_buffer.
     */
    static heap in_buffer(void *bytes, std::size_t size, std::uint32_t flags = 0) {
        return heap(detail::asked([&](th_status *why) { return th_heap_in_buffer(bytes, size, flags, why); }));
    }

    /**
     * As th_heap_at_break.
     */
    static heap at_break(std::uint32_t flags = 0) {
        return heap(detail::asked([&](th_status *why) { return th_heap_at_break(flags, why); }));
    }

    /**
     * Takes over a heap that a function of tagheap.h made, or throws why it made none.
     */
    explicit heap(th_heap *made, th_status why = TH_NULL) : handle(detail::made(made, why)) {}

    /**
     * For the functions of tagheap.h. Null once the heap was moved from.
     */
    operator th_heap *() const noexcept { return handle.get(); }

    /**
     * Frees every block under a tag, and says how many they were: as th_release. Nobody uses them any more.
     */
    th_amount release(std::uint64_t tag) {
        th_amount amount = {};
        detail::done(th_release(*this, tag, &amount));
        return amount;
    }

    /**
     * The table of blocks by tag, as th_table.
     */
    std::string table() const {
        return detail::text([this](char *text, std::size_t capacity, std::size_t *length) {
            return th_table(*this, text, capacity, length);
        });
    }

    /**
     * A drawing of the row of blocks, as th_drawing.
     */
    std::string drawing() const {
        return detail::text([this](char *text, std::size_t capacity, std::size_t *length) {
            return th_drawing(*this, text, capacity, length);
        });
    }

    /**
     * What last went wrong on this heap or its pools, as th_last_error.
     */
    std::string last_error() const {
        return detail::text([this](char *text, std::size_t capacity, std::size_t *length) {
            return th_last_error(*this, text, capacity, length);
        });
    }

private:
    struct destroy {
        void operator()(th_heap *ended) const noexcept { th_heap_destroy(ended); }
    };

    std::unique_ptr<th_heap, destroy> handle;
};

/**
 * Blocks of a heap under a tag, as memory for containers: each has a header of 32 bytes, and goes by release(tag), too.
 *
 * Equal to another of the same heap and tag, so that containers hand their elements over; without RTTI, to itself.
 */
class tagged : public std::pmr::memory_resource {
public:
    tagged(th_heap *heap, std::uint64_t tag) noexcept : of(heap), as(tag) {}

    /**
     * Whose the blocks are.
     */
    std::uint64_t tag() const noexcept { return as; }

private:
    void *do_allocate(std::size_t size, std::size_t align) override {
        return detail::asked([&](th_status *why) { return th_allocate(of, as, size, align, why); });
    }

    /* What the heap does not take back is somebody else's: th_last_error tells. */
    void do_deallocate(void *block, std::size_t size, std::size_t align) override {
        th_deallocate_sized(of, block, size, align);
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
        if (this == &other) return true;
#if defined(__cpp_rtti)
        const tagged *same = dynamic_cast<const tagged *>(&other);
        return same != nullptr && same->of == of && same->as == as;
#else
        return false;
#endif
    }

    th_heap *of;
    std::uint64_t as;
};

/**
 * A pool that ends where this does, and the memory for containers. It stays where it is made, as they point to it.
 *
 * The kinds are those of tagheap.h, in its order and with its words. What a kind does not take back, such as a piece
 * in the middle of an arena or of a stack, stays in use until a reset.
 */
class pool : public std::pmr::memory_resource {
public:
    using options = const th_pool_options *;

    /**
     * As th_pool_blocks.
     */
    static pool blocks(th_heap *heap, std::uint64_t tag, options with = nullptr) {
        return pool(detail::asked([&](th_status *why) { return th_pool_blocks(heap, tag, with, why); }));
    }

    /**
     * As th_pool_fixed.
     */
    static pool fixed(th_heap *heap, std::uint64_t tag, std::size_t size, std::size_t align, std::size_t slots,
                      options with = nullptr) {
        return pool(detail::asked([&](th_status *why) {
            return th_pool_fixed(heap, tag, size, align, slots, with, why);
        }));
    }

    /**
     * As th_pool_fixed_growing.
     */
    static pool fixed_growing(th_heap *heap, std::uint64_t tag, std::size_t size, std::size_t align, std::size_t slots,
                              options with = nullptr) {
        return pool(detail::asked([&](th_status *why) {
            return th_pool_fixed_growing(heap, tag, size, align, slots, with, why);
        }));
    }

    /**
     * As th_pool_lock_free.
     */
    static pool lock_free(th_heap *heap, std::uint64_t tag, std::size_t size, std::size_t align, std::size_t slots,
                          options with = nullptr) {
        return pool(detail::asked([&](th_status *why) {
            return th_pool_lock_free(heap, tag, size, align, slots, with, why);
        }));
    }

    /**
     * As th_pool_bump.
     */
    static pool bump(th_heap *heap, std::uint64_t tag, options with = nullptr) {
        return pool(detail::asked([&](th_status *why) { return th_pool_bump(heap, tag, with, why); }));
    }

    /**
     * As th_pool_size_classes.
     */
    static pool size_classes(th_heap *heap, std::uint64_t tag, options with = nullptr) {
        return pool(detail::asked([&](th_status *why) { return th_pool_size_classes(heap, tag, with, why); }));
    }

    /**
     * As th_pool_size_classes_with_chunk.
     */
    static pool size_classes_with_chunk(th_heap *heap, std::uint64_t tag, std::size_t bytes, options with = nullptr) {
        return pool(detail::asked([&](th_status *why) {
            return th_pool_size_classes_with_chunk(heap, tag, bytes, with, why);
        }));
    }

    /**
     * As th_pool_stack.
     */
    static pool stack(th_heap *heap, std::uint64_t tag, std::size_t bytes, options with = nullptr) {
        return pool(detail::asked([&](th_status *why) { return th_pool_stack(heap, tag, bytes, with, why); }));
    }

    /**
     * As th_pool_stack_with_limit.
     */
    static pool stack_with_limit(th_heap *heap, std::uint64_t tag, std::size_t bytes, std::size_t limit,
                                 options with = nullptr) {
        return pool(detail::asked([&](th_status *why) {
            return th_pool_stack_with_limit(heap, tag, bytes, limit, with, why);
        }));
    }

    /**
     * As th_pool_free_list.
     */
    static pool free_list(th_heap *heap, std::uint64_t tag, std::size_t bytes, options with = nullptr) {
        return pool(detail::asked([&](th_status *why) { return th_pool_free_list(heap, tag, bytes, with, why); }));
    }

    /**
     * As th_pool_buddy.
     */
    static pool buddy(th_heap *heap, std::uint64_t tag, std::size_t bytes, std::size_t smallest,
                      options with = nullptr) {
        return pool(detail::asked([&](th_status *why) {
            return th_pool_buddy(heap, tag, bytes, smallest, with, why);
        }));
    }

    /**
     * As th_pool_classes.
     */
    static pool classes(th_heap *heap, std::uint64_t tag, const th_class *sizes, std::size_t count,
                        options with = nullptr) {
        return pool(detail::asked([&](th_status *why) { return th_pool_classes(heap, tag, sizes, count, with, why); }));
    }

    /**
     * As th_pool_priority. What containers ask for is TH_TEMPORARY.
     */
    static pool priority(th_heap *heap, std::uint64_t tag, const th_class *levels = nullptr,
                         options with = nullptr) {
        return pool(detail::asked([&](th_status *why) { return th_pool_priority(heap, tag, levels, with, why); }));
    }

    /**
     * Takes over a pool that a function of tagheap.h made, or throws why it made none.
     */
    explicit pool(th_pool *made, th_status why = TH_NULL) : handle(detail::made(made, why)) {}

    pool(const pool &) = delete;
    pool &operator=(const pool &) = delete;

    ~pool() override { th_pool_destroy(handle); }

    /**
     * For the functions of tagheap.h.
     */
    operator th_pool *() const noexcept { return handle; }

    /**
     * Whose its blocks are in the heap's tables.
     */
    std::uint64_t tag() const noexcept { return th_pool_tag(handle); }

    /**
     * Takes all pieces back, as th_pool_reset: no container uses them any more, which is to be gone, or built anew.
     */
    void reset() { detail::done(th_pool_reset(handle)); }

    /**
     * A moment to go back to, as th_pool_mark, of arenas and stacks.
     */
    th_pool_moment mark() const {
        th_pool_moment moment = {};
        detail::done(th_pool_mark(handle, &moment));
        return moment;
    }

    /**
     * Takes back what was handed out since, as th_pool_rewind.
     */
    void rewind(th_pool_moment moment) { detail::done(th_pool_rewind(handle, moment)); }

    /**
     * As th_pool_usage.
     */
    th_usage usage() const {
        th_usage numbers = {};
        detail::done(th_pool_usage(handle, &numbers));
        return numbers;
    }

private:
    void *do_allocate(std::size_t size, std::size_t align) override {
        return detail::asked([&](th_status *why) { return th_pool_allocate(handle, size, align, why); });
    }

    void do_deallocate(void *piece, std::size_t size, std::size_t align) override {
        th_pool_deallocate(handle, piece, size, align);
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override { return this == &other; }

    th_pool *handle;
};

} // namespace tagheap

#endif
