/* The standard library's containers in heaps and pools of every kind, against the same containers elsewhere.
 *
 * Prints the name of each kind it has passed, and ends with 1 at the first thing that is not as it should be.
 */
#include "tagheap.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <string_view>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <vector>

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                        \
        }                                                                        \
    } while (0)

namespace {

constexpr std::uint64_t TAG = 42;

/* What a call is refused for; TH_OK if it is not. */
template <class Call>
th_status refused(Call call) {
    try {
        call();
    } catch (const std::bad_alloc &caught) {
        const tagheap::error *why = dynamic_cast<const tagheap::error *>(&caught);
        CHECK(why != nullptr && why->status() != TH_OK);
        CHECK(std::strcmp(why->what(), th_strerror(why->status())) == 0);
        return why->status();
    }
    return TH_OK;
}

/* What a request for so many bytes is refused for. */
th_status asked(tagheap::tagged from, std::size_t size, std::size_t align) {
    return refused([&] { from.deallocate(from.allocate(size, align), size, align); });
}

struct alignas(128) Wide {
    explicit Wide(unsigned value) : number(value) {}
    bool is_aligned() const { return reinterpret_cast<std::uintptr_t>(this) % 128 == 0; }
    unsigned number;
};

/* Some of each sort of container, which do the same as their twins in the program's own memory. */
struct Several {
    explicit Several(std::pmr::memory_resource *from)
        : numbers(from), words(from), by_number(from), by_word(from), ring(from), row(from), wide(from) {}

    void step(unsigned random) {
        const unsigned key = random % 50;
        numbers.push_back(key);
        std_numbers.push_back(key);
        const std::string word(key, static_cast<char>('a' + key % 26));
        words.emplace_back(word.c_str());
        std_words.push_back(word);
        if (random & 64) {
            by_number[key] += word.c_str();
            std_by_number[key] += word;
            by_word[words.back()] = key;
            std_by_word[word] = key;
        } else {
            by_number.erase(key);
            std_by_number.erase(key);
        }
        ring.push_back(key);
        row.push_front(key);
        if (ring.size() > 20) ring.pop_front();
        if (row.size() > 20) row.pop_back();
        if (words.size() > 30) {
            words.erase(words.begin());
            std_words.erase(std_words.begin());
        }
        wide.emplace_back(key);
        if (wide.size() > 4) wide.erase(wide.begin());
        CHECK(wide.front().is_aligned() && wide.back().is_aligned() && wide.back().number == key);
        CHECK(ring.back() == key && row.front() == key && ring.size() == row.size());
    }

    void compare() const {
        CHECK(std::equal(numbers.begin(), numbers.end(), std_numbers.begin(), std_numbers.end()));
        const auto same = [](const auto &one, const auto &other) { return std::string_view(one) == other; };
        CHECK(std::equal(words.begin(), words.end(), std_words.begin(), std_words.end(), same));
        CHECK(by_number.size() == std_by_number.size() && by_word.size() == std_by_word.size());
        for (const auto &[key, text] : std_by_number) CHECK(std::string_view(by_number.at(key)) == text);
        for (const auto &[word, key] : by_word) CHECK(std_by_word.at(std::string(word)) == key);
    }

    std::pmr::vector<unsigned> numbers;
    std::pmr::vector<std::pmr::string> words;
    std::pmr::map<unsigned, std::pmr::string> by_number;
    std::pmr::unordered_map<std::pmr::string, unsigned> by_word;
    std::pmr::deque<unsigned> ring;
    std::pmr::list<unsigned> row;
    std::pmr::vector<Wide> wide;

