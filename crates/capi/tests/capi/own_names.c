/* A program with routines of its own by the three names, which uses the library's others. */
#include "tagheap.h"

int allocate(void);
int deallocate(void);
int deallocate_pool(void);

int allocate(void) { return 1; }
int deallocate(void) { return 2; }
int deallocate_pool(void) { return 3; }

int main(void) {
    th_heap *heap = th_heap_reserve(0, 0, NULL);
    void *block = th_allocate(heap, 1, 1, 1, NULL);
    void *global = th_global_allocate(1, 1);
    th_global_deallocate(global);
    return block != NULL && global != NULL && allocate() + deallocate() + deallocate_pool() == 6 ? 0 : 1;
}
