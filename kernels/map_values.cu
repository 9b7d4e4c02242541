// Grey values through a curve of points spread evenly over a span, linear between them, constant beyond.
// A thread takes a voxel of the whole volume; the curve lies in the caches.
// Called by CudaBackend.map_values; `out` is the caller's. Moves 4 bytes in and 4 out per voxel.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) map_values(
    const float* __restrict__ volume,  // (size)
    const float* __restrict__ curve,   // (points)
    float* __restrict__ out,           // (size)
    float low, float scale, long long size, int points) {
    for (long long at = (long long)blockIdx.x * BLOCK + threadIdx.x; at < size; at += (long long)gridDim.x * BLOCK) {
        float place = fminf(fmaxf((__ldg(volume + at) - low) * scale, 0.0f), (float)(points - 1));
        int below = (int)place < points - 2 ? (int)place : points - 2;
        out[at] = lerp(__ldg(curve + below), __ldg(curve + (below + 1)), place - (float)below);
    }
}
