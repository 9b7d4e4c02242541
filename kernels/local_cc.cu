// Local squared correlation of two volumes and the force on either image, in one pass. A block owns a column of
// 32 x TILE_J voxels and marches along i: products are summed over the window along k, then j, in shared memory, then
// along i in registers, which also keep a voxel's slopes until its window is complete.
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
#include "reductions.cuh"
#include "windows.cuh"

constexpr int OWN = RADIUS <= 2 && !MASKED ? 2 : 1;  // rows of a thread, next to each other
constexpr int TILE_K = 32, TILE_J = BLOCK_J * OWN, ROWS = TILE_J + 2 * RADIUS;
constexpr int RUN = 4;  // neighbours along k that a thread sums at once
constexpr int QUADS = (RUN + 2 * RADIUS + 3) / 4, PITCH = TILE_K - RUN + 4 * QUADS;
constexpr int IMAGES = 2 + MASKED, CHANNELS = 5 + MASKED;  // f, m, mask; sums of f, m, f^2, m^2, f m, mask
constexpr int ITEMS = ROWS * PITCH, SHARE = (ITEMS + BLOCK - 1) / BLOCK;
constexpr bool AHEAD = RADIUS <= 4;  // planes are asked for early, where registers allow

__shared__ __align__(16) float tile[IMAGES][ROWS][PITCH];
__shared__ __align__(16) float rows[CHANNELS][ROWS][TILE_K];

// The thread's share of a plane around the block's column, zero beyond the border; asked for early, so that it arrives
// while others compute.
struct Share {
    float values[IMAGES][SHARE];
    int places[SHARE];  // within a plane; -1 beyond the border

    __device__ Share(Box box, int j0, int k0) {
#pragma unroll
        for (int n = 0; n < SHARE; n++) {
            int item = thread_in_block() + n * BLOCK, j = j0 + item / PITCH - RADIUS, k = k0 + item % PITCH - RADIUS;
            bool there = item < ITEMS && j >= 0 && k >= 0 && j < box.nj && k < box.nk;
            places[n] = there ? j * box.nk + k : -1;
        }
    }

    __device__ void fetch(const float* const images[IMAGES], Box box, int i) {
        bool there = i >= 0 && i < box.ni;
#pragma unroll
        for (int image = 0; image < IMAGES; image++) {
            const float* plane = images[image] + box.at(i, 0, 0);
#pragma unroll
            for (int n = 0; n < SHARE; n++)
                values[image][n] = there && places[n] >= 0 ? __ldg(plane + places[n]) : 0.0f;
        }
    }

    __device__ void put_down() const {
#pragma unroll
        for (int n = 0; n < SHARE; n++) {
            int item = thread_in_block() + n * BLOCK;
#pragma unroll
            for (int image = 0; image < IMAGES; image++)
                if (item < ITEMS) (&tile[image][0][0])[item] = values[image][n];
        }
    }
};

__device__ inline void put_sums(const float window[4 * QUADS], float* to) {
    float sums[RUN];
    sum_windows<RUN>(window, sums);
    *reinterpret_cast<float4*>(to) = make_float4(sums[0], sums[1], sums[2], sums[3]);
}

// Products summed along k.
__device__ inline void sum_rows() {
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
        put_sums(product, &rows[5][row][k]);
#endif
        put_sums(f, &rows[0][row][k]);
        put_sums(m, &rows[1][row][k]);
#pragma unroll
        for (int n = 0; n < 4 * QUADS; n++) product[n] = f[n] * m[n], f[n] *= f[n], m[n] *= m[n];
        put_sums(f, &rows[2][row][k]);
        put_sums(m, &rows[3][row][k]);
        put_sums(product, &rows[4][row][k]);
    }
}

// A voxel of one image on its way through the window: values of planes i - 1 ... i + RADIUS, and twice the slopes along
// j and k of planes i ... i + RADIUS.
struct Passage {
    float value[RADIUS + 2], by_j[RADIUS + 1], by_k[RADIUS + 1];

    // Takes the newest plane in, of which `at` is the voxel's place in the tile; everything else is a plane older now.
    __device__ void enter(const float* at) {
#pragma unroll
        for (int n = 0; n < RADIUS; n++) value[n] = value[n + 1], by_j[n] = by_j[n + 1], by_k[n] = by_k[n + 1];
        value[RADIUS] = value[RADIUS + 1], value[RADIUS + 1] = at[0];
        by_j[RADIUS] = at[PITCH] - at[-PITCH];
        by_k[RADIUS] = at[1] - at[-1];
    }

    __device__ Vector force(float pull) const { return {pull * (value[2] - value[0]), pull * by_j[0], pull * by_k[0]}; }
};

// The local correlation, and how far twice the slopes of f and m are followed.
struct Pull {
    float cc, on_f, on_m;
};

