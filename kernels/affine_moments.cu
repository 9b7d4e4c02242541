// An affine metric and its derivative by all twelve parameters in one pass over sample points: n, sum f, sum m, sum f^2,
// sum m^2, sum f m, and sum w (grad m) (x, 1)^T for w = 1, f, m; under each of many matrices, whose blocks have the same
// blockIdx.y, but for those that `ended`.
// Called by CudaBackend.affine_moments and .descend; `partial` is scratch, `arrived` is 0. Threads stride over the points.
#include "points.cuh"

extern "C" __global__ void __launch_bounds__(256, 1) affine_moments(
    const float* __restrict__ points,  // (count, 3) voxels of the fixed grid
    const float* __restrict__ values,  // (count)
    const float* __restrict__ volume,  // (ni, nj, nk)
    const unsigned char* mask,         // (ni, nj, nk) or null
    Few few,                           // fixed voxel -> voxel of volume, where `matrices` is null
    const double* matrices,            // (many, 12) or null
    const unsigned char* ended,        // (many) or null
    double* partial,                   // (many, 42, blocks)
    unsigned* arrived,                 // (many)
    double* out,                       // (many, 42)
    long long count, int blocks, int ni, int nj, int nk) {
    if (ended && ended[blockIdx.y]) return;
    Box box = {ni, nj, nk};
    const Matrix& matrix = matrix_of_block(matrices, few);
    double sums[42] = {};
    for (long long p = (long long)blockIdx.x * BLOCK + threadIdx.x; p < count; p += (long long)gridDim.x * BLOCK) {
        const float* x = points + 3 * p;
        Seen m = look(volume, mask, box, matrix, x);
        if (!m.counts) continue;
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
