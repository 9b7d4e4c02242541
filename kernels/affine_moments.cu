// Sums over sample points from which an affine metric and its derivatives by the 12 entries of the matrix follow.
// For each matrix (one blockIdx.y each, skipped where `ended` is set), with f the fixed value and m the moving one at
// matrix (x, 1): n, sum f, sum m, sum f^2, sum m^2, sum f m, and sum w (grad m) (x, 1)^T for w = 1, f, m: 42 numbers.
//   1. A grid-stride loop over the points: interpolate m and its gradient, add to 42 sums in registers.
//   2. Add the sums up over the block, then over the grid by its last block, in a fixed order.
// Called by CudaBackend.affine_moments and .minimise_affine; `partial` is scratch, `arrived` starts and ends at 0.
// Moves 16 bytes per point, and gathers 8 voxels.
#include "sample_points.cuh"

extern "C" __global__ void __launch_bounds__(256, 1) affine_moments(
    const float* __restrict__ points,  // (count, 3) voxels of the fixed grid
    const float* __restrict__ values,  // (count)
    const float* __restrict__ volume,  // (ni, nj, nk)
    const unsigned char* mask,         // (ni, nj, nk) or null
    LaunchMatrices launch_matrices,    // fixed voxel -> voxel of volume, where `matrices` is null
    const double* matrices,            // (many, 12) or null
    const unsigned char* ended,        // (many) or null
    double* partial,                   // (many, 42, blocks)
    unsigned* arrived,                 // (many)
    double* out,                       // (many, 42)
    long long count, int blocks, int ni, int nj, int nk) {
    if (ended && ended[blockIdx.y]) return;
    Box box = {ni, nj, nk};
    const Matrix& matrix = matrix_of_block(matrices, launch_matrices);
    double sums[42] = {};
    for (long long p = (long long)blockIdx.x * BLOCK + threadIdx.x; p < count; p += (long long)gridDim.x * BLOCK) {
        const float* x = points + 3 * p;
        PointSample m = sample_moving(volume, mask, box, matrix, x);
        if (!m.is_inside) continue;
        double f = values[p];
        sums[0] += 1.0;
        sums[1] += f;
        sums[2] += m.value;
        sums[3] += f * f;
        sums[4] += m.value * m.value;
        sums[5] += f * m.value;
        add_outer(sums + 6, 1.0, m.slope, x);
        add_outer(sums + 18, f, m.slope, x);
        add_outer(sums + 30, m.value, m.slope, x);
    }
    partial += 42LL * blocks * blockIdx.y;
    sum_over_grid<42>(sums, partial, arrived + blockIdx.y, out + 42 * blockIdx.y);
}
