/* What C, POSIX and glibc's manual promise of malloc and its family; and threads, which pass memory on. */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#undef NDEBUG

static int is_aligned(const void *at, size_t align) { return (uintptr_t)at % align == 0; }

static void fill(void *at, size_t size, int byte) { memset(at, byte, size); }

static int is_filled(const unsigned char *at, size_t size, int byte) {
    for (size_t place = 0; place < size; place++)
        if (at[place] != byte)
            return 0;
    return 1;
}

static const size_t sizes[] = {0,    1,    8,     15,     16,     17,      24,      100,     1000,
                               4000, 8192, 8193, 10000, 65536, 100000, 131073, 1000000, 5000000};
#define SIZES (sizeof sizes / sizeof *sizes)

/* A volatile one, so that no compiler knows that it is too large. */
static volatile size_t huge = SIZE_MAX;

static void sizes_and_alignments(void) {
    for (size_t n = 0; n < SIZES; n++) {
        void *one = malloc(sizes[n]), *other = malloc(sizes[n]);
        assert(one && other && one != other && is_aligned(one, 16) && is_aligned(other, 16));
        assert(malloc_usable_size(one) >= sizes[n]);
        fill(one, malloc_usable_size(one), 1);
        fill(other, malloc_usable_size(other), 2);
        assert(is_filled(one, malloc_usable_size(one), 1));
        free(one);
        assert(is_filled(other, malloc_usable_size(other), 2));
        free(other);

        unsigned char *zeroed = calloc(sizes[n], 3);
        assert(zeroed && is_filled(zeroed, 3 * sizes[n], 0));
        fill(zeroed, 3 * sizes[n], 3);
        free(zeroed);
        zeroed = calloc(3, sizes[n]);
        assert(zeroed && is_filled(zeroed, 3 * sizes[n], 0));
        free(zeroed);

        for (size_t align = 1; align <= 1 << 21; align *= 2) {
            void *at = aligned_alloc(align, sizes[n]);
            assert(at && is_aligned(at, align) && malloc_usable_size(at) >= sizes[n]);
            fill(at, sizes[n], 4);
            free(at);
            at = memalign(align, sizes[n]);
            assert(at && is_aligned(at, align));
            free(at);
            void *place = &place;
            errno = 77;
            int answer = posix_memalign(&place, align, sizes[n]);
            assert(errno == 77);
            if (align < sizeof(void *)) {
                assert(answer == EINVAL && place == &place);
                continue;
            }
            assert(answer == 0 && is_aligned(place, align));
            free(place);
        }
        void *page = valloc(sizes[n]);
        assert(page && is_aligned(page, 4096));
        free(page);
        page = pvalloc(sizes[n]);
        assert(page && is_aligned(page, 4096) && malloc_usable_size(page) >= sizes[n]);
        fill(page, (sizes[n] + 4095) / 4096 * 4096, 5);
        free(page);
    }
}

static void from_each_size_to_each_other(void) {
    for (size_t from = 0; from < SIZES; from++)
        for (size_t to = 0; to < SIZES; to++) {
            unsigned char *at = malloc(sizes[from]);
            size_t usable = malloc_usable_size(at), kept = usable < sizes[to] ? usable : sizes[to];
            fill(at, usable, 6);
            at = to % 2 ? realloc(at, sizes[to]) : reallocarray(at, 1, sizes[to]);
            assert(at && is_filled(at, kept, 6) && malloc_usable_size(at) >= sizes[to]);
            fill(at, sizes[to], 7);
            free(at);
        }
    void *at = realloc(NULL, 100);
    assert(at && malloc_usable_size(at) >= 100);
    free(at);
    free(NULL);
    assert(malloc_usable_size(NULL) == 0);
}

