/* Scopes of the program's own: what they hold, how they nest and end, and what is refused. Says "kept", or, where the
 * library is not there and nothing is tagged, "absent". */
#define _POSIX_C_SOURCE 200809L
#include "tagheap_malloc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#undef NDEBUG

typedef char token_is_two_words[sizeof(th_scope) == 16 ? 1 : -1];

static th_holding of(uint64_t tag) {
    th_holding holding;
    assert(th_malloc_holding(tag, &holding) == TH_MALLOC_OK && holding.tag == tag);
    return holding;
}

static size_t objects(uint64_t tag) { return of(tag).objects; }

/* Whether what this thread allocates, of any size and in any way, carries a tag. */
static int is_tagged(uint64_t tag) {
    size_t before = objects(tag), count = 0;
    void *all[7] = {malloc(1), malloc(1000), malloc(100000), calloc(10, 10), realloc(NULL, 100), NULL, NULL};
    assert(posix_memalign(&all[5], 4096, 100) == 0);
    all[6] = strdup("harbour");
    for (size_t n = 0; n < 7; n++)
        assert(all[n]);
    count = objects(tag) - before;
    for (size_t n = 0; n < 7; n++)
        free(all[n]);
    assert((count == 7 || count == 0) && objects(tag) == before);
    return count == 7;
}

static void nest(void) {
    uint64_t a = th_malloc_tag("a"), b = th_malloc_tag("b");
    assert(th_scope_tag() == TH_MALLOC_UNTAGGED && th_malloc_tag("untagged") == TH_MALLOC_UNTAGGED);
    th_scope outer = th_scope_enter(a);
    assert(outer.status == TH_MALLOC_OK && th_scope_tag() == a && is_tagged(a));
    char *grows = malloc(100);
    assert(grows);
    th_scope inner = th_scope_enter(b);
    assert(th_scope_tag() == b && is_tagged(b) && !is_tagged(a));
    /* It keeps its tag wherever it grows. */
    grows = realloc(grows, 1000000);
    assert(grows && objects(a) == 1 && of(a).bytes == 1000000 && objects(b) == 0);
    th_scope none = th_scope_enter(TH_MALLOC_UNTAGGED);
    assert(none.status == TH_MALLOC_OK && th_scope_tag() == TH_MALLOC_UNTAGGED && !is_tagged(b));
    assert(th_scope_leave(none) == TH_MALLOC_OK && th_scope_tag() == b && is_tagged(b));
    assert(th_scope_leave(inner) == TH_MALLOC_OK && th_scope_tag() == a && is_tagged(a));
    assert(th_scope_leave(outer) == TH_MALLOC_OK && th_scope_tag() == TH_MALLOC_UNTAGGED && !is_tagged(a));
    free(grows);
    assert(objects(a) == 0);

    /* As deep as it likes. */
    static th_scope all[1000];
    for (uint64_t n = 0; n < 1000; n++)
        all[n] = th_scope_enter(n % 10 + 1);
    assert(th_scope_tag() == 10);
    for (int n = 999; n > 0; n--)
        assert(th_scope_leave(all[n]) == TH_MALLOC_OK && th_scope_tag() == (uint64_t)(n - 1) % 10 + 1);
    assert(th_scope_leave(all[0]) == TH_MALLOC_OK && th_scope_tag() == TH_MALLOC_UNTAGGED);
}

