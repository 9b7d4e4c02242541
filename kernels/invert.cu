// Inverse of x -> x + field(x): every voxel solves v + field(i + v) = 0 alone, by steps that are whole for the first
// 8 iterations and 0.4 after (undamped ones oscillate where the map expands), until its residual is small.
// Called by CudaBackend.invert; `out` is the caller's, `worst` starts at 0. A thread is a voxel.
#include "reductions.cuh"

constexpr int UNDAMPED_STEPS = 8;
constexpr float DAMPING = 0.4f;

extern "C" __global__ void __launch_bounds__(256, 4) invert(
    const float* __restrict__ field,  // (3, ni, nj, nk), voxels
    const float* start,               // (3, ni, nj, nk)
    float* out,                       // (3, ni, nj, nk)
    float* worst,                     // (1) largest residual
    float tolerance, int iterations, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = this_voxel();
    float residual = 0.0f;
    if (holds(box, v)) {
        Vector w = vector_at(start, box, v);
        for (int step = 0;; step++) {
            Vector u = moved_vector(field, box, v, w);
            Vector missed = {w.x + u.x, w.y + u.y, w.z + u.z};
            residual = sqrtf(missed.x * missed.x + missed.y * missed.y + missed.z * missed.z);
            if (step == iterations || !(residual > tolerance)) break;
            float rate = step < UNDAMPED_STEPS ? 1.0f : DAMPING;
            w = {w.x - rate * missed.x, w.y - rate * missed.y, w.z - rate * missed.z};
        }
        store(out, box, v, w);
    }
    float largest = block_max<BLOCK>(residual);
    if (thread_in_block() == 0) raise(worst, largest);
}
