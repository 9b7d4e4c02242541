// A symmetric filter of any width along one axis of an array seen as (na, n, nb), borders clamped: Gaussians too wide for
// smooth.cu. Called by CudaBackend.smooth; `out` is another array. A thread is a voxel.
#include "volume.cuh"

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
        sum += __ldg(taps + t) * (__ldg(line + clamped(i - t, n) * nb) + __ldg(line + clamped(i + t, n) * nb));
    out[voxel] = sum;
}