    std::vector<unsigned> std_numbers;
    std::vector<std::string> std_words;
    std::map<unsigned, std::string> std_by_number;
    std::unordered_map<std::string, unsigned> std_by_word;
};

void fill(std::pmr::memory_resource *from, unsigned steps) {
    Several several(from);
    unsigned random = 12345;
    for (unsigned step = 0; step < steps; step++) {
        random = random * 1664525 + 1013904223;
        several.step(random >> 16);
        if (step % 50 == 0) several.compare();
    }
    several.compare();
    Several moved(from);
    moved.numbers = std::move(several.numbers);
    CHECK(moved.numbers == std::pmr::vector<unsigned>(several.std_numbers.begin(), several.std_numbers.end(), from));
}

/* Containers of every size, twice, with a reset in between. */
void serves(const char *kind, tagheap::pool &pool, bool takes_all_back) {
    for (int round = 0; round < 2; round++) {
        fill(&pool, 300);
        CHECK(th_pool_check(pool) == TH_OK);
        CHECK(!takes_all_back || pool.usage().used == 0);
        pool.reset();
        CHECK(pool.usage().used == 0 && pool.tag() == TAG);
    }
    std::puts(kind);
}

/* Equal slots: for containers whose elements stand alone. */
void serves_nodes(const char *kind, tagheap::pool &pool) {
    {
        std::pmr::map<unsigned, unsigned> squares(&pool);
        for (unsigned n = 0; n < 40; n++) squares[n] = n * n;
        for (unsigned n = 0; n < 40; n += 2) squares.erase(n);
        CHECK(squares.size() == 20 && squares.at(7) == 49 && pool.usage().used == 20);
        std::pmr::list<std::array<char, 2000>> large(&pool);
        CHECK(refused([&] { large.emplace_back(); }) == TH_OVERSIZED && large.empty());
    }
    CHECK(pool.usage().used == 0 && th_pool_check(pool) == TH_OK);
    std::puts(kind);
}

void every_kind(th_heap *heap) {
    using tagheap::pool;
    const th_class sizes[] = {{64, 50}, {128, 50}};
    const th_class levels[] = {{64, 1}, {64, 1}, {64, 1}, {64, 50}};
    { pool it = pool::blocks(heap, TAG); serves("blocks", it, true); }
    { pool it = pool::fixed(heap, TAG, 64, 16, 50); serves_nodes("fixed", it); }
    { pool it = pool::fixed_growing(heap, TAG, 64, 16, 4); serves_nodes("fixed_growing", it); }
    { pool it = pool::lock_free(heap, TAG, 64, 16, 50); serves_nodes("lock_free", it); }
    { pool it = pool::bump(heap, TAG); serves("bump", it, false); }
    { pool it = pool::size_classes(heap, TAG); serves("size_classes", it, true); }
    { pool it = pool::size_classes_with_chunk(heap, TAG, 1 << 16); serves("size_classes_with_chunk", it, true); }
    { pool it = pool::classes(heap, TAG, sizes, 2); serves_nodes("classes", it); }
    { pool it = pool::priority(heap, TAG, levels); serves_nodes("priority", it); }
    { pool it = pool::stack(heap, TAG, 1 << 20); serves("stack", it, false); }
    { pool it = pool::stack_with_limit(heap, TAG, 1 << 20, 1 << 16); serves("stack_with_limit", it, false); }
    { pool it = pool::free_list(heap, TAG, 1 << 20); serves("free_list", it, true); }
    { pool it = pool::buddy(heap, TAG, 1 << 20, 16); serves("buddy", it, true); }
}

void refusals_are_thrown() {
    CHECK(refused([] { tagheap::heap::reserve(0, 1u << 30); }) == TH_BAD_FLAGS);
    CHECK(refused([] { tagheap::heap::in_buffer(nullptr, 100); }) == TH_NULL);
    CHECK(refused([] { tagheap::heap::at_break(); }) == TH_BREAK_OWNED);
    CHECK(refused([] { tagheap::heap none(nullptr); }) == TH_NULL);
    tagheap::heap heap = tagheap::heap::reserve(1 << 20);
    CHECK(refused([&] { tagheap::pool::bump(heap, TH_TAG_FREE); }) == TH_RESERVED_TAG);
    CHECK(refused([&] { tagheap::pool none(nullptr, TH_LIMIT); }) == TH_LIMIT);
    th_pool_options bounded = {};
    bounded.bound = 4096;
    tagheap::pool arena = tagheap::pool::bump(heap, TAG, &bounded);
    CHECK(refused([&] { tagheap::pool::bump(heap, TAG); }) == TH_TAG_IN_USE);
    std::pmr::vector<int> numbers(&arena);
    CHECK(refused([&] { for (;;) numbers.push_back(1); }) == TH_FULL);
    CHECK(!numbers.empty() && numbers.back() == 1 && !heap.last_error().empty());
    CHECK(asked(tagheap::tagged(heap, TAG + 1), 2 << 20, 8) == TH_NO_MEMORY);
    CHECK(asked(tagheap::tagged(heap, TAG + 1), 8, 24) == TH_BAD_ALIGN);
    CHECK(asked(tagheap::tagged(heap, TH_TAG_HEAP), 8, 8) == TH_RESERVED_TAG);
    tagheap::pool slots = tagheap::pool::fixed(heap, TAG + 2, 8, 8, 8);
    CHECK(refused([&] { slots.mark(); }) == TH_WRONG_KIND && refused([&] { slots.rewind({}); }) != TH_OK);
}

void heaps_end_and_move() {
    alignas(16) static unsigned char bytes[1 << 16];
    for (int round = 0; round < 3; round++) {
        tagheap::heap heap = tagheap::heap::in_buffer(bytes, sizeof bytes);
        th_heap *handle = heap;
        tagheap::heap moved = std::move(heap);
        CHECK(static_cast<th_heap *>(moved) == handle && static_cast<th_heap *>(heap) == nullptr);
        tagheap::tagged level(moved, TAG), same(moved, TAG), other(moved, TAG + 1);
        CHECK(level == same && level != other && level != *std::pmr::new_delete_resource() && level.tag() == TAG);
        std::pmr::vector<int> there(1000, 7, &level), here(&same);
        const int *numbers = there.data();
        here = std::move(there);
        CHECK(here.data() == numbers && moved.table().find("42") != std::string::npos);
        CHECK(moved.drawing().find("42") != std::string::npos);
        {
            /* Gone with the release, without a destructor. */
            std::pmr::polymorphic_allocator<int> from(&other);
            for (int n = 0; n < 10; n++) *from.allocate(1) = n;
        }
        CHECK(moved.release(TAG + 1).blocks == 10 && th_check(moved) == TH_OK);
        here.clear();
        here.shrink_to_fit();
        CHECK(moved.release(TAG).blocks == 0);
        CHECK(moved.last_error().empty());
        /* Given back twice: nothing happens, and the heap can say what was wrong. */
        void *block = level.allocate(10);
        level.deallocate(block, 10);
        level.deallocate(block, 10);
        CHECK(moved.last_error().find("double free") != std::string::npos);
    }
}

void arenas_go_back() {
    tagheap::heap heap = tagheap::heap::reserve();
    tagheap::pool arena = tagheap::pool::bump(heap, TAG);
    std::pmr::vector<int> stays(100, 1, &arena);
    const std::size_t before = arena.usage().used;
    const th_pool_moment moment = arena.mark();
    { std::pmr::vector<int> goes(1000, 2, &arena); CHECK(arena.usage().used > before); }
    arena.rewind(moment);
    CHECK(arena.usage().used == before && stays[99] == 1);
}

void threads_share_a_pool() {
    tagheap::heap heap = tagheap::heap::reserve(0, TH_LOCKED);
    th_pool_options locked = {};
    locked.flags = TH_LOCKED;
    tagheap::pool shared = tagheap::pool::size_classes(heap, TAG, &locked);
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; n++) threads.emplace_back([&] { fill(&shared, 300); });
    for (std::thread &thread : threads) thread.join();
    CHECK(shared.usage().used == 0 && th_check(heap) == TH_OK);
}

static_assert(!std::is_copy_constructible_v<tagheap::heap> && std::is_nothrow_move_constructible_v<tagheap::heap>);
static_assert(!std::is_copy_constructible_v<tagheap::pool> && !std::is_move_constructible_v<tagheap::pool>);
static_assert(std::is_nothrow_copy_constructible_v<tagheap::error>);

} // namespace

int main() {
    {
        tagheap::heap heap = tagheap::heap::reserve();
        every_kind(heap);
        CHECK(th_check(heap) == TH_OK);
        th_stats stats;
        CHECK(th_stats_of_heap(heap, &stats) == TH_OK && stats.used.blocks == 0);
    }
    refusals_are_thrown();
    heaps_end_and_move();
    arenas_go_back();
    threads_share_a_pool();
    std::puts("faces");
    return 0;
}
