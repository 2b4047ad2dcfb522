// Scopes of C++: what is made by new carries the tag, and they end by an exception, too. Says "kept", or "absent" where the
// library is not there.
#include "tagheap_malloc.h"

#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#undef NDEBUG

static const uint64_t parser = th_malloc_tag("parser");

static th_holding of(uint64_t tag) {
    th_holding holding;
    assert(th_malloc_holding(tag, &holding) == TH_MALLOC_OK);
    return holding;
}

static std::vector<std::string> words() {
    tagheap::scope scope("parser");
    assert(scope.status() == TH_MALLOC_OK);
    return std::vector<std::string>(100, "a word that is too long for the string itself");
}

static void throws() {
    tagheap::scope outer("outer"), inner(parser);
    std::unique_ptr<int> held(new int(1));
    assert(of(parser).objects > 0 && th_scope_tag() == parser);
    throw std::runtime_error("thrown in two scopes, with a text that has to be allocated somewhere");
}

static void exceptions() {
    tagheap::scope around(5);
    for (int n = 0; n < 10; n++) {
        try {
            throws();
            assert(false);
        } catch (const std::runtime_error &) {
            assert(th_scope_tag() == 5);
        }
    }
}

static void limits() {
    uint64_t bounded = th_malloc_tag("bounded");
    assert(th_malloc_set_limit(bounded, 1 << 20) == TH_MALLOC_OK);
    std::size_t made = 0;
    try {
        tagheap::scope scope(bounded);
        std::vector<std::unique_ptr<char[]>> all;
        for (;; made++)
            all.emplace_back(new char[100000]);
    } catch (const std::bad_alloc &) {
        assert(th_scope_tag() == TH_MALLOC_UNTAGGED);
    }
    assert(made == 9 && of(bounded).objects == 0);
    tagheap::scope scope(bounded);
    assert(!new (std::nothrow) char[2000000]);
}

static bool finds(const th_holding *holding, void *found) {
    *static_cast<bool *>(found) |= std::string(holding->name) == "parser";
    return true;
}

int main() {
    if (tagheap::scope("parser").status() == TH_MALLOC_ABSENT) {
        tagheap::scope scope(parser);
        assert(th_scope_tag() == 0 && std::vector<int>(1000).size() == 1000);
        std::puts("absent");
        return 0;
    }
    {
        auto all = words();
        assert(of(parser).objects == 101 && th_scope_tag() == TH_MALLOC_UNTAGGED);
        bool found = false;
        assert(th_malloc_tags(finds, &found) == TH_MALLOC_OK && found);
        std::thread([&] { all.clear(), all.shrink_to_fit(); }).join();
        assert(of(parser).objects == 0);
    }
    exceptions();
    assert(th_scope_tag() == TH_MALLOC_UNTAGGED);
    limits();
    tagheap::scope refused("");
    assert(refused.status() == TH_MALLOC_RESERVED_TAG && th_scope_tag() == TH_MALLOC_UNTAGGED);
    std::map<int, std::string> untagged{{1, "one"}};
    assert(of(parser).objects == 0);
    std::puts("kept");
    return 0;
}
