// Down-sampling along one axis of an array seen as (na, n, nb): a Gaussian, then linear interpolation at
// factor * i + offset, clamped, without computing what is not kept.
// Called by CudaBackend.downsample, axis after axis. A thread takes OUTPUTS voxels of the output, each `groups` voxels after
// the one before, so that neighbouring threads have neighbours.
#include "lines.cuh"

constexpr int OUTPUTS = 4;

extern "C" __global__ void __launch_bounds__(256) downsample(
    const float* __restrict__ array,  // (na, n, nb)
    const float* __restrict__ taps,   // (width) weights of taps 0, 1, ... of the Gaussian
    float* __restrict__ out,          // (na, m, nb)
    double factor, double offset, int width, int groups, long long na, int n, int m, long long nb) {
    long long thread = (long long)blockIdx.x * BLOCK + threadIdx.x;
    if (thread >= na * groups * nb) return;
    long long row = thread / nb, b = thread - row * nb, slab = row / groups;
    int first = (int)(row - slab * groups);
    const float* line = array + (slab * n * nb + b);
    Line lines[OUTPUTS];
    float low[OUTPUTS] = {}, high[OUTPUTS] = {}, weights[OUTPUTS];  // Gaussians around both voxels, and the weight of the second
#pragma unroll
    for (int r = 0; r < OUTPUTS; r++) {
        Bracket at = around(factor * (double)clamped(first + r * groups, m) + offset, n);
        lines[r] = Line(line, nb, at.low + 1 - width, n);
        weights[r] = at.weight;
    }
    float before = 0.0f;  // the weight of the tap before
    for (int t = 1 - width; t <= width; t++) {
        float tap = t < width ? __ldg(taps + (t < 0 ? -t : t)) : 0.0f;
#pragma unroll
        for (int r = 0; r < OUTPUTS; r++) {
            float value = lines[r].next();
            low[r] += tap * value;
            high[r] += before * value;
        }
        before = tap;
    }
    out += (slab * m + first) * nb + b;
#pragma unroll
    for (int r = 0; r < OUTPUTS; r++, out += groups * nb)
        if (first + r * groups < m) *out = mix(low[r], high[r], weights[r]);
}
