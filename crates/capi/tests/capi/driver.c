/* The driver of the three routines, as for the assembly heap: it knows no header, and is linked with whatever has them.
 */
#include <stdio.h>

void *allocate(unsigned long pool, unsigned long size);
void deallocate(void *block);
void deallocate_pool(unsigned long pool);

int main(void) {
    void *first = allocate(1, 400);
    void *second = allocate(2, 32);
    void *third = allocate(2, 80);

    deallocate_pool(2);
    printf("Allocations: %p, %p, %p\n", first, second, third);

    deallocate(first);
    printf("Allocations: %p, %p, %p\n", first, second, third);

    first = allocate(1, 400);
    second = allocate(2, 32);
    third = allocate(2, 80);
    printf("Once more: %p, %p, %p\n", first, second, third);
    return 0;
}
