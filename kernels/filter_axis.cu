// A symmetric filter of any width along one axis of an array seen as (na, n, nb), borders clamped: Gaussians that are
// too wide for smooth.cu.
// A thread computes RUN neighbouring outputs: it marches over all voxels that they need, while their weights shift
// along in registers. Weights pass through shared memory in chunks of CHUNK.
//   ALONG_K 0: a warp takes the same piece of 32 neighbouring lines, and a block consecutive pieces.
//   ALONG_K 1 (nb is 1): a block takes PIECES pieces of ROWS lines, through a shared-memory tile, so that neighbouring
//   threads read and write neighbouring voxels.
// Called by CudaBackend.smooth; `out` is another array. Moves 4 bytes in and 4 out per voxel; halos come from the
// caches.
#ifndef ALONG_K
#define ALONG_K 0
#endif
#include "line_iterators.cuh"

constexpr int RUN = 12, CHUNK = 60;  // outputs of a thread; voxels between two barriers
constexpr int ROWS = 32, PIECES = BLOCK / ROWS, TILE_WIDTH = PIECES * RUN,
              PITCH = TILE_WIDTH + CHUNK + 1;  // odd: no bank conflicts
constexpr int COLUMNS = (PITCH + 31) / 32;

__shared__ float weights[CHUNK];
#if ALONG_K
__shared__ float tile[ROWS][PITCH];
#endif

// Adds `count` more voxels, a multiple of RUN, to the sums of a piece; `shifted_weights` has those of the last ones.
template <typename Iterator>
__device__ inline void accumulate(Iterator& iterator, int count, float shifted_weights[RUN], float sums[RUN]) {
    for (int s = 0; s < count; s += RUN) {
#pragma unroll
        for (int u = 0; u < RUN; u++) {
            float voxel = iterator.next();
            shifted_weights[u] = weights[s + u];
#pragma unroll
            for (int r = 0; r < RUN; r++) sums[r] += shifted_weights[(u - r + RUN) % RUN] * voxel;
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) filter_axis(
    const float* __restrict__ array,  // (na, n, nb)
    const float* __restrict__ taps,   // (width) weights of taps 0, 1, ...
    float* __restrict__ out,          // (na, n, nb)
    int width, unsigned pieces, long long na, int n, long long nb) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, radius = width - 1;
    float shifted_weights[RUN] = {}, sums[RUN] = {};
#if ALONG_K
    int start = (int)(blockIdx.x % pieces) * TILE_WIDTH, tile_width = n - start < TILE_WIDTH ? n - start : TILE_WIDTH;
    long long slab = (long long)(blockIdx.x / pieces) * ROWS;
    int rows = na - slab < ROWS ? (int)(na - slab) : ROWS;
    array += slab * n, out += slab * n + start;
    bool is_active = lane < rows && warp * RUN < tile_width;
#else
    unsigned item = blockIdx.x * (BLOCK / 32) + warp, columns = (unsigned)((nb + 31) / 32);
    long long slab = item / pieces / columns, b = (long long)(item / pieces % columns) * 32 + lane;
    int start = (int)(item % pieces) * RUN;
    bool is_active = slab < na && b < nb;
    if (is_active) array += slab * n * nb + b, out += slab * n * nb + b + start * nb;
    ClampedLine line(array, nb, start - radius, n);
#endif
    for (int base = 0; base < 2 * radius + RUN; base += CHUNK) {
        int left = 2 * radius + RUN - base, count = left < CHUNK ? (left + RUN - 1) / RUN * RUN : CHUNK;
        __syncthreads();
        if (threadIdx.x < CHUNK) {
            int t = base + (int)threadIdx.x - radius, tap = t < 0 ? -t : t;
            weights[threadIdx.x] = tap < width ? __ldg(taps + tap) : 0.0f;
        }
#if ALONG_K
        float loaded[COLUMNS][ROWS / PIECES];
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            const float* from = array + clamped(start - radius + base + lane + 32 * c, n);
#pragma unroll
            for (int m = 0; m < ROWS / PIECES; m++) {
                int row = warp + m * PIECES;
                loaded[c][m] = row < rows ? __ldg(from + (long long)row * n) : 0.0f;
            }
        }
#pragma unroll
        for (int c = 0; c < COLUMNS; c++)
#pragma unroll
            for (int m = 0; m < ROWS / PIECES; m++)
                if (lane + 32 * c < PITCH) tile[warp + m * PIECES][lane + 32 * c] = loaded[c][m];
        __syncthreads();
        SharedLine line = {&tile[lane][warp * RUN]};
#else
        __syncthreads();
#endif
        if (is_active) accumulate(line, count, shifted_weights, sums);
    }
#if ALONG_K
    __syncthreads();
#pragma unroll
    for (int r = 0; r < RUN; r++)
        if (is_active) tile[lane][warp * RUN + r] = sums[r];
    __syncthreads();
    for (int column = lane; column < tile_width; column += 32)
#pragma unroll
        for (int m = 0; m < ROWS / PIECES; m++) {
            int row = warp + m * PIECES;
            if (row < rows) out[(long long)row * n + column] = tile[row][column];
        }
#else
#pragma unroll
    for (int r = 0; r < RUN; r++, out += nb)
        if (is_active && start + r < n) *out = sums[r];
#endif
}
