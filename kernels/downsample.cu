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
    long long slab = voxel / nb / m;
    const float* line = array + slab * n * nb + voxel % nb;
    Bracket at = around(factor * (double)(voxel / nb % m) + offset, n);
    float sum = 0.0f;
    for (int t = -width + 1; t <= width; t++) {
        float low = t < width ? __ldg(taps + (t < 0 ? -t : t)) : 0.0f;
        float high = t > -width + 1 ? __ldg(taps + (t < 1 ? 1 - t : t - 1)) : 0.0f;
        sum += mix(low, high, at.weight) * __ldg(line + clamped(at.low + t, n) * nb);
    }
    out[voxel] = sum;
}
