// The coefficients of the cubic B-spline through all voxels along one axis of an array seen as (na, n, nb), mirrored at
// both ends: the recursive filter of Unser 1999, 10.1109/79.799930, forward and backward over pieces of RUN voxels. Both
// ways start FADED voxels outside of the piece, as if the line went on as a constant; (sqrt(3) - 2)^14 = 1e-8 of that is
// left where the piece begins, so that pieces need nothing of each other.
// Called by CudaBackend, axis after axis; `out` is another array. Moves 4 bytes in and 4 out per voxel; the voxels around
// the pieces are in the caches.
//
// A thread is a piece in registers. With ALONG_K 0 a warp takes the same piece of 32 neighbouring lines, and a block
// pieces that follow each other. With ALONG_K 1 (nb is 1) a block takes PIECES pieces of ROWS lines, which pass through
// shared memory so that neighbouring threads read and write neighbouring voxels.
#ifndef ALONG_K
#define ALONG_K 0
#endif
#include "volume.cuh"

constexpr int RUN = 20, FADED = 14, SPAN = RUN + 2 * FADED;
constexpr int ROWS = 32, PIECES = BLOCK / ROWS, WIDE = PIECES * RUN, PITCH = WIDE + 2 * FADED + 1;  // odd: no conflicts
constexpr int COLUMNS = (PITCH + 31) / 32;
constexpr float POLE = -0.26794919243112270f, GAIN = 6.0f;  // sqrt(3) - 2

// Voxels of a line one after the other.
struct Straight {
    const float* from;
    long long step;

    __device__ float next() {
        float voxel = __ldg(from);
        from += step;
        return voxel;
    }
};

// The same where the line turns around at its ends.
struct Turning {
    const float* from;
    long long step;
    int at, way, last;

    __device__ Turning(const float* line, long long stride, int first, int n) : last(n - 1) {
        int period = n > 1 ? 2 * last : 1, phase = first % period;
        if (phase < 0) phase += period;
        at = phase < n ? phase : period - phase;
        way = last == 0 ? 0 : phase < last ? 1 : -1;
        from = line + at * stride;
        step = way * stride;
    }

    __device__ float next() {
        float voxel = __ldg(from);
        from += step, at += way;
        if (at == 0 || at == last) way = -way, step = -step;
        return voxel;
    }
};

// A line in shared memory.
struct Near {
    const float* from;

    __device__ float next() { return *from++; }
};

// The filter on its way forward, from the beginning of the piece to FADED voxels behind it.
template <typename Voxels>
__device__ inline void forward(Voxels voxels, float line[RUN + FADED]) {
    float sum = voxels.next() * (1.0f / (1.0f - POLE));
#pragma unroll
    for (int t = 1; t < FADED; t++) sum = POLE * sum + voxels.next();
#pragma unroll
    for (int t = 0; t < RUN + FADED; t++) line[t] = sum = POLE * sum + voxels.next();
}

// And on its way back, in place.
__device__ inline void backward(float line[RUN + FADED]) {
    constexpr float SCALE = -GAIN * POLE;
    float sum = SCALE / (1.0f - POLE) * line[RUN + FADED - 1];
#pragma unroll
    for (int t = RUN + FADED - 2; t >= 0; t--) line[t] = sum = POLE * sum + SCALE * line[t];
}

#if ALONG_K
__shared__ float tile[ROWS][PITCH];
#endif

extern "C" __global__ void __launch_bounds__(256) spline(
    const float* __restrict__ array,  // (na, n, nb)
    float* __restrict__ out,          // (na, n, nb)
    unsigned pieces, long long na, int n, long long nb) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float line[RUN + FADED];
#if ALONG_K
    int start = (int)(blockIdx.x % pieces) * WIDE, wide = n - start < WIDE ? n - start : WIDE;
    long long slab = (long long)(blockIdx.x / pieces) * ROWS;
    int rows = na - slab < ROWS ? (int)(na - slab) : ROWS;
    array += slab * n, out += slab * n + start;
    float fresh[COLUMNS][ROWS / PIECES];
#pragma unroll
    for (int c = 0; c < COLUMNS; c++) {
        const float* from = array + mirrored(start - FADED + lane + 32 * c, n);
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
    bool mine = lane < rows && warp * RUN < wide;
    if (mine) forward(Near{&tile[lane][warp * RUN]}, line), backward(line);
    __syncthreads();
#pragma unroll
    for (int t = 0; t < RUN; t++)
        if (mine) tile[lane][warp * RUN + t] = line[t];
    __syncthreads();
    for (int column = lane; column < wide; column += 32)
#pragma unroll
        for (int m = 0; m < ROWS / PIECES; m++) {
            int row = warp + m * PIECES;
            if (row < rows) out[(long long)row * n + column] = tile[row][column];
        }
#else
    unsigned item = blockIdx.x * (BLOCK / 32) + warp, columns = (unsigned)((nb + 31) / 32);
    long long slab = item / pieces / columns, b = (long long)(item / pieces % columns) * 32 + lane;
    int start = (int)(item % pieces) * RUN, first = start - FADED;
    if (slab >= na || b >= nb) return;
    array += slab * n * nb + b, out += slab * n * nb + b + start * nb;
    if (first >= 0 && first + SPAN <= n)
        forward(Straight{array + first * nb, nb}, line);
    else
        forward(Turning(array, nb, first, n), line);
    backward(line);
#pragma unroll
    for (int t = 0; t < RUN; t++, out += nb)
        if (start + t < n) *out = line[t];
#endif
}
