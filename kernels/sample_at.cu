// Linear interpolation of a volume at points, 0 outside, in double: a rounded value could fall into another histogram
// bin. Called by CudaBackend.sample_at; `out` is the caller's. A thread is a point. Moves 12 bytes in and 4 out per
// point.
#include "sample_points.cuh"

extern "C" __global__ void __launch_bounds__(256) sample_at(
    const float* __restrict__ points,  // (count, 3) voxels of the volume
    const float* __restrict__ volume,  // (ni, nj, nk)
    float* __restrict__ out,           // (count)
    long long count, int ni, int nj, int nk) {
    long long p = (long long)blockIdx.x * BLOCK + threadIdx.x;
    if (p >= count) return;
    const Matrix identity = {{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}};
    out[p] = (float)sample_moving(volume, nullptr, {ni, nj, nk}, identity, points + 3 * p).value;
}
