// Descriptors: 16 numbers of 0 to 127 at every voxel, as the bytes of four words that one load fetches.
#pragma once
#include "volume.cuh"

__device__ inline uint4 descriptor_at(const unsigned* __restrict__ descriptors, long long voxel) {
    return __ldg(reinterpret_cast<const uint4*>(descriptors) + voxel);
}

// a - b of each byte, as signed bytes; no byte borrows from the next one, since all are below 128.
__device__ inline int byte_differences(unsigned a, unsigned b) {
    return (int)(((a | 0x80808080u) - b) ^ 0x80808080u);
}

// Differences of two descriptors.
struct Differences {
    int words[4];

    __device__ Differences(uint4 a, uint4 b)
        : words{
              byte_differences(a.x, b.x), byte_differences(a.y, b.y), byte_differences(a.z, b.z),
              byte_differences(a.w, b.w)} {}

    // The sum of products of the entries.
    __device__ int times(const Differences& other) const {
        int sum = 0;
#pragma unroll
        for (int n = 0; n < 4; n++) sum = __dp4a(words[n], other.words[n], sum);
        return sum;
    }
};
