/* A libcuda.so.1 on the processor: as much of CUDA's driver as CudaDevice asks for through pycuda and
   cuda.bindings, and strict about it. Everything happens at once; test_cuda.py reads the counters. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS, INVALID_VALUE, ILLEGAL_ADDRESS = 700, NOT_SUPPORTED = 801, CAPTURE_INVALIDATED = 901 };
enum { NON_BLOCKING = 1, BLOCKING_SYNC = 1, THREAD_LOCAL = 1 };
enum { OPERATIONS = 64 };

typedef struct { void *target; const void *source; size_t size; } Copy;
typedef struct { Copy copies[OPERATIONS]; int count; } Graph;

/* what is handed out and not given back, and what was done */
int device_memory, host_memory, streams, events, graphs, executables, contexts, replays;
/* set by the test */
int fails_to_capture, is_lost;

static Graph *capturing;
static int the_context;

#define CALL(condition) do { if (is_lost) return ILLEGAL_ADDRESS; if (!(condition)) return INVALID_VALUE; } while (0)

static int copy(void *target, const void *source, size_t size, void *stream) {
    CALL(stream != NULL); /* never the default stream */
    if (capturing == NULL) memcpy(target, source, size);
    else capturing->copies[capturing->count++] = (Copy){target, source, size};
    return SUCCESS;
}

int cuInit(unsigned flags) { return SUCCESS; }
int cuDriverGetVersion(int *version) { *version = 13000; return SUCCESS; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return SUCCESS; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &the_context; contexts++; return SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int device) { contexts--; return SUCCESS; }
int cuCtxPushCurrent_v2(void *context) { CALL(context == &the_context); return SUCCESS; }
int cuCtxPopCurrent_v2(void **context) { *context = &the_context; CALL(1); return SUCCESS; }
int cuCtxSynchronize(void) { CALL(1); return SUCCESS; }

int cuMemAlloc_v2(uint64_t *memory, size_t size) {
    CALL(1);
    *memory = (uint64_t)malloc(size);
    device_memory++;
    return SUCCESS;
}
int cuMemFree_v2(uint64_t memory) { CALL(1); free((void *)memory); device_memory--; return SUCCESS; }
int cuMemHostAlloc(void **memory, size_t size, unsigned flags) {
    CALL(1);
    *memory = malloc(size);
    host_memory++;
    return SUCCESS;
}
int cuMemFreeHost(void *memory) { CALL(1); free(memory); host_memory--; return SUCCESS; }

int cuMemcpyHtoDAsync_v2(uint64_t target, const void *source, size_t size, void *stream) {
    return copy((void *)target, source, size, stream);
}
int cuMemcpyDtoHAsync_v2(void *target, uint64_t source, size_t size, void *stream) {
    return copy(target, (const void *)source, size, stream);
}
int cuMemcpyDtoDAsync_v2(uint64_t target, uint64_t source, size_t size, void *stream) {
    return copy((void *)target, (const void *)source, size, stream);
}

int cuStreamCreate(void **stream, unsigned flags) {
    CALL(flags == NON_BLOCKING);
    *stream = malloc(1);
    streams++;
    return SUCCESS;
}
int cuStreamDestroy_v2(void *stream) { CALL(1); free(stream); streams--; return SUCCESS; }
int cuStreamSynchronize(void *stream) { CALL(stream != NULL && capturing == NULL); return SUCCESS; }

int cuEventCreate(void **event, unsigned flags) {
    CALL(flags == BLOCKING_SYNC);
    *event = calloc(1, sizeof(double));
    events++;
    return SUCCESS;
}
int cuEventDestroy_v2(void *event) { CALL(1); free(event); events--; return SUCCESS; }
int cuEventRecord(void *event, void *stream) {
    struct timespec now;
    CALL(stream != NULL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    *(double *)event = 1e3 * now.tv_sec + 1e-6 * now.tv_nsec;
    return SUCCESS;
}
int cuEventSynchronize(void *event) { CALL(1); return SUCCESS; }
int cuEventElapsedTime(float *milliseconds, void *start, void *end) {
    CALL(1);
    *milliseconds = (float)(*(double *)end - *(double *)start);
    return SUCCESS;
}
int cuEventElapsedTime_v2(float *ms, void *start, void *end) { return cuEventElapsedTime(ms, start, end); }

int cuStreamBeginCapture_v2(void *stream, int mode) {
    CALL(mode == THREAD_LOCAL && capturing == NULL);
    capturing = calloc(1, sizeof(Graph));
    return SUCCESS;
}
int cuStreamEndCapture(void *stream, void **graph) {
    CALL(capturing != NULL);
    *graph = fails_to_capture ? NULL : capturing;
    graphs += !fails_to_capture;
    capturing = NULL;
    return fails_to_capture ? CAPTURE_INVALIDATED : SUCCESS;
}
int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
    CALL(flags == 0);
    *executable = malloc(sizeof(Graph));
    memcpy(*executable, graph, sizeof(Graph));
    executables++;
    return SUCCESS;
}
int cuGraphLaunch(void *executable, void *stream) {
    Graph *graph = executable;
    CALL(stream != NULL);
    for (int i = 0; i < graph->count; i++)
        memcpy(graph->copies[i].target, graph->copies[i].source, graph->copies[i].size);
    replays++;
    return SUCCESS;
}
int cuGraphDestroy(void *graph) { free(graph); graphs--; return SUCCESS; }
int cuGraphExecDestroy(void *executable) { free(executable); executables--; return SUCCESS; }
int cuGetErrorString(int error, const char **text) {
    *text = error == ILLEGAL_ADDRESS ? "an illegal memory access was encountered" : "refused";
    return SUCCESS;
}

static int unsupported(void) { return NOT_SUPPORTED; }

/* cuda.bindings asks by name for all there is */
int cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *status) {
    static const char *const spellings[] = {"%s_v2", "%s", "%sWithFlags"};
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    *function = NULL;
    for (int i = 0; i < 3 && *function == NULL; i++) {
        char spelled[128];
        snprintf(spelled, sizeof spelled, spellings[i], name);
        *function = dlsym(library, spelled);
    }
    if (*function == NULL) *function = (void *)unsupported;
    if (status != NULL) *status = 0;
    return SUCCESS;
}
int cuGetProcAddress(const char *name, void **function, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, function, version, flags, NULL);
}
