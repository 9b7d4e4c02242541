// Joint histogram of the grey values of two volumes, their negative mutual information, and the table of forces. Each
// value is shared out linearly between two bins, in 256ths; smoothed by the cubic B-spline along both axes, that is the
// Parzen window of Mattes et al. 2003, 10.1109/TMI.2003.809072, linear between whole bins.
// Counts are integers, so that their order does not matter:
//   1. Every block adds CHUNK voxels to a histogram of its own: in shared memory where BINS is at most 96, else directly
//      to `counts`. 32 bits hold them: a voxel adds 2^16.
//   2. Blocks add theirs to `counts`.
//   3. The last block smooths them, computes value and table, and sets `counts` to 0 again.
// Called by CudaBackend.mutual_information_forces; `counts` and `arrived` start and end at 0, `work` is scratch. Moves 8
// bytes per voxel (12 with a mask).
#ifndef BINS
#define BINS 64
#endif
#ifndef VALUE
#define VALUE double
#endif
#include "grey_value_bins.cuh"
#include "reductions.cuh"

typedef unsigned long long Count;

constexpr bool IN_SHARED = BINS <= 96;
constexpr int THREADS = 512;  // of a block: the last one works on the table alone
constexpr int CELLS = BINS * BINS, CHUNK = 16384, PARTS = 256;
constexpr int LINES = 2 * BINS, SHARES = LINES < THREADS ? THREADS / LINES : 1;  // rows and columns; threads for each

__shared__ unsigned block_counts[IN_SHARED ? CELLS : 1];
__shared__ double line_sums[SHARES][LINES];
__shared__ double marginals[LINES];  // of the fixed volume, then of the moving one

__device__ inline void add_count(Count* counts, int cell, unsigned increment) {
    if (increment == 0) return;
    if (IN_SHARED)
        atomicAdd(block_counts + cell, increment);
    else
        atomicAdd(counts + cell, (Count)increment);
}

__device__ inline void add_voxel(Count* counts, Bin f, Bin m) {
    unsigned f_share = (unsigned)(f.above * PARTS + 0.5f), m_share = (unsigned)(m.above * PARTS + 0.5f);
    int cell = f.below * BINS + m.below;
    add_count(counts, cell, (PARTS - f_share) * (PARTS - m_share));
    add_count(counts, cell + 1, (PARTS - f_share) * m_share);
    add_count(counts, cell + BINS, f_share * (PARTS - m_share));
    add_count(counts, cell + BINS + 1, f_share * m_share);
}

// A cell under the cubic B-spline along both axes; cells beyond the table are 0.
template <typename Number>
__device__ inline double windowed(const Number* table, int cell) {
    const double weights[3] = {1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0};
    int row = cell / BINS, column = cell % BINS;
    double sum = 0.0;
    for (int a = -1; a <= 1; a++)
        for (int b = -1; b <= 1; b++)
            if (row + a >= 0 && row + a < BINS && column + b >= 0 && column + b < BINS)
                sum += weights[a + 1] * weights[b + 1] * (double)table[(row + a) * BINS + column + b];
    return sum;
}

// Sums of the rows and columns of a table, in a fixed order.
__device__ inline void set_marginals(const double* table) {
    for (int n = threadIdx.x; n < LINES * SHARES; n += THREADS) {
        int line = n % LINES, share = n / LINES, first = line < BINS ? line * BINS : line - BINS;
        double sum = 0.0;
        for (int c = share; c < BINS; c += SHARES) sum += table[first + c * (line < BINS ? 1 : BINS)];
        line_sums[share][line] = sum;
    }
    __syncthreads();
    for (int line = threadIdx.x; line < LINES; line += THREADS) {
        double sum = 0.0;
        for (int share = 0; share < SHARES; share++) sum += line_sums[share][line];
        marginals[line] = sum;
    }
    __syncthreads();
}

// The joint distribution, its logarithmic ratio to the product of the marginals, and that once more under the window.
__device__ inline double write_table(const Count* counts, double total, double* work, float* table) {
    double *joint = work, *ratio = work + CELLS, value = 0.0;
    for (int c = threadIdx.x; c < CELLS; c += THREADS) joint[c] = total > 0.0 ? windowed(counts, c) / total : 0.0;
    __syncthreads();
    set_marginals(joint);
    for (int c = threadIdx.x; c < CELLS; c += THREADS) {
        double product = marginals[c / BINS] * marginals[BINS + c % BINS];
        ratio[c] = joint[c] > 0.0 ? log(joint[c] / product) : 0.0;
        value -= joint[c] * ratio[c];
    }
    __syncthreads();
    for (int c = threadIdx.x; c < CELLS; c += THREADS) table[c] = (float)windowed(ratio, c);
    return block_sum<THREADS>(value);
}

extern "C" __global__ void __launch_bounds__(512) value_histogram(
    const float* __restrict__ fixed,   // (count)
    const float* __restrict__ moving,  // (count)
    const float* __restrict__ mask,    // (count) or null: positive where voxels count
    unsigned long long* counts,        // (cells)
    double* work,                      // (2, cells)
    unsigned* arrived,                 // (1)
    float* table,                      // (cells)
    VALUE* value,                      // (1)
    float low, float high, float scale, long long count, int cells) {
    Span span = {low, high, scale};
    for (int c = threadIdx.x; IN_SHARED && c < CELLS; c += THREADS) block_counts[c] = 0;
    __syncthreads();
    long long first = (long long)blockIdx.x * CHUNK, end = first + CHUNK < count ? first + CHUNK : count;
    for (long long v = first + threadIdx.x; v < end; v += THREADS) {
        if (mask && !(__ldg(mask + v) > 0.0f)) continue;
        add_voxel(counts, Bin(__ldg(fixed + v), span, BINS), Bin(__ldg(moving + v), span, BINS));
    }
    __syncthreads();
    for (int c = threadIdx.x; IN_SHARED && c < CELLS; c += THREADS)
        if (block_counts[c]) atomicAdd(counts + c, (Count)block_counts[c]);
    if (!is_last_block(arrived)) return;
    double voxels = 0.0;  // whole numbers, so that the order of their sum does not matter
    for (int c = threadIdx.x; c < CELLS; c += THREADS) voxels += (double)counts[c];
    double information = write_table(counts, block_sum<THREADS>(voxels), work, table);
    if (threadIdx.x == 0) *value = (VALUE)information;
    __syncthreads();
    for (int c = threadIdx.x; c < CELLS; c += THREADS) counts[c] = 0;
}