static void what_cannot_be_had(void) {
    void *at = malloc(100), *place = &place;
    fill(at, 100, 8);
#define REFUSED(call, number) \
    do { \
        errno = 0; \
        assert((call) == NULL && errno == (number)); \
    } while (0)
    for (size_t less = 0; less < 100; less++) {
        REFUSED(malloc(huge - less), ENOMEM);
        REFUSED(malloc(huge / 2 - less), ENOMEM);
        REFUSED(realloc(at, huge / 2 - less), ENOMEM);
        REFUSED(pvalloc(huge - less), ENOMEM);
    }
    REFUSED(malloc((size_t)1 << 46), ENOMEM);
    REFUSED(realloc(at, (size_t)1 << 46), ENOMEM);
    REFUSED(calloc(huge / 2, 3), ENOMEM);
    REFUSED(calloc(huge / 16, 8), ENOMEM);
    REFUSED(reallocarray(at, huge / 2, 3), ENOMEM);
    REFUSED(aligned_alloc(48, 100), EINVAL);
    REFUSED(aligned_alloc(0, 100), EINVAL);
    REFUSED(memalign(huge, 100), EINVAL);
    assert(posix_memalign(&place, 24, 100) == EINVAL && posix_memalign(&place, 0, 100) == EINVAL);
    assert(posix_memalign(&place, 64, huge / 2) == ENOMEM && place == &place);
    /* To the next power of two. */
    void *other = memalign(48, 100);
    assert(other && is_aligned(other, 64));
    free(other);
    assert(is_filled(at, 100, 8));
    errno = 77;
    free(at);
    assert(errno == 77);
    at = malloc(10000000);
    free(at);
    assert(errno == 77);
}

#define THREADS 8
#define PASSED 20000

static void *_Atomic passed[THREADS];

/* Takes what the thread before left, gives it back, and leaves something for the next. */
static void *works(void *argument) {
    size_t self = (size_t)argument;
    unsigned random = (unsigned)self + 1;
    for (int turn = 0; turn < PASSED; turn++) {
        random = random * 1103515245 + 12345;
        size_t size = 16 + (random >> 8) % (turn % 100 ? 600 : 50000);
        unsigned char *at = malloc(size);
        assert(at);
        memcpy(at, &size, sizeof size);
        fill(at + sizeof size, size - sizeof size, (int)(size % 251));
        unsigned char *other = __atomic_exchange_n((void **)&passed[(self + turn) % THREADS], at, __ATOMIC_ACQ_REL);
        if (!other)
            continue;
        memcpy(&size, other, sizeof size);
        assert(is_filled(other + sizeof size, size - sizeof size, (int)(size % 251)));
        if (turn % 3)
            other = realloc(other, 2 * size);
        free(other);
    }
    return NULL;
}

static void threads_and_children(void) {
    pthread_t threads[THREADS];
    for (size_t self = 0; self < THREADS; self++)
        assert(pthread_create(&threads[self], NULL, works, (void *)self) == 0);
    for (int child = 0; child < 20; child++) {
        pid_t process = fork();
        if (process == 0) {
            for (size_t n = 0; n < SIZES; n++)
                free(realloc(malloc(sizes[n]), sizes[SIZES - 1 - n]));
            _exit(0);
        }
        int status = 1;
        assert(process > 0 && waitpid(process, &status, 0) == process && status == 0);
    }
    for (size_t self = 0; self < THREADS; self++)
        assert(pthread_join(threads[self], NULL) == 0);
    /* What any of them left, now that none takes it any more. */
    for (size_t place = 0; place < THREADS; place++)
        free(passed[place]);
}

/* Mebibytes of this program that lie in memory. */
static long resident(void) {
    long all = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert(file && fscanf(file, "%ld %ld", &all, &pages) == 2);
    fclose(file);
    return pages / 256;
}

/* One in ten stays, and pins what is in front of it. */
static void what_goes_back(void) {
    static void *held[200];
    for (int n = 0; n < 200; n++)
        fill(held[n] = malloc(500000), 500000, 9);
    long before = resident();
    for (int n = 0; n < 200; n++)
        if (n % 10 != 9)
            free(held[n]);
    assert(malloc_trim(0) == 1);
    assert(resident() < before - 80);
    for (int n = 9; n < 200; n += 10) {
        assert(is_filled(held[n], 500000, 9));
        free(held[n]);
    }
}

int main(void) {
    sizes_and_alignments();
    from_each_size_to_each_other();
    what_cannot_be_had();
    threads_and_children();
    what_goes_back();
    puts("kept");
    return 0;
}
