// A symmetric filter of any width along one axis of an array seen as (na, n, nb), borders clamped: Gaussians too wide for
// smooth.cu. Called by CudaBackend.smooth; `out` is another array. Moves 4 bytes in and 4 out per voxel; the voxels around
// the pieces are in the caches.
//
// A thread is a piece of RUN voxels, whose sums grow while it walks past all voxels that they need; their weights move
// along in registers. With ALONG_K 0 a warp takes the same piece of 32 neighbouring lines, and a block pieces that follow
// each other. With ALONG_K 1 (nb is 1) a block takes PIECES pieces of ROWS lines, which pass through shared memory so
// that neighbouring threads read and write neighbouring voxels.
#ifndef ALONG_K
#define ALONG_K 0
#endif
#include "volume.cuh"

constexpr int RUN = 12, STRIDE = 60;  // voxels that a thread passes between two barriers
constexpr int ROWS = 32, PIECES = BLOCK / ROWS, WIDE = PIECES * RUN, PITCH = WIDE + STRIDE + 1;  // odd: no conflicts
constexpr int COLUMNS = (PITCH + 31) / 32;

__shared__ float weights[STRIDE];
#if ALONG_K
__shared__ float tile[ROWS][PITCH];
#endif

// The voxels of a line one after the other; those at the ends go on for ever.
struct Line {
    const float* from;
    long long step;
    int at, last;

    __device__ Line(const float* line, long long step, int first, int n)
        : from(line + clamped(first, n) * step), step(step), at(first), last(n - 1) {}

    __device__ float next() {
        float voxel = __ldg(from);
        if (at >= 0 && at < last) from += step;
        at++;
        return voxel;
    }
};

// A line in shared memory.
struct Near {
    const float* from;

    __device__ float next() { return *from++; }
};

// `count` more voxels, a multiple of RUN, into the sums of a piece; `recent` has the weights of the last ones.
template <typename Voxels>
__device__ inline void pass(Voxels& voxels, int count, float recent[RUN], float sums[RUN]) {
    for (int s = 0; s < count; s += RUN) {
#pragma unroll
        for (int u = 0; u < RUN; u++) {
            float voxel = voxels.next();
            recent[u] = weights[s + u];
#pragma unroll
            for (int r = 0; r < RUN; r++) sums[r] += recent[(u - r + RUN) % RUN] * voxel;
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) filter_axis(
    const float* __restrict__ array,  // (na, n, nb)
    const float* __restrict__ taps,   // (width) weights of taps 0, 1, ...
    float* __restrict__ out,          // (na, n, nb)
    int width, unsigned pieces, long long na, int n, long long nb) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, radius = width - 1;
    float recent[RUN] = {}, sums[RUN] = {};
#if ALONG_K
    int start = (int)(blockIdx.x % pieces) * WIDE, wide = n - start < WIDE ? n - start : WIDE;
    long long slab = (long long)(blockIdx.x / pieces) * ROWS;
    int rows = na - slab < ROWS ? (int)(na - slab) : ROWS;
    array += slab * n, out += slab * n + start;
    bool mine = lane < rows && warp * RUN < wide;
#else
    unsigned item = blockIdx.x * (BLOCK / 32) + warp, columns = (unsigned)((nb + 31) / 32);
    long long slab = item / pieces / columns, b = (long long)(item / pieces % columns) * 32 + lane;
    int start = (int)(item % pieces) * RUN;
    bool mine = slab < na && b < nb;
    if (mine) array += slab * n * nb + b, out += slab * n * nb + b + start * nb;
    Line line(array, nb, start - radius, n);
#endif
    for (int base = 0; base < 2 * radius + RUN; base += STRIDE) {
        int left = 2 * radius + RUN - base, count = left < STRIDE ? (left + RUN - 1) / RUN * RUN : STRIDE;
        __syncthreads();
        if (threadIdx.x < STRIDE) {
            int t = base + (int)threadIdx.x - radius, tap = t < 0 ? -t : t;
            weights[threadIdx.x] = tap < width ? __ldg(taps + tap) : 0.0f;
        }
#if ALONG_K
        float fresh[COLUMNS][ROWS / PIECES];
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            const float* from = array + clamped(start - radius + base + lane + 32 * c, n);
#pragma unroll
            for (int m = 0; m < ROWS / PIECES; m++) {
                int row = warp + m * PIECES;
                fresh[c][m] = row < rows ? __ldg(from + (long long)row * n) : 0.0f;
            }
        }
#pragma unroll
        for (int c = 0; c < COLUMNS; c++)
#pragma unroll
            for (int m = 0; m < ROWS / PIECES; m++)
                if (lane + 32 * c < PITCH) tile[warp + m * PIECES][lane + 32 * c] = fresh[c][m];
        __syncthreads();
        Near line = {&tile[lane][warp * RUN]};
#else
        __syncthreads();
#endif
        if (mine) pass(line, count, recent, sums);
    }
#if ALONG_K
    __syncthreads();
#pragma unroll
    for (int r = 0; r < RUN; r++)
        if (mine) tile[lane][warp * RUN + r] = sums[r];
    __syncthreads();
    for (int column = lane; column < wide; column += 32)
#pragma unroll
        for (int m = 0; m < ROWS / PIECES; m++) {
            int row = warp + m * PIECES;
            if (row < rows) out[(long long)row * n + column] = tile[row][column];
        }
#else
#pragma unroll
    for (int r = 0; r < RUN; r++, out += nb)
        if (mine && start + r < n) *out = sums[r];
#endif
}
