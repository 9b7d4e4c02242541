// Local squared correlation of two volumes and the force on either, in one pass:
//   cc = s_fm^2 / (s_ff s_mm),  force on f = 2 s_fm / (s_ff s_mm) ((m - mean_m) - s_fm / s_ff (f - mean_f)) grad f
// Windows of (2 RADIUS + 1)^3 voxels are clipped at the border and count their true number of voxels; windows whose
// variance is at most `contrast_floor` count 0. After Avants et al. 2008, 10.1016/j.media.2007.06.004.
// 2.5-D blocking: a block owns a column of 32 x TILE_J voxels and marches along i. For each plane:
//   1. Store the plane with its halo in a shared-memory tile; prefetch the next one into registers.
//   2. Products (f, m, f^2, m^2, f m, mask) summed over the window along k, into shared memory.
//   3. These summed along j, and along i by running sums in registers.
//   4. For the plane whose windows are now complete: cc, and factor times gradient for either image. Values and
//      differences that the gradient needs wait in registers meanwhile (VoxelColumn).
// Called by CudaBackend.local_cc; outputs are the caller's, `partial` has an entry per block, `arrived` starts and ends
// at 0. Moves 8 bytes in (16 with a mask, read twice) and 24 out per voxel, and halos, which the caches hold.
#ifndef RADIUS
#define RADIUS 2
#endif
#ifndef MASKED
#define MASKED 0
#endif
#ifndef VALUE
#define VALUE double
#endif
#include "reductions.cuh"
#include "window_sums.cuh"

constexpr int ROWS_PER_THREAD = RADIUS <= 2 && !MASKED ? 2 : 1;  // neighbouring rows
constexpr int TILE_K = 32, TILE_J = BLOCK_J * ROWS_PER_THREAD, ROWS = TILE_J + 2 * RADIUS;
constexpr int RUN = 4;  // neighbouring windows along k that a thread sums
constexpr int QUADS = (RUN + 2 * RADIUS + 3) / 4, PITCH = TILE_K - RUN + 4 * QUADS;
constexpr int IMAGES = 2 + MASKED, CHANNELS = 5 + MASKED;  // f, m, mask; sums of f, m, f^2, m^2, f m, mask
constexpr int ITEMS = ROWS * PITCH, LOADS_PER_THREAD = (ITEMS + BLOCK - 1) / BLOCK;
constexpr bool PREFETCH = RADIUS <= 4;  // load planes early, where registers allow

__shared__ __align__(16) float tile[IMAGES][ROWS][PITCH];
__shared__ __align__(16) float rows[CHANNELS][ROWS][TILE_K];

// Loads the thread's part of a plane of the block's column with its halo, zero beyond the border, and stores it in the
// tile; loaded early, so that latency overlaps with computation.
struct PlaneLoader {
    float values[IMAGES][LOADS_PER_THREAD];
    int offsets[LOADS_PER_THREAD];  // within a plane; -1 beyond the border

    __device__ PlaneLoader(Box box, int j0, int k0) {
#pragma unroll
        for (int n = 0; n < LOADS_PER_THREAD; n++) {
            int item = thread_in_block() + n * BLOCK, j = j0 + item / PITCH - RADIUS, k = k0 + item % PITCH - RADIUS;
            bool is_inside = item < ITEMS && j >= 0 && k >= 0 && j < box.nj && k < box.nk;
            offsets[n] = is_inside ? j * box.nk + k : -1;
        }
    }

    __device__ void prefetch(const float* const images[IMAGES], Box box, int i) {
        bool is_inside = i >= 0 && i < box.ni;
#pragma unroll
        for (int image = 0; image < IMAGES; image++) {
            const float* plane = images[image] + box.at(i, 0, 0);
#pragma unroll
            for (int n = 0; n < LOADS_PER_THREAD; n++)
                values[image][n] = is_inside && offsets[n] >= 0 ? __ldg(plane + offsets[n]) : 0.0f;
        }
    }

    __device__ void store_tile() const {
#pragma unroll
        for (int n = 0; n < LOADS_PER_THREAD; n++) {
            int item = thread_in_block() + n * BLOCK;
#pragma unroll
            for (int image = 0; image < IMAGES; image++)
                if (item < ITEMS) (&tile[image][0][0])[item] = values[image][n];
        }
    }
};

