// Mean squared difference of two descriptors, and the forces sum (m - f) grad f and sum (f - m) grad m over the channels,
// by central differences; no force off the mask and on the outer faces. Sums of products are whole numbers.
//   1. A thread takes a voxel: seven descriptors of either side, four products of bytes an instruction.
//   2. Squares are added over the block, then over the grid by its last block, in a fixed order.
// Called by CudaDescriptors.forces; outputs are the caller's, `partial` has an entry per block, `arrived` starts and ends
// at 0. Moves 32 bytes in (36 with a mask) and 24 out per voxel.
#ifndef VALUE
#define VALUE double
#endif
#include "descriptors.cuh"
#include "reductions.cuh"

constexpr float TOP = 127.0f;

struct Side {
    const unsigned* __restrict__ descriptors;
    float* __restrict__ out;

    // The force along an axis: differences of the neighbours `step` voxels away, times those of the sides.
    __device__ float along(long long at, long long step, const Differences& sides) const {
        Differences slope(descriptor_at(descriptors, at + step), descriptor_at(descriptors, at - step));
        return (float)sides.times(slope) * (0.5f / (TOP * TOP));
    }

    __device__ void store_force(Box box, Voxel v, const Differences& sides, float weight) const {
        long long at = box.at(v.i, v.j, v.k), plane = (long long)box.nj * box.nk;
        Vector force = {0.0f, 0.0f, 0.0f};
        if (weight > 0.0f && box.ni > 1) force.x = weight * along(at, plane, sides);
        if (weight > 0.0f && box.nj > 1) force.y = weight * along(at, box.nk, sides);
        if (weight > 0.0f && box.nk > 1) force.z = weight * along(at, 1, sides);
        store(out, box, v, force);
    }
};

extern "C" __global__ void __launch_bounds__(256) descriptor_forces(
    const unsigned* __restrict__ fixed,   // (ni, nj, nk, 4)
    const unsigned* __restrict__ moving,  // (ni, nj, nk, 4)
    const float* __restrict__ mask,       // (ni, nj, nk) or null: weights, no voxel where not positive
    float* __restrict__ out_fixed,        // (3, ni, nj, nk)
    float* __restrict__ out_moving,       // (3, ni, nj, nk)
    double* partial,                      // (blocks)
    unsigned* arrived,                    // (1)
    VALUE* value,                         // (1)
    int blocks, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = thread_voxel();
    double squares = 0.0;
    if (contains(box, v)) {
        long long at = box.at(v.i, v.j, v.k);
        uint4 f = descriptor_at(fixed, at), m = descriptor_at(moving, at);
        Differences to_moving(m, f), to_fixed(f, m);
        float weight = mask ? fmaxf(__ldg(mask + at), 0.0f) : 1.0f;
        if (weight > 0.0f) squares = (double)weight * to_moving.times(to_moving);
        if (is_on_face(box, v)) weight = 0.0f;
        Side{fixed, out_fixed}.store_force(box, v, to_moving, weight);
        Side{moving, out_moving}.store_force(box, v, to_fixed, weight);
    }
    squares = block_sum<BLOCK>(squares);
    if (thread_in_block() == 0) partial[block_in_grid()] = squares;
    if (!is_last_block(arrived)) return;
    double total = ordered_sum<BLOCK>(partial, blocks);
    if (thread_in_block() == 0) *value = (VALUE)(total / ((double)TOP * TOP * (double)box.size()));
}
