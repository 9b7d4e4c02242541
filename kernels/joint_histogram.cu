// Joint histogram over sample points under each of many matrices (one blockIdx.y each, skipped where `ended` is set),
// then the negative mutual information and its derivative by every cell. Box window in the fixed value, cubic B-spline
// Parzen window in the moving one, both in units of bins: Mattes et al. 2003, 10.1109/TMI.2003.809072.
// Counts are integers, multiples of 2^-40, so that their order does not matter:
//   1. A grid-stride loop over the points adds to the histogram of the block: in shared memory where BINS is at most
//      64, as two halves since atomics there add 32 bits, otherwise directly to `counts`.
//   2. Blocks add theirs to `counts`.
//   3. The last block of a matrix computes marginals, value and table, and sets `counts` to 0 again.
// Called by CudaBackend.mutual_information and .minimise_affine; `counts` and `arrived` start and end at 0. Moves 16
// bytes per point, and gathers 8 voxels.
#ifndef BINS
#define BINS 32
#endif
#include "parzen.cuh"

typedef unsigned long long Count;

constexpr double UNIT = 1099511627776.0;  // 2^40
constexpr bool IN_SHARED = BINS <= 64;
constexpr int CELLS = BINS * BINS;

__shared__ unsigned low[IN_SHARED ? CELLS : 1], high[IN_SHARED ? CELLS : 1];  // of this block, then of all
__shared__ double fixed_histogram[BINS], moving_histogram[BINS];              // marginals

__device__ inline Count block_count(int cell) { return (Count)high[cell] << 32 | low[cell]; }

__device__ inline void set_block_count(int cell, Count count) {
    low[cell] = (unsigned)count;
    high[cell] = (unsigned)(count >> 32);
}

__device__ inline void add_count(Count* counts, int cell, Count increment) {
    if (!IN_SHARED) {
        atomicAdd(counts + cell, increment);
        return;
    }
    unsigned low_part = (unsigned)increment, before = atomicAdd(low + cell, low_part);
    unsigned rest = (unsigned)(increment >> 32) + (before + low_part < low_part);  // with the carry
    if (rest) atomicAdd(high + cell, rest);
}

// Writes -sum p log(p / (p_f p_m)) and the total, and the table -log(p / (p_f p_m)) / total where there is one.
__device__ inline void write_information(const Count* counts, double* out, double* table) {
    double value_part = 0.0, total_part = 0.0;
    for (int b = threadIdx.x; b < 2 * BINS; b += BLOCK) {
        Count sum = 0;
        bool is_row = b < BINS;
        int line = is_row ? b : b - BINS;
        for (int n = 0; n < BINS; n++) {
            int cell = is_row ? line * BINS + (n + line) % BINS : n * BINS + line;  // rows start at different banks
            sum += IN_SHARED ? block_count(cell) : counts[cell];
        }
        (is_row ? fixed_histogram : moving_histogram)[line] = (double)sum / UNIT;
        if (is_row) total_part += fixed_histogram[line];
    }
    double total = block_sum<BLOCK>(total_part), divisor = total > 0.0 ? total : 1.0;
    for (int c = threadIdx.x; c < CELLS; c += BLOCK) {
        double joint = (double)(IN_SHARED ? block_count(c) : counts[c]) / UNIT;
        double slope = joint > 0.0
                           ? -log(joint * divisor / (fixed_histogram[c / BINS] * moving_histogram[c % BINS])) / divisor
                           : 0.0;
        if (table) table[c] = slope;
        value_part += joint * slope;
    }
    double value = block_sum<BLOCK>(value_part);
    if (threadIdx.x == 0) out[0] = value, out[1] = total;
}

extern "C" __global__ void __launch_bounds__(256, 4) joint_histogram(
    const float* __restrict__ points,  // (count, 3) voxels of the fixed grid
    const float* __restrict__ values,  // (count)
    const float* __restrict__ volume,  // (ni, nj, nk)
    const unsigned char* mask,         // (ni, nj, nk) or null
    LaunchMatrices launch_matrices,    // fixed voxel -> voxel of volume, where `matrices` is null
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
    for (int c = threadIdx.x; IN_SHARED && c < CELLS; c += BLOCK) set_block_count(c, 0);
    const Matrix& matrix = matrix_of_block(matrices, launch_matrices);
    for (long long p = (long long)blockIdx.x * BLOCK + threadIdx.x; p < count; p += (long long)gridDim.x * BLOCK) {
        PointSample m = sample_moving(volume, mask, box, matrix, points + 3 * p);
        if (!m.is_inside) continue;
        int row = clamped_bin(values[p] + 0.5, 0, BINS - 1), column = clamped_bin(m.value, 1, BINS - 3);
        double weights[4];
        parzen(m.value - column, weights);
        for (int n = 0; n < 4; n++) add_count(counts, row * BINS + column - 1 + n, (Count)(weights[n] * UNIT + 0.5));
    }
    __syncthreads();
    for (int c = threadIdx.x; IN_SHARED && c < CELLS; c += BLOCK)
        if (block_count(c)) atomicAdd(counts + c, block_count(c));
    if (!is_last_block(arrived + blockIdx.y, gridDim.x)) return;
    for (int c = threadIdx.x; IN_SHARED && c < CELLS; c += BLOCK) set_block_count(c, counts[c]);
    __syncthreads();
    write_information(
        counts, out + (long long)blockIdx.y * width, tables ? tables + (long long)blockIdx.y * CELLS : nullptr);
    for (int c = threadIdx.x; c < CELLS; c += BLOCK) counts[c] = 0;
}
