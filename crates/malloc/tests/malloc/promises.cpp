// What C++ promises of operators new and delete: each pair, alignments, handlers, and what is thrown.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

static void must(bool holds, const char *what) {
    if (!holds) {
        std::printf("not so: %s\n", what);
        std::exit(1);
    }
}

struct alignas(64) Line {
    char bytes[192];
};

struct Odd {
    char bytes[37];
    ~Odd() { bytes[0] = 0; }
};

static int handled = 0;

static void handler() {
    handled++;
    if (handled == 3)
        std::set_new_handler(nullptr);
}

static volatile std::size_t huge = std::size_t(1) << 46;

template <class F> static bool throws(F ask) {
    try {
        ask();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

int main() {
    delete new int(1);
    delete[] new Odd[100];
    delete new Line;
    delete[] new Line[9];
    for (std::size_t align = 16; align <= 65536; align *= 2) {
        void *at = ::operator new(100, std::align_val_t(align));
        must(std::uintptr_t(at) % align == 0, "aligned");
        ::operator delete(at, 100, std::align_val_t(align));
        at = ::operator new[](100, std::align_val_t(align), std::nothrow);
        must(at && std::uintptr_t(at) % align == 0, "aligned, and does not throw");
        ::operator delete[](at, std::align_val_t(align), std::nothrow);
    }
    ::operator delete(::operator new(50, std::nothrow), std::nothrow);
    ::operator delete[](::operator new[](50), std::size_t(50));
    delete static_cast<int *>(nullptr);

    must(throws([] { return ::operator new(huge); }), "new throws");
    must(throws([] { return ::operator new[](huge); }), "new[] throws");
    must(throws([] { return ::operator new(huge, std::align_val_t(128)); }), "an aligned new throws");
    must(throws([] { return ::operator new[](huge, std::align_val_t(128)); }), "an aligned new[] throws");
    must(::operator new(huge, std::nothrow) == nullptr, "null");
    must(::operator new[](huge, std::align_val_t(32), std::nothrow) == nullptr, "null, aligned");
    std::set_new_handler(handler);
    must(throws([] { return ::operator new(huge); }) && handled == 3, "the handler is called until it goes");

    std::vector<std::thread> threads;
    for (int self = 0; self < 4; self++)
        threads.emplace_back([self] {
            std::unordered_map<int, std::string> texts;
            for (int turn = 0; turn < 50000; turn++) {
                texts[(turn * 7919 + self) % 5000] = std::string(turn % 300, char('a' + self));
                if (turn % 3 == 0)
                    texts.erase((turn * 104729) % 5000);
            }
            for (const auto &text : texts)
                must(text.second.find_first_not_of(char('a' + self)) == std::string::npos, "texts");
        });
    for (auto &thread : threads)
        thread.join();
    std::shared_ptr<Line> shared = std::make_shared<Line>();
    must(std::uintptr_t(shared.get()) % 64 == 0, "aligned where it is shared");
    std::puts("kept");
}
