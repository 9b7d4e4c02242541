// out += weight array, or with `start` out = weight array.
// Called by CudaBackend.add_weighted; `out` is the caller's. Moves 8 bytes in, 4 less with `start`, and 4 out per number.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) add_weighted(
    const float* __restrict__ array,   // (size)
    const float* __restrict__ weight,  // (1)
    float* __restrict__ out,           // (size)
    int start, long long size) {
    float factor = __ldg(weight);
    for (long long at = (long long)blockIdx.x * BLOCK + threadIdx.x; at < size; at += (long long)gridDim.x * BLOCK)
        out[at] = factor * __ldg(array + at) + (start ? 0.0f : out[at]);
}
