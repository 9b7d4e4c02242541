// The lowest and highest of the coordinates matrix * voxel, over the voxels of a volume that are not 0: where its content
// lies in another grid. inf and -inf where there is none.
// Called by CudaBackend.extent; `partial` is scratch, `arrived` is 0. A warp takes lines along k.
#include "volume.cuh"

constexpr int LINES = BLOCK / 32;  // of a block at once

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
    for (long long line = blockIdx.x * LINES + threadIdx.x / 32; line < (long long)ni * nj; line += blocks * LINES)
        for (int k = threadIdx.x % 32; k < nk; k += 32) {
            if (__ldg(volume + line * nk + k) == 0.0f) continue;
#pragma unroll
            for (int row = 0; row < 3; row++) {
                double x = matrix.row(row, line / nj, line % nj, k);
                low[row] = fmin(low[row], x);
                high[row] = fmax(high[row], x);
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