static void misuse(void) {
    uint64_t a = th_malloc_tag("a"), b = th_malloc_tag("b");
    th_scope zero;
    memset(&zero, 0, sizeof zero);
    assert(th_scope_leave(zero) == TH_MALLOC_OUT_OF_ORDER);

    /* The outer one first: the inner one ends with it. */
    th_scope outer = th_scope_enter(a), inner = th_scope_enter(b);
    assert(th_scope_leave(zero) == TH_MALLOC_OUT_OF_ORDER && th_scope_tag() == b);
    assert(th_scope_leave(outer) == TH_MALLOC_OK && th_scope_tag() == TH_MALLOC_UNTAGGED);
    assert(th_scope_leave(inner) == TH_MALLOC_OUT_OF_ORDER && !is_tagged(a) && !is_tagged(b));
    assert(th_scope_leave(outer) == TH_MALLOC_OUT_OF_ORDER);

    /* Twice, in another. */
    outer = th_scope_enter(a);
    inner = th_scope_enter(b);
    assert(th_scope_leave(inner) == TH_MALLOC_OK && th_scope_leave(inner) == TH_MALLOC_OUT_OF_ORDER);
    assert(th_scope_tag() == a && is_tagged(a) && th_scope_leave(outer) == TH_MALLOC_OK);

    /* Not found where another is as deep by then, which ends. */
    outer = th_scope_enter(a);
    assert(th_scope_leave(outer) == TH_MALLOC_OK);
    inner = th_scope_enter(b);
    assert(th_scope_leave(outer) == TH_MALLOC_OK && th_scope_tag() == TH_MALLOC_UNTAGGED && !is_tagged(b));
    assert(th_scope_leave(inner) == TH_MALLOC_OUT_OF_ORDER);

    /* The heap's own tags. */
    uint64_t reserved[] = {0, th_malloc_tag(""), th_malloc_tag("tagheap"), UINT64_MAX, UINT64_MAX - 15};
    outer = th_scope_enter(a);
    for (size_t n = 0; n < sizeof reserved / sizeof *reserved; n++) {
        th_scope refused = th_scope_enter(reserved[n]);
        assert(refused.status == TH_MALLOC_RESERVED_TAG && th_scope_tag() == a && is_tagged(a));
        assert(th_scope_leave(refused) == TH_MALLOC_RESERVED_TAG && th_scope_tag() == a);
        assert(th_malloc_set_limit(reserved[n], 0) == TH_MALLOC_RESERVED_TAG);
        assert(th_malloc_set_name(reserved[n], "mine") == TH_MALLOC_RESERVED_TAG);
        assert(th_malloc_reset_peak(reserved[n]) == TH_MALLOC_RESERVED_TAG);
        th_scope forged = outer;
        forged.outer = reserved[n];
        assert(forged.outer == 0 || th_scope_leave(forged) == TH_MALLOC_RESERVED_TAG);
    }
    assert(is_tagged(a) && th_scope_leave(outer) == TH_MALLOC_OK);
    th_scope last = th_scope_enter(UINT64_MAX - 16);
    assert(last.status == TH_MALLOC_OK && is_tagged(UINT64_MAX - 16) && th_scope_leave(last) == TH_MALLOC_OK);

    assert(th_malloc_holding(a, NULL) == TH_MALLOC_NULL && th_malloc_tags(NULL, NULL) == TH_MALLOC_NULL);
    assert(th_malloc_set_name(a, NULL) == TH_MALLOC_NULL && th_malloc_tag(NULL) == 0);
    assert(th_malloc_set_name(a, "\xff") == TH_MALLOC_BAD_TEXT && th_malloc_set_name(a, "a\xc3") == TH_MALLOC_BAD_TEXT);
    errno = 0;
    assert(th_malloc_report(-1) == TH_MALLOC_NOT_WRITTEN && errno == EBADF);
    int full = open("/dev/full", O_WRONLY);
    errno = 0;
    assert(th_malloc_report(full) == TH_MALLOC_NOT_WRITTEN && errno == ENOSPC && close(full) == 0);
}

static void names(void) {
    assert(th_malloc_tag("parser") == 0x7061727365720000 && th_malloc_tag("textures") == 0x7465787475726573);
    assert(th_malloc_tag("textures of all levels") == th_malloc_tag("textures"));
    assert(th_malloc_tag("caf\xc3\xa9") == th_malloc_tag("caf??"));
    assert(strcmp(of(th_malloc_tag("textures")).name, "textures") == 0 && strcmp(of(4711).name, "4711") == 0);

    assert(th_malloc_set_name(4711, "requests of the first customer, and more") == TH_MALLOC_OK);
    assert(strcmp(of(4711).name, "requests of the first customer,") == 0);
    /* Cut in front of a character, wherever that is. */
    assert(th_malloc_set_name(4711, "123456789 123456789 123456789 \xc3\xa9 and more") == TH_MALLOC_OK);
    assert(strcmp(of(4711).name, "123456789 123456789 123456789 ") == 0);
    assert(th_malloc_set_name(4711, "123456789 123456789 123456789 1234\xc3\xa9") == TH_MALLOC_OK);
    assert(strcmp(of(4711).name, "123456789 123456789 123456789 1") == 0);
    assert(th_malloc_set_name(4711, "one\nline") == TH_MALLOC_OK && strcmp(of(4711).name, "one?line") == 0);
    assert(th_malloc_set_name(4711, "") == TH_MALLOC_OK && strcmp(of(4711).name, "4711") == 0);
}

