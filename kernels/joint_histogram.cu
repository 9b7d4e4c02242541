// Joint histogram over sample points under each of many matrices, whose blocks have the same blockIdx.y, and from it the
// negative mutual information and its derivative by every cell. Box in the fixed value, Parzen window in the moving one,
// both in units of bins. Counts are added up as whole multiples of 2^-40, so that their order does not matter: in shared
// memory where BINS is at most 64, then in `counts`, which starts and ends at 0.
// Called by CudaBackend.mutual_information; `arrived` is 0. The last block of each matrix computes the rest.
#ifndef BINS
#define BINS 32
#endif
#include "parzen.cuh"

typedef unsigned long long Count;

constexpr double UNIT = 1099511627776.0;  // 2^40
constexpr bool PRIVATE = BINS <= 64;
constexpr int CELLS = BINS * BINS;

__shared__ Count block_counts[PRIVATE ? CELLS : 1];
__shared__ double of_fixed[BINS], of_moving[BINS];  // sums over rows and columns

// Writes -sum p log(p / (p_f p_m)) and the total, and the table -log(p / (p_f p_m)) / total where there is one.
__device__ inline void inform(const Count* counts, double* out, double* table) {
    double mine = 0.0, part = 0.0;
    for (int b = threadIdx.x; b < BINS; b += BLOCK) {
        Count row = 0, column = 0;
        for (int n = 0; n < BINS; n++) row += counts[b * BINS + n], column += counts[n * BINS + b];
        of_fixed[b] = (double)row / UNIT;
        of_moving[b] = (double)column / UNIT;
        part += of_fixed[b];
    }
    double total = block_sum<BLOCK>(part), some = total > 0.0 ? total : 1.0;
    for (int c = threadIdx.x; c < CELLS; c += BLOCK) {
        double joint = (double)counts[c] / UNIT;
        double slope = joint > 0.0 ? -log(joint * some / (of_fixed[c / BINS] * of_moving[c % BINS])) / some : 0.0;
        if (table) table[c] = slope;
        mine += joint * slope;
    }
    double value = block_sum<BLOCK>(mine);
    if (threadIdx.x == 0) out[0] = value, out[1] = total;
}

extern "C" __global__ void __launch_bounds__(256, 4) joint_histogram(
    const float* __restrict__ points,  // (count, 3) voxels of the fixed grid
    const float* __restrict__ values,  // (count)
    const float* __restrict__ volume,  // (ni, nj, nk)
    const unsigned char* mask,         // (ni, nj, nk) or null
    const double* matrices,            // (many, 12) fixed voxel -> voxel of volume
    unsigned long long* counts,        // (many, cells)
    unsigned* arrived,                 // (many)
    double* tables,                    // (many, cells) or null
    double* out,                       // (many, width) value, total, ...
    long long count, int cells, int width, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    __shared__ Matrix matrix;
    if (threadIdx.x < 12) matrix.m[threadIdx.x] = matrices[12 * blockIdx.y + threadIdx.x];
    counts += (long long)blockIdx.y * CELLS;
    Count* mine = PRIVATE ? block_counts : counts;
    for (int c = threadIdx.x; PRIVATE && c < CELLS; c += BLOCK) block_counts[c] = 0;
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
    for (int c = threadIdx.x; PRIVATE && c < CELLS; c += BLOCK)
        if (block_counts[c]) atomicAdd(counts + c, block_counts[c]);
    if (!is_last_block(arrived + blockIdx.y, gridDim.x)) return;
    inform(counts, out + (long long)blockIdx.y * width, tables ? tables + (long long)blockIdx.y * CELLS : nullptr);
    for (int c = threadIdx.x; c < CELLS; c += BLOCK) counts[c] = 0;
}
