/* One heap and its pools in many threads, across a fork, and in a signal handler.
 *
 * Ends with 1 at the first thing that is not as it should be.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tagheap.h"

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

enum { THREADS = 4, ROUNDS = 4000, KEPT = 16 };

static th_heap *heap;
static th_pool *pools[3], *passing;
static atomic_bool stop;

static void *work(void *argument) {
    const uint64_t tag = 100 + *(const uint64_t *)argument;
    unsigned char *kept[KEPT] = {0}, *pieces[3][KEPT] = {{0}};
    size_t sizes[KEPT] = {0};
    uint32_t random = (uint32_t)tag;
    for (int round = 0; round < ROUNDS; round++) {
        th_status why;
        random = random * 1664525 + 1013904223;
        const size_t i = random >> 28;
        if (kept[i] != NULL) {
            for (size_t k = 0; k < sizes[i]; k++) CHECK(kept[i][k] == (unsigned char)tag);
            CHECK(th_deallocate_in(heap, tag, kept[i]) == TH_OK);
        }
        sizes[i] = random >> 8 & 255;
        kept[i] = th_allocate(heap, tag, sizes[i], 16, &why);
        CHECK(kept[i] != NULL);
        memset(kept[i], (int)tag, sizes[i]);
        void *global = th_global_allocate(tag, sizes[i]);
        CHECK(global != NULL);
        th_global_deallocate(global);
        for (int p = 0; p < 3; p++) {
            if (pieces[p][i] != NULL) {
                CHECK(pieces[p][i][0] == (unsigned char)tag);
                CHECK(th_pool_deallocate(pools[p], pieces[p][i], 32, 8) == TH_OK);
            }
            pieces[p][i] = th_pool_allocate(pools[p], 32, 8, &why);
            CHECK(pieces[p][i] != NULL);
            memset(pieces[p][i], (int)tag, 32);
        }
    }
    for (int p = 0; p < 3; p++) {
        for (size_t i = 0; i < KEPT; i++) {
            if (pieces[p][i] != NULL) CHECK(th_pool_deallocate(pools[p], pieces[p][i], 32, 8) == TH_OK);
        }
    }
    CHECK(th_release(heap, tag, NULL) == TH_OK);
    return NULL;
}

static void *worry(void *argument) {
    (void)argument;
    while (!atomic_load(&stop)) {
        void *block = th_allocate(heap, 200, 100, 16, NULL);
        CHECK(block != NULL && th_deallocate(heap, block) == TH_OK);
        block = th_pool_allocate(pools[1], 10, 8, NULL);
        CHECK(block != NULL && th_pool_deallocate(pools[1], block, 10, 8) == TH_OK);
        block = th_pool_allocate(passing, 10, 8, NULL);
        CHECK(block != NULL && th_pool_deallocate(passing, block, 10, 8) == TH_OK);
        CHECK(th_pool_check(pools[0]) == TH_OK);
        block = th_global_allocate(200, 10);
        CHECK(block != NULL);
        th_global_deallocate(block);
    }
    return NULL;
}

static void take_locks(void) {
    for (int p = 0; p < 3; p++) CHECK(th_pool_before_fork(pools[p]) == TH_OK);
    CHECK(th_pool_before_fork(passing) == TH_OK);
    CHECK(th_heap_before_fork(heap) == TH_OK && th_global_before_fork() == TH_OK);
}

static void give_locks(void) {
    CHECK(th_global_after_fork() == TH_OK && th_heap_after_fork(heap) == TH_OK);
    CHECK(th_pool_after_fork(passing) == TH_OK);
    for (int p = 3; p-- > 0;) CHECK(th_pool_after_fork(pools[p]) == TH_OK);
}

static void a_child_finds_the_locks_free(void) {
    pthread_t worried;
    CHECK(pthread_create(&worried, NULL, worry, NULL) == 0);
    for (int n = 0; n < 200; n++) {
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            /* Deadly for a child that waits for a thread which is not here. */
            alarm(20);
            void *block = th_allocate(heap, 300, 10, 16, NULL);
            void *piece = th_pool_allocate(pools[1], 10, 8, NULL);
            if (th_pool_allocate(passing, 10, 8, NULL) == NULL || th_pool_check(pools[0]) != TH_OK) _exit(2);
            _exit(block != NULL && piece != NULL && th_global_allocate(1, 1) != NULL && th_check(heap) == TH_OK ? 0 : 1);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    atomic_store(&stop, true);
    CHECK(pthread_join(worried, NULL) == 0);
}

/* What each of two misuses is told by, and a call while the heap is busy; from when there was one alone. */
enum { BUSY = 2, WRONGS };
static char wrongs[WRONGS][200];
static int elsewhere[BUSY];

static th_status go_wrong(int which) { return th_deallocate(heap, &elsewhere[which]); }

/* The whole line of one of them. */
static bool is_told(void) {
    char text[200];
    CHECK(th_last_error(heap, text, sizeof text, NULL) == TH_OK);
    for (int which = 0; which < WRONGS; which++) {
        if (strcmp(text, wrongs[which]) == 0) return true;
    }
    return false;
}

