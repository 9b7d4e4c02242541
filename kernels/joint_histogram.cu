// Joint histogram over sample points under each of many matrices, whose blocks have the same blockIdx.y: box in the
// fixed value, Parzen window in the moving one, both in units of bins. Counts are added up as whole multiples of 2^-40,
// so that their order does not matter: in shared memory where BINS is at most 64, then in `counts`, which starts and
// ends at 0.
// Called by CudaBackend.joint_histogram; `arrived` is 0.
#ifndef BINS
#define BINS 32
#endif
#include "parzen.cuh"

typedef unsigned long long Count;

constexpr double UNIT = 1099511627776.0;  // 2^40
constexpr bool PRIVATE = BINS <= 64;

__shared__ Count block_counts[PRIVATE ? BINS * BINS : 1];

extern "C" __global__ void __launch_bounds__(256, 4) joint_histogram(
    const float* __restrict__ points,  // (count, 3) voxels of the fixed grid
    const float* __restrict__ values,  // (count)
    const float* __restrict__ volume,  // (ni, nj, nk)
    const unsigned char* mask,         // (ni, nj, nk) or null
    const double* matrices,            // (many, 12) fixed voxel -> voxel of volume
    unsigned long long* counts,        // (many, cells)
    unsigned* arrived,                 // (many)
    double* out,                       // (many, cells)
    long long count, int cells, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    __shared__ Matrix matrix;
    if (threadIdx.x < 12) matrix.m[threadIdx.x] = matrices[12 * blockIdx.y + threadIdx.x];
    counts += (long long)blockIdx.y * cells;
    out += (long long)blockIdx.y * cells;
    Count* mine = PRIVATE ? block_counts : counts;
    for (int c = threadIdx.x; PRIVATE && c < cells; c += BLOCK) block_counts[c] = 0;
    __syncthreads();
    for (long long p = (long long)blockIdx.x * BLOCK + threadIdx.x; p < count; p += (long long)gridDim.x * BLOCK) {
        Seen m = look(volume, mask, box, matrix, points + 3 * p);
        if (!m.counts) continue;
        int row = bin_of(values[p] + 0.5, 0, BINS - 1), column = bin_of(m.value, 1, BINS - 3);
        double weights[4];
        parzen(m.value - column, weights);
        for (int n = 0; n < 4; n++) atomicAdd(mine + row * BINS + column - 1 + n, (Count)(weights[n] * UNIT + 0.5));
    }
    __syncthreads();
    for (int c = threadIdx.x; PRIVATE && c < cells; c += BLOCK)
        if (block_counts[c]) atomicAdd(counts + c, block_counts[c]);
    if (!is_last_block(arrived + blockIdx.y, gridDim.x)) return;
    for (int c = threadIdx.x; c < cells; c += BLOCK) {
        out[c] = (double)counts[c] / UNIT;
        counts[c] = 0;
    }
}
