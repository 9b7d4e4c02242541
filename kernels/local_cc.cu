// Local squared correlation of two volumes and the force on either image, in one pass. A block owns a column of
// 32 x TILE_J voxels and marches along i: products are summed over the window along k, then j, in shared memory, then
// along i over the last planes, kept in registers (RADIUS up to 4) or as a running sum in double (wider windows).
//
//   cc = s_fm^2 / (s_ff s_mm),  force on f = 2 s_fm / (s_ff s_mm) ((m - mean_m) - s_fm / s_ff (f - mean_f)) grad f
//
// Windows are clipped at the border and count their true number of voxels; windows of variance at most `contrast`
// count 0. After Avants et al. 2008, 10.1016/j.media.2007.06.004.
// Called by CudaBackend.local_cc; outputs are the caller's, `partial` has an entry per block, `arrived` is 0.
// Moves 8 bytes in (12 with a mask) and 24 out per voxel, plus halos that the caches hold.
#ifndef RADIUS
#define RADIUS 2
#endif
#ifndef MASKED
#define MASKED 0
#endif
#ifndef VALUE
#define VALUE double
#endif
#include "volume.cuh"

constexpr bool RUNNING = RADIUS > 4;
constexpr int OWN = RADIUS <= 2 ? 2 : 1;  // rows of a thread
constexpr int TILE_K = 32, TILE_J = BLOCK_J * OWN, ROWS = TILE_J + 2 * RADIUS;
constexpr int QUADS = (4 + 2 * RADIUS + 3) / 4, PITCH = TILE_K - 4 + 4 * QUADS;
constexpr int IMAGES = 2 + MASKED;    // f, m, mask
constexpr int CHANNELS = 5 + MASKED;  // sums of f, m, f^2, m^2, f m, mask
constexpr int ITEMS = ROWS * PITCH, SHARE = (ITEMS + BLOCK - 1) / BLOCK;
constexpr int DEPTH = RUNNING ? 1 : 2 * RADIUS + 1;

__shared__ __align__(16) float tile[IMAGES][ROWS][PITCH];
__shared__ __align__(16) float rows[CHANNELS][ROWS][TILE_K];

struct Pair {
    const float *fixed, *moving, *mask;
    Box box;
};

// The thread's share of a plane around the block's column, zero beyond the border and off the mask; asked for early, so
// that it arrives while others compute.
struct Share {
    float values[IMAGES][SHARE];

    __device__ void fetch(Pair pair, Voxel corner) {
#pragma unroll
        for (int n = 0; n < SHARE; n++) {
            int item = thread_in_block() + n * BLOCK;
            Voxel v = {corner.i, corner.j + item / PITCH - RADIUS, corner.k + item % PITCH - RADIUS};
            bool counts = item < ITEMS && v.i >= 0 && v.j >= 0 && v.k >= 0 && holds(pair.box, v);
            long long at = counts ? pair.box.at(v.i, v.j, v.k) : 0;
#if MASKED
            counts = counts && __ldg(pair.mask + at) > 0.0f;
            values[2][n] = counts ? 1.0f : 0.0f;
#endif
            values[0][n] = counts ? __ldg(pair.fixed + at) : 0.0f;
            values[1][n] = counts ? __ldg(pair.moving + at) : 0.0f;
        }
    }

    __device__ void put_down() const {
#pragma unroll
        for (int n = 0; n < SHARE; n++) {
            int item = thread_in_block() + n * BLOCK;
            for (int image = 0; image < IMAGES && item < ITEMS; image++)
                (&tile[image][0][0])[item] = values[image][n];
        }
    }
};

__device__ inline void load_window(const float* from, float window[4 * QUADS]) {
#pragma unroll
    for (int q = 0; q < QUADS; q++) {
        float4 four = *reinterpret_cast<const float4*>(from + 4 * q);
        window[4 * q] = four.x, window[4 * q + 1] = four.y, window[4 * q + 2] = four.z, window[4 * q + 3] = four.w;
    }
}

__device__ inline void add_products(float f, float m, float sums[5]) {
    sums[0] += f;
    sums[1] += m;
    sums[2] += f * f;
    sums[3] += m * m;
    sums[4] += f * m;
}

// Products summed along k, four neighbouring outputs per step.
__device__ inline void sum_rows() {
    for (int item = thread_in_block(); item < ROWS * (TILE_K / 4); item += BLOCK) {
        int row = item / (TILE_K / 4), k = 4 * (item % (TILE_K / 4));
        float f[4 * QUADS], m[4 * QUADS], sums[4][5] = {};
        load_window(&tile[0][row][k], f);
        load_window(&tile[1][row][k], m);
#pragma unroll
        for (int n = 0; n < 4; n++)
#pragma unroll
            for (int t = 0; t <= 2 * RADIUS; t++) add_products(f[n + t], m[n + t], sums[n]);
#pragma unroll
        for (int c = 0; c < 5; c++)
            *reinterpret_cast<float4*>(&rows[c][row][k]) = make_float4(sums[0][c], sums[1][c], sums[2][c], sums[3][c]);
#if MASKED
#pragma unroll
        for (int n = 0; n < 4; n++) {
            float count = 0.0f;
            for (int t = 0; t <= 2 * RADIUS; t++) count += tile[2][row][k + n + t];
            rows[5][row][k + n] = count;
        }
#endif
    }
}

