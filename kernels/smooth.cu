// Gaussian smoothing of a volume (COMPONENTS 1) or a field (3), all axes in one pass, borders clamped; with NORM also
// the largest norm of each result, where `norm` is not larger.
// 2.5-D blocking: a block owns a column of 32 x TILE_J voxels and marches along i. For each plane:
//   1. A thread filters its prefetched run along j and stores it in shared memory; it prefetches the next plane.
//   2. Filter along k within shared memory.
//   3. Add to 2 RI running sums per voxel in registers (along i); the oldest one is complete and stored.
// Called by CudaBackend.smooth for radii up to 5 (wider: filter_axis.cu), for one or several volumes or fields, with
// NORM 0 where smooth_along_i.cu follows. `out` and `norm` are the caller's, `largest_squares` and `arrived` start and
// end at 0. Moves 8 bytes per voxel and component, and halos, which the caches hold.
#ifndef COMPONENTS
#define COMPONENTS 3
#endif
#ifndef RI
#define RI 5
#define RJ 5
#define RK 5
#endif
#ifndef NORM
#define NORM 1
#endif
#include "reductions.cuh"

constexpr int TILE_K = 32, TILE_J = 16, ROWS_PER_THREAD = TILE_J / BLOCK_J;  // voxels of a block, rows of a thread
constexpr int RUN = 8;                                                       // neighbours that a thread filters at once
constexpr int WIDTH = TILE_K + 2 * RK;
constexpr int TASKS = COMPONENTS * (TILE_J / RUN) * WIDTH;   // runs along j
constexpr int ITEMS = COMPONENTS * TILE_J * (TILE_K / RUN);  // runs along k
constexpr int QUADS = (RUN + 2 * RK + 3) / 4;                // float4 loads that hold what a run along k needs
constexpr int PITCH_NEEDED = TILE_K - RUN + 4 * QUADS;
constexpr int PITCH = PITCH_NEEDED + (12 - PITCH_NEEDED % 8) % 8;  // 4 more than a multiple of 8:
constexpr int ROW = TILE_K + 4;                                    // no two runs share a bank
static_assert(TASKS <= BLOCK && ITEMS <= BLOCK, "each thread filters one run along either axis");

constexpr int RESIDENT = RI == 0 ? 4 : RI == 1 && RJ <= 1 && RK <= 1 ? 3 : 2;  // blocks per multiprocessor

// Weights of taps 0 ... R along each axis.
struct Taps {
    float i[RI + 1], j[RJ + 1], k[RK + 1];
};

__shared__ __align__(16) float by_j[COMPONENTS][TILE_J][PITCH], by_k[COMPONENTS][TILE_J][ROW];

// RUN filtered neighbours from RUN + 2 R values.
template <int R>
__device__ inline void filter_run(const float* from, const float taps[R + 1], float out[RUN]) {
#pragma unroll
    for (int n = 0; n < RUN; n++) {
        out[n] = taps[0] * from[n + R];
#pragma unroll
        for (int t = 1; t <= R; t++) out[n] += taps[t] * (from[n + R - t] + from[n + R + t]);
    }
}

// Loads a thread's run along j of each plane early, so that latency overlaps with computation.
struct RunLoader {
    float values[RUN + 2 * RJ];
    int j, row, column, component;  // j is that of the first value
    const float* line;              // the column of plane 0 that it lies on

    __device__ RunLoader(const float* __restrict__ array, Box box, int j0, int k0) {
        int task = thread_in_block();
        column = task % WIDTH;
        row = task / WIDTH % (TILE_J / RUN) * RUN;
        component = task / (WIDTH * (TILE_J / RUN));
        j = j0 + row - RJ;
        line = array + component * box.size() + clamped(k0 + column - RK, box.nk);
    }

    __device__ void prefetch(Box box, int i) {
        if (thread_in_block() >= TASKS) return;
        const float* at = line + box.at(clamped(i, box.ni), clamped(j, box.nj), 0);
#pragma unroll
        for (int t = 0; t < RUN + 2 * RJ; t++) {
            values[t] = __ldg(at);
            if ((unsigned)(j + t) < (unsigned)(box.nj - 1)) at += box.nk;
        }
    }

