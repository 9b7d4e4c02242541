// The largest Euclidean norm over the components of a volume or field, raised into `norm`.
// Called by CudaBackend.smooth after filter_axis.cu; `norm` starts at 0.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) largest_norm(
    const float* __restrict__ array,  // (components, size)
    float* norm,                      // (1)
    int components, long long size) {
    float largest = 0.0f;
    for (long long at = (long long)blockIdx.x * BLOCK + threadIdx.x; at < size; at += (long long)gridDim.x * BLOCK) {
        float square = 0.0f;
        for (int c = 0; c < components; c++) square += array[c * size + at] * array[c * size + at];
        largest = fmaxf(largest, square);
    }
    largest = block_max<BLOCK>(largest);
    if (thread_in_block() == 0) raise(norm, sqrtf(largest));
}
