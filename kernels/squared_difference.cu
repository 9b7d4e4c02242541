// Mean squared difference of two volumes, and the force (m - f) grad f, (f - m) grad m on either; no force off the mask
// and on the outer faces.
// Called by CudaBackend.squared_difference; outputs are the caller's, `partial` has an entry per block, `arrived` is 0.
// A thread is a voxel: 8 bytes in, 24 out.
#ifndef VALUE
#define VALUE double
#endif
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) squared_difference(
    const float* __restrict__ fixed,   // (ni, nj, nk)
    const float* __restrict__ moving,  // (ni, nj, nk)
    const float* __restrict__ mask,    // (ni, nj, nk) or null: positive where voxels count
    float* __restrict__ out_fixed,     // (3, ni, nj, nk)
    float* __restrict__ out_moving,    // (3, ni, nj, nk)
    double* partial,                   // (blocks)
    unsigned* arrived,                 // (1)
    VALUE* value,                      // (1)
    int blocks, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = this_voxel();
    double square = 0.0;
    if (holds(box, v)) {
        long long at = box.at(v.i, v.j, v.k);
        bool counts = !mask || mask[at] > 0.0f;
        float d = counts ? moving[at] - fixed[at] : 0.0f, pull = on_face(box, v) ? 0.0f : d;
        Surroundings near(box, v);
        Vector f = near.gradient(fixed), m = near.gradient(moving);
        store(out_fixed, box, v, {pull * f.x, pull * f.y, pull * f.z});
        store(out_moving, box, v, {-pull * m.x, -pull * m.y, -pull * m.z});
        square = (double)d * d;
    }
    square = block_sum<BLOCK>(square);
    if (thread_in_block() == 0) partial[block_in_grid()] = square;
    if (!is_last_block(arrived)) return;
    double total = ordered_sum<BLOCK>(partial, blocks);
    if (thread_in_block() == 0) *value = (VALUE)(total / (double)box.size());
}
