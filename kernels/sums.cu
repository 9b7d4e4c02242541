// Number, sum and sum of squares of the values of a volume inside the mask, in double and in a fixed order. Called by
// CudaBackend.sums; `partial` has an entry per block and sum, `arrived` starts and ends at 0. Grid-stride loop. Moves 4
// bytes in per voxel, 5 with a mask.
#include "reductions.cuh"

constexpr int BATCH = 8;  // loads in flight per thread

extern "C" __global__ void __launch_bounds__(256) sums(
    const float* __restrict__ array,         // (size)
    const unsigned char* __restrict__ mask,  // (size) or null
    double* partial,                         // (3, blocks)
    unsigned* arrived,                       // (1)
    double* out,                             // (3) number, sum, sum of squares
    int blocks, long long size) {
    double count = 0.0, total = 0.0, squares = 0.0;
    for (long long first = (long long)blockIdx.x * BLOCK * BATCH + threadIdx.x; first < size;
         first += (long long)blocks * BLOCK * BATCH) {
        float value[BATCH];
        bool inside[BATCH];
#pragma unroll
        for (int n = 0; n < BATCH; n++) {
            long long at = first + n * BLOCK;
            inside[n] = at < size && !(mask && !__ldg(mask + at));
            value[n] = inside[n] ? __ldg(array + at) : 0.0f;
        }
#pragma unroll
        for (int n = 0; n < BATCH; n++) {
            count += inside[n] ? 1.0 : 0.0;
            total += value[n];
            squares += (double)value[n] * value[n];
        }
    }
    double thread_sums[3] = {count, total, squares};
    for (int n = 0; n < 3; n++) {
        double block_total = block_sum<BLOCK>(thread_sums[n]);
        if (threadIdx.x == 0) partial[n * blocks + blockIdx.x] = block_total;
    }
    if (!is_last_block(arrived)) return;
    for (int n = 0; n < 3; n++) {
        double block_total = ordered_sum<BLOCK>(partial + n * blocks, blocks);
        if (threadIdx.x == 0) out[n] = block_total;
    }
}
