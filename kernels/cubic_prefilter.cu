// Coefficients of the cubic B-spline along one axis of an array seen as (na, n, nb), mirrored at both ends: the
// recursive filter of Unser 1999, 10.1109/79.799930, in single precision.
// A line is cut into pieces of RUN voxels that need nothing of each other: both passes start WARMUP voxels outside the
// piece as if the line were constant beyond; (sqrt(3) - 2)^14 = 1e-8 of that assumption reaches the piece. A thread
// holds a piece in registers:
//   1. Causal pass from WARMUP voxels before the piece to WARMUP voxels behind it.
//   2. Anti-causal pass back.
//   ALONG_K 0: a warp takes the same piece of 32 neighbouring lines, and a block consecutive pieces.
//   ALONG_K 1 (nb is 1): a block takes PIECES pieces of ROWS lines, through a shared-memory tile, so that neighbouring
//   threads read and write neighbouring voxels.
// Called by CudaBackend.sample with order 3, axis after axis; `out` is another array. Moves 4 bytes in and 4 out per
// voxel; halos come from the caches.
#ifndef ALONG_K
#define ALONG_K 0
#endif
#include "line_iterators.cuh"

constexpr int RUN = 20, WARMUP = 14, SPAN = RUN + 2 * WARMUP;
constexpr int ROWS = 32, PIECES = BLOCK / ROWS, TILE_WIDTH = PIECES * RUN,
              PITCH = TILE_WIDTH + 2 * WARMUP + 1;  // odd: no bank conflicts
constexpr int COLUMNS = (PITCH + 31) / 32;
constexpr float POLE = -0.26794919243112270f, GAIN = 6.0f;  // sqrt(3) - 2

// Iterates over consecutive voxels of a line.
struct InteriorLine {
    const float* from;
    long long step;

    __device__ float next() {
        float voxel = __ldg(from);
        from += step;
        return voxel;
    }
};

// The same, mirrored at the ends of the line.
struct MirroredLine {
    const float* from;
    long long step;
    int at, direction, last;

    __device__ MirroredLine(const float* line, long long stride, int first, int n) : last(n - 1) {
        int period = n > 1 ? 2 * last : 1, phase = first % period;
        if (phase < 0) phase += period;
        at = phase < n ? phase : period - phase;
        direction = last == 0 ? 0 : phase < last ? 1 : -1;
        from = line + at * stride;
        step = direction * stride;
    }

    __device__ float next() {
        float voxel = __ldg(from);
        from += step, at += direction;
        if (at == 0 || at == last) direction = -direction, step = -step;
        return voxel;
    }
};

// Causal pass, from the beginning of the piece to WARMUP voxels behind it.
template <typename Iterator>
__device__ inline void causal_pass(Iterator iterator, float line[RUN + WARMUP]) {
    float sum = iterator.next() * (1.0f / (1.0f - POLE));
#pragma unroll
    for (int t = 1; t < WARMUP; t++) sum = POLE * sum + iterator.next();
#pragma unroll
    for (int t = 0; t < RUN + WARMUP; t++) line[t] = sum = POLE * sum + iterator.next();
}

// Anti-causal pass, in place.
__device__ inline void anticausal_pass(float line[RUN + WARMUP]) {
    constexpr float SCALE = -GAIN * POLE;
    float sum = SCALE / (1.0f - POLE) * line[RUN + WARMUP - 1];
#pragma unroll
    for (int t = RUN + WARMUP - 2; t >= 0; t--) line[t] = sum = POLE * sum + SCALE * line[t];
}

#if ALONG_K
__shared__ float tile[ROWS][PITCH];
#endif

extern "C" __global__ void __launch_bounds__(256) cubic_prefilter(
    const float* __restrict__ array,  // (na, n, nb)
    float* __restrict__ out,          // (na, n, nb)
    unsigned pieces, long long na, int n, long long nb) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float line[RUN + WARMUP];
#if ALONG_K
    int start = (int)(blockIdx.x % pieces) * TILE_WIDTH, tile_width = n - start < TILE_WIDTH ? n - start : TILE_WIDTH;
    long long slab = (long long)(blockIdx.x / pieces) * ROWS;
    int rows = na - slab < ROWS ? (int)(na - slab) : ROWS;
    array += slab * n, out += slab * n + start;
    float loaded[COLUMNS][ROWS / PIECES];
#pragma unroll
    for (int c = 0; c < COLUMNS; c++) {
        const float* from = array + mirrored(start - WARMUP + lane + 32 * c, n);
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
    bool is_active = lane < rows && warp * RUN < tile_width;
    if (is_active) causal_pass(SharedLine{&tile[lane][warp * RUN]}, line), anticausal_pass(line);
    __syncthreads();
#pragma unroll
    for (int t = 0; t < RUN; t++)
        if (is_active) tile[lane][warp * RUN + t] = line[t];
    __syncthreads();
    for (int column = lane; column < tile_width; column += 32)
#pragma unroll
        for (int m = 0; m < ROWS / PIECES; m++) {
            int row = warp + m * PIECES;
            if (row < rows) out[(long long)row * n + column] = tile[row][column];
        }
#else
    unsigned item = blockIdx.x * (BLOCK / 32) + warp, columns = (unsigned)((nb + 31) / 32);
    long long slab = item / pieces / columns, b = (long long)(item / pieces % columns) * 32 + lane;
    int start = (int)(item % pieces) * RUN, first = start - WARMUP;
    if (slab >= na || b >= nb) return;
    array += slab * n * nb + b, out += slab * n * nb + b + start * nb;
    if (first >= 0 && first + SPAN <= n)
        causal_pass(InteriorLine{array + first * nb, nb}, line);
    else
        causal_pass(MirroredLine(array, nb, first, n), line);
    anticausal_pass(line);
#pragma unroll
    for (int t = 0; t < RUN; t++, out += nb)
        if (start + t < n) *out = line[t];
#endif
}
