// Number, sum and sum of squares of the values of a volume inside the mask, in double and in a fixed order.
// Called by CudaBackend.sums; `partial` has an entry per block and sum, `arrived` is 0. Moves 4 bytes per voxel, 5 with a
// mask.
#include "reductions.cuh"

constexpr int AT_ONCE = 8;  // voxels that a thread asks for at once

extern "C" __global__ void __launch_bounds__(256) sums(
    const float* __restrict__ array,         // (size)
    const unsigned char* __restrict__ mask,  // (size) or null
    double* partial,                         // (3, blocks)
    unsigned* arrived,                       // (1)
    double* found,                           // (3) number, sum, sum of squares
    int blocks, long long size) {
    double count = 0.0, total = 0.0, squares = 0.0;
    for (long long first = (long long)blockIdx.x * BLOCK * AT_ONCE + threadIdx.x; first < size;
         first += (long long)blocks * BLOCK * AT_ONCE) {
        float value[AT_ONCE];
        bool inside[AT_ONCE];
#pragma unroll
        for (int n = 0; n < AT_ONCE; n++) {
            long long at = first + n * BLOCK;
            inside[n] = at < size && !(mask && !__ldg(mask + at));
            value[n] = inside[n] ? __ldg(array + at) : 0.0f;
        }
#pragma unroll
        for (int n = 0; n < AT_ONCE; n++) {
            count += inside[n] ? 1.0 : 0.0;
            total += value[n];
            squares += (double)value[n] * value[n];
        }
    }
    double mine[3] = {count, total, squares};
    for (int n = 0; n < 3; n++) {
        double whole = block_sum<BLOCK>(mine[n]);
        if (threadIdx.x == 0) partial[n * blocks + blockIdx.x] = whole;
    }
    if (!is_last_block(arrived)) return;
    for (int n = 0; n < 3; n++) {
        double whole = ordered_sum<BLOCK>(partial + n * blocks, blocks);
        if (threadIdx.x == 0) found[n] = whole;
    }
}