__device__ inline void store_window_sums(const float window[4 * QUADS], float* to) {
    float sums[RUN];
    sum_windows<RUN>(window, sums);
    *reinterpret_cast<float4*>(to) = make_float4(sums[0], sums[1], sums[2], sums[3]);
}

// Products summed along k.
__device__ inline void sum_along_k() {
    for (int item = thread_in_block(); item < ROWS * (TILE_K / RUN); item += BLOCK) {
        int row = item / (TILE_K / RUN), k = RUN * (item % (TILE_K / RUN));
        float f[4 * QUADS], m[4 * QUADS], product[4 * QUADS];
        load<QUADS>(&tile[0][row][k], f);
        load<QUADS>(&tile[1][row][k], m);
#if MASKED
        load<QUADS>(&tile[2][row][k], product);
#pragma unroll
        for (int n = 0; n < 4 * QUADS; n++) {
            product[n] = product[n] > 0.0f ? 1.0f : 0.0f;
            f[n] *= product[n], m[n] *= product[n];
        }
        store_window_sums(product, &rows[5][row][k]);
#endif
        store_window_sums(f, &rows[0][row][k]);
        store_window_sums(m, &rows[1][row][k]);
#pragma unroll
        for (int n = 0; n < 4 * QUADS; n++) product[n] = f[n] * m[n], f[n] *= f[n], m[n] *= m[n];
        store_window_sums(f, &rows[2][row][k]);
        store_window_sums(m, &rows[3][row][k]);
        store_window_sums(product, &rows[4][row][k]);
    }
}

// Register queue along i of one voxel of one image: values of planes i - 1 ... i + RADIUS, and twice the differences
// along j and k of planes i ... i + RADIUS.
struct VoxelColumn {
    float value[RADIUS + 2], by_j[RADIUS + 1], by_k[RADIUS + 1];

    // Shifts the queue by a plane and adds the newest, of which `at` is the voxel in the tile.
    __device__ void push(const float* at) {
#pragma unroll
        for (int n = 0; n < RADIUS; n++) value[n] = value[n + 1], by_j[n] = by_j[n + 1], by_k[n] = by_k[n + 1];
        value[RADIUS] = value[RADIUS + 1], value[RADIUS + 1] = at[0];
        by_j[RADIUS] = at[PITCH] - at[-PITCH];
        by_k[RADIUS] = at[1] - at[-1];
    }

    __device__ Vector scaled_gradient(float factor) const {
        return {factor * (value[2] - value[0]), factor * by_j[0], factor * by_k[0]};
    }
};

// The local correlation, and the factors of twice the gradients of f and m that give the forces.
struct Correlation {
    float cc, fixed_factor, moving_factor;
};

// From sums of f, m, f^2, m^2, f m over a window, its size (0 off the mask), and the voxel's own values.
__device__ inline Correlation correlation_at(const float sums[5], float size, float f, float m, float contrast_floor) {
    float per_size = __fdividef(1.0f, size), f_mean = sums[0] * per_size, m_mean = sums[1] * per_size;
    float s_ff = sums[2] - sums[0] * f_mean, s_mm = sums[3] - sums[1] * m_mean, s_fm = sums[4] - sums[0] * m_mean;
    if (!(size > 0.0f && s_ff > contrast_floor * size && s_mm > contrast_floor * size)) return {0.0f, 0.0f, 0.0f};
    float per_ff = __fdividef(1.0f, s_ff), per_mm = __fdividef(1.0f, s_mm), factor = s_fm * per_ff * per_mm;
    float d_f = f - f_mean, d_m = m - m_mean;
    return {factor * s_fm, factor * (d_m - s_fm * per_ff * d_f), factor * (d_f - s_fm * per_mm * d_m)};
}

// Registers of a thread during the march along i.
struct ThreadState {
    RunningSum running_sums[CHANNELS][ROWS_PER_THREAD];
    VoxelColumn voxels[2][ROWS_PER_THREAD];
    float window_area[ROWS_PER_THREAD];  // voxels of the window in a plane

