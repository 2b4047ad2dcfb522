// A library of C++ that is opened by name, and asks for more than there is.
#include <cstdlib>
#include <new>

static volatile std::size_t huge = std::size_t(1) << 46;

extern "C" int does(void *given) {
    std::free(given);
    try {
        delete[] new char[huge];
        return 1;
    } catch (const std::bad_alloc &) {
    }
    return new (std::nothrow) char[huge] != nullptr;
}