static void limits(void) {
    uint64_t bounded = th_malloc_tag("bounded");
    assert(of(bounded).limit == SIZE_MAX && th_malloc_set_limit(bounded, 1 << 20) == TH_MALLOC_OK);
    th_scope scope = th_scope_enter(bounded);
    void *fits = malloc(1000), *large = malloc(500000);
    assert(fits && large && of(bounded).held == 65536 + 500032 && of(bounded).limit == 1 << 20);
    errno = 0;
    assert(malloc(500000) == NULL && errno == ENOMEM);
    errno = 0;
    assert(calloc(500000, 1) == NULL && errno == ENOMEM);
    errno = 0;
    assert(realloc(large, 1100000) == NULL && errno == ENOMEM);
    void *place;
    assert(posix_memalign(&place, 64, 500000) == ENOMEM);
    /* Others are not bounded by it, and nor is it any more. */
    th_scope other = th_scope_enter(TH_MALLOC_UNTAGGED);
    place = malloc(2000000);
    /* What has the tag is, wherever it grows, and may become smaller below what is held. */
    assert(place && realloc(large, 1100000) == NULL && th_malloc_set_limit(bounded, 0) == TH_MALLOC_OK);
    large = realloc(large, 400000);
    assert(large && realloc(large, 600000) == NULL && of(bounded).bytes == 1024 + 400000);
    assert(th_scope_leave(other) == TH_MALLOC_OK && malloc(500000) == NULL);
    free(place);
    assert(th_malloc_set_limit(bounded, SIZE_MAX) == TH_MALLOC_OK && of(bounded).limit == SIZE_MAX);
    large = realloc(large, 500000);
    place = malloc(2000000);
    assert(place && of(bounded).objects == 3 && of(bounded).bytes == 1024 + 500000 + 2000000);
    free(place);
    free(large);
    free(fits);
    assert(th_scope_leave(scope) == TH_MALLOC_OK && of(bounded).peak > 2500000);
    assert(th_malloc_reset_peak(bounded) == TH_MALLOC_OK && of(bounded).peak == of(bounded).held);
}

static jmp_buf back;

static void jumps(void) {
    uint64_t a = th_malloc_tag("a"), b = th_malloc_tag("b");
    static th_scope outer;
    outer = th_scope_enter(a);
    if (setjmp(back) == 0) {
        th_scope inner = th_scope_enter(b), innermost = th_scope_enter(a);
        assert(inner.status == TH_MALLOC_OK && innermost.status == TH_MALLOC_OK);
        inner = th_scope_enter(b);
        longjmp(back, 1);
    }
    /* Until the one around them ends. */
    assert(is_tagged(b) && th_scope_leave(outer) == TH_MALLOC_OK);
    assert(th_scope_tag() == TH_MALLOC_UNTAGGED && !is_tagged(a) && !is_tagged(b));
}

static th_scope others;

static void *enters(void *tag) {
    uint64_t given = *(uint64_t *)tag;
    assert(th_scope_tag() == TH_MALLOC_UNTAGGED && !is_tagged(given));
    assert(th_scope_leave(others) == TH_MALLOC_OUT_OF_ORDER);
    th_scope scope = th_scope_enter(given);
    assert(scope.status == TH_MALLOC_OK && is_tagged(given));
    void *held = malloc(100);
    /* Ends inside. */
    return held;
}

static void threads(void) {
    uint64_t handed = th_malloc_tag("handed");
    others = th_scope_enter(handed);
    uint64_t tag = th_scope_tag();
    /* Of which some have the memory of those that have ended. */
    for (int n = 0; n < 20; n++) {
        pthread_t thread;
        void *held;
        th_scope none = th_scope_enter(TH_MALLOC_UNTAGGED);
        assert(pthread_create(&thread, NULL, enters, &tag) == 0 && pthread_join(thread, &held) == 0);
        assert(th_scope_leave(none) == TH_MALLOC_OK);
        assert(held && objects(handed) == 1);
        free(held);
        assert(objects(handed) == 0 && th_scope_tag() == handed && is_tagged(handed));
    }
    assert(th_scope_leave(others) == TH_MALLOC_OK);
}

