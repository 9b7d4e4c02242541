// d sum(table * joint_histogram) / d matrix for a constant table: twelve sums over sample points.
// Called by CudaBackend.histogram_derivative; `partial` is scratch, `arrived` is 0. Threads stride over the points.
#include "parzen.cuh"

extern "C" __global__ void __launch_bounds__(256, 3) histogram_derivative(
    const float* __restrict__ points,  // (count, 3) voxels of the fixed grid
    const float* __restrict__ values,  // (count)
    const float* __restrict__ volume,  // (ni, nj, nk)
    const unsigned char* mask,         // (ni, nj, nk) or null
    Matrix matrix,                     // fixed voxel -> voxel of volume
    const double* __restrict__ table,  // (bins, bins)
    double* partial,                   // (12, blocks)
    unsigned* arrived,                 // (1)
    double* out,                       // (12)
    long long count, int blocks, int bins, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    double sums[12] = {};
    for (long long p = (long long)blockIdx.x * BLOCK + threadIdx.x; p < count; p += (long long)gridDim.x * BLOCK) {
        const float* x = points + 3 * p;
        Seen m = look(volume, mask, box, matrix, x);
        if (!m.counts) continue;
        int row = bin_of(values[p] + 0.5, 0, bins - 1), column = bin_of(m.value, 1, bins - 3);
        double slopes[4], weight = 0.0;
        parzen_slopes(m.value - column, slopes);
        for (int n = 0; n < 4; n++) weight += slopes[n] * table[row * bins + column - 1 + n];
        add_outer(sums, weight, m.slope, x);
    }
    sum_over_grid<12>(sums, partial, arrived, out);
}
