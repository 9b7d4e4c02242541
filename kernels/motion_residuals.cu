// What fits leave of the values of volumes at the points of a reference: v - s . r, 0 where v is NaN, of many fits (one
// blockIdx.y each). r are the `rank` numbers of a point, s the solution of a fit. Called by CudaMotion.residuals; `out`
// is the caller's. A thread is a point of a fit. Moves 8 + 4 `rank` bytes per point and fit.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) motion_residuals(
    const float* __restrict__ values,      // (many, count)
    const float* __restrict__ rows,        // (count, rank)
    const double* __restrict__ solutions,  // (many, rank)
    float* __restrict__ out,               // (many, count)
    long long count, int rank) {
    long long p = (long long)blockIdx.x * BLOCK + threadIdx.x;
    int fit = blockIdx.y;
    if (p >= count) return;
    double left = values[fit * count + p];
    for (int q = 0; q < rank; q++) left -= solutions[fit * rank + q] * rows[p * rank + q];
    out[fit * count + p] = isnan(left) ? 0.0f : (float)left;
}