static bool is_busy(const th_block *block, void *context) {
    (void)block;
    (void)context;
    CHECK(go_wrong(0) == TH_REENTERED);
    return false;
}

static atomic_int asked;

/* In the middle of what its thread notes, or asks. */
static void ask(int number) {
    (void)number;
    if (!is_told()) _exit(6);
    const th_status status = go_wrong(1);
    if (status != TH_NOT_FROM_HERE && status != TH_REENTERED) _exit(7);
    if (!is_told()) _exit(8);
    atomic_fetch_add(&asked, 1);
}

static void *fail(void *argument) {
    (void)argument;
    while (!atomic_load(&stop)) CHECK(go_wrong(0) == TH_NOT_FROM_HERE);
    return NULL;
}

/* Once something has gone wrong there is something to tell, whoever else is noting or asking, in whichever handler. */
static void what_went_wrong_is_told_in_any_thread(void) {
    pthread_t failing[THREADS];
    for (int which = 0; which < WRONGS; which++) {
        if (which == BUSY) {
            CHECK(th_walk(heap, is_busy, NULL) == TH_OK);
        } else {
            CHECK(go_wrong(which) == TH_NOT_FROM_HERE);
        }
        CHECK(th_last_error(heap, wrongs[which], sizeof wrongs[which], NULL) == TH_OK);
        CHECK((strstr(wrongs[which], "not from this heap") == NULL) == (which == BUSY));
    }
    CHECK(strcmp(wrongs[0], wrongs[1]) != 0);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = ask;
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
    atomic_store(&stop, false);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&failing[i], NULL, fail, NULL) == 0);
    for (int n = 0; n < 300000; n++) {
        CHECK(is_told());
        if (n % 100 == 0) CHECK(pthread_kill(failing[n / 100 % THREADS], SIGUSR2) == 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(failing[i], NULL) == 0);
    CHECK(atomic_load(&asked) > 0);
}

static volatile sig_atomic_t served, refused;

/* Whatever it interrupted: the lock-free pool serves, the others may say that they are re-entered. */
static void handle(int number) {
    (void)number;
    th_status why;
    void *piece = th_pool_allocate(pools[0], 32, 8, &why);
    if (piece == NULL || th_pool_deallocate(pools[0], piece, 32, 8) != TH_OK) _exit(3);
    served++;
    void *block = th_allocate(heap, 400, 10, 16, &why);
    if (block == NULL && why != TH_REENTERED) _exit(4);
    if (block == NULL) refused++;
    if (block != NULL && th_deallocate(heap, block) != TH_OK) _exit(5);
}

static bool interrupt(const th_block *block, void *context) {
    (void)block;
    (void)context;
    raise(SIGUSR1);
    return true;
}

static void a_handler_is_served_or_refused(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    raise(SIGUSR1);
    CHECK(served == 1 && refused == 0);
    CHECK(th_walk(heap, interrupt, NULL) == TH_OK);
    CHECK(served > 1 && refused == served - 1);
}

int main(void) {
    th_status why;
    const th_pool_options locked = {.flags = TH_LOCKED};
    heap = th_heap_reserve(0, TH_LOCKED, &why);
    CHECK(heap != NULL);
    pools[0] = th_pool_lock_free(heap, 1, 32, 8, THREADS * KEPT + 1, NULL, &why);
    pools[1] = th_pool_fixed_growing(heap, 2, 32, 8, 64, &locked, &why);
    pools[2] = th_pool_blocks(heap, 3, &locked, &why);
    CHECK(pools[0] != NULL && pools[1] != NULL && pools[2] != NULL);
    const th_pool_options passes = {.flags = TH_PASS_THROUGH};
    passing = th_pool_lock_free(heap, 4, 32, 8, 1, &passes, &why);
    CHECK(passing != NULL);

    pthread_t threads[THREADS];
    uint64_t numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = (uint64_t)i;
        CHECK(pthread_create(&threads[i], NULL, work, &numbers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    for (int p = 0; p < 3; p++) {
        th_usage usage;
        CHECK(th_pool_check(pools[p]) == TH_OK && th_pool_usage(pools[p], &usage) == TH_OK && usage.used == 0);
        CHECK(usage.allocations == usage.deallocations && usage.allocations == THREADS * ROUNDS);
    }
    CHECK(th_check(heap) == TH_OK);

    CHECK(pthread_atfork(take_locks, give_locks, give_locks) == 0);
    a_child_finds_the_locks_free();
    what_went_wrong_is_told_in_any_thread();
    a_handler_is_served_or_refused();
    for (int p = 0; p < 3; p++) CHECK(th_pool_destroy(pools[p]) == TH_OK);
    CHECK(th_pool_destroy(passing) == TH_OK);
    CHECK(th_heap_destroy(heap) == TH_OK);
    puts("threads");
    return 0;
}
