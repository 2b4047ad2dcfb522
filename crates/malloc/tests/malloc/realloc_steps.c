/* A signal handler that comes in behind each instruction of a request and of its giving back, and makes memory larger and
 * smaller. Where the heap is busy there is none for it, and what it has stays as it is. */
#define _GNU_SOURCE
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef NDEBUG

/* One that goes from slot to slot, one from slot to block, one that is a block. */
static const size_t sizes[3][2] = {{24, 500}, {100, 20000}, {100000, 300000}};
static struct {
    char *at;
    size_t size;
} pieces[3];
static size_t served, refused;

static void comes_in(int number) {
    (void)number;
    for (int n = 0; n < 3; n++) {
        size_t size = sizes[n][pieces[n].size == sizes[n][0]];
        char *at = realloc(pieces[n].at, size);
        if (!at) {
            refused++;
            continue;
        }
        served++;
        pieces[n].at = at;
        pieces[n].size = size;
    }
}

static void trap(int begins) {
    unsigned long long flags = __builtin_ia32_readeflags_u64();
    __builtin_ia32_writeeflags_u64(begins ? flags | 0x100 : flags & ~0x100ull);
}

int main(void) {
    for (int n = 0; n < 3; n++) {
        pieces[n].at = malloc(pieces[n].size = sizes[n][0]);
        assert(pieces[n].at);
        memset(pieces[n].at, 'a' + n, pieces[n].size);
    }
    struct sigaction action = {.sa_handler = comes_in};
    assert(sigaction(SIGTRAP, &action, NULL) == 0);
    trap(1);
    void *small = malloc(700), *large = malloc(50000);
    large = realloc(large, 90000);
    free(large);
    free(small);
    trap(0);
    assert(served > 500 && refused > 500);
    for (int n = 0; n < 3; n++) {
        for (size_t place = 0; place < sizes[n][0]; place++)
            assert(pieces[n].at[place] == 'a' + n);
        free(pieces[n].at);
    }
    puts("kept");
    return 0;
}
