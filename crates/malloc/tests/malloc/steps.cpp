// Goes through operators new instruction by instruction, and looks from each whether the way back is found: backtraces of
// debuggers and profilers need it.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <execinfo.h>
#include <new>
#include <ucontext.h>

static volatile std::uintptr_t from, to;
static volatile int inside, lost;
static Dl_info operators;

__attribute__((noinline)) static void *takes() {
    void *volatile at = ::operator new(100);
    return at;
}

static void looks(int, siginfo_t *, void *context) {
    auto at = std::uintptr_t(static_cast<ucontext_t *>(context)->uc_mcontext.gregs[REG_RIP]);
    Dl_info info;
    if (!dladdr(reinterpret_cast<void *>(at), &info) || info.dli_fbase != operators.dli_fbase)
        return;
    inside = inside + 1;
    void *frames[64];
    int count = backtrace(frames, 64);
    for (int n = 0; n < count; n++)
        if (std::uintptr_t(frames[n]) >= from && std::uintptr_t(frames[n]) < to)
            return;
    lost = lost + 1;
}

static void trap(bool begins) {
    std::uintptr_t flags = __builtin_ia32_readeflags_u64();
    __builtin_ia32_writeeflags_u64(begins ? flags | 0x100 : flags & ~std::uintptr_t(0x100));
}

int main() {
    void *frames[4];
    backtrace(frames, 4);
    from = std::uintptr_t(&takes);
    to = from + 200;
    dladdr(dlsym(RTLD_DEFAULT, "_Znwm"), &operators);
    struct sigaction action;
    std::memset(&action, 0, sizeof action);
    action.sa_sigaction = looks;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, nullptr);
    ::operator delete(takes());
    trap(true);
    void *at = takes();
    trap(false);
    ::operator delete(at);
    std::printf("%s, %d\n", inside > 20 ? "seen" : "not seen", lost);
}
