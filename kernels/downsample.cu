// Down-sampling along one axis of an array seen as (na, n, nb): a Gaussian, then linear interpolation at
// factor * i + offset, clamped, without computing what is not kept.
// Called by CudaBackend.downsample, axis after axis. A thread is a voxel of the output.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) downsample(
    const float* __restrict__ array,  // (na, n, nb)
    const float* __restrict__ taps,   // (width) weights of taps 0, 1, ... of the Gaussian
    float* __restrict__ out,          // (na, m, nb)
    double factor, double offset, int width, long long na, int n, int m, long long nb) {
    long long voxel = (long long)blockIdx.x * BLOCK + threadIdx.x;
    if (voxel >= na * m * nb) return;
    long long line = voxel / nb, b = voxel - line * nb, slab = line / m;
    Bracket at = around(factor * (double)(line - slab * m) + offset, n);
    const float* from = array + (slab * n * nb + b);
    float low = 0.0f, high = 0.0f, before = 0.0f;  // Gaussians around both voxels, and the weight of the tap before
    for (int t = 1 - width; t <= width; t++) {
        float tap = t < width ? __ldg(taps + (t < 0 ? -t : t)) : 0.0f, value = __ldg(from + clamped(at.low + t, n) * nb);
        low += tap * value;
        high += before * value;
        before = tap;
    }
    out[voxel] = mix(low, high, at.weight);
}
