// Derivative of sum(table * joint histogram) by the 12 entries of the matrix, for each of many matrices (one blockIdx.y
// each, skipped where `ended` is set) with its constant table.
//   1. A grid-stride loop over the points: interpolate m and its gradient; the weight is the table under the derivative
//      of the Parzen window at m; add weight (grad m) (x, 1)^T to 12 sums.
//   2. Add the sums up over the block, then over the grid by its last block, in a fixed order.
// Called by CudaBackend.mutual_information and .minimise_affine after joint_histogram.cu, which makes the tables;
// `partial` is scratch, `arrived` starts and ends at 0. Moves 16 bytes per point, and gathers 8 voxels and 4 cells.
#include "parzen.cuh"

extern "C" __global__ void __launch_bounds__(256, 2) histogram_derivative(
    const float* __restrict__ points,   // (count, 3) voxels of the fixed grid
    const float* __restrict__ values,   // (count)
    const float* __restrict__ volume,   // (ni, nj, nk)
    const unsigned char* mask,          // (ni, nj, nk) or null
    LaunchMatrices launch_matrices,     // fixed voxel -> voxel of volume, where `matrices` is null
    const double* matrices,             // (many, 12) or null
    const unsigned char* ended,         // (many) or null
    const double* __restrict__ tables,  // (many, cells)
    double* partial,                    // (many, 12, blocks)
    unsigned* arrived,                  // (many)
    double* out,                        // (many, 14) ..., derivative
    long long count, int blocks, int cells, int bins, int ni, int nj, int nk) {
    if (ended && ended[blockIdx.y]) return;
    Box box = {ni, nj, nk};
    const Matrix& matrix = matrix_of_block(matrices, launch_matrices);
    const double* table = tables + (long long)blockIdx.y * cells;
    double sums[12] = {};
    for (long long p = (long long)blockIdx.x * BLOCK + threadIdx.x; p < count; p += (long long)blocks * BLOCK) {
        const float* x = points + 3 * p;
        PointSample m = sample_moving(volume, mask, box, matrix, x);
        if (!m.is_inside) continue;
        int row = clamped_bin(values[p] + 0.5, 0, bins - 1), column = clamped_bin(m.value, 1, bins - 3);
        double slopes[4], weight = 0.0;
        parzen_derivatives(m.value - column, slopes);
        for (int n = 0; n < 4; n++) weight += slopes[n] * table[row * bins + column - 1 + n];
        add_outer(sums, weight, m.slope, x);
    }
    partial += 12LL * blocks * blockIdx.y;
    sum_over_grid<12>(sums, partial, arrived + blockIdx.y, out + 14 * blockIdx.y + 2);
}
