// Sums of w r_p r_q over the points of a reference whose value is not NaN, of many fits at once (one blockIdx.y each):
// the normal matrices of fits for which not all points count alike. r are the ROWS numbers of a point, w its weight;
// pairs (p, q) with q <= p are numbered row by row.
//   1. The block loads the rows and weights of BLOCK points into shared memory, and each thread adds them up for a pair;
//      so on for every gridDim.x-th piece of the points.
//   2. The last block of a fit adds the sums of its blocks up, in a fixed order.
// Called by CudaMotion.gram; `partial` is scratch, `arrived` starts and ends at 0. Moves 8 + 4 ROWS bytes per point and
// fit.
#ifndef ROWS
#define ROWS 11
#endif
#include "reductions.cuh"

constexpr int PAIRS = ROWS * (ROWS + 1) / 2;
static_assert(PAIRS <= BLOCK, "a thread for each pair");

extern "C" __global__ void __launch_bounds__(256) motion_gram(
    const float* __restrict__ rows,     // (count, rank)
    const float* __restrict__ values,   // (many, count)
    const float* __restrict__ weights,  // (many, count) or null
    double* partial,                    // (many, pairs, blocks)
    unsigned* arrived,                  // (many)
    double* out,                        // (many, pairs)
    long long count) {
    __shared__ float tile[ROWS][BLOCK + 1];  // odd: no bank conflicts
    __shared__ double weight[BLOCK];
    int fit = blockIdx.y, thread = threadIdx.x, p = 0;
    while (p < ROWS - 1 && (p + 1) * (p + 2) / 2 <= thread) p++;
    int q = thread - p * (p + 1) / 2;
    double sum = 0.0;
    for (long long first = (long long)blockIdx.x * BLOCK; first < count; first += (long long)gridDim.x * BLOCK) {
        long long point = first + thread;
        bool counts = point < count && !isnan(values[fit * count + point]);
        weight[thread] = !counts ? 0.0 : weights ? weights[fit * count + point] : 1.0;
        for (int row = 0; row < ROWS; row++) tile[row][thread] = counts ? rows[ROWS * point + row] : 0.0f;
        __syncthreads();
        for (int n = 0; n < BLOCK && thread < PAIRS; n++) sum += weight[n] * tile[p][n] * tile[q][n];
        __syncthreads();
    }
    partial += (long long)PAIRS * gridDim.x * fit;
    if (thread < PAIRS) partial[thread * gridDim.x + blockIdx.x] = sum;
    if (!is_last_block(arrived + fit, gridDim.x) || thread >= PAIRS) return;
    sum = 0.0;
    for (unsigned block = 0; block < gridDim.x; block++) sum += partial[thread * gridDim.x + block];
    out[PAIRS * fit + thread] = sum;
}
