// The CUDA words that our kernels use, in plain C++: a kernel runs on the CPU from its unmodified source.
//
// Blocks run one after the other. The threads of a block are fibers on one stack each: a fiber runs until it meets
// __syncthreads() or ends, then the next one runs, in ascending or descending order of threads; a barrier that some
// threads of a block miss is an error. Kernels without a barrier need no fibers and run as plain loops.
#pragma once
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)

struct Dim {
    unsigned x, y, z;
};

static Dim threadIdx, blockIdx, blockDim, gridDim;

struct alignas(16) float4 {
    float x, y, z, w;
};

static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// The sum of the products of four signed bytes, and of a number.
static inline int __dp4a(int a, int b, int sum) {
    for (int n = 0; n < 32; n += 8) sum += (int)(signed char)(a >> n) * (int)(signed char)(b >> n);
    return sum;
}

template <typename T>
static inline T __ldg(const T* from) {
    return *from;
}

template <typename T>
static inline T atomicAdd(T* at, T more) {
    T before = *at;
    *at += more;
    return before;
}

static inline int atomicExch(int* at, int other) {
    int before = *at;
    *at = other;
    return before;
}
static inline int atomicMax(int* at, int other) {
    int before = *at;
    if (other > before) *at = other;
    return before;
}

static inline int __float_as_int(float x) {
    int bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float __int_as_float(int bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline double __longlong_as_double(long long bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#define sinpi(x) sin(M_PI * (x))
#define cospi(x) cos(M_PI * (x))

static inline float __fdividef(float a, float b) { return a / b; }

static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }

// Down, and to the ends of what an int holds; NaN becomes the lowest.
static inline int __double2int_rd(double x) {
    double whole = floor(x);
    return !(whole > -2147483648.0) ? -2147483647 - 1 : whole >= 2147483647.0 ? 2147483647 : (int)whole;
}

static inline void __threadfence() {}

namespace fibers {

constexpr size_t STACK = 64 << 10;

struct Fiber {
    ucontext_t context;
    jmp_buf place;
    std::vector<char> stack = std::vector<char>(STACK);
    Dim index;
    bool started, done;
    void* fake_stack;
};

static std::vector<Fiber> pool;
static ucontext_t scheduler;
static Fiber* running;
static void (*body)();
static void start();

#if defined(__SANITIZE_ADDRESS__)

// The sanitizer must be told of every change of stacks, and follows swapcontext only.
extern "C" void __sanitizer_start_switch_fiber(void**, const void*, size_t);
extern "C" void __sanitizer_finish_switch_fiber(void*, const void**, size_t*);
static void* scheduler_fake_stack;
static const void* scheduler_bottom;
static size_t scheduler_size;

static inline void leave() {
    __sanitizer_start_switch_fiber(running->done ? nullptr : &running->fake_stack, scheduler_bottom, scheduler_size);
    swapcontext(&running->context, &scheduler);
    __sanitizer_finish_switch_fiber(running->fake_stack, nullptr, nullptr);
}

static inline void enter(Fiber& fiber) {
    __sanitizer_start_switch_fiber(&scheduler_fake_stack, fiber.stack.data(), fiber.stack.size());
    swapcontext(&scheduler, &fiber.context);
    __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
}

static inline void arrive() { __sanitizer_finish_switch_fiber(nullptr, &scheduler_bottom, &scheduler_size); }

#else

// swapcontext asks the kernel for the signal mask each time; after the first entry, jumps do without.
static jmp_buf back;

static inline void leave() {
    if (!_setjmp(running->place)) _longjmp(back, 1);
}

static inline void enter(Fiber& fiber) {
    if (_setjmp(back)) return;
    if (fiber.started) _longjmp(fiber.place, 1);
    fiber.started = true;
    setcontext(&fiber.context);
}

static inline void arrive() {}

#endif

static void start() {
    arrive();
    body();
    running->done = true;
    leave();
}

static inline void resume(Fiber& fiber) {
    running = &fiber;
    threadIdx = fiber.index;
    enter(fiber);
}

static inline void prepare(size_t threads) {
    if (pool.size() < threads) pool = std::vector<Fiber>(threads);
    for (size_t t = 0; t < threads; t++) {
        Fiber& fiber = pool[t];
        fiber.started = fiber.done = false;
        fiber.index = {(unsigned)(t % blockDim.x), (unsigned)(t / blockDim.x % blockDim.y),
                       (unsigned)(t / blockDim.x / blockDim.y)};
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, start, 0);
    }
}

static inline int run_block(size_t threads, bool descending) {
    prepare(threads);
    for (;;) {
        size_t ended = 0;
        for (size_t t = 0; t < threads; t++) {
            Fiber& fiber = pool[descending ? threads - 1 - t : t];
            resume(fiber);
            ended += fiber.done;
        }
        if (ended == threads) return 0;
        if (ended) return 1;  // the others wait at a barrier that these will never reach
    }
}

static inline int run_loops(size_t threads, bool descending) {
    for (size_t n = 0; n < threads; n++) {
        size_t t = descending ? threads - 1 - n : n;
        threadIdx = {(unsigned)(t % blockDim.x), (unsigned)(t / blockDim.x % blockDim.y),
                     (unsigned)(t / blockDim.x / blockDim.y)};
        body();
    }
    return 0;
}

// 0, or 1 where a barrier was not met by all threads of a block. `size` is the grid, the block, and the most blocks that
// are run.
static inline int run(const unsigned* size, void (*kernel)(), bool has_barriers, bool descending) {
    gridDim = {size[0], size[1], size[2]};
    blockDim = {size[3], size[4], size[5]};
    body = kernel;
    size_t blocks = (size_t)size[0] * size[1] * size[2], threads = (size_t)size[3] * size[4] * size[5];
    for (size_t n = 0; n < blocks && n < size[6]; n++) {
        size_t b = descending ? blocks - 1 - n : n;
        blockIdx = {(unsigned)(b % size[0]), (unsigned)(b / size[0] % size[1]), (unsigned)(b / size[0] / size[1])};
        int failed = has_barriers ? run_block(threads, descending) : run_loops(threads, descending);
        if (failed) return failed;
    }
    return 0;
}

}  // namespace fibers

#define __syncthreads() fibers::leave()

// -- calling an entry with arguments of which only the addresses are known ----------------------------------------

static void** arguments;

template <typename... P, size_t... N>
static inline void call_with(void (*kernel)(P...), std::index_sequence<N...>) {
    kernel(*(P*)arguments[N]...);
}

template <typename... P>
static inline void call_with(void (*kernel)(P...)) {
    call_with(kernel, std::index_sequence_for<P...>{});
}
