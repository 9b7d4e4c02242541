// Down-sampling along one axis of an array seen as (na, n, nb): a Gaussian, then linear interpolation at factor * i +
// offset, borders clamped. Only what the coarse grid needs is computed.
// A thread takes OUTPUTS coarse voxels, each `groups` voxels after the one before, so that neighbouring threads have
// neighbouring voxels:
//   1. Find the two fine voxels around each sampling position.
//   2. March over the taps once, adding to the Gaussians around both.
//   3. Interpolate between the two.
// Called by CudaBackend.downsample, axis after axis; `out` is the caller's. Moves 4 bytes in per voxel, 4 out per
// coarse voxel.
#include "line_iterators.cuh"

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
    ClampedLine lines[OUTPUTS];
    float low[OUTPUTS] = {}, high[OUTPUTS] = {};  // Gaussians around the two fine voxels
    float weights[OUTPUTS];                       // of the second one
#pragma unroll
    for (int r = 0; r < OUTPUTS; r++) {
        Bracket at = bracket(factor * (double)clamped(first + r * groups, m) + offset, n);
        lines[r] = ClampedLine(line, nb, at.low + 1 - width, n);
        weights[r] = at.weight;
    }
    float previous_tap = 0.0f;
    for (int t = 1 - width; t <= width; t++) {
        float tap = t < width ? __ldg(taps + (t < 0 ? -t : t)) : 0.0f;
#pragma unroll
        for (int r = 0; r < OUTPUTS; r++) {
            float value = lines[r].next();
            low[r] += tap * value;
            high[r] += previous_tap * value;
        }
        previous_tap = tap;
    }
    out += (slab * m + first) * nb + b;
#pragma unroll
    for (int r = 0; r < OUTPUTS; r++, out += groups * nb)
        if (first + r * groups < m) *out = lerp(low[r], high[r], weights[r]);
}
