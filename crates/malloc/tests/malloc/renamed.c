/* Writes over the name that it was called by, as servers do to say what they are at, and holds memory before and after
 * that, from several pages of its code. */
#include <stdlib.h>
#include <string.h>

#define PAGE __attribute__((aligned(4096), noinline)) static

PAGE char *before(void) {
    char *volatile at = malloc(100);
    return at;
}

PAGE char *after(void) {
    char *volatile at = malloc(100);
    return at;
}

int main(int count, char **arguments) {
    (void)count;
    char *one = before();
    memset(arguments[0], 'x', strlen(arguments[0]));
    char *other = after();
    return !one || !other;
}
