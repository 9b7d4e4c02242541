// The largest Euclidean norm over the components of a volume or field, by atomic maximum into `norm`.
// Called by CudaBackend.smooth after filter_axis.cu. Grid-stride loop. Moves 4 bytes in per number.
#include "reductions.cuh"

constexpr int BATCH = 8;  // loads in flight per thread

extern "C" __global__ void __launch_bounds__(256) largest_norm(
    const float* __restrict__ array,  // (components, size)
    float* norm,                      // (1)
    int components, long long size) {
    float largest = 0.0f;
    for (long long first = (long long)blockIdx.x * BLOCK * BATCH + threadIdx.x; first < size;
         first += (long long)gridDim.x * BLOCK * BATCH) {
        float squares[BATCH] = {};
        for (int c = 0; c < components; c++)
#pragma unroll
            for (int n = 0; n < BATCH; n++) {
                long long at = first + n * BLOCK;
                float x = at < size ? __ldg(array + (c * size + at)) : 0.0f;
                squares[n] += x * x;
            }
#pragma unroll
        for (int n = 0; n < BATCH; n++) largest = fmaxf(largest, squares[n]);
    }
    largest = block_max<BLOCK>(largest);
    if (thread_in_block() == 0) atomic_max(norm, sqrtf(largest));
}
