// One pass of an exact quantile of vector lengths: how many lengths |field| inside the mask have each value of a digit of
// their bits, among those whose higher bits are `prefix` (lengths are not negative, so that their bits sort as they do).
// Each pass also adds up all lengths and finds the largest.
// Called by CudaBackend.length_statistics; `counts` and `largest` start at 0, `arrived` is 0.
#include "volume.cuh"

constexpr int DIGITS = 2048;

__shared__ unsigned block_counts[DIGITS];

extern "C" __global__ void __launch_bounds__(256) length_digits(
    const float* __restrict__ field,   // (3, size)
    const unsigned char* mask,         // (size) or null
    unsigned* counts,                  // (2048) lengths per digit
    double* partial,                   // (blocks)
    unsigned* arrived,                 // (1)
    double* sum,                       // (1)
    float* largest,                    // (1)
    int shift, int bits, unsigned prefix, int blocks, long long size) {
    for (int d = threadIdx.x; d < DIGITS; d += BLOCK) block_counts[d] = 0;
    __syncthreads();
    double total = 0.0;
    float most = 0.0f;
    for (long long at = (long long)blockIdx.x * BLOCK + threadIdx.x; at < size; at += (long long)gridDim.x * BLOCK) {
        if (mask && !mask[at]) continue;
        float x = __ldg(field + at), y = __ldg(field + size + at), z = __ldg(field + 2 * size + at);
        float length = sqrtf(x * x + y * y + z * z);
        unsigned pattern = (unsigned)__float_as_int(length);
        if (pattern >> (shift + bits) == prefix) atomicAdd(&block_counts[pattern >> shift & ((1u << bits) - 1)], 1u);
        total += length;
        most = fmaxf(most, length);
    }
    __syncthreads();
    for (int d = threadIdx.x; d < DIGITS; d += BLOCK)
        if (block_counts[d]) atomicAdd(counts + d, block_counts[d]);
    total = block_sum<BLOCK>(total);
    most = block_max<BLOCK>(most);
    if (threadIdx.x == 0) {
        raise(largest, most);
        partial[blockIdx.x] = total;
    }
    if (!is_last_block(arrived)) return;
    total = ordered_sum<BLOCK>(partial, blocks);
    if (threadIdx.x == 0) *sum = total;
}
