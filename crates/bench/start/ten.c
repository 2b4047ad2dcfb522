/* Allocates ten blocks, writes to each, and ends. */

#include <stdlib.h>

static const size_t sizes[10] = {16, 40, 100, 24, 512, 64, 1000, 200, 4096, 48};

int main(void)
{
    for (int i = 0; i < 10; i++) {
        volatile char *block = malloc(sizes[i]);
        if (!block)
            return 1;
        block[0] = 1;
    }
    return 0;
}