    __device__ void store_tile(const Taps& taps) const {
        if (thread_in_block() >= TASKS) return;
        float smoothed[RUN];
        filter_run<RJ>(values, taps.j, smoothed);
#pragma unroll
        for (int n = 0; n < RUN; n++) by_j[component][row + n][column] = smoothed[n];
    }
};

__device__ inline void smooth_along_k(const Taps& taps) {
    int item = thread_in_block();
    if (item >= ITEMS) return;
    int start = item % (TILE_K / RUN) * RUN, row = item / (TILE_K / RUN) % TILE_J, c = item / (TILE_K / RUN) / TILE_J;
    float window[4 * QUADS], smoothed[RUN];
    load<QUADS>(&by_j[c][row][start], window);
    filter_run<RK>(window, taps.k, smoothed);
    float4* to = reinterpret_cast<float4*>(&by_k[c][row][start]);
#pragma unroll
    for (int q = 0; q < RUN / 4; q++)
        to[q] = make_float4(smoothed[4 * q], smoothed[4 * q + 1], smoothed[4 * q + 2], smoothed[4 * q + 3]);
}

// Running sums along i of a voxel, of which the oldest is complete after 2 RI + 1 planes.
struct RunningSum {
    float partial_sums[2 * RI + 1];  // of the outputs i - RI ... i + RI

    // Adds plane i and returns output i - RI; shifts the others by one.
    __device__ float push(float value, const float taps[RI + 1]) {
        partial_sums[2 * RI] = 0.0f;
        float complete = partial_sums[0] + taps[RI] * value;
#pragma unroll
        for (int s = 0; s < 2 * RI; s++) {
            int t = s + 1 < RI ? RI - s - 1 : s + 1 - RI;
            partial_sums[s] = partial_sums[s + 1] + taps[t] * value;
        }
        return complete;
    }
};

extern "C" __global__ void __launch_bounds__(256, RESIDENT) smooth(
    const float* __restrict__ array,  // (many, components, ni, nj, nk)
    Taps taps,                        // weights
    float* __restrict__ out,          // (many, components, ni, nj, nk)
    float* norm,                      // (many)
    float* largest_squares,           // (many)
    unsigned* arrived,                // (1)
    int length, int many, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    int pieces = gridDim.z / many, index = blockIdx.z / pieces;
    array += index * COMPONENTS * box.size(), out += index * COMPONENTS * box.size();
    int k0 = blockIdx.x * TILE_K, j0 = blockIdx.y * TILE_J, start = (blockIdx.z - index * pieces) * length;
    int end = start + length < ni ? start + length : ni;
    int k = k0 + (int)threadIdx.x, j = j0 + (int)threadIdx.y;  // of the thread's first voxel; the others are BLOCK_J on
    RunningSum sums[COMPONENTS][ROWS_PER_THREAD] = {};
    float largest = 0.0f;
    RunLoader loader(array, box, j0, k0);
    loader.prefetch(box, start - RI);
    for (int i = start - RI; i < end + RI; i++) {
        loader.store_tile(taps);
        __syncthreads();
        if (i + 1 < end + RI) loader.prefetch(box, i + 1);
        smooth_along_k(taps);
        __syncthreads();
        float* to = out + box.at(i - RI, j, k);
#pragma unroll
        for (int n = 0; n < ROWS_PER_THREAD; n++) {
            float square = 0.0f, smoothed[COMPONENTS];
#pragma unroll
            for (int c = 0; c < COMPONENTS; c++) {
                smoothed[c] = sums[c][n].push(by_k[c][threadIdx.y + n * BLOCK_J][threadIdx.x], taps.i);
                square += smoothed[c] * smoothed[c];
            }
            if (i - RI < start || k >= nk || j + n * BLOCK_J >= nj) continue;
#pragma unroll
            for (int c = 0; c < COMPONENTS; c++) to[c * box.size() + n * BLOCK_J * nk] = smoothed[c];
            largest = fmaxf(largest, square);
        }
    }
#if NORM
    raise_norms<BLOCK>(largest, index, largest_squares, arrived, norm, many);
#endif
}
