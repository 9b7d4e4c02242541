// Gaussian smoothing of a volume (COMPONENTS 1) or a field (3), all axes in one pass: a block owns a column of 32 x 16
// voxels, smooths each plane along k and j in shared memory, and marches along i with the last 2 RI + 1 planes in
// registers. Borders are clamped. The largest norm of the result is raised into `norm` on the way.
// Called by CudaBackend.smooth for radii up to 5 (wider kernels: filter_axis.cu); `out` is the caller's, `norm` starts
// at 0. Moves 8 bytes per voxel and component, plus halos that the caches hold.
#ifndef COMPONENTS
#define COMPONENTS 3
#endif
#ifndef RI
#define RI 5
#define RJ 5
#define RK 5
#endif
#include "volume.cuh"

constexpr int TILE_K = 32, TILE_J = 16, ROWS = TILE_J + 2 * RJ;
constexpr int QUADS = (4 + 2 * RK + 3) / 4;  // float4 loads that hold the window of four neighbouring outputs
constexpr int PITCH = TILE_K - 4 + 4 * QUADS;
constexpr int OWN = TILE_J / BLOCK_J;  // rows of a thread
constexpr int ITEMS = COMPONENTS * ROWS * PITCH, SHARE = (ITEMS + BLOCK - 1) / BLOCK;
constexpr bool AHEAD = RI <= 2 && SHARE <= 8;  // ask for the next plane while this one is smoothed, where registers allow

// Weights of taps 0 ... R along each axis.
struct Taps {
    float i[RI + 1], j[RJ + 1], k[RK + 1];
};

__shared__ __align__(16) float plane[COMPONENTS][ROWS][PITCH];
__shared__ __align__(16) float rows[COMPONENTS][ROWS][TILE_K];

// Item n of plane i around the block's column.
__device__ inline float item_at(const float* __restrict__ array, Box box, Voxel corner, int n) {
    int c = n / (ROWS * PITCH), row = n / PITCH % ROWS, column = n % PITCH;
    int j = clamped(corner.j + row - RJ, box.nj), k = clamped(corner.k + column - RK, box.nk);
    return __ldg(array + c * box.size() + box.at(clamped(corner.i, box.ni), j, k));
}

__device__ inline void load_plane(const float* __restrict__ array, Box box, Voxel corner) {
    for (int n = thread_in_block(); n < ITEMS; n += BLOCK) (&plane[0][0][0])[n] = item_at(array, box, corner, n);
}

// The thread's share of a plane, asked for early, so that it arrives while others compute.
struct Share {
    float values[SHARE];

    __device__ void fetch(const float* __restrict__ array, Box box, Voxel corner) {
#pragma unroll
        for (int n = 0; n < SHARE; n++) {
            int item = thread_in_block() + n * BLOCK;
            if (item < ITEMS) values[n] = item_at(array, box, corner, item);
        }
    }

    __device__ void put_down() const {
#pragma unroll
        for (int n = 0; n < SHARE; n++) {
            int item = thread_in_block() + n * BLOCK;
            if (item < ITEMS) (&plane[0][0][0])[item] = values[n];
        }
    }
};

// Along k, four neighbouring outputs per step.
__device__ inline void smooth_rows(const Taps& taps) {
    for (int item = thread_in_block(); item < COMPONENTS * ROWS * (TILE_K / 4); item += BLOCK) {
        int quad = item % (TILE_K / 4), row = item / (TILE_K / 4) % ROWS, c = item / (ROWS * (TILE_K / 4));
        float window[4 * QUADS];
#pragma unroll
        for (int q = 0; q < QUADS; q++) {
            float4 four = *reinterpret_cast<const float4*>(&plane[c][row][4 * (quad + q)]);
            window[4 * q] = four.x, window[4 * q + 1] = four.y, window[4 * q + 2] = four.z, window[4 * q + 3] = four.w;
        }
        float sums[4];
#pragma unroll
        for (int n = 0; n < 4; n++) {
            sums[n] = taps.k[0] * window[n + RK];
#pragma unroll
            for (int t = 1; t <= RK; t++) sums[n] += taps.k[t] * (window[n + RK - t] + window[n + RK + t]);
        }
        *reinterpret_cast<float4*>(&rows[c][row][4 * quad]) = make_float4(sums[0], sums[1], sums[2], sums[3]);
    }
}

