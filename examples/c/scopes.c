/* A program that says itself whose memory is whose, wherever it runs: it holds the words of a text, and an index of them.
 *
 *     ./scopes
 *     LD_PRELOAD=../../target/release/libtagheap_malloc.so ./scopes
 *
 * With the library, it prints how much each of the two holds; without, it does what it does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tagheap_malloc.h"

#define WORDS 1000

/* A number, by which long names go. */
static const uint64_t text_tag = 1;

static void *take(size_t size) {
    void *at = malloc(size);
    if (at == NULL) {
        fputs("out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return at;
}

/* All that it takes carries the text's tag; whoever frees it need not know. */
static char **read_text(void) {
    static const char *const syllables[] = {"ha", "bour", "lan", "tern", "stone", "wa", "ter"};
    th_scope scope = th_scope_enter(text_tag);
    char **words = take(WORDS * sizeof *words);
    uint32_t random = 4711;
    for (size_t n = 0; n < WORDS; n++) {
        words[n] = take(20);
        words[n][0] = '\0';
        for (int count = 0; count < 3; count++) {
            random = random * 1664525 + 1013904223;
            strcat(words[n], syllables[random / 65536 % 7]);
        }
    }
    th_scope_leave(scope);
    return words;
}

static int compare(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* The words in order; answers how many they are. */
static size_t put_in_order(char **words, char ***index) {
    /* Short names are tags themselves. */
    th_scope scope = th_scope_enter(th_malloc_tag("index"));
    char **all = take(WORDS * sizeof *all);
    size_t count = 0;
    memcpy(all, words, WORDS * sizeof *all);
    qsort(all, WORDS, sizeof *all, compare);
    for (size_t n = 0; n < WORDS; n++)
        if (count == 0 || strcmp(all[count - 1], all[n]) != 0) all[count++] = all[n];
    th_scope_leave(scope);
    *index = all;
    return count;
}

int main(void) {
    th_malloc_set_name(text_tag, "words of the text");
    char **words = read_text(), **index;
    size_t count = put_in_order(words, &index);
    printf("%d words, %zu different ones, the first is %s\n", WORDS, count, index[0]);
    fflush(stdout);
    th_malloc_report(1);

    for (size_t n = 0; n < WORDS; n++) free(words[n]);
    free(words);
    free(index);
    return 0;
}
