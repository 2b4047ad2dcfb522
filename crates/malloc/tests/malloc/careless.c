/* Misuse, by the number of which one. */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments) {
    (void)count;
    char on_stack[64];
    char *volatile small = malloc(100), *volatile large = malloc(100000), *volatile kept = malloc(100);
    switch (atoi(arguments[1])) {
    case 0: free(small); free(small); break;
    case 1: free(large); free(large); break;
    case 2: free(small + 16); break;
    case 3: free(large + 4096); break;
    case 4: free(on_stack + 32 - (uintptr_t)on_stack % 16); break;
    case 5: free(small); small = realloc(small, 1000); break;
    case 6: free(small); return (int)malloc_usable_size(small);
    case 7: memset(large - 32, 0, 16); free(large); break;
    }
    free(kept);
    return 0;
}
