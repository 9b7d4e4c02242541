// Deterministic sums and maxima: a tree reduction over a block, and over a grid by its last block.
#pragma once
#include "volume.cuh"

__device__ inline int thread_in_block() {
    return (int)((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x);
}

__device__ inline int block_in_grid() { return (int)((blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x); }

// The sum over a block of THREADS threads, a power of two; every thread must call it, and every thread gets it.
template <int THREADS>
__device__ inline double block_sum(double value) {
    __shared__ double sums[THREADS];
    int thread = thread_in_block();
    sums[thread] = value;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half) sums[thread] += sums[thread + half];
    }
    __syncthreads();
    double total = sums[0];
    __syncthreads();
    return total;
}

template <int THREADS>
__device__ inline float block_max(float value) {
    __shared__ float largest[THREADS];
    int thread = thread_in_block();
    largest[thread] = value;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half) largest[thread] = fmaxf(largest[thread], largest[thread + half]);
    }
    __syncthreads();
    return largest[0];
}

// Atomic maximum of floats that are not negative: their bit patterns sort as they do. Deterministic, as a maximum does
// not depend on order.
__device__ inline void atomic_max(float* out, float value) { atomicMax((int*)out, __float_as_int(value)); }

// True in the last of `blocks` blocks to arrive, which then sees what all of them have written (threadFenceReduction);
// `arrived` starts and ends at 0.
__device__ inline bool is_last_block(unsigned* arrived, unsigned blocks) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (thread_in_block() == 0) {
        last = atomicAdd(arrived, 1u) == blocks - 1;
        if (last) *arrived = 0;
    }
    __syncthreads();
    if (last) __threadfence();
    return last;
}

// The same over the whole grid.
__device__ inline bool is_last_block(unsigned* arrived) {
    return is_last_block(arrived, gridDim.x * gridDim.y * gridDim.z);
}

// Raises norm[0 .. many - 1] to the roots of the largest squares that all blocks of the grid found, each for the volume
// or field `index`. `largest_squares` and `arrived` start and end at 0.
template <int THREADS>
__device__ inline void raise_norms(
    float largest_square, int index, float* largest_squares, unsigned* arrived, float* norm, int many) {
    largest_square = block_max<THREADS>(largest_square);
    if (thread_in_block() == 0) atomic_max(largest_squares + index, largest_square);
    if (!is_last_block(arrived) || thread_in_block() != 0) return;
    for (int n = 0; n < many; n++)
        norm[n] = fmaxf(norm[n], sqrtf(__int_as_float(atomicExch((int*)largest_squares + n, 0))));
}

// The sum of `count` numbers by one block of THREADS threads, in a fixed order.
template <int THREADS>
__device__ inline double ordered_sum(const double* numbers, int count) {
    double value = 0;
    for (int n = thread_in_block(); n < count; n += THREADS) value += numbers[n];
    return block_sum<THREADS>(value);
}
