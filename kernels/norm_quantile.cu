// Number, mean, quantile and maximum of the absolute values of a volume (COMPONENTS 1) or the norms of a field (3)
// inside the mask: one of three passes of a radix select. Norms are not negative, so that their bit patterns sort as
// they do.
// Pass DIGIT looks at a digit of 11, 10 and 10 bits:
//   1. Histogram of that digit over the norms whose higher digits equal those found so far; block-wise in shared
//      memory, then added to `counts`. The first pass also reduces number, sum and maximum.
//   2. The last block scans the histogram and finds the bin in which the rank of the quantile lies.
// Called by CudaBackend.statistics, once per pass. `counts` and `arrived` start and end at 0, `largest` starts at 0;
// `state` is the rank left and the digits so far. The first pass over a field stores its norms in `norms`, which the
// others read as a volume. Moves 12 + 4 + 4 + 4 bytes per voxel of a field, and the mask once per pass.
#ifndef COMPONENTS
#define COMPONENTS 3
#endif
#ifndef DIGIT
#define DIGIT 0
#endif
#include "reductions.cuh"

typedef unsigned long long Count;

constexpr int BINS = 2048, SHIFT = 20 - 10 * DIGIT, BITS = DIGIT ? 10 : 11;
constexpr int BINS_PER_THREAD = BINS / BLOCK;   // in the scan
constexpr int BATCH = COMPONENTS == 1 ? 8 : 4;  // loads in flight per thread

__shared__ unsigned block_counts[BINS];
__shared__ Count cumulative[BLOCK];  // inclusive scan over the threads' bins

// The squared norm of a vector; the absolute value of a number.
__device__ inline float squared_norm_at(const float* __restrict__ array, long long size, long long at) {
    if (COMPONENTS == 1) return fabsf(__ldg(array + at));
    float x = __ldg(array + at), y = __ldg(array + size + at), z = __ldg(array + 2 * size + at);
    return x * x + y * y + z * z;
}

// Inclusive scan (Hillis and Steele) of one count per thread, into `cumulative`.
__device__ inline void inclusive_scan(Count thread_count) {
    int t = threadIdx.x;
    cumulative[t] = thread_count;
    for (int step = 1; step < BLOCK; step *= 2) {
        __syncthreads();
        Count before = t >= step ? cumulative[t - step] : 0;
        __syncthreads();
        cumulative[t] += before;
    }
    __syncthreads();
}

// The bin in which the rank lies; exactly one thread finds it. Clears the counts.
__device__ inline void select_digit(unsigned* counts, Count* state, double* out, double quantile) {
    unsigned bin_counts[BINS_PER_THREAD];
    Count thread_count = 0;
    for (int n = 0; n < BINS_PER_THREAD; n++) {
        bin_counts[n] = counts[threadIdx.x * BINS_PER_THREAD + n];
        counts[threadIdx.x * BINS_PER_THREAD + n] = 0;
        thread_count += bin_counts[n];
    }
    inclusive_scan(thread_count);
    Count count = cumulative[BLOCK - 1], target = (Count)(quantile * (double)count);
    Count rank = DIGIT ? state[0] : target < count ? target : count - 1, digits = DIGIT ? state[1] : 0;
    __syncthreads();
    if (threadIdx.x == 0 && count == 0) state[0] = state[1] = 0;
    if (rank >= cumulative[threadIdx.x] || rank < cumulative[threadIdx.x] - thread_count) return;
    rank -= cumulative[threadIdx.x] - thread_count;
    int value = 0;
#pragma unroll
    for (int n = 0; n < BINS_PER_THREAD; n++)
        if (value == n && rank >= bin_counts[n]) rank -= bin_counts[n], value++;
    state[0] = rank;
    state[1] = digits << BITS | (unsigned)(threadIdx.x * BINS_PER_THREAD + value);
    out[2] = __int_as_float((int)(state[1] << SHIFT));
}

extern "C" __global__ void __launch_bounds__(256) norm_quantile(
    const float* __restrict__ array,  // (components, size)
    const unsigned char* mask,        // (size) or null
    unsigned* counts,                 // (2048) norms per value of the digit
    unsigned long long* state,        // (2)
    double* partial,                  // (2, blocks)
    unsigned* arrived,                // (1)
    float* largest,                   // (1)
    double* out,                      // (4) number, mean, quantile, maximum
    float* __restrict__ norms,        // (size) or null
    double quantile, int blocks, long long size) {
    for (int d = threadIdx.x; d < BINS; d += BLOCK) block_counts[d] = 0;
    __syncthreads();
    unsigned digits = DIGIT ? (unsigned)state[1] : 0u;
    double count = 0.0, total = 0.0;
    float thread_max = 0.0f;
    for (long long first = (long long)blockIdx.x * BLOCK * BATCH + threadIdx.x; first < size;
         first += (long long)blocks * BLOCK * BATCH) {
        bool inside[BATCH];
        float norm[BATCH];
#pragma unroll
        for (int n = 0; n < BATCH; n++) {
            long long at = first + n * BLOCK;
            inside[n] = at < size && !(mask && !mask[at]);
            norm[n] = inside[n] ? squared_norm_at(array, size, at) : 0.0f;
        }
#pragma unroll
        for (int n = 0; n < BATCH; n++) {
            if (!inside[n]) continue;
            if (COMPONENTS > 1) norm[n] = sqrtf(norm[n]);
            if (norms) norms[first + n * BLOCK] = norm[n];
            unsigned pattern = (unsigned)__float_as_int(norm[n]);
            if (pattern >> (SHIFT + BITS) == digits)
                atomicAdd(&block_counts[pattern >> SHIFT & ((1u << BITS) - 1)], 1u);
            if (DIGIT == 0) count += 1.0, total += norm[n], thread_max = fmaxf(thread_max, norm[n]);
        }
    }
    __syncthreads();
    for (int d = threadIdx.x; d < BINS; d += BLOCK)
        if (block_counts[d]) atomicAdd(counts + d, block_counts[d]);
    if (DIGIT == 0) {
        count = block_sum<BLOCK>(count), total = block_sum<BLOCK>(total), thread_max = block_max<BLOCK>(thread_max);
        if (threadIdx.x == 0)
            partial[blockIdx.x] = count, partial[blocks + blockIdx.x] = total, atomic_max(largest, thread_max);
    }
    if (!is_last_block(arrived)) return;
    if (DIGIT == 0) {
        count = ordered_sum<BLOCK>(partial, blocks), total = ordered_sum<BLOCK>(partial + blocks, blocks);
        if (threadIdx.x == 0)
            out[0] = count, out[1] = count > 0.0 ? total / count : 0.0, out[2] = 0.0, out[3] = *largest;
    }
    __syncthreads();
    select_digit(counts, state, out, quantile);
}
