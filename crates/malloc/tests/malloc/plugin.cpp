// A library of C++ that is opened by name: what its code makes by `new` is its own, and not that of C++'s library.
#include <map>

extern "C" void hold_in_plugin() {
    auto *numbers = new std::map<int, int>;
    for (int n = 0; n < 500; n++)
        (*numbers)[n] = n;
}
