// The lowest and highest of the coordinates matrix * voxel, over the voxels of a volume that are not 0: where its content
// lies in another grid. inf and -inf where there is none.
// Called by CudaBackend.extent; `partial` is scratch, `arrived` is 0. A thread looks for the first and the last such voxel
// along j of RUN voxels, because coordinates along a line lie between those of its ends; neighbouring threads are
// neighbours along k. Moves 4 bytes in per voxel.
#include "reductions.cuh"

constexpr int RUN = 32, AT_ONCE = 8;  // voxels along j of a thread, and how many of them it asks for at once

__shared__ double ends[6][BLOCK];  // lowest and highest along each axis

// The extremes over the block, in ends[...][0].
__device__ inline void join_ends() {
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        __syncthreads();
        int t = threadIdx.x;
        for (int n = 0; n < 6 && t < half; n++)
            ends[n][t] = n < 3 ? fmin(ends[n][t], ends[n][t + half]) : fmax(ends[n][t], ends[n][t + half]);
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
    const double beyond = __longlong_as_double(0x7ff0000000000000);  // infinity
    double low[3] = {beyond, beyond, beyond}, high[3] = {-beyond, -beyond, -beyond};
    int runs = (nj + RUN - 1) / RUN, columns = (nk + 31) / 32;
    long long items = (long long)ni * runs * columns, here = blockIdx.x * (BLOCK / 32) + threadIdx.x / 32;
    for (long long item = here; item < items; item += blocks * (BLOCK / 32)) {
        int k = (int)(item % columns) * 32 + threadIdx.x % 32, j0 = (int)(item / columns % runs) * RUN;
        int i = (int)(item / columns / runs), first = nj, last = -1;
        if (k >= nk) continue;
        const float* at = volume + ((long long)i * nj + j0) * nk + k;
        for (int j = j0; j < j0 + RUN && j < nj; j += AT_ONCE) {
            float values[AT_ONCE];
#pragma unroll
            for (int n = 0; n < AT_ONCE; n++, at += nk) values[n] = j + n < nj ? __ldg(at) : 0.0f;
#pragma unroll
            for (int n = 0; n < AT_ONCE; n++)
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
    for (int row = 0; row < 3; row++) ends[row][threadIdx.x] = low[row], ends[3 + row][threadIdx.x] = high[row];
    join_ends();
    if (threadIdx.x < 6) partial[threadIdx.x * blocks + blockIdx.x] = ends[threadIdx.x][0];
    if (!is_last_block(arrived)) return;
    for (int n = 0; n < 6; n++) {
        double mine = n < 3 ? beyond : -beyond;
        for (int b = threadIdx.x; b < blocks; b += BLOCK)
            mine = n < 3 ? fmin(mine, partial[n * blocks + b]) : fmax(mine, partial[n * blocks + b]);
        ends[n][threadIdx.x] = mine;
    }
    join_ends();
    if (threadIdx.x < 6) out[threadIdx.x] = ends[threadIdx.x][0];
}
