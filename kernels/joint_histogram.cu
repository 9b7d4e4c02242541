// Joint histogram over sample points under each of many matrices, whose blocks have the same blockIdx.y, and from it the
// negative mutual information and its derivative by every cell. Box in the fixed value, Parzen window in the moving one,
// both in units of bins. Counts are added up as whole multiples of 2^-40, so that their order does not matter: in shared
// memory where BINS is at most 64, there in two halves because it adds 32 bits at once only, then in `counts`, which
// starts and ends at 0.
// Called by CudaBackend.mutual_information and .descend; `arrived` is 0. The last block of each matrix computes the rest.
// Nothing is done for those that `ended`.
#ifndef BINS
#define BINS 32
#endif
#include "parzen.cuh"

typedef unsigned long long Count;

constexpr double UNIT = 1099511627776.0;  // 2^40
constexpr bool PRIVATE = BINS <= 64;
constexpr int CELLS = BINS * BINS;

__shared__ unsigned low[PRIVATE ? CELLS : 1], high[PRIVATE ? CELLS : 1];  // counts of this block, then of all
__shared__ double of_fixed[BINS], of_moving[BINS];  // sums over rows and columns

__device__ inline Count in_block(int cell) { return (Count)high[cell] << 32 | low[cell]; }

__device__ inline void set_in_block(int cell, Count count) {
    low[cell] = (unsigned)count;
    high[cell] = (unsigned)(count >> 32);
}

__device__ inline void add(Count* counts, int cell, Count more) {
    if (!PRIVATE) {
        atomicAdd(counts + cell, more);
        return;
    }
    unsigned part = (unsigned)more, before = atomicAdd(low + cell, part);
    unsigned rest = (unsigned)(more >> 32) + (before + part < part);
    if (rest) atomicAdd(high + cell, rest);
}

// Writes -sum p log(p / (p_f p_m)) and the total, and the table -log(p / (p_f p_m)) / total where there is one.
__device__ inline void inform(const Count* counts, double* out, double* table) {
    double mine = 0.0, part = 0.0;
    for (int b = threadIdx.x; b < 2 * BINS; b += BLOCK) {
        Count sum = 0;
        bool of_row = b < BINS;
        int line = of_row ? b : b - BINS;
        for (int n = 0; n < BINS; n++) {
            int cell = of_row ? line * BINS + (n + line) % BINS : n * BINS + line;  // rows begin at different banks
            sum += PRIVATE ? in_block(cell) : counts[cell];
        }
        (of_row ? of_fixed : of_moving)[line] = (double)sum / UNIT;
        if (of_row) part += of_fixed[line];
    }
    double total = block_sum<BLOCK>(part), some = total > 0.0 ? total : 1.0;
    for (int c = threadIdx.x; c < CELLS; c += BLOCK) {
        double joint = (double)(PRIVATE ? in_block(c) : counts[c]) / UNIT;
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
    Few few,                           // fixed voxel -> voxel of volume, where `matrices` is null
    const double* matrices,            // (many, 12) or null
    const unsigned char* ended,        // (many) or null
    unsigned long long* counts,        // (many, cells)
    unsigned* arrived,                 // (many)
    double* tables,                    // (many, cells) or null
    double* out,                       // (many, width) value, total, ...
    long long count, int cells, int width, int ni, int nj, int nk) {
    if (ended && ended[blockIdx.y]) return;
    Box box = {ni, nj, nk};
    counts += (long long)blockIdx.y * CELLS;
    for (int c = threadIdx.x; PRIVATE && c < CELLS; c += BLOCK) set_in_block(c, 0);
    const Matrix& matrix = matrix_of_block(matrices, few);
    for (long long p = (long long)blockIdx.x * BLOCK + threadIdx.x; p < count; p += (long long)gridDim.x * BLOCK) {
        Seen m = look(volume, mask, box, matrix, points + 3 * p);
        if (!m.counts) continue;
        int row = bin_of(values[p] + 0.5, 0, BINS - 1), column = bin_of(m.value, 1, BINS - 3);
        double weights[4];
        parzen(m.value - column, weights);
        for (int n = 0; n < 4; n++) add(counts, row * BINS + column - 1 + n, (Count)(weights[n] * UNIT + 0.5));
    }
    __syncthreads();
    for (int c = threadIdx.x; PRIVATE && c < CELLS; c += BLOCK)
        if (in_block(c)) atomicAdd(counts + c, in_block(c));
    if (!is_last_block(arrived + blockIdx.y, gridDim.x)) return;
    for (int c = threadIdx.x; PRIVATE && c < CELLS; c += BLOCK) set_in_block(c, counts[c]);
    __syncthreads();
    inform(counts, out + (long long)blockIdx.y * width, tables ? tables + (long long)blockIdx.y * CELLS : nullptr);
    for (int c = threadIdx.x; c < CELLS; c += BLOCK) counts[c] = 0;
}
