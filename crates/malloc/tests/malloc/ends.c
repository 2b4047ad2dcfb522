/* Says what is to be done at its end so often that the C library needs memory for that, as the first who does. */
#include <stdlib.h>
#include <unistd.h>

static int left = 100;

static void is_done(void) {
    if (--left == 0 && write(1, "done\n", 5) != 5)
        _exit(1);
}

int main(void) {
    for (int n = 0; n < 100; n++)
        if (atexit(is_done))
            return 1;
    return 0;
}
