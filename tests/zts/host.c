/* Many PHP threads in one process, as in FrankenPHP: an embed SAPI that runs one script in each of them.
 *
 * usage: host THREADS REQUESTS SCRIPT
 *
 * Each thread serves REQUESTS requests and ends. The script finds $thread and $request, both from 0. A forked child ends after
 * its request. Exit status: 0 if every script ended with 0.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sapi/embed/php_embed.h>

static const char *script;
static int requests;
static pid_t process;
static atomic_int failed;

static void serve(int thread, int request)
{
    char variables[100];
    zend_file_handle file;
    int status;

    if (php_request_startup() == FAILURE) {
        fprintf(stderr, "thread %d: no request\n", thread);
        failed++;
        return;
    }
    SG(headers_sent) = 1;
    SG(request_info).no_headers = 1;
    zend_first_try {
        snprintf(variables, sizeof variables, "$thread = %d; $request = %d;", thread, request);
        zend_eval_string(variables, NULL, "host");
        zend_stream_init_filename(&file, script);
        php_execute_script(&file);
        zend_destroy_file_handle(&file);
    } zend_end_try();
    status = EG(exit_status);
    php_request_shutdown(NULL);
    if (status != 0) {
        failed++;
    }
    if (getpid() != process) {
        _exit(status);
    }
}

static void *thread(void *number)
{
    ts_resource(0);
    for (int request = 0; request < requests; request++) {
        serve((int) (intptr_t) number, request);
    }
    ts_free_thread();
    return NULL;
}

int main(int argc, char **argv)
{
    int count = argc == 4 ? atoi(argv[1]) : 0;
    pthread_t *threads = calloc(count + 1, sizeof *threads);

    if (count < 1) {
        fprintf(stderr, "usage: host THREADS REQUESTS SCRIPT\n");
        return 2;
    }
    requests = atoi(argv[2]);
    script = argv[3];
    process = getpid();
    /* Its own request, in the main thread, lasts as long as the process. */
    if (php_embed_init(argc, argv) == FAILURE) {
        return 3;
    }
    for (int number = 0; number < count; number++) {
        pthread_create(&threads[number], NULL, thread, (void *) (intptr_t) number);
    }
    for (int number = 0; number < count; number++) {
        pthread_join(threads[number], NULL);
    }
    php_embed_shutdown();
    free(threads);
    return failed > 0;
}
