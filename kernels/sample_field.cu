// A field on another grid: out(c, i) = field(c, matrix i), linear, continued as constants; units unchanged.
// Called by CudaBackend.sample_field, which allocates `out`. A thread is a voxel of the output.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) sample_field(
    const float* __restrict__ field,  // (3, ai, aj, ak)
    Matrix matrix,                    // voxel of out -> voxel of field
    float* __restrict__ out,          // (3, ni, nj, nk)
    int ai, int aj, int ak, int ni, int nj, int nk) {
    Box from = {ai, aj, ak}, box = {ni, nj, nk};
    Voxel v = this_voxel();
    if (!holds(box, v)) return;
    Cube near(from, around(matrix.row(0, v.i, v.j, v.k), ai), around(matrix.row(1, v.i, v.j, v.k), aj),
              around(matrix.row(2, v.i, v.j, v.k), ak));
    long long n = from.size();
    store(out, box, v, {near.of(field), near.of(field + n), near.of(field + 2 * n)});
}
