/* Forks while one thread reads long lines, for which it needs memory, and another writes all files out: who forks, who has
 * a file and who has the list of files must not wait for one another. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE 100000

static FILE *file;
static volatile int is_over;

static void *reads(void *argument) {
    while (!is_over) {
        rewind(file);
        char *line = NULL;
        for (size_t size = 0; getline(&line, &size, file) > 0; size = 0) {
            free(line);
            line = NULL;
        }
        free(line);
    }
    return argument;
}

static void *writes_out(void *argument) {
    while (!is_over)
        fflush(NULL);
    return argument;
}

int main(void) {
    static char line[LINE];
    memset(line, 'a', LINE - 1);
    line[LINE - 1] = '\n';
    file = tmpfile();
    for (int n = 0; n < 20; n++)
        if (fwrite(line, 1, LINE, file) != LINE)
            return 1;
    pthread_t threads[3];
    for (int n = 0; n < 3; n++)
        if (pthread_create(&threads[n], NULL, n ? reads : writes_out, NULL))
            return 2;
    for (int n = 0; n < 300; n++) {
        pid_t child = fork();
        if (child == 0) {
            free(malloc(50000));
            /* Its list of files is not locked. */
            FILE *null = fopen("/dev/null", "w");
            _exit(!null || fclose(null));
        }
        int status = 1;
        if (waitpid(child, &status, 0) != child || status)
            return 3;
    }
    is_over = 1;
    for (int n = 0; n < 3; n++)
        pthread_join(threads[n], NULL);
    puts("over");
    return 0;
}
