// Self-similarity context (MIND-SSC, Heinrich et al. 2013, 10.1007/978-3-642-40811-3_24): 127 exp(-D / (V + floor)) for
// the twelve pairs of neighbours on different axes, D the mean squared difference of the 3^3 voxels around either, less
// the least of the twelve, V their mean. The volume continues as a constant beyond its grid.
// A thread takes a voxel: 27 times six neighbours from the caches, twelve sums in registers.
// Called by CudaDescriptors.describe once a level; `out` is the caller's. Moves 4 bytes in and 16 out per voxel.
#include "volume.cuh"

constexpr int PAIRS = 12, WINDOW = 27;
constexpr float TOP = 127.0f;

struct Neighbours {
    float values[6];  // below and above along i, j and k

    __device__ Neighbours(const float* __restrict__ volume, Box box, Voxel v) {
        int i = clamped(v.i, box.ni), j = clamped(v.j, box.nj), k = clamped(v.k, box.nk);
        values[0] = __ldg(volume + box.at(clamped(v.i - 1, box.ni), j, k));
        values[1] = __ldg(volume + box.at(clamped(v.i + 1, box.ni), j, k));
        values[2] = __ldg(volume + box.at(i, clamped(v.j - 1, box.nj), k));
        values[3] = __ldg(volume + box.at(i, clamped(v.j + 1, box.nj), k));
        values[4] = __ldg(volume + box.at(i, j, clamped(v.k - 1, box.nk)));
        values[5] = __ldg(volume + box.at(i, j, clamped(v.k + 1, box.nk)));
    }

    // Add the squared differences of the pairs on axes 0 and 1, 0 and 2, 1 and 2 in the order of the descriptor.
    __device__ void add_squares(float* sums) const {
        int pair = 0;
#pragma unroll
        for (int a = 0; a < 4; a++) {
#pragma unroll
            for (int b = a < 2 ? 2 : 4; b < 6; b++) {
                float difference = values[a] - values[b];
                sums[pair++] += difference * difference;
            }
        }
    }
};

extern "C" __global__ void __launch_bounds__(256) self_similarity(
    const float* __restrict__ volume,  // (ni, nj, nk)
    unsigned* __restrict__ out,        // (ni, nj, nk, 4): 16 bytes a voxel
    float floor, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = thread_voxel();
    if (!contains(box, v)) return;
    float sums[PAIRS] = {};
    for (int di = -1; di <= 1; di++)
        for (int dj = -1; dj <= 1; dj++)
#pragma unroll
            for (int dk = -1; dk <= 1; dk++) Neighbours(volume, box, {v.i + di, v.j + dj, v.k + dk}).add_squares(sums);
    float least = sums[0], total = 0.0f;
#pragma unroll
    for (int pair = 0; pair < PAIRS; pair++) least = fminf(least, sums[pair]), total += sums[pair];
    float spread = (total - PAIRS * least) * (1.0f / (WINDOW * PAIRS)) + floor;
    unsigned words[4] = {};
#pragma unroll
    for (int pair = 0; pair < PAIRS; pair++) {
        float distance = (sums[pair] - least) * (1.0f / WINDOW) / spread;
        words[pair / 4] |= (unsigned)(TOP * expf(-distance) + 0.5f) << (8 * (pair % 4));
    }
    reinterpret_cast<uint4*>(out)[box.at(v.i, v.j, v.k)] = make_uint4(words[0], words[1], words[2], words[3]);
}
