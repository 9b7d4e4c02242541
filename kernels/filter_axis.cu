// A symmetric filter of any width along one axis of an array seen as (na, n, nb): Gaussians too wide for smooth.cu
// (MIRROR 0, clamped border), and the coefficients of the cubic B-spline through all voxels, whose filter
// sqrt(3) (sqrt(3) - 2)^|t| has faded below single precision after 14 voxels (MIRROR 1; Unser 1999, 10.1109/79.799930).
// Called by CudaBackend; `out` is another array. A thread is a voxel.
#ifndef MIRROR
#define MIRROR 0
#endif
#include "volume.cuh"

__device__ inline int tap(int i, int n) {
#if MIRROR
    return mirrored(i, n);
#else
    return clamped(i, n);
#endif
}

extern "C" __global__ void __launch_bounds__(256) filter_axis(
    const float* __restrict__ array,  // (na, n, nb)
    const float* __restrict__ taps,   // (width) weights of taps 0, 1, ...
    float* __restrict__ out,          // (na, n, nb)
    int width, long long na, int n, long long nb) {
    long long voxel = (long long)blockIdx.x * BLOCK + threadIdx.x;
    if (voxel >= na * n * nb) return;
    int i = (int)(voxel / nb % n);
    const float* line = array + (voxel - (long long)i * nb);
    float sum = __ldg(taps) * __ldg(line + i * nb);
    for (int t = 1; t < width; t++)
        sum += __ldg(taps + t) * (__ldg(line + tap(i - t, n) * nb) + __ldg(line + tap(i + t, n) * nb));
    out[voxel] = sum;
}