    // Adds a plane of the tile; the thread's first voxel is at (row, column).
    __device__ void push(int row, int column) {
#pragma unroll
        for (int n = 0; n < ROWS_PER_THREAD; n++)
#pragma unroll
            for (int image = 0; image < 2; image++)
                voxels[image][n].push(&tile[image][row + n + RADIUS][column + RADIUS]);
    }

    // Adds the sums of that plane and returns those over whole windows.
    __device__ void push_sums(int row, int column, float window_sums[ROWS_PER_THREAD][CHANNELS]) {
#pragma unroll
        for (int c = 0; c < CHANNELS; c++) {
            float line[ROWS_PER_THREAD + 2 * RADIUS], sums[ROWS_PER_THREAD];
#pragma unroll
            for (int t = 0; t < ROWS_PER_THREAD + 2 * RADIUS; t++) line[t] = rows[c][row + t][column];
            sum_windows<ROWS_PER_THREAD>(line, sums);
#pragma unroll
            for (int n = 0; n < ROWS_PER_THREAD; n++) window_sums[n][c] = running_sums[c][n].push(sums[n]);
        }
    }
};

extern "C" __global__ void __launch_bounds__(256, RADIUS + MASKED <= 4 ? 2 : 1) local_cc(
    const float* __restrict__ fixed,   // (ni, nj, nk)
    const float* __restrict__ moving,  // (ni, nj, nk)
    const float* __restrict__ mask,    // (ni, nj, nk) or null: weights, no voxel where not positive
    float* __restrict__ out_fixed,     // (3, ni, nj, nk)
    float* __restrict__ out_moving,    // (3, ni, nj, nk)
    double* partial,                   // (blocks)
    unsigned* arrived,                 // (1)
    VALUE* value,                      // (1)
    float contrast_floor, int length, int blocks, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    const float* images[3] = {fixed, moving, mask};
    int k0 = blockIdx.x * TILE_K, j0 = blockIdx.y * TILE_J, start = blockIdx.z * length;
    int end = start + length < ni ? start + length : ni, row = ROWS_PER_THREAD * (int)threadIdx.y,
        k = k0 + (int)threadIdx.x;
    PlaneLoader loader(box, j0, k0);
    ThreadState state = {};
#pragma unroll
    for (int n = 0; n < ROWS_PER_THREAD; n++)
        state.window_area[n] = (float)(overlap(j0 + row + n, nj) * overlap(k, nk));
    float cc_sum = 0.0f;  // at most ROWS_PER_THREAD per plane
    if (PREFETCH) loader.prefetch(images, box, start - RADIUS);
    for (int i = start - 2 * RADIUS; i < end; i++) {
        if (!PREFETCH) loader.prefetch(images, box, i + RADIUS);
        loader.store_tile();
        __syncthreads();
        if (PREFETCH) loader.prefetch(images, box, i + RADIUS + 1);
        sum_along_k();
        state.push(row, threadIdx.x);
        __syncthreads();
        float window_sums[ROWS_PER_THREAD][CHANNELS], window_depth = (float)overlap(i, ni);
        state.push_sums(row, threadIdx.x, window_sums);
#pragma unroll
        for (int n = 0; n < ROWS_PER_THREAD; n++) {
            Voxel v = {i, j0 + row + n, k};
            if (i < start || !contains(box, v)) continue;
            float size = state.window_area[n] * window_depth, weight = 1.0f;
#if MASKED
            weight = __ldg(mask + box.at(v.i, v.j, v.k));
            size = weight > 0.0f ? window_sums[n][5] : 0.0f;
#endif
            const VoxelColumn &f = state.voxels[0][n], &m = state.voxels[1][n];
            Correlation correlation = correlation_at(window_sums[n], size, f.value[1], m.value[1], contrast_floor);
            cc_sum += weight * correlation.cc;
            if (is_on_face(box, v)) weight = 0.0f;
            store(out_fixed, box, v, f.scaled_gradient(weight * correlation.fixed_factor));
            store(out_moving, box, v, m.scaled_gradient(weight * correlation.moving_factor));
        }
    }
    double total = block_sum<BLOCK>(cc_sum);
    if (thread_in_block() == 0) partial[block_in_grid()] = total;
    if (!is_last_block(arrived)) return;
    total = ordered_sum<BLOCK>(partial, blocks);
    if (thread_in_block() == 0) *value = (VALUE)(-total / (double)box.size());
}
