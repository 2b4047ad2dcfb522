/* A library that waits, while it is opened, for a thread that asks for memory. */
#include <pthread.h>
#include <stdlib.h>

static void *asks(void *argument) {
    void *volatile at = malloc(10);
    free(at);
    return argument;
}

__attribute__((constructor)) static void begin(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, asks, NULL) == 0)
        pthread_join(thread, NULL);
}

int does(void *given) {
    free(given);
    return 0;
}