// From sums of f, m, f^2, m^2, f m over a window, its size (0 off the mask), and the voxel's own values.
__device__ inline Pull pull_at(const float sums[5], float size, float f, float m, float contrast) {
    float per_size = __fdividef(1.0f, size), f_mean = sums[0] * per_size, m_mean = sums[1] * per_size;
    float s_ff = sums[2] - sums[0] * f_mean, s_mm = sums[3] - sums[1] * m_mean, s_fm = sums[4] - sums[0] * m_mean;
    if (!(size > 0.0f && s_ff > contrast * size && s_mm > contrast * size)) return {0.0f, 0.0f, 0.0f};
    float per_ff = __fdividef(1.0f, s_ff), per_mm = __fdividef(1.0f, s_mm), slope = s_fm * per_ff * per_mm;
    float d_f = f - f_mean, d_m = m - m_mean;
    return {slope * s_fm, slope * (d_m - s_fm * per_ff * d_f), slope * (d_f - s_fm * per_mm * d_m)};
}

// What a thread keeps of its voxels on the way along i.
struct Own {
    Window windows[CHANNELS][OWN];
    Passage passages[2][OWN];
    float wide[OWN];        // voxels of the window within a plane
    unsigned on_mask[OWN];  // a bit for each of the last planes, the newest one lowest

    // Takes a plane of the tile in; the thread's first voxel is at (row, column).
    __device__ void enter(int row, int column) {
#pragma unroll
        for (int n = 0; n < OWN; n++)
#pragma unroll
            for (int image = 0; image < 2; image++)
                passages[image][n].enter(&tile[image][row + n + RADIUS][column + RADIUS]);
#if MASKED
#pragma unroll
        for (int n = 0; n < OWN; n++)
            on_mask[n] = on_mask[n] << 1 | (tile[2][row + n + RADIUS][column + RADIUS] > 0.0f ? 1u : 0u);
#endif
    }

    // Takes the sums of that plane in and returns those over whole windows.
    __device__ void complete(int row, int column, float done[OWN][CHANNELS]) {
#pragma unroll
        for (int c = 0; c < CHANNELS; c++) {
            float line[OWN + 2 * RADIUS], sums[OWN];
#pragma unroll
            for (int t = 0; t < OWN + 2 * RADIUS; t++) line[t] = rows[c][row + t][column];
            sum_windows<OWN>(line, sums);
#pragma unroll
            for (int n = 0; n < OWN; n++) done[n][c] = windows[c][n].add(sums[n]);
        }
    }
};

extern "C" __global__ void __launch_bounds__(256, RADIUS + MASKED <= 4 ? 2 : 1) local_cc(
    const float* __restrict__ fixed,   // (ni, nj, nk)
    const float* __restrict__ moving,  // (ni, nj, nk)
    const float* __restrict__ mask,    // (ni, nj, nk) or null
    float* __restrict__ out_fixed,     // (3, ni, nj, nk)
    float* __restrict__ out_moving,    // (3, ni, nj, nk)
    double* partial,                   // (blocks)
    unsigned* arrived,                 // (1)
    VALUE* value,                      // (1)
    float contrast, int length, int blocks, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    const float* images[3] = {fixed, moving, mask};
    int k0 = blockIdx.x * TILE_K, j0 = blockIdx.y * TILE_J, start = blockIdx.z * length;
    int end = start + length < ni ? start + length : ni, row = OWN * (int)threadIdx.y, k = k0 + (int)threadIdx.x;
    Share share(box, j0, k0);
    Own own = {};
#pragma unroll
    for (int n = 0; n < OWN; n++) own.wide[n] = (float)(overlap(j0 + row + n, nj) * overlap(k, nk));
    float mine = 0.0f;  // of OWN numbers between 0 and 1 a plane
    if (AHEAD) share.fetch(images, box, start - RADIUS);
    for (int i = start - 2 * RADIUS; i < end; i++) {
        if (!AHEAD) share.fetch(images, box, i + RADIUS);
        share.put_down();
        __syncthreads();
        if (AHEAD) share.fetch(images, box, i + RADIUS + 1);
        sum_rows();
        own.enter(row, threadIdx.x);
        __syncthreads();
        float done[OWN][CHANNELS], thick = (float)overlap(i, ni);
        own.complete(row, threadIdx.x, done);
#pragma unroll
        for (int n = 0; n < OWN; n++) {
            Voxel v = {i, j0 + row + n, k};
            if (i < start || !holds(box, v)) continue;
            float size = own.wide[n] * thick;
#if MASKED
            size = own.on_mask[n] >> RADIUS & 1u ? done[n][5] : 0.0f;
#endif
            const Passage &f = own.passages[0][n], &m = own.passages[1][n];
            Pull pull = pull_at(done[n], size, f.value[1], m.value[1], contrast);
            mine += pull.cc;
            if (on_face(box, v)) pull.on_f = pull.on_m = 0.0f;
            store(out_fixed, box, v, f.force(pull.on_f));
            store(out_moving, box, v, m.force(pull.on_m));
        }
    }
    double total = block_sum<BLOCK>(mine);
    if (thread_in_block() == 0) partial[block_in_grid()] = total;
    if (!is_last_block(arrived)) return;
    total = ordered_sum<BLOCK>(partial, blocks);
    if (thread_in_block() == 0) *value = (VALUE)(-total / (double)box.size());
}
