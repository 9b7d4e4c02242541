// Gaussian smoothing along i of a volume (COMPONENTS 1) or a field (3), after smooth.cu with RI 0 has smoothed within
// the planes, borders clamped; also the largest norm of each result, where `norm` is not larger. For small volumes: the
// march of smooth.cu would be short, and most of its planes would be halo. Sums are added in its order, to the same bits.
// A thread computes RUN neighbours along i with all components; a warp takes 32 neighbouring voxels of a plane, and a
// block consecutive runs, so that the L1 holds the planes that they share.
// Called by CudaBackend.smooth for radii up to 5 and fewer than 2^31 elements, for one or several volumes or fields.
// `out`, another array, and `norm` are the caller's, `largest_squares` and `arrived` start and end at 0. Moves 8 bytes
// per voxel and component, and halos, which the caches hold.
#ifndef COMPONENTS
#define COMPONENTS 3
#endif
#ifndef RI
#define RI 5
#endif
#include "reductions.cuh"

constexpr int RUN = 4, SPAN = RUN + 2 * RI;

// Weights of taps 0 ... RI along i; those along j and k are 1.
struct Taps {
    float i[RI + 1], j, k;
};

extern "C" __global__ void __launch_bounds__(256, 4) smooth_along_i(
    const float* __restrict__ array,  // (many, components, ni, plane)
    Taps taps,                        // weights
    float* __restrict__ out,          // (many, components, ni, plane)
    float* norm,                      // (many)
    float* largest_squares,           // (many)
    unsigned* arrived,                // (1)
    int pieces, int many, int ni, int plane) {
    int item = (int)(blockIdx.x * BLOCK_J + threadIdx.y), column = item / pieces, size = ni * plane;
    int i = (item - column * pieces) * RUN, place = column * 32 + (int)threadIdx.x;
    int first = (int)blockIdx.y * COMPONENTS * size + place;
    float largest = 0.0f;
    if (place < plane) {
        float values[COMPONENTS][SPAN];
#pragma unroll
        for (int t = 0; t < SPAN; t++) {
            int at = first + clamped(i - RI + t, ni) * plane;
#pragma unroll
            for (int c = 0; c < COMPONENTS; c++) values[c][t] = __ldg(array + (at + c * size));
        }
#pragma unroll
        for (int n = 0; n < RUN; n++) {
            if (i + n >= ni) break;
            float square = 0.0f;
#pragma unroll
            for (int c = 0; c < COMPONENTS; c++) {
                float sum = 0.0f;
#pragma unroll
                for (int t = 0; t <= 2 * RI; t++) sum += taps.i[t < RI ? RI - t : t - RI] * values[c][n + t];
                out[first + c * size + (i + n) * plane] = sum;
                square += sum * sum;
            }
            largest = fmaxf(largest, square);
        }
    }
    raise_norms<BLOCK>(largest, blockIdx.y, largest_squares, arrived, norm, many);
}
