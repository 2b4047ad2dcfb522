// A program with an operator new and an operator delete of its own, whose memory is none of the heap's: each of the others
// goes on to these, as the standard says.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>

static int made = 0, gone = 0;

static void *mine(std::size_t size) {
    static std::max_align_t arena[10000];
    static std::size_t used = 0;
    void *at = arena + used;
    used += size / sizeof *arena + 1;
    return at;
}

void *operator new(std::size_t size) {
    if (size > 1000)
        throw std::bad_alloc();
    made++;
    return mine(size);
}

void operator delete(void *) noexcept { gone++; }

#ifdef ALIGNED
void *operator new(std::size_t size, std::align_val_t align) {
    made++;
    return std::aligned_alloc(std::size_t(align), (size + 63) / 64 * 64);
}

void operator delete(void *at, std::align_val_t) noexcept {
    gone++;
    std::free(at);
}
#endif

struct alignas(64) Line {
    char bytes[64];
};

struct Odd {
    char bytes[37];
    ~Odd() { bytes[0] = 0; }
};

int main() {
    delete new int(1);
    delete new Odd;
    delete[] new int[7];
    delete[] new Odd[7];
    delete new (std::nothrow) Odd;
    delete[] new (std::nothrow) Odd[7];
    ::operator delete(::operator new(5), std::size_t(5));
    ::operator delete[](::operator new[](5), std::size_t(5));
    ::operator delete(::operator new(5, std::nothrow), std::nothrow);
    ::operator delete[](::operator new[](5, std::nothrow), std::nothrow);
    delete new Line;
    delete[] new Line[3];
    delete new (std::nothrow) Line;
    ::operator delete[](::operator new[](64, std::align_val_t(64), std::nothrow), std::align_val_t(64), std::nothrow);
    ::operator delete[](::operator new[](64, std::align_val_t(64)), std::size_t(64), std::align_val_t(64));
    std::size_t volatile large = 2000;
    try {
        delete[] new char[large];
        return 1;
    } catch (const std::bad_alloc &) {
    }
    if (new (std::nothrow) char[large])
        return 2;
    std::printf("%d made, %d gone\n", made, gone);
}
