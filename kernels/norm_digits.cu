// One pass of three that find number, mean, quantile and maximum of the absolute values of a volume (COMPONENTS 1) or of
// the lengths of a field (3) inside the mask. Norms are not negative, so that their bits sort as they do: pass DIGIT
// counts how many have each value of a digit of 11, 10 and 10 bits, among those whose higher digits are known, and its
// last block finds the value in which the quantile lies.
// Called by CudaBackend.statistics, the passes one after the other; `counts` and `arrived` start and end at 0, `largest`
// starts at 0, `state` is scratch: the rank that is left, and the digits so far. The first pass over a field leaves its
// lengths in `norms`, which the others read as a volume. Moves 12 + 4 + 4 + 4 bytes per voxel of a field and as many
// of the mask as there are passes.
#ifndef COMPONENTS
#define COMPONENTS 3
#endif
#ifndef DIGIT
#define DIGIT 0
#endif
#include "reductions.cuh"

typedef unsigned long long Count;

constexpr int VALUES = 2048, SHIFT = 20 - 10 * DIGIT, BITS = DIGIT ? 10 : 11;
constexpr int EACH = VALUES / BLOCK;  // values of the digit that a thread of the last block looks after
constexpr int AT_ONCE = COMPONENTS == 1 ? 8 : 4;  // voxels that a thread asks for at once

__shared__ unsigned block_counts[VALUES];
__shared__ Count upto[BLOCK];  // norms with a thread's values or lower ones

// The square of a length; the absolute value of a number.
__device__ inline float size_at(const float* __restrict__ array, long long size, long long at) {
    if (COMPONENTS == 1) return fabsf(__ldg(array + at));
    float x = __ldg(array + at), y = __ldg(array + size + at), z = __ldg(array + 2 * size + at);
    return x * x + y * y + z * z;
}

// Leaves in `upto` what all threads up to each have.
__device__ inline void add_up(Count mine) {
    int t = threadIdx.x;
    upto[t] = mine;
    for (int step = 1; step < BLOCK; step *= 2) {
        __syncthreads();
        Count before = t >= step ? upto[t - step] : 0;
        __syncthreads();
        upto[t] += before;
    }
    __syncthreads();
}

// The value of the digit in which the rank lies; exactly one thread finds it. Clears the counts.
__device__ inline void find_digit(unsigned* counts, Count* state, double* found, double share) {
    unsigned own[EACH];
    Count mine = 0;
    for (int n = 0; n < EACH; n++) {
        own[n] = counts[threadIdx.x * EACH + n];
        counts[threadIdx.x * EACH + n] = 0;
        mine += own[n];
    }
    add_up(mine);
    Count count = upto[BLOCK - 1], wanted = (Count)(share * (double)count);
    Count rank = DIGIT ? state[0] : wanted < count ? wanted : count - 1, digits = DIGIT ? state[1] : 0;
    __syncthreads();
    if (threadIdx.x == 0 && count == 0) state[0] = state[1] = 0;
    if (rank >= upto[threadIdx.x] || rank < upto[threadIdx.x] - mine) return;
    rank -= upto[threadIdx.x] - mine;
    int value = 0;
#pragma unroll
    for (int n = 0; n < EACH; n++)
        if (value == n && rank >= own[n]) rank -= own[n], value++;
    state[0] = rank;
    state[1] = digits << BITS | (unsigned)(threadIdx.x * EACH + value);
    found[2] = __int_as_float((int)(state[1] << SHIFT));
}

extern "C" __global__ void __launch_bounds__(256) norm_digits(
    const float* __restrict__ array,   // (components, size)
    const unsigned char* mask,         // (size) or null
    unsigned* counts,                  // (2048) norms per value of the digit
    unsigned long long* state,         // (2)
    double* partial,                   // (2, blocks)
    unsigned* arrived,                 // (1)
    float* largest,                    // (1)
    double* found,                     // (4) number, mean, quantile, maximum
    float* __restrict__ norms,         // (size) or null
    double share, int blocks, long long size) {
    for (int d = threadIdx.x; d < VALUES; d += BLOCK) block_counts[d] = 0;
    __syncthreads();
    unsigned digits = DIGIT ? (unsigned)state[1] : 0u;
    double count = 0.0, total = 0.0;
    float most = 0.0f;
    for (long long first = (long long)blockIdx.x * BLOCK * AT_ONCE + threadIdx.x; first < size;
         first += (long long)blocks * BLOCK * AT_ONCE) {
        bool inside[AT_ONCE];
        float norm[AT_ONCE];
#pragma unroll
        for (int n = 0; n < AT_ONCE; n++) {
            long long at = first + n * BLOCK;
            inside[n] = at < size && !(mask && !mask[at]);
            norm[n] = inside[n] ? size_at(array, size, at) : 0.0f;
        }
#pragma unroll
        for (int n = 0; n < AT_ONCE; n++) {
            if (!inside[n]) continue;
            if (COMPONENTS > 1) norm[n] = sqrtf(norm[n]);
            if (norms) norms[first + n * BLOCK] = norm[n];
            unsigned pattern = (unsigned)__float_as_int(norm[n]);
            if (pattern >> (SHIFT + BITS) == digits) atomicAdd(&block_counts[pattern >> SHIFT & ((1u << BITS) - 1)], 1u);
            if (DIGIT == 0) count += 1.0, total += norm[n], most = fmaxf(most, norm[n]);
        }
    }
    __syncthreads();
    for (int d = threadIdx.x; d < VALUES; d += BLOCK)
        if (block_counts[d]) atomicAdd(counts + d, block_counts[d]);
    if (DIGIT == 0) {
        count = block_sum<BLOCK>(count), total = block_sum<BLOCK>(total), most = block_max<BLOCK>(most);
        if (threadIdx.x == 0) partial[blockIdx.x] = count, partial[blocks + blockIdx.x] = total, raise(largest, most);
    }
    if (!is_last_block(arrived)) return;
    if (DIGIT == 0) {
        count = ordered_sum<BLOCK>(partial, blocks), total = ordered_sum<BLOCK>(partial + blocks, blocks);
        if (threadIdx.x == 0)
            found[0] = count, found[1] = count > 0.0 ? total / count : 0.0, found[2] = 0.0, found[3] = *largest;
    }
    __syncthreads();
    find_digit(counts, state, found, share);
}
