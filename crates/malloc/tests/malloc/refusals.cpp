// What new is refused by a tag's limit: plain, of an array, where it does not throw, and aligned.
#include "tagheap_malloc.h"

#include <cstdlib>
#include <new>

static volatile std::size_t much = 2000000;

template <class F> static void must_throw(F ask) {
    try {
        ask();
    } catch (const std::bad_alloc &) {
        return;
    }
    std::abort();
}

int main() {
    uint64_t bounded = th_malloc_tag("bounded");
    if (th_malloc_set_limit(bounded, 1 << 20) != TH_MALLOC_OK)
        std::abort();
    tagheap::scope in_it(bounded);
    must_throw([] { return ::operator new(much); });
    must_throw([] { return ::operator new[](much + 1); });
    if (::operator new(much + 2, std::nothrow))
        std::abort();
    must_throw([] { return ::operator new(much + 3, std::align_val_t(64)); });
}
