// Bounding box of the non-zero voxels of a volume in other coordinates: the lowest and highest of matrix * voxel along
// each axis; inf and -inf where all voxels are 0.
// Coordinates are linear along a line, so that their extremes lie at its ends:
//   1. A thread finds the first and last non-zero voxel along j in runs of RUN voxels; neighbouring threads are
//      neighbours along k.
//   2. It maps these two and updates its extremes.
//   3. Tree reduction over the block; the last block of the grid reduces over the blocks.
// Called by CudaBackend.extent; `partial` is scratch, `arrived` starts and ends at 0. Moves 4 bytes in per voxel.
#include "reductions.cuh"

constexpr int RUN = 32, BATCH = 8;  // voxels along j per thread, and loads in flight

__shared__ double extremes[6][BLOCK];  // lowest and highest along each axis

// Tree reduction over the block, into extremes[...][0].
__device__ inline void reduce_extremes() {
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        __syncthreads();
        int t = threadIdx.x;
        for (int n = 0; n < 6 && t < half; n++)
            extremes[n][t] =
                n < 3 ? fmin(extremes[n][t], extremes[n][t + half]) : fmax(extremes[n][t], extremes[n][t + half]);
    }
    __syncthreads();
}

extern "C" __global__ void __launch_bounds__(256) extent(
    const float* __restrict__ volume,  // (ni, nj, nk)
    Matrix matrix,                     // voxel -> coordinates
    double* partial,                   // (6, blocks)
    unsigned* arrived,                 // (1)
    double* out,                       // (2, 3)
    int blocks, int ni, int nj, int nk) {
    const double infinity = __longlong_as_double(0x7ff0000000000000);
    double low[3] = {infinity, infinity, infinity}, high[3] = {-infinity, -infinity, -infinity};
    int runs = (nj + RUN - 1) / RUN, columns = (nk + 31) / 32;
    long long items = (long long)ni * runs * columns, warp = blockIdx.x * (BLOCK / 32) + threadIdx.x / 32;
    for (long long item = warp; item < items; item += blocks * (BLOCK / 32)) {
        int k = (int)(item % columns) * 32 + threadIdx.x % 32, j0 = (int)(item / columns % runs) * RUN;
        int i = (int)(item / columns / runs), first = nj, last = -1;
        if (k >= nk) continue;
        const float* at = volume + ((long long)i * nj + j0) * nk + k;
        for (int j = j0; j < j0 + RUN && j < nj; j += BATCH) {
            float values[BATCH];
#pragma unroll
            for (int n = 0; n < BATCH; n++, at += nk) values[n] = j + n < nj ? __ldg(at) : 0.0f;
#pragma unroll
            for (int n = 0; n < BATCH; n++)
                if (values[n] != 0.0f) first = first < j + n ? first : j + n, last = j + n;
        }
#pragma unroll
        for (int row = 0; row < 3; row++) {
            double x = matrix.row(row, i, first, k), y = matrix.row(row, i, last, k);
            if (last < 0) continue;
            low[row] = fmin(low[row], fmin(x, y));
            high[row] = fmax(high[row], fmax(x, y));
        }
    }
#pragma unroll
    for (int row = 0; row < 3; row++) extremes[row][threadIdx.x] = low[row], extremes[3 + row][threadIdx.x] = high[row];
    reduce_extremes();
    if (threadIdx.x < 6) partial[threadIdx.x * blocks + blockIdx.x] = extremes[threadIdx.x][0];
    if (!is_last_block(arrived)) return;
    for (int n = 0; n < 6; n++) {
        double extreme = n < 3 ? infinity : -infinity;
        for (int b = threadIdx.x; b < blocks; b += BLOCK)
            extreme = n < 3 ? fmin(extreme, partial[n * blocks + b]) : fmax(extreme, partial[n * blocks + b]);
        extremes[n][threadIdx.x] = extreme;
    }
    reduce_extremes();
    if (threadIdx.x < 6) out[threadIdx.x] = extremes[threadIdx.x][0];
}