static void forks(void) {
    uint64_t a = th_malloc_tag("a"), b = th_malloc_tag("b");
    th_scope outer = th_scope_enter(a);
    pid_t child = fork();
    if (child == 0) {
        assert(th_scope_tag() == a && is_tagged(a));
        th_scope inner = th_scope_enter(b);
        assert(is_tagged(b) && th_scope_leave(inner) == TH_MALLOC_OK && is_tagged(a));
        assert(th_scope_leave(outer) == TH_MALLOC_OK && !is_tagged(a));
        _exit(0);
    }
    int status = 1;
    assert(waitpid(child, &status, 0) == child && status == 0);
    assert(is_tagged(a) && th_scope_leave(outer) == TH_MALLOC_OK);
}

struct seen {
    uint64_t last;
    int count, most, found;
};

static bool see(const th_holding *holding, void *context) {
    struct seen *seen = context;
    /* In the order of tags; and it may allocate. */
    assert(holding->tag > seen->last && *holding->name);
    void *volatile at = malloc(100);
    free(at);
    seen->last = holding->tag;
    seen->found += holding->tag == th_malloc_tag("seen") && holding->objects == 1;
    return ++seen->count < seen->most;
}

static void tables(void) {
    uint64_t seen_tag = th_malloc_tag("seen");
    assert(th_malloc_set_name(7, "seven, by a name of its own") == TH_MALLOC_OK);
    th_scope scope = th_scope_enter(seen_tag);
    void *held = malloc(300000);
    th_scope seventh = th_scope_enter(7);
    void *other = malloc(20);
    assert(held && other && th_scope_leave(seventh) == TH_MALLOC_OK && th_scope_leave(scope) == TH_MALLOC_OK);

    struct seen all = {0, 0, 1000, 0}, first = {0, 0, 1, 0};
    assert(th_malloc_tags(see, &all) == TH_MALLOC_OK && all.found == 1 && all.count > 4);
    assert(th_malloc_tags(see, &first) == TH_MALLOC_OK && first.count == 1);

    int ends[2];
    static char text[10000];
    assert(pipe(ends) == 0 && th_malloc_report(ends[1]) == TH_MALLOC_OK && close(ends[1]) == 0);
    size_t length = 0;
    for (ssize_t more; (more = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)more;
    assert(close(ends[0]) == 0 && strncmp(text, "tagheap: what is held by tag, in bytes\ntag  ", 44) == 0);
    assert(strstr(text, "\nseen                          1         300000 "));
    assert(strstr(text, "\nseven, by a name of its own   1             32 ") && text[length - 1] == '\n');
    free(held);
    free(other);
}

static bool never(const th_holding *holding, void *context) {
    assert(!holding || !context);
    return false;
}

static void absent(void) {
    th_scope scope = th_scope_enter(th_malloc_tag("parser"));
    assert(scope.status == TH_MALLOC_ABSENT && th_scope_tag() == 0);
    assert(th_scope_leave(scope) == TH_MALLOC_ABSENT);
    th_holding holding;
    memset(&holding, 0xff, sizeof holding);
    assert(th_malloc_holding(7, &holding) == TH_MALLOC_ABSENT && th_malloc_holding(7, NULL) == TH_MALLOC_ABSENT);
    assert(holding.tag == 7 && !holding.objects && !holding.bytes && !holding.held && !holding.peak);
    assert(holding.limit == SIZE_MAX && !*holding.name);
    assert(th_malloc_tags(never, &holding) == TH_MALLOC_ABSENT && th_malloc_report(1) == TH_MALLOC_ABSENT);
    assert(th_malloc_set_name(7, "seven") == TH_MALLOC_ABSENT && th_malloc_set_limit(7, 0) == TH_MALLOC_ABSENT);
    assert(th_malloc_reset_peak(7) == TH_MALLOC_ABSENT && th_malloc_tag("parser") == 0x7061727365720000);
    void *at = malloc(100000);
    assert(at);
    free(at);
}

int main(void) {
    if (th_scope_tag() == 0) {
        absent();
        puts("absent");
        return 0;
    }
    nest();
    misuse();
    names();
    limits();
    jumps();
    threads();
    forks();
    tables();
    puts("kept");
    return 0;
}
