// Descriptors through a field: out(i) = descriptors(i + field(i)), linear, rounded, clamped at the border.
// A thread takes a voxel: its vector, then eight descriptors of one load each; entries as floats, four at a time.
// Called by CudaDescriptors.warp for several descriptors with a field each; `out` is the caller's. Moves 12 bytes of the
// field and 16 of the descriptors in per voxel, and 16 out.
#ifndef PLANES
#define PLANES 1
#endif
#include "descriptors.cuh"

// Byte n of a word as a float: the low bits of 2^23 + byte.
__device__ inline float entry(unsigned word, int n) {
    return __int_as_float((int)(0x4B000000u | ((word >> (8 * n)) & 0xFFu))) - 8388608.0f;
}

struct Four {
    float values[4];
};

__device__ inline Four entries(unsigned word) { return {entry(word, 0), entry(word, 1), entry(word, 2), entry(word, 3)}; }

__device__ inline Four blend(Four a, Four b, float weight) {
    Four found;
#pragma unroll
    for (int n = 0; n < 4; n++) found.values[n] = lerp(a.values[n], b.values[n], weight);
    return found;
}

__device__ inline unsigned rounded(Four four) {
    unsigned word = 0;
#pragma unroll
    for (int n = 0; n < 4; n++) word |= (unsigned)(four.values[n] + 0.5f) << (8 * n);
    return word;
}

// One word of the eight descriptors of a cell, along k, then j, then i.
__device__ inline unsigned interpolated(const unsigned* corners, const TrilinearCell& cell) {
    Four rows[4];
#pragma unroll
    for (int n = 0; n < 4; n++) rows[n] = blend(entries(corners[2 * n]), entries(corners[2 * n + 1]), cell.wk);
    return rounded(blend(blend(rows[0], rows[1], cell.wj), blend(rows[2], rows[3], cell.wj), cell.wi));
}

// A coordinate clamped to the axis as a whole, so that its weight is that at the border.
__device__ inline Bracket clamped_bracket(int i, float shift, int n) {
    return bracket(i, fminf(fmaxf(shift, (float)-i), (float)(n - 1 - i)), n);
}

extern "C" __global__ void __launch_bounds__(256) warp_descriptors(
    const unsigned* __restrict__ descriptors,  // (many, ni, nj, nk, 4)
    const float* __restrict__ field,           // (many, 3, ni, nj, nk), voxels
    unsigned* __restrict__ out,                // (many, ni, nj, nk, 4)
    int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Slab slab = thread_slab<PLANES>(box);
    Voxel v = slab.first;
    if (!contains(box, v)) return;
    descriptors += slab.volume * 4 * box.size(), field += slab.volume * 3 * box.size();
    out += slab.volume * 4 * box.size();
    Vector u = vector_at(field, box, v);
    TrilinearCell cell(
        box, clamped_bracket(v.i, u.x, ni), clamped_bracket(v.j, u.y, nj), clamped_bracket(v.k, u.z, nk));
    unsigned corners[4][8];
#pragma unroll
    for (int n = 0; n < 8; n++) {
        int step = (n & 4 ? cell.i : 0) + (n & 2 ? cell.j : 0) + (n & 1 ? cell.k : 0);
        uint4 found = descriptor_at(descriptors, cell.at + step);
        corners[0][n] = found.x, corners[1][n] = found.y, corners[2][n] = found.z, corners[3][n] = found.w;
    }
    reinterpret_cast<uint4*>(out)[box.at(v.i, v.j, v.k)] = make_uint4(
        interpolated(corners[0], cell), interpolated(corners[1], cell), interpolated(corners[2], cell),
        interpolated(corners[3], cell));
}
