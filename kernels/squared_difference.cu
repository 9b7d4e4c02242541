// Mean squared difference of two volumes, and the force (m - f) grad f, (f - m) grad m on either; no force off the mask
// and on the outer faces.
// Called by CudaBackend.squared_difference; outputs are the caller's, `partial` has an entry per block, `arrived` is 0.
// A thread marches along i over `length` voxels, so that most of them come from registers and sums over a block are few:
// 8 bytes in, 24 out, per voxel.
#ifndef VALUE
#define VALUE double
#endif
#include "reductions.cuh"

// Voxels of one image along i: the plane before, this one and the next.
struct March {
    float before, here, next;

    // The slopes at `at`, as `Surroundings` has them.
    __device__ Vector gradient(Span i, Span j, Span k, const float* __restrict__ at) const {
        return {i.per * ((i.above ? next : here) - (i.below ? before : here)), j.difference(at), k.difference(at)};
    }

    __device__ void advance(const float* __restrict__ newest) { before = here, here = next, next = __ldg(newest); }
};

extern "C" __global__ void __launch_bounds__(256) squared_difference(
    const float* __restrict__ fixed,   // (ni, nj, nk)
    const float* __restrict__ moving,  // (ni, nj, nk)
    const float* __restrict__ mask,    // (ni, nj, nk) or null: positive where voxels count
    float* __restrict__ out_fixed,     // (3, ni, nj, nk)
    float* __restrict__ out_moving,    // (3, ni, nj, nk)
    double* partial,                   // (blocks)
    unsigned* arrived,                 // (1)
    VALUE* value,                      // (1)
    int length, int blocks, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = this_voxel();
    int start = v.i * length, end = start + length < ni ? start + length : ni;
    double square = 0.0;
    if (v.j < nj && v.k < nk) {
        int plane = nj * nk;
        long long at = box.at(start, v.j, v.k);
        Span j(v.j, nj, nk), k(v.k, nk, 1);
        March f = {0.0f, __ldg(fixed + (at - (start ? plane : 0))), __ldg(fixed + at)};
        March m = {0.0f, __ldg(moving + (at - (start ? plane : 0))), __ldg(moving + at)};
        for (v.i = start; v.i < end; v.i++, at += plane) {
            Span i(v.i, ni, 1);
            f.advance(fixed + (at + (i.above ? plane : 0)));
            m.advance(moving + (at + (i.above ? plane : 0)));
            bool counts = !mask || __ldg(mask + at) > 0.0f;
            float d = counts ? m.here - f.here : 0.0f, pull = on_face(box, v) ? 0.0f : d;
            Vector of_f = f.gradient(i, j, k, fixed + at), of_m = m.gradient(i, j, k, moving + at);
            store(out_fixed, box, v, {pull * of_f.x, pull * of_f.y, pull * of_f.z});
            store(out_moving, box, v, {-pull * of_m.x, -pull * of_m.y, -pull * of_m.z});
            square += (double)d * d;
        }
    }
    square = block_sum<BLOCK>(square);
    if (thread_in_block() == 0) partial[block_in_grid()] = square;
    if (!is_last_block(arrived)) return;
    double total = ordered_sum<BLOCK>(partial, blocks);
    if (thread_in_block() == 0) *value = (VALUE)(total / (double)box.size());
}