// Along j, the thread's neighbouring rows.
__device__ inline void smooth_columns(const Taps& taps, float fresh[COMPONENTS][OWN]) {
#pragma unroll
    for (int c = 0; c < COMPONENTS; c++) {
        float window[OWN + 2 * RJ];
#pragma unroll
        for (int t = 0; t < OWN + 2 * RJ; t++) window[t] = rows[c][OWN * threadIdx.y + t][threadIdx.x];
#pragma unroll
        for (int n = 0; n < OWN; n++) {
            fresh[c][n] = taps.j[0] * window[n + RJ];
#pragma unroll
            for (int t = 1; t <= RJ; t++) fresh[c][n] += taps.j[t] * (window[n + RJ - t] + window[n + RJ + t]);
        }
    }
}

__device__ inline void push(float history[COMPONENTS][OWN][2 * RI + 1], const float fresh[COMPONENTS][OWN]) {
#pragma unroll
    for (int c = 0; c < COMPONENTS; c++)
#pragma unroll
        for (int n = 0; n < OWN; n++) {
#pragma unroll
            for (int t = 0; t < 2 * RI; t++) history[c][n][t] = history[c][n][t + 1];
            history[c][n][2 * RI] = fresh[c][n];
        }
}

// Along i; writes the thread's voxels of plane i and returns the largest squared norm among them.
__device__ inline float write_plane(
    const float history[COMPONENTS][OWN][2 * RI + 1], const Taps& taps, Box box, Voxel first, float* __restrict__ out) {
    float largest = 0.0f;
#pragma unroll
    for (int n = 0; n < OWN; n++) {
        Voxel v = {first.i, first.j + n, first.k};
        if (!holds(box, v)) continue;
        float square = 0.0f;
#pragma unroll
        for (int c = 0; c < COMPONENTS; c++) {
            float sum = taps.i[0] * history[c][n][RI];
#pragma unroll
            for (int t = 1; t <= RI; t++) sum += taps.i[t] * (history[c][n][RI - t] + history[c][n][RI + t]);
            out[c * box.size() + box.at(v.i, v.j, v.k)] = sum;
            square += sum * sum;
        }
        largest = fmaxf(largest, square);
    }
    return largest;
}

extern "C" __global__ void __launch_bounds__(256, 2) smooth(
    const float* __restrict__ array,  // (components, ni, nj, nk)
    Taps taps,                        // weights
    float* __restrict__ out,          // (components, ni, nj, nk)
    float* norm,                      // (1)
    int length, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    int k0 = blockIdx.x * TILE_K, j0 = blockIdx.y * TILE_J, start = blockIdx.z * length;
    int end = start + length < ni ? start + length : ni;
    float history[COMPONENTS][OWN][2 * RI + 1] = {}, fresh[COMPONENTS][OWN] = {};
    float largest = 0.0f;
    Share share = {};
    if (AHEAD) share.fetch(array, box, {start - RI, j0, k0});
    for (int i = start - RI, loaded = -1; i < end + RI; i++) {
        if (clamped(i, ni) != loaded) {
            loaded = clamped(i, ni);
            if (AHEAD) share.put_down();
            else load_plane(array, box, {loaded, j0, k0});
            __syncthreads();
            if (AHEAD) share.fetch(array, box, {loaded + 1, j0, k0});
            smooth_rows(taps);
            __syncthreads();
            smooth_columns(taps, fresh);
        }
        push(history, fresh);
        Voxel first = {i - RI, j0 + OWN * (int)threadIdx.y, k0 + (int)threadIdx.x};
        if (first.i >= start) largest = fmaxf(largest, write_plane(history, taps, box, first, out));
    }
    largest = block_max<BLOCK>(largest);
    if (thread_in_block() == 0) raise(norm, sqrtf(largest));
}