// Sums over the window in the plane at hand for the thread's voxels, while plane `next` is on its way.
__device__ inline void sum_plane(Pair pair, Share& share, Voxel next, float sums[CHANNELS][OWN]) {
    share.put_down();
    __syncthreads();
    share.fetch(pair, next);
    sum_rows();
    __syncthreads();
#pragma unroll
    for (int c = 0; c < CHANNELS; c++)
#pragma unroll
        for (int n = 0; n < OWN; n++) {
            float sum = 0.0f;
#pragma unroll
            for (int t = 0; t <= 2 * RADIUS; t++) sum += rows[c][OWN * threadIdx.y + n + t][threadIdx.x];
            sums[c][n] = sum;
        }
}

// The window along i: the planes themselves, or what they add up to.
struct Window {
    float planes[CHANNELS][OWN][DEPTH];
    double running[CHANNELS][OWN];

    __device__ void enter(const float fresh[CHANNELS][OWN]) {
#pragma unroll
        for (int c = 0; c < CHANNELS; c++)
#pragma unroll
            for (int n = 0; n < OWN; n++) {
                running[c][n] += fresh[c][n];
#pragma unroll
                for (int t = 0; t < DEPTH - 1; t++) planes[c][n][t] = planes[c][n][t + 1];
                planes[c][n][DEPTH - 1] = fresh[c][n];
            }
    }

    __device__ void leave(const float old[CHANNELS][OWN]) {
        for (int c = 0; c < CHANNELS; c++)
            for (int n = 0; n < OWN; n++) running[c][n] -= old[c][n];
    }

    __device__ float sum(int c, int n) const {
        if (RUNNING) return (float)running[c][n];
        float total = 0.0f;
#pragma unroll
        for (int t = 0; t < DEPTH; t++) total += planes[c][n][t];
        return total;
    }
};

__device__ inline int overlap(int i, int n) {
    int low = i - RADIUS > 0 ? i - RADIUS : 0, high = i + RADIUS < n - 1 ? i + RADIUS : n - 1;
    return high - low + 1;
}

// Writes both forces at a voxel and returns its cc.
__device__ inline float write_voxel(
    Pair pair, Voxel v, const Window& window, int n, float contrast, float* out_fixed, float* out_moving) {
    Box box = pair.box;
    long long at = box.at(v.i, v.j, v.k);
    float size = (float)(overlap(v.i, box.ni) * overlap(v.j, box.nj) * overlap(v.k, box.nk)), counts = 1.0f;
#if MASKED
    size = fmaxf(window.sum(5, n), 1.0f);
    counts = pair.mask[at] > 0.0f ? 1.0f : 0.0f;
#endif
    float f_sum = window.sum(0, n), m_sum = window.sum(1, n), f_mean = f_sum / size, m_mean = m_sum / size;
    float s_ff = window.sum(2, n) - f_sum * f_mean, s_mm = window.sum(3, n) - m_sum * m_mean;
    float s_fm = window.sum(4, n) - f_sum * m_mean;
    bool textured = s_ff > contrast * size && s_mm > contrast * size;
    s_ff = textured ? s_ff : 1.0f;
    s_mm = textured ? s_mm : 1.0f;
    float slope = textured ? counts * s_fm / (s_ff * s_mm) : 0.0f;
    float pull = on_face(box, v) ? 0.0f : 2.0f * slope;
    float d_f = pair.fixed[at] - f_mean, d_m = pair.moving[at] - m_mean;
    float by_f = pull * (d_m - s_fm / s_ff * d_f), by_m = pull * (d_f - s_fm / s_mm * d_m);
    Vector f = gradient_at(pair.fixed, box, v), m = gradient_at(pair.moving, box, v);
    store(out_fixed, box, v, {by_f * f.x, by_f * f.y, by_f * f.z});
    store(out_moving, box, v, {by_m * m.x, by_m * m.y, by_m * m.z});
    return slope * s_fm;
}

extern "C" __global__ void __launch_bounds__(256, 2) local_cc(
    const float* __restrict__ fixed,   // (ni, nj, nk)
    const float* __restrict__ moving,  // (ni, nj, nk)
    const float* __restrict__ mask,    // (ni, nj, nk) or null
    float* __restrict__ out_fixed,     // (3, ni, nj, nk)
    float* __restrict__ out_moving,    // (3, ni, nj, nk)
    double* partial,                   // (blocks)
    unsigned* arrived,                 // (1)
    VALUE* value,                      // (1)
    float contrast, int length, int blocks, int ni, int nj, int nk) {
    Pair pair = {fixed, moving, mask, {ni, nj, nk}};
    int k0 = blockIdx.x * TILE_K, j0 = blockIdx.y * TILE_J, start = blockIdx.z * length;
    int end = start + length < ni ? start + length : ni;
    Window window = {};
    Share share;
    float sums[CHANNELS][OWN];
    double total = 0.0;
    share.fetch(pair, {start - RADIUS, j0, k0});
    for (int i = start - 2 * RADIUS; i < end; i++) {
        sum_plane(pair, share, {RUNNING && i >= start ? i - RADIUS : i + RADIUS + 1, j0, k0}, sums);
        window.enter(sums);
        if (i >= start) {
            for (int n = 0; n < OWN; n++) {
                Voxel v = {i, j0 + OWN * (int)threadIdx.y + n, k0 + (int)threadIdx.x};
                if (holds(pair.box, v)) total += write_voxel(pair, v, window, n, contrast, out_fixed, out_moving);
            }
        }
        if (RUNNING && i >= start) {
            sum_plane(pair, share, {i + RADIUS + 1, j0, k0}, sums);
            window.leave(sums);
        }
    }
    total = block_sum<BLOCK>(total);
    if (thread_in_block() == 0) partial[block_in_grid()] = total;
    if (!is_last_block(arrived)) return;
    total = ordered_sum<BLOCK>(partial, blocks);
    if (thread_in_block() == 0) *value = (VALUE)(-total / (double)pair.box.size());
}
