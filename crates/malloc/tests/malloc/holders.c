/* A program with libraries that hold memory, one of them opened by name. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

void hold(void);
void let_go(void);
char *of_library(void);

int main(int count, char **arguments) {
    if (count < 2)
        return 1;
    void *plugin = dlopen(arguments[1], RTLD_NOW);
    if (!plugin)
        return fprintf(stderr, "%s\n", dlerror()), 1;
    void (*of_plugin)(void) = (void (*)(void))dlsym(plugin, "hold_in_plugin");
    of_plugin();
    hold();
    let_go();
    char *moved = realloc(of_library(), 3000);
    char *own = malloc(5000);
    (void)own;
    return moved == NULL;
}
